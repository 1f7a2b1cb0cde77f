//! Converts a message to a graph's input, or to the answer to its question.

use langopen_core::run_plan::{RunRequest, StreamMode};
use langopen_core::{JsonMap, RawJson, RawObject};
use rmcp::model::ErrorData;
use serde_json::json;

use super::content::content;
use super::ending::Question;
use super::message::Said;
use crate::doors::json_rpc::invalid;

/// The command that a request gives explicitly. It is `params.command`, or a data part with an answer under `resume`,
/// or a data part with such a command under `command`.
///
/// # Errors
/// If `params.command` has no `resume`.
pub(super) fn command_of(given: Option<RawJson>, said: &Said) -> Result<Option<RawJson>, ErrorData> {
    let answers = |command: &RawJson| command.decode::<RawObject>().is_ok_and(|fields| fields.get("resume").is_some());
    if let Some(command) = given {
        return match answers(&command) {
            true => Ok(Some(command)),
            false => Err(invalid("command must be an object with an answer under resume")),
        };
    }
    let objects = || said.data.iter().filter_map(|data| data.decode::<RawObject>().ok());
    let command = objects().find_map(|data| data.get("command").filter(|command| answers(command)).cloned());
    Ok(command.or_else(|| objects().find_map(|data| data.get("resume").cloned()).map(resume)))
}

fn resume(answer: RawJson) -> RawJson {
    let mut command = RawObject::default();
    command.insert("resume", answer);
    RawJson::of(&command).unwrap_or_default()
}

/// The command that answers the graph's question with a message.
pub(super) fn answer_to(asked: &[Question], said: Said) -> Result<RawJson, ErrorData> {
    if asked.len() > 1 {
        let ids: Vec<_> = asked.iter().filter_map(|question| question.id.as_deref()).collect();
        let message = "The task asks several questions; answer with a data part {\"resume\": {<id>: <answer>}} of";
        return Err(invalid(format!("{message} {}", ids.join(", "))));
    }
    let answer = match (said.data.len(), said.pieces.is_empty()) {
        (1, true) => said.data.into_iter().next().unwrap_or_default(),
        (0, _) => content(said.pieces).into(),
        _ => return Err(invalid("An answer is either texts and files, or one data part")),
    };
    Ok(resume(answer))
}

/// The graph's input, with the message's text and files as a user message.
pub(super) fn input_of(said: Said) -> Result<RawJson, ErrorData> {
    let mut input = RawObject::default();
    for data in said.data {
        let data: RawObject =
            data.decode().map_err(|_| invalid("A data part is the graph's input, so it must be an object"))?;
        input.extend(data);
    }
    if !said.pieces.is_empty() {
        let mut messages: Vec<RawJson> = match input.get("messages") {
            Some(messages) => messages.decode().map_err(|_| invalid("messages in a data part must be an array"))?,
            None => Vec::new(),
        };
        messages.push(json!({"role": "user", "content": content(said.pieces), "id": said.message_id}).into());
        input.insert("messages", RawJson::of(&messages).unwrap_or_default());
    }
    Ok(RawJson::of(&input).unwrap_or_default())
}

/// A request for a run whose log keeps its events.
pub(super) fn kept(metadata: JsonMap, context: Option<JsonMap>) -> RunRequest {
    RunRequest::default()
        .with_metadata(Some(metadata))
        .with_context(context)
        .with_stream_mode(Some(vec![StreamMode::Values, StreamMode::MessagesTuple]))
        .with_stream_resumable(Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::a2a::content::Piece;
    use serde_json::Value;

    fn said(texts: &[&str], data: &[Value]) -> Said {
        Said {
            message_id: "m".to_owned(),
            pieces: texts.iter().map(|text| Piece::Text((*text).to_owned())).collect(),
            data: data.iter().cloned().map(RawJson::from).collect(),
        }
    }

    #[test]
    fn words_and_data_make_one_input() {
        let input =
            input_of(said(&["hi"], &[json!({"a": 1}), json!({"messages": [{"role": "system", "content": "s"}]})]));
        assert_eq!(
            input.unwrap().as_str(),
            r#"{"a":1,"messages":[{"role":"system","content":"s"},{"role":"user","content":"hi","id":"m"}]}"#
        );
        assert_eq!(input_of(said(&[], &[json!({"a": 1})])).unwrap().as_str(), r#"{"a":1}"#);
        assert!(input_of(said(&[], &[json!([1])])).is_err());
        assert!(input_of(said(&["hi"], &[json!({"messages": "x"})])).is_err());
    }

    #[test]
    fn answers_are_words_data_or_commands() {
        let question = Question { id: Some("i".to_owned()), value: RawJson::default() };
        let one = std::slice::from_ref(&question);
        assert_eq!(answer_to(one, said(&["yes"], &[])).unwrap().as_str(), r#"{"resume":"yes"}"#);
        assert_eq!(answer_to(one, said(&[], &[json!({"a": 1})])).unwrap().as_str(), r#"{"resume":{"a":1}}"#);
        assert!(answer_to(one, said(&["yes"], &[json!({})])).is_err());
        assert!(answer_to(&[question.clone(), question], said(&["yes"], &[])).is_err());

        let command = |given: Option<Value>, data: &[Value]| {
            command_of(given.map(RawJson::from), &said(&[], data))
                .map(|command| command.map(|raw| raw.as_str().to_owned()))
        };
        assert_eq!(command(None, &[json!({"resume": false})]).unwrap().as_deref(), Some(r#"{"resume":false}"#));
        let whole = json!({"resume": 1, "update": {"a": 2}});
        assert_eq!(command(None, &[json!({"command": whole})]).unwrap(), Some(whole.to_string()));
        assert_eq!(command(Some(whole.clone()), &[]).unwrap(), Some(whole.to_string()));
        assert_eq!(command(None, &[json!({"a": 1})]).unwrap(), None);
        assert_eq!(command(None, &[json!({"command": "ls"})]).unwrap(), None, "a field of the graph, not a command");
        assert!(command(Some(json!("x")), &[]).is_err() && command(Some(json!({"goto": "x"})), &[]).is_err());
    }
}
