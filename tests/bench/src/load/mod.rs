//! The load generator: closed loops of clients.

mod closed_loop;
mod scenario;
mod turns;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

pub(crate) use self::closed_loop::{Load, Measure, run};
pub(crate) use self::scenario::{Scenario, Work};
pub(crate) use self::turns::{Turns, fitted, run as run_turns};
use crate::cli::LoadOptions;
use crate::client::Client;
use crate::error::{Error, Result};

/// `langopen-bench load`.
pub(crate) async fn command(options: LoadOptions) -> Result<ExitCode> {
    let input: Value =
        serde_json::from_str(&options.input).map_err(|error| Error::Option(format!("--input is not JSON: {error}")))?;
    let seconds = |name: &str, value: f64| {
        Duration::try_from_secs_f64(value).map_err(|error| Error::Option(format!("{name}: {error}")))
    };
    let load = Load {
        clients: options.clients,
        warm_up: seconds("--warm-up", options.warm_up)?,
        window: seconds("--seconds", options.seconds)?,
    };
    let client = Client::new(&options.base, options.api_key)?;
    let mut work = Work::new(client, options.scenario, &options.assistant, &input, &options.stream_mode);
    work.turns = options.turns;
    if options.scenario.needs_thread() {
        work.make_thread().await?;
    }
    let measure = run(work, load).await;
    println!("{}", serde_json::to_string(&measure).map_err(|error| Error::Option(error.to_string()))?);
    Ok(if measure.n == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
