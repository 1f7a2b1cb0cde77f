//! The same trivial graph in TypeScript and in Python.

use std::time::Duration;

use serde_json::json;

use super::Environment;
use crate::app;
use crate::bar::Bar;
use crate::error::{Error, Result};
use crate::load::{Load, Scenario, Work, run};
use crate::report::Found;

const P50_MS: f64 = 5.0;

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let mut found = Found::default();
    let python = one_client(environment, "python", app::PYTHON).await?;
    found.figure("a run in Python, 1 client: p50", python, "ms");
    let typescript = one_client(environment, "typescript", app::TYPESCRIPT).await?;
    found.bars.push(Bar::at_most("a run in TypeScript, 1 client: p50", Some(typescript), Some(P50_MS), "ms"));
    Ok(found)
}

async fn one_client(environment: &Environment, name: &str, files: app::Files) -> Result<f64> {
    let server = environment.server(name, files).await?;
    let input = json!({"messages": [{"role": "user", "content": "hi"}]});
    let work = Work::new(server.client.clone(), Scenario::Wait, "noop", &input, "values");
    let seconds = if environment.quick { 3 } else { 10 };
    let load = Load { clients: 1, warm_up: Duration::from_secs(2), window: Duration::from_secs(seconds) };
    let measure = run(work, load).await;
    server.stop().await;
    match (measure.errors, measure.ms) {
        (0, Some(ms)) => Ok(ms.p50),
        (errors, _) => {
            let problem = format!("{errors} runs failed: {}", measure.last_error.unwrap_or_default());
            Err(Error::Answer { request: "POST /runs/wait".into(), problem })
        }
    }
}
