//! The frame of the OpenAPI document; the handlers fill it.

use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "LangOpen Agent Server", description = "The Agent Server API, served by LangOpen."),
    tags(
        (name = "Assistants", description = "An assistant is a graph with a configuration."),
        (name = "Threads", description = "A thread holds the state that its runs have built up."),
        (name = "Thread Runs", description = "A run executes an assistant on a thread."),
        (name = "Stateless Runs", description = "A run on a thread of its own, which is removed afterwards unless it is kept."),
        (name = "Store", description = "Long-term memory: documents that every thread can reach."),
        (name = "Meta", description = "The server itself."),
    )
)]
pub(crate) struct Frame;
