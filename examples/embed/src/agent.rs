//! The agent: it answers word by word, remembers names in the store, and asks before it forgets them.

use langopen_core::Result;
use langopen_graph::{Command, END, Graph, GraphExecutor, NodeContext, NodeError, START};
use serde_json::{Value, json};

/// Where names are kept.
const PEOPLE: [&str; 1] = ["people"];

/// The executor with this program's one graph, `greeter`.
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

/// Remembers a name that was said, and says who comes next.
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

/// Asks first: the run ends here, and one that resumes with `"yes"` goes on.
async fn forget(run: NodeContext) -> Result<Value, NodeError> {
    if run.interrupt("Shall I forget your name?")? != "yes" {
        return say(&run, "Then I remember it.").await;
    }
    run.store().delete(&PEOPLE, "last").await?;
    say(&run, "I do not know you any more.").await
}

/// Tells an answer word by word, as a model would.
async fn say(run: &NodeContext, answer: &str) -> Result<Value, NodeError> {
    let mut message = run.message();
    for word in answer.split_inclusive(' ') {
        message.text(word).await?;
    }
    Ok(json!({"messages": message.finish().await?}))
}

/// What the last message says. Its content is a text, as chat clients send it.
fn last_words(run: &NodeContext) -> &str {
    let messages = run.state()["messages"].as_array();
    let last = messages.and_then(|messages| messages.last());
    last.and_then(|message| message["content"].as_str()).unwrap_or_default()
}
