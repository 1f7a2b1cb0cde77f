//! The OpenAPI document describes every operation that the server serves.

use serde_json::Value;

use crate::harness::server;

const OPERATIONS: &[(&str, &str)] = &[
    ("post", "/assistants"),
    ("post", "/assistants/search"),
    ("post", "/assistants/count"),
    ("get", "/assistants/{assistant_id}"),
    ("patch", "/assistants/{assistant_id}"),
    ("delete", "/assistants/{assistant_id}"),
    ("get", "/assistants/{assistant_id}/graph"),
    ("get", "/assistants/{assistant_id}/subgraphs"),
    ("get", "/assistants/{assistant_id}/subgraphs/{namespace}"),
    ("get", "/assistants/{assistant_id}/schemas"),
    ("post", "/assistants/{assistant_id}/versions"),
    ("post", "/assistants/{assistant_id}/latest"),
    ("post", "/threads"),
    ("post", "/threads/search"),
    ("post", "/threads/count"),
    ("post", "/threads/prune"),
    ("get", "/threads/{thread_id}"),
    ("patch", "/threads/{thread_id}"),
    ("delete", "/threads/{thread_id}"),
    ("post", "/threads/{thread_id}/copy"),
    ("get", "/threads/{thread_id}/storage"),
    ("get", "/threads/{thread_id}/state"),
    ("post", "/threads/{thread_id}/state"),
    ("get", "/threads/{thread_id}/state/{checkpoint_id}"),
    ("post", "/threads/{thread_id}/state/checkpoint"),
    ("get", "/threads/{thread_id}/history"),
    ("post", "/threads/{thread_id}/history"),
    ("get", "/threads/{thread_id}/runs"),
    ("post", "/threads/{thread_id}/runs"),
    ("get", "/threads/{thread_id}/stream"),
    ("post", "/threads/{thread_id}/stream/events"),
    ("post", "/threads/{thread_id}/commands"),
    ("post", "/a2a/{assistant_id}"),
    ("post", "/mcp"),
    ("get", "/mcp"),
    ("delete", "/mcp"),
    ("post", "/threads/{thread_id}/runs/stream"),
    ("post", "/threads/{thread_id}/runs/wait"),
    ("get", "/threads/{thread_id}/runs/{run_id}"),
    ("delete", "/threads/{thread_id}/runs/{run_id}"),
    ("get", "/threads/{thread_id}/runs/{run_id}/join"),
    ("get", "/threads/{thread_id}/runs/{run_id}/stream"),
    ("post", "/threads/{thread_id}/runs/{run_id}/cancel"),
    ("post", "/runs"),
    ("post", "/runs/stream"),
    ("post", "/runs/wait"),
    ("post", "/runs/batch"),
    ("post", "/runs/cancel"),
    ("post", "/threads/{thread_id}/runs/crons"),
    ("post", "/runs/crons"),
    ("post", "/runs/crons/search"),
    ("post", "/runs/crons/count"),
    ("get", "/runs/crons/{cron_id}"),
    ("patch", "/runs/crons/{cron_id}"),
    ("delete", "/runs/crons/{cron_id}"),
    ("put", "/store/items"),
    ("get", "/store/items"),
    ("delete", "/store/items"),
    ("post", "/store/items/search"),
    ("post", "/store/namespaces"),
    ("get", "/info"),
    ("get", "/metrics"),
    ("get", "/docs"),
    ("get", "/ok"),
];

const SCHEMAS: &[&str] = &[
    "Assistant",
    "AssistantCreate",
    "AssistantPatch",
    "AssistantVersionChange",
    "Config",
    "GraphSchema",
    "GraphSchemaNoId",
    "Subgraphs",
    "Run",
    "Send",
    "Command",
    "RunCreateStateful",
    "RunCreateStateless",
    "RunCreateStreamingStateful",
    "RunCreateStreamingStateless",
    "RunBatchCreate",
    "Cron",
    "CronCreate",
    "ThreadCronCreate",
    "CronPatch",
    "CronSearch",
    "CronCountRequest",
    "AssistantSearchRequest",
    "AssistantCountRequest",
    "AssistantVersionsSearchRequest",
    "ThreadSearchRequest",
    "ThreadCountRequest",
    "Thread",
    "ThreadCreate",
    "ThreadPatch",
    "ThreadPruneRequest",
    "ThreadPruneResponse",
    "ThreadStorage",
    "ThreadStateCheckpointRequest",
    "ThreadState",
    "ThreadStateSearch",
    "ThreadStateUpdate",
    "ThreadSuperstepUpdate",
    "ThreadStateUpdateResponse",
    "CheckpointConfig",
    "StorePutRequest",
    "StoreDeleteRequest",
    "StoreSearchRequest",
    "StoreListNamespacesRequest",
    "Item",
    "RunsCancel",
    "SearchItemsResponse",
    "ListNamespaceResponse",
    "ErrorResponse",
    "Interrupt",
];

#[tokio::test]
async fn each_operation_is_described() {
    let server = server().await;
    let document = server.get("/openapi.json").await.ok();
    if let Ok(path) = std::env::var("LANGOPEN_OPENAPI_OUT") {
        std::fs::write(path, document.to_string()).unwrap();
    }
    let mut ids = std::collections::BTreeSet::new();
    for (method, path) in OPERATIONS {
        let operation = &document["paths"][path][method];
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert!(operation["tags"][0].is_string() && operation["summary"].is_string(), "{method} {path}");
        // Only the server's own operations need no authentication.
        let asks = operation["tags"][0] != "Meta";
        for refusal in ["401", "403", "429", "503"] {
            assert_eq!(operation["responses"][refusal].is_object(), asks, "{method} {path} {refusal}");
        }
        assert_eq!(operation["responses"]["429"]["headers"]["Retry-After"].is_object(), asks, "{method} {path}");
    }
    let described: usize =
        document["paths"].as_object().unwrap().values().map(|each| each.as_object().unwrap().len()).sum();
    assert_eq!(described, OPERATIONS.len());
    for name in SCHEMAS {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn references_lead_somewhere() {
    let server = server().await;
    let document = server.get("/openapi.json").await.ok();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(entries) => {
                if let Some(Value::String(reference)) = entries.get("$ref") {
                    let pointer = reference.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                open.extend(entries.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}
