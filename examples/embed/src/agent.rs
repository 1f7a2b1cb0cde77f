//! The agent. It answers word by word, stores names, and asks before it deletes one.

use langopen_core::Result;
use langopen_graph::{Command, END, Graph, GraphExecutor, NodeContext, NodeError, START};
use serde_json::{Value, json};

/// The namespace of the names in the store.
const PEOPLE: [&str; 1] = ["people"];

/// The executor with this program's only graph, `greeter`.
pub(crate) fn executor() -> Result<GraphExecutor> {
    let greeter = Graph::builder("greeter")
        .description("Greets people by their names")
        .messages()
        .node("listen", listen)
        .node("greet", greet)
        .node("forget", forget)
        .edge(START, "listen")
        .edge("greet", END)
        .edge("forget", END)
        .build()?;
    Ok(GraphExecutor::new().graph(greeter))
}

/// Stores a name from the message and chooses the next node.
async fn listen(run: NodeContext) -> Result<Command, NodeError> {
    let said = last_words(&run);
    if said == "forget me" {
        return Ok(Command::new().goto("forget"));
    }
    if let Some(name) = said.strip_prefix("my name is ") {
        run.store().put(&PEOPLE, "last", json!({"name": name})).await?;
    }
    Ok(Command::new().goto("greet"))
}

async fn greet(run: NodeContext) -> Result<Value, NodeError> {
    let person = run.store().get(&PEOPLE, "last").await?.unwrap_or_default();
    let answer = match person["name"].as_str() {
        Some(name) if last_words(&run).starts_with("my name is ") => format!("Nice to meet you, {name}."),
        Some(name) => format!("Hello again, {name}!"),
        None => "Hello! Tell me \"my name is ...\".".to_owned(),
    };
    say(&run, &answer).await
}

/// Asks for confirmation. The first run ends here; a run that resumes with `"yes"` continues.
async fn forget(run: NodeContext) -> Result<Value, NodeError> {
    if run.interrupt("Shall I forget your name?")? != "yes" {
        return say(&run, "Then I remember it.").await;
    }
    run.store().delete(&PEOPLE, "last").await?;
    say(&run, "I do not know you any more.").await
}

/// Streams an answer word by word, as a model does.
async fn say(run: &NodeContext, answer: &str) -> Result<Value, NodeError> {
    let mut message = run.message();
    for word in answer.split_inclusive(' ') {
        message.text(word).await?;
    }
    Ok(json!({"messages": message.finish().await?}))
}

/// The text of the last message. Chat clients send a message's content as a string.
fn last_words(run: &NodeContext) -> &str {
    let messages = run.state()["messages"].as_array();
    let last = messages.and_then(|messages| messages.last());
    last.and_then(|message| message["content"].as_str()).unwrap_or_default()
}
