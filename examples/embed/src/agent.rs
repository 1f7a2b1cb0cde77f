//! The agent: it streams an answer word by word, and remembers names in the store.

use langopen_core::executor::{FunctionContext, FunctionExecutor};
use langopen_core::model::NewStoreItem;
use langopen_core::{RawJson, Result};
use serde_json::{Value, json};
use uuid::Uuid;

/// The executor with this program's one graph, `greeter`.
pub(crate) fn executor() -> FunctionExecutor {
    FunctionExecutor::new().graph("greeter", greet).append("greeter", "messages")
}

async fn greet(run: FunctionContext) -> Result<Value> {
    let said = last_words(&run);
    let answer = match said.strip_prefix("my name is ") {
        Some(name) => {
            remember(&run, name).await?;
            format!("Nice to meet you, {name}.")
        }
        None => match recall(&run).await? {
            Some(name) => format!("Hello again, {name}!"),
            None => "Hello! Tell me \"my name is ...\".".to_owned(),
        },
    };
    let id = Uuid::new_v4().to_string();
    for word in answer.split_inclusive(' ') {
        run.message(&json!({"type": "AIMessageChunk", "id": id, "content": word})).await?;
    }
    Ok(json!({"messages": [{"type": "ai", "id": id, "content": answer}]}))
}

/// What the last message says. Its content is a text, as chat clients send it.
fn last_words(run: &FunctionContext) -> String {
    let messages = run.values().get("messages").and_then(Value::as_array);
    let last = messages.and_then(|messages| messages.last());
    last.and_then(|message| message["content"].as_str()).unwrap_or_default().to_owned()
}

async fn remember(run: &FunctionContext, name: &str) -> Result<()> {
    let item = NewStoreItem {
        namespace: vec!["people".to_owned()],
        key: "last".to_owned(),
        value: RawJson::from(json!({"name": name})),
        ttl_minutes: None,
        vectors: Vec::new(),
    };
    let reach = run.reach();
    reach.storage.put_item(&reach.scope, item).await
}

async fn recall(run: &FunctionContext) -> Result<Option<String>> {
    let reach = run.reach();
    let item = reach.storage.item(&reach.scope, &["people".to_owned()], "last", false).await?;
    let value = item.and_then(|item| item.value.decode::<Value>().ok());
    Ok(value.and_then(|value| value["name"].as_str().map(str::to_owned)))
}
