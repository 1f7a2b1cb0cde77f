use futures::stream::BoxStream;
use langopen_core::embedder::Embedder;
use langopen_core::error::Result;
use langopen_core::executor::{
    BulkUpdateRequest, DrawRequest, ExecutionContext, Executor, GraphDrawing, GraphInfo, GraphSchemas, HistoryRequest,
    RunJob, RunOutput, SchemasRequest, StateAnswer, StateRequest, Subgraphs, SubgraphsRequest, UpdateAnswer,
    UpdateRequest,
};
use langopen_core::json::RawJson;
use langopen_core::model::FieldVector;
use langopen_core::tenant::Tenant;

use super::calls::chaotic;
use super::streams::{Break, broken};

chaotic!(Executor {
    "executor.graphs" graphs() -> Vec<GraphInfo>;
    "executor.get_state" get_state(context: ExecutionContext, request: StateRequest) -> StateAnswer;
    "executor.state_history" state_history(context: ExecutionContext, request: HistoryRequest) -> Vec<RawJson>;
    "executor.update_state" update_state(context: ExecutionContext, request: UpdateRequest) -> UpdateAnswer;
    "executor.bulk_update_state" bulk_update_state(context: ExecutionContext, request: BulkUpdateRequest) -> UpdateAnswer;
    "executor.schemas" schemas(context: ExecutionContext, request: SchemasRequest) -> GraphSchemas;
    "executor.draw" draw(context: ExecutionContext, request: DrawRequest) -> GraphDrawing;
    "executor.subgraphs" subgraphs(context: ExecutionContext, request: SubgraphsRequest) -> Subgraphs;
    => {
        fn tenants(&self) -> Option<Vec<Tenant>> {
            self.inner.tenants()
        }

        async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
            let stream = self.call("executor.execute", self.inner.execute(job)).await?;
            Ok(broken(&self.chaos, "executor.outputs", Break::ErrorOrEnd, stream))
        }
    }
});

chaotic!(Embedder {
    "embedder.embed_value" embed_value(value: &RawJson, fields: Option<&[String]>) -> Vec<FieldVector>;
    "embedder.embed_query" embed_query(query: &str) -> Vec<f32>;
});
