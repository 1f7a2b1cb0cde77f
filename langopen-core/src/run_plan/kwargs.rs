//! Everything that the execution of a run needs, in the form and order that the run's row shows.

use serde::Serialize;

use super::request::{Durability, RunRequest, StreamMode};
use crate::json::{JsonMap, RawJson};

#[derive(Serialize)]
pub(super) struct Kwargs<'a> {
    input: &'a Option<RawJson>,
    command: &'a Option<RawJson>,
    config: &'a JsonMap,
    context: &'a JsonMap,
    stream_mode: &'a [StreamMode],
    interrupt_before: &'a Option<RawJson>,
    interrupt_after: &'a Option<RawJson>,
    webhook: &'a Option<String>,
    feedback_keys: &'a Option<Vec<String>>,
    temporary: bool,
    subgraphs: bool,
    resumable: bool,
    checkpoint_during: bool,
    durability: Durability,
}

impl<'a> Kwargs<'a> {
    pub(super) fn new(
        request: &'a RunRequest,
        config: &'a JsonMap,
        context: &'a JsonMap,
        stream_mode: &'a [StreamMode],
        temporary: bool,
    ) -> Self {
        let durability = request.durability.unwrap_or(match request.checkpoint_during {
            Some(false) => Durability::Exit,
            _ => Durability::Async,
        });
        Self {
            input: &request.input,
            command: &request.command,
            config,
            context,
            stream_mode,
            interrupt_before: &request.interrupt_before,
            interrupt_after: &request.interrupt_after,
            webhook: &request.webhook,
            feedback_keys: &request.feedback_keys,
            temporary,
            subgraphs: request.stream_subgraphs.unwrap_or_default(),
            resumable: request.stream_resumable.unwrap_or_default(),
            checkpoint_during: durability != Durability::Exit,
            durability,
        }
    }
}
