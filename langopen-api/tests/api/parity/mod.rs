//! Compares `/openapi.json` with the Agent Server's document: operations, parameters, bodies, answers and every field.
//! The files beside this one hold the Agent Server's side. A list in this file names every deliberate difference and
//! its reason; any other difference is a failure.

mod notation;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::harness::server;
use notation::{Document, Fields};

/// The deliberate differences, each with its reason.
const ON_PURPOSE: &[(&str, &str)] = &[
    (
        "POST /assistants/{assistant_id}/versions -> 200",
        "a version is an assistant without `updated_at` and with its own `created_at`; the reference serves this too, but its document differs",
    ),
    ("GET /ok -> 500", "the answer names the part that fails"),
    ("GET /ok -> 503", "a server that answers is not overloaded"),
    ("GET /threads/{thread_id}/storage -> 501", "LangOpen has no other checkpointer"),
    (
        "GET /threads/{thread_id}/stream query stream_modes",
        "several modes are a list, in any of the three forms; one mode is a list of one",
    ),
    ("GET /threads/{thread_id}/stream -> 404", "the stream waits for a thread that does not exist yet"),
    ("POST /threads/{thread_id}/stream/events -> 404", "a thread that is hidden from the caller"),
    ("GET /threads/{thread_id}/runs/{run_id}/stream -> 404", "an event reports that the run does not exist"),
    ("POST /threads/prune -> 404", "a thread that is hidden from the caller"),
    ("POST /threads/{thread_id}/stream/events -> 422", "an invalid id in the path"),
    ("POST /threads/{thread_id}/commands -> 422", "an invalid id in the path"),
    ("ProtocolError stacktrace", "errors have no stack traces"),
    ("POST /threads/count -> 404", "the request names nothing that can be missing"),
    ("POST /runs/crons/count -> 404", "the request names nothing that can be missing"),
    ("CronCreate input", "any input that a run accepts"),
    ("ThreadCronCreate input", "any input that a run accepts"),
    ("CronPatch input", "any input that a run accepts"),
];

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Operation {
    body: Option<String>,
    #[serde(default)]
    query: Fields,
    #[serde(default)]
    header: Fields,
    responses: Fields,
}

#[tokio::test]
async fn the_document_matches_the_agent_servers() {
    let operations: BTreeMap<String, Operation> = serde_json::from_str(include_str!("operations.json")).unwrap();
    let schemas: BTreeMap<String, Fields> = serde_json::from_str(include_str!("schemas.json")).unwrap();
    let json = server().await.get("/openapi.json").await.ok();
    let named = |name: &str| schemas.contains_key(name) || name == "StreamMode";
    let document = Document { json: &json, named: &named };

    let mut drift = Drift::default();
    let served = served(&json);
    for (name, wanted) in &operations {
        match served.get(name) {
            None => drift.add(name, "is not served"),
            Some(found) => compare_operation(&document, name, wanted, found, &mut drift),
        }
    }
    for name in served.keys().filter(|name| !operations.contains_key(*name)) {
        drift.add(name, "is not an operation of the Agent Server");
    }
    let requests: BTreeSet<_> = operations.values().filter_map(|each| each.body.as_deref()).collect();
    for (name, wanted) in &schemas {
        let request = requests.iter().any(|body| body.split(&['[', ']', ' '][..]).any(|word| word == name));
        compare_fields(name, wanted, &document.fields(name), request, &mut drift);
    }
    drift.judge();
}

/// The statuses with which the server may refuse a caller before an operation runs. The Agent Server uses them too, but
/// does not document them.
const REFUSALS: [&str; 4] = ["401", "403", "429", "503"];

fn served(json: &Value) -> BTreeMap<String, &Value> {
    let paths = json["paths"].as_object().into_iter().flatten();
    let operations =
        paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |each| (path, each)));
    operations.map(|(path, (method, operation))| (format!("{} {path}", method.to_uppercase()), operation)).collect()
}

