//! The protocol over a WebSocket: commands, answers and events on one connection.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::future::{BoxFuture, OptionFuture};
use http::{HeaderMap, StatusCode, header};
use langopen_core::auth::{Action, Resource, Role};
use langopen_core::run_service::{ThreadRead, Visibility};
use langopen_core::{RawObject, Scope};
use serde_json::json;
use tracing::{Instrument, Span};

use super::command::{Commander, not_an_object};
use super::envelope::{Command, LOST, Reply};
use super::event::ProtocolEvent;
use super::subscriptions::Subscriptions;
use super::tape::Play;
use crate::agent::App;
use crate::agent::error::{ApiError, ApiResult};
use crate::agent::thread::not_found;
use crate::agent::{Forwarded, ThreadPath};
use crate::http::access::Caller;
use crate::http::cors::Cors;
use crate::http::extract::{HeldBytes, Object, parse_json};
use crate::settings::Settings;

/// The most commands that wait on one connection. When that many wait, the server stops reading the connection.
const WAITING: usize = 64;

/// The size of each connection's read buffer; it grows for larger messages. Commands are short, and most sockets are
/// idle.
const READ_BUFFER: usize = 4096;

/// The most bytes of a reason in a close frame.
const REASON_BYTES: usize = 123;

/// Opens a WebSocket on which a client subscribes to the thread's events and sends commands.
///
/// A browser cannot read the HTTP status of a refused WebSocket. So the server accepts every connection, and closes a
/// refused one with the code 4000 plus that status.
pub(super) async fn open_socket(
    State(app): State<App>,
    caller: ApiResult<Caller>,
    thread_id: ApiResult<ThreadPath>,
    forwarded: Forwarded,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let caller_role = caller.as_ref().ok().and_then(|caller| caller.identity.role);
    let admitted = match may_call(app.settings.cors.as_ref(), &headers) {
        true => admit(&app, caller, thread_id, forwarded).await,
        false => Err(ApiError::new(StatusCode::FORBIDDEN, "Pages of this origin may not call")),
    };
    let upgrade = match (upgrade, &admitted) {
        (Ok(upgrade), _) => {
            let most = most_bytes(&app.settings, caller_role);
            upgrade.max_message_size(most).max_frame_size(most).read_buffer_size(READ_BUFFER)
        }
        (Err(_), Err(_)) => return admitted.map(|_| ()).into_response(),
        (Err(refused), Ok(_)) => {
            let detail = format!("This is a WebSocket: {}", refused.body_text());
            return ApiError::new(refused.status(), detail).into_response();
        }
    };
    let span = Span::current();
    upgrade.on_upgrade(move |socket| {
        async move {
            match admitted {
                Ok((commander, scope)) => Connection::new(socket, commander, scope).serve().await,
                Err(error) => close(socket, 4000 + error.status().as_u16(), error.message()).await,
            }
        }
        .instrument(span)
    })
}

/// The most bytes of a caller's message. A viewer can only send read commands, which are short.
fn most_bytes(settings: &Settings, role: Option<Role>) -> usize {
    let most = settings.max_message_bytes.min(settings.max_body_bytes);
    match role {
        Some(Role::Viewer) => most.min(settings.max_search_body_bytes),
        _ => most,
    }
}

/// Whether the calling page may call; requests without `Origin` come from no page. Browsers let every page open a
/// WebSocket, so the server must check.
fn may_call(cors: Option<&Cors>, headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    own.is_some() && own == host || cors.is_some_and(|cors| cors.allows(origin))
}

async fn admit(
    app: &App,
    caller: ApiResult<Caller>,
    thread_id: ApiResult<ThreadPath>,
    forwarded: Forwarded,
) -> ApiResult<(Commander, Scope)> {
    let caller = Arc::new(caller?);
    let ThreadPath(thread_id) = thread_id?;
    let permit = caller.may(Resource::Threads, Action::Read, || json!({"thread_id": thread_id})).await?;
    if app.runs.visibility(&permit.scope, thread_id).await? == Visibility::Hidden {
        return Err(not_found(thread_id));
    }
    Ok((Commander { app: app.clone(), caller, forwarded: Arc::new(forwarded), thread_id }, permit.scope))
}

async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    let end = (0..=REASON_BYTES.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
    let frame = CloseFrame { code, reason: reason[..end].into() };
    // An error means that the client is gone already.
    let _ = socket.send(Message::Close(Some(frame))).await;
}

/// The end of a connection.
enum End {
    /// The client closed the connection or is gone.
    Client,
    /// The server closes the connection with this code and reason.
    Close(u16, String),
}

/// One client's connection.
struct Connection {
    socket: WebSocket,
    commander: Commander,
    subscriptions: Subscriptions,
    /// Commands that wait until the current one is done.
    waiting: VecDeque<Waiting>,
    /// The bytes of the waiting commands. At `most_bytes`, the server stops reading the connection.
    waiting_bytes: usize,
    most_bytes: usize,
}

/// A command that waits for its turn.
struct Waiting {
    command: Command,
    bytes: usize,
    held: HeldBytes,
}

/// An event of the connection's loop.
enum Wake {
    Message(Option<Result<Message, axum::Error>>),
    Reply(Reply),
    Read(Option<ThreadRead>),
    Idle,
}

