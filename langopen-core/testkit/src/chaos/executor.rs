use async_trait::async_trait;
use futures::stream::BoxStream;
use langopen_core::embedder::Embedder;
use langopen_core::error::Result;
use langopen_core::executor::{ExecutionContext, Executor, GraphCall, GraphInfo, RunJob, RunOutput};
use langopen_core::json::RawJson;
use langopen_core::model::FieldVector;
use langopen_core::tenant::Tenant;

use super::Chaotic;
use super::calls::chaotic;
use super::streams::{Break, broken};

#[async_trait]
impl<T: Executor + ?Sized> Executor for Chaotic<T> {
    async fn graphs(&self) -> Result<Vec<GraphInfo>> {
        self.call("executor.graphs", self.inner.graphs()).await
    }

    fn tenants(&self) -> Option<Vec<Tenant>> {
        self.inner.tenants()
    }

    async fn execute(&self, job: RunJob) -> Result<BoxStream<'static, Result<RunOutput>>> {
        let stream = self.call("executor.execute", self.inner.execute(job)).await?;
        Ok(broken(&self.chaos, "executor.outputs", Break::ErrorOrEnd, stream))
    }

    async fn call(&self, context: ExecutionContext, call: GraphCall) -> Result<RawJson> {
        Chaotic::call(self, "executor.call", self.inner.call(context, call)).await
    }
}

chaotic!(Embedder {
    "embedder.embed_value" embed_value(value: &RawJson, fields: Option<&[String]>) -> Vec<FieldVector>;
    "embedder.embed_query" embed_query(query: &str) -> Vec<f32>;
});
