//! The questions of the executor's contract, on the wire between the runner and a graph host.

use langopen_core::RawJson;
use langopen_core::executor::{
    BulkUpdateRequest, DrawRequest, GraphDrawing, GraphSchemas, HistoryRequest, SchemasRequest, StateAnswer,
    StateRequest, Subgraphs, SubgraphsRequest, UpdateAnswer, UpdateRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request that a graph host answers: the `params` of a CALL.
pub(crate) trait Question: Serialize + Send + Sync {
    /// The CALL's method.
    const METHOD: &'static str;
    /// The payload of the REPLY.
    type Answer: DeserializeOwned;

    /// The graph that the request is for.
    fn graph_id(&self) -> &str;
}

macro_rules! questions {
    ($($request:ty: $method:literal -> $answer:ty;)+) => {
        $(impl Question for $request {
            const METHOD: &'static str = $method;
            type Answer = $answer;

            fn graph_id(&self) -> &str {
                &self.graph_id
            }
        })+
    };
}

questions! {
    StateRequest: "state.get" -> StateAnswer;
    HistoryRequest: "state.history" -> Vec<RawJson>;
    UpdateRequest: "state.update" -> UpdateAnswer;
    BulkUpdateRequest: "state.bulk_update" -> UpdateAnswer;
    SchemasRequest: "graph.schemas" -> GraphSchemas;
    DrawRequest: "graph.draw" -> GraphDrawing;
    SubgraphsRequest: "graph.subgraphs" -> Subgraphs;
}
