//! `message/send` and `message/stream`.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use langopen_core::auth::Role;
use langopen_core::event_log::{EventId, EventStream, LogKey};
use langopen_core::model::MultitaskStrategy;
use langopen_core::run_plan::IfNotExists;
use langopen_core::run_service::RunReader;
use langopen_core::{JsonMap, RawJson};
use rmcp::model::ErrorData;
use serde::Deserialize;
use tokio::time::timeout;

use super::chain::Chain;
use super::destination::{Destination, find_destination};
use super::endpoint::Answered;
use super::fields::must_converse;
use super::message::GivenMessage;
use super::request::{Request, Show};
use super::shapes::{Event, Task};
use super::stream::TaskStream;
use super::task;
use super::task_id::{CANCELED_KEY, TASK_KEY};
use super::{card, error, input};
use crate::agent::error::ApiError;
use crate::agent::run_body::RunCreate;
use crate::agent::runs::{Attach, ended, submit};
use crate::agent::wire::{OnDisconnect, json};
use crate::doors::json_rpc::{Reply, failed};

#[derive(Deserialize)]
struct Params {
    message: GivenMessage,
    #[serde(default)]
    configuration: Option<Configuration>,
    #[serde(default)]
    metadata: Option<JsonMap>,
    #[serde(default)]
    context: Option<JsonMap>,
    #[serde(default)]
    command: Option<RawJson>,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Configuration {
    accepted_output_modes: Option<Vec<String>>,
    history_length: Option<i64>,
    history_scope: Option<String>,
    blocking: Option<bool>,
    return_immediately: Option<bool>,
    push_notification_config: Option<RawJson>,
    task_push_notification_config: Option<RawJson>,
}

/// The task that a message began or continued.
struct Sent {
    request: Request,
    show: Show,
    chain: Chain,
    events: Option<EventStream>,
}

/// Answers with the task once it rests, or at once if the client asks for that.
pub(super) async fn send(request: Request) -> Result<Answered, ErrorData> {
    let params: Params = request.params()?;
    let configuration = params.configuration.as_ref();
    let waits = configuration
        .is_none_or(|given| given.blocking.unwrap_or(true) && !given.return_immediately.unwrap_or_default());
    let attach = if waits { Attach::Stream } else { Attach::Nothing };
    let mut sent = deliver(request, params, attach).await?;
    let Some(reader) = sent.follow() else {
        let Sent { request, show, chain, .. } = sent;
        let picture = task::stored(&request.app, &request.rows(), request.dialect, &chain).await;
        let picture = picture.map_err(failed)?;
        return event(&show, picture.task(&show)).map(Answered::Now);
    };
    let Sent { request, show, mut chain, .. } = sent;
    let heartbeat = request.app.settings.heartbeat;
    let answer = async move {
        let (app, rows) = (&request.app, request.rows());
        let body = ended(app, reader).await;
        let picture = task::ended(app, &rows, show.dialect, &mut chain, &body).await;
        let answer = match picture {
            Ok(picture) => event(&show, picture.task(&show)),
            Err(error) => Err(failed(error)),
        };
        serde_json::to_vec(&Reply::new(request.id, answer)).unwrap_or_default().into()
    };
    Ok(Answered::Response(keep_alive(heartbeat, answer)))
}

/// Answers with a stream: the task, then its updates.
pub(super) async fn stream(request: Request) -> Result<Answered, ErrorData> {
    let params = request.params()?;
    let mut sent = deliver(request, params, Attach::Stream).await?;
    let reader = sent.follow().ok_or_else(|| failed(ApiError::internal()))?;
    let Sent { request, show, chain, .. } = sent;
    let first = task::begun(&show, &chain);
    let (rows, id) = (request.rows(), request.id);
    let updates = TaskStream {
        app: request.app,
        rows,
        dialect: show.dialect,
        id,
        chain,
        reader,
        first: Some(first),
        after: None,
    };
    Ok(Answered::Response(updates.response()))
}

impl Sent {
    /// The run's events, if the request attached to them.
    fn follow(&mut self) -> Option<RunReader> {
        let (run, events) = (self.chain.run(), self.events.take()?);
        let log = LogKey { thread_id: run.thread_id, run_id: run.run_id };
        let tenant = &self.request.caller.identity.tenant;
        Some(self.request.app.follow(tenant, log, run.resumable, events).after(EventId::ZERO))
    }
}

fn event(show: &Show, task: Task) -> Result<RawJson, ErrorData> {
    Event::Task(task).result(show.dialect).map_err(failed)
}

/// A response that begins at once. Line breaks keep it alive until `text` is ready.
fn keep_alive(heartbeat: Duration, text: impl Future<Output = Bytes> + Send + 'static) -> Response {
    let body = futures::stream::unfold(Some(Box::pin(text)), move |text| async move {
        let mut text = text?;
        Some(match timeout(heartbeat, &mut text).await {
            Ok(text) => (Ok::<_, Infallible>(text), None),
            Err(_) => (Ok(Bytes::from_static(b"\n")), Some(text)),
        })
    });
    json(Body::from_stream(body))
}

/// Creates the run for a message.
async fn deliver(request: Request, params: Params, attach: Attach) -> Result<Sent, ErrorData> {
    let Params { mut message, configuration, metadata, context, command } = params;
    request.caller.must_be(Role::Developer).map_err(failed)?;
    let configuration = configuration.unwrap_or_default();
    if configuration.push_notification_config.is_some() || configuration.task_push_notification_config.is_some() {
        return Err(error::no_push_notifications());
    }
    card::check_output_modes(&request.assistant, configuration.accepted_output_modes.as_deref().unwrap_or_default())?;
    let show = request.show((configuration.history_length, configuration.history_scope.as_deref()))?;
    let mut metadata = metadata.unwrap_or_default();
    metadata.extend(message.metadata.take().unwrap_or_default());
    [TASK_KEY, CANCELED_KEY].iter().for_each(|key| drop(metadata.shift_remove(*key)));
    let ids = (message.task_id.take(), message.context_id.take());
    let said = message.said()?;
    let (destination, said) = find_destination(&request, ids, said, command).await?;
    let mut run = input::kept(metadata, context).with_if_not_exists(Some(IfNotExists::Create));
    let (thread_id, chain) = match destination {
        Destination::Context(thread_id) => (thread_id, None),
        Destination::Task(chain) => (chain.task.thread_id, Some(chain)),
        Destination::Answer(chain, command) => {
            run.command = Some(command);
            // Of two concurrent answers, the server rejects the second.
            run.multitask_strategy = Some(MultitaskStrategy::Reject);
            (chain.task.thread_id, Some(chain))
        }
    };
    if let Some(said) = said {
        if !said.pieces.is_empty() {
            must_converse(&request).await?;
        }
        run.input = Some(input::input_of(said)?);
    }
    if let (Some(chain), Some(metadata)) = (&chain, &mut run.metadata) {
        metadata.insert(TASK_KEY.to_owned(), chain.task.to_string().into());
        run.if_not_exists = None;
    }
    let create = RunCreate {
        assistant_id: request.assistant.assistant_id.to_string(),
        on_disconnect: OnDisconnect::Continue,
        request: run,
    };
    let submitted = submit(&request.app, &request.caller, &request.forwarded, Some(thread_id), create, attach).await;
    let submitted = submitted.map_err(failed)?;
    let chain = match chain {
        None => Chain::begin(submitted.run),
        Some(mut chain) => {
            chain.push(submitted.run);
            chain
        }
    };
    Ok(Sent { request, show, chain, events: submitted.events })
}