impl Connection {
    fn new(socket: WebSocket, commander: Commander, scope: Scope) -> Self {
        let subscriptions = Subscriptions::new(&commander.app, scope, commander.thread_id);
        let most_bytes = most_bytes(&commander.app.settings, commander.caller.identity.role);
        Self { socket, commander, subscriptions, waiting: VecDeque::new(), waiting_bytes: 0, most_bytes }
    }

    async fn serve(mut self) {
        let mut doing: Option<BoxFuture<'static, Reply>> = None;
        let end = loop {
            if doing.is_none() {
                doing = self.waiting.pop_front().map(|waiting| self.obey(waiting));
            }
            let patience = self.commander.app.settings.heartbeat;
            let wake = tokio::select! {
                message = self.socket.recv(), if self.has_room() => Wake::Message(message),
                Some(reply) = OptionFuture::from(doing.as_mut()) => Wake::Reply(reply),
                read = self.subscriptions.wait() => Wake::Read(read),
                () = tokio::time::sleep(patience) => Wake::Idle,
            };
            let end = match wake {
                Wake::Message(message) => self.hear(message).await,
                Wake::Reply(reply) => {
                    doing = None;
                    self.answer(&reply).await
                }
                Wake::Read(Some(read)) => {
                    let play = self.subscriptions.take(read).await;
                    self.play(play).await
                }
                Wake::Read(None) => Err(gone(&self.commander)),
                Wake::Idle => self.quiet().await,
            };
            if let Err(end) = end {
                break end;
            }
        };
        if let End::Close(code, reason) = end {
            close(self.socket, code, &reason).await;
        }
    }

    /// Whether the server may read more of the connection.
    fn has_room(&self) -> bool {
        self.waiting.len() < WAITING && self.waiting_bytes < self.most_bytes
    }

    /// Executes a command that may take long.
    fn obey(&mut self, Waiting { command, bytes, held }: Waiting) -> BoxFuture<'static, Reply> {
        self.waiting_bytes -= bytes;
        let (commander, last) = (self.commander.clone(), self.subscriptions.sent());
        Box::pin(async move {
            let id = command.id;
            let reply = Reply::new(id, commander.obey(command).await, last);
            drop(held);
            reply
        })
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let text = match message {
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Close(_))) | None => return Err(End::Client),
            Some(Err(error)) => return Err(broken(&error, self.most_bytes)),
        };
        let bytes = text.len();
        let mut held = self.commander.app.bodies.hold();
        let room = held.grow_to(bytes);
        let command = match parse_json::<Object<RawObject>>(&text) {
            Ok(Object(given)) => Command::parse(&given),
            Err(error) => Err(not_an_object(error.message())),
        };
        // Every message counts as a request.
        if let Err(error) = room.and_then(|()| self.commander.caller.count()) {
            let id = command.map_or_else(|malformed| malformed.id, |command| command.id.into());
            return self.answer(&Reply::refused(id, ApiError::from(error).into())).await;
        }
        match command {
            Ok(command) if command.method.starts_with("subscription.") || command.method == "agent.getTree" => {
                self.subscribe(command).await
            }
            Ok(command) => {
                self.waiting_bytes += bytes;
                self.waiting.push_back(Waiting { command, bytes, held });
                Ok(())
            }
            Err(malformed) => self.answer(&Reply::malformed(malformed)).await,
        }
    }

    /// Executes a command about this connection.
    async fn subscribe(&mut self, command: Command) -> Result<(), End> {
        let id = command.id;
        // A new subscription reads the thread from its beginning. Events that earlier subscriptions still wait for come
        // first.
        let (before, answer, after) = self.subscriptions.obey(&self.commander, command).await;
        self.play(before).await?;
        self.answer(&Reply::new(id, answer, self.subscriptions.sent())).await?;
        self.play(after).await
    }

    async fn quiet(&mut self) -> Result<(), End> {
        let play = self.subscriptions.quiet().await;
        self.play(play).await?;
        // Without traffic, a proxy may close the connection as dead.
        self.send(Message::Ping(Bytes::new())).await
    }

    async fn play(&mut self, play: Play) -> Result<(), End> {
        match play {
            Play::Events(events) => self.tell(&events).await,
            Play::Gone => Err(gone(&self.commander)),
            Play::Lost => {
                self.send(Message::Text(Utf8Bytes::from_static(LOST))).await?;
                Err(End::Close(close_code::ERROR, "the stream lost its position".to_owned()))
            }
        }
    }

    async fn tell(&mut self, events: &[ProtocolEvent]) -> Result<(), End> {
        for event in events {
            let mut out = BytesMut::new();
            event.write(&mut out);
            // JSON text is UTF-8.
            let Ok(text) = Utf8Bytes::try_from(out.freeze()) else { continue };
            self.send(Message::Text(text)).await?;
        }
        Ok(())
    }

    async fn answer(&mut self, reply: &Reply) -> Result<(), End> {
        let text = serde_json::to_string(reply).unwrap_or_default();
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.socket.send(message).await.map_err(|_| End::Client)
    }
}

fn gone(commander: &Commander) -> End {
    let error = not_found(commander.thread_id);
    End::Close(4000 + error.status().as_u16(), error.message().to_owned())
}

/// The end of a connection after a read error.
fn broken(error: &axum::Error, most: usize) -> End {
    let text = error.to_string();
    // The type of this error is not public, so its text must tell.
    if text.contains("too long") || text.contains("too big") {
        return End::Close(close_code::SIZE, format!("a message has at most {most} bytes"));
    }
    tracing::debug!(error = text, "a WebSocket broke");
    End::Client
}