fn compare_operation(document: &Document, name: &str, wanted: &Operation, found: &Value, drift: &mut Drift) {
    let body = &found["requestBody"]["content"]["application/json"]["schema"];
    let body = (!body.is_null()).then(|| document.line(body, false));
    if body.as_deref() != wanted.body.as_deref() {
        drift.add(&format!("{name} body"), &format!("is {body:?}, not {:?}", wanted.body));
    }
    for (place, wanted) in [("query", &wanted.query), ("header", &wanted.header)] {
        let parameters = found["parameters"].as_array().into_iter().flatten().filter(|each| each["in"] == place);
        let line = |each: &Value| {
            let name = each["name"].as_str().unwrap_or_default().to_owned();
            (name, document.line(&each["schema"], each["required"] == true))
        };
        compare_fields(&format!("{name} {place}"), wanted, &parameters.map(line).collect(), true, drift);
    }
    let answers = found["responses"].as_object().into_iter().flatten();
    let answers =
        answers.filter(|(status, _)| wanted.responses.contains_key(*status) || !REFUSALS.contains(&status.as_str()));
    let answers = answers.map(|(status, answer)| (status.clone(), answer_line(document, &answer["content"]))).collect();
    compare_fields(&format!("{name} ->"), &wanted.responses, &answers, false, drift);
}

fn answer_line(document: &Document, content: &Value) -> String {
    let kinds = content.as_object().into_iter().flatten().map(|(kind, content)| match kind.as_str() {
        "application/json" => document.line(&content["schema"], false),
        other => other.to_owned(),
    });
    let kinds: BTreeSet<_> = kinds.collect();
    if kinds.is_empty() { "nothing".to_owned() } else { kinds.into_iter().collect::<Vec<_>>().join(" or ") }
}

fn compare_fields(place: &str, wanted: &Fields, found: &Fields, exactly: bool, drift: &mut Drift) {
    for (name, wanted) in wanted {
        let at = format!("{place} {name}");
        match found.get(name) {
            None => drift.add(&at, &format!("is missing; it is {wanted:?}")),
            Some(found) if fits(wanted, found, exactly) => {}
            Some(found) => drift.add(&at, &format!("is {found:?}, not {wanted:?}")),
        }
    }
    for (name, line) in found.iter().filter(|(name, _)| !wanted.contains_key(*name)) {
        drift.add(&format!("{place} {name}"), &format!("is only in our document; it is {line:?}"));
    }
}

/// Whether two lines are equal. The server's may also accept null in a request, and may promise that a field is always
/// present in an answer.
fn fits(wanted: &str, found: &str, exactly: bool) -> bool {
    let without_null = |line: &str| line.replace('?', "");
    // Counts in answers are never negative.
    let found = &if exactly { found.to_owned() } else { found.replace(" min=0", "") };
    let always = |line: &str| if exactly { line.to_owned() } else { line.trim_end_matches(" *").to_owned() };
    let lost =
        wanted.contains('?') && !found.contains('?') && exactly || wanted.ends_with('*') && !found.ends_with('*');
    !lost && always(&without_null(wanted)) == always(&without_null(found))
}

#[derive(Default)]
struct Drift(Vec<(String, String)>);

impl Drift {
    fn add(&mut self, what: &str, how: &str) {
        self.0.push((what.to_owned(), how.to_owned()));
    }

    fn judge(self) {
        let on_purpose = |what: &str| ON_PURPOSE.iter().any(|(each, _)| *each == what);
        let drift: Vec<_> =
            self.0.iter().filter(|(what, _)| !on_purpose(what)).map(|(what, how)| format!("{what} {how}")).collect();
        let gone: Vec<_> = ON_PURPOSE.iter().filter(|(what, _)| !self.0.iter().any(|(each, _)| each == what)).collect();
        assert!(drift.is_empty(), "{} differences:\n{}", drift.len(), drift.join("\n"));
        assert!(gone.is_empty(), "listed as a difference, but equal: {gone:?}");
    }
}
