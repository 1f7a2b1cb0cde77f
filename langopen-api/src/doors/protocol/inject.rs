//! `input.inject`.

use langopen_core::RawJson;
use langopen_core::run_plan::RunRequest;
use serde::Deserialize;
use serde_json::{Value, json};

use super::command::Commander;
use super::envelope::{Answer, ErrorCode, Refusal, answer, params};

#[derive(Deserialize)]
struct Message {
    role: Role,
    content: String,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    System,
}

#[derive(Deserialize)]
struct Inject {
    #[serde(default)]
    namespace: Vec<String>,
    message: Message,
}

/// Sends the thread's graph a message as the input of a new run, after the runs in flight.
pub(super) async fn inject(commander: &Commander, given: &RawJson) -> Answer {
    let Inject { namespace, message } = params("input.inject", given)?;
    if !namespace.is_empty() {
        let message = "input.inject reaches the root graph alone: namespace must be [].";
        return Err(Refusal::new(ErrorCode::NotSupported, message));
    }
    let role = match message.role {
        Role::User => "user",
        Role::System => "system",
    };
    let mut given = json!({"role": role, "content": message.content});
    if let (Some(name), Value::Object(given)) = (message.name, &mut given) {
        given.insert("name".to_owned(), name.into());
    }
    let assistant_id = commander.assistant_of_thread().await?;
    let request = RunRequest::default().with_input(Some(json!({"messages": [given]}).into()));
    commander.run(assistant_id, request).await?;
    answer(&json!({}))
}
