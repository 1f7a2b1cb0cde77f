//! Measures the platform and the open peer one after another, on the same Postgres, Redis and graphs.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use super::Environment;
use super::platform::Platform;
use crate::bar::Bar;
use crate::client::Client;
use crate::error::Result;
use crate::load::{Load, Measure, Scenario, Work, run};
use crate::report::Found;
use crate::server::{Server, free_port};

const RATE_OF_PEER: f64 = 10.0;
const LATENCY_OF_PEER: f64 = 0.25;

/// One server's figures with one client, and with 32.
struct Waits {
    one: Measure,
    many: Measure,
}

pub(super) async fn measure(environment: &Environment, aegra: Option<&Path>) -> Result<Found> {
    let mut found = Found::default();
    let platform = Platform::start(environment, "platform", 1, 1, 2).await?;
    let ours = waits(environment, &platform.client).await;
    platform.stop().await;
    show(&mut found, "LangOpen", &ours);
    let mut peers = Vec::new();
    for redis in [false, true] {
        let name = if redis { "Aegra with Redis" } else { "Aegra without Redis" };
        match peer(environment, aegra, redis).await {
            Ok(waits) => {
                show(&mut found, name, &waits);
                peers.push(waits);
            }
            Err(error) => found.notes.push(format!("{name} not measured: {error}")),
        }
    }
    let faster = peers.iter().max_by(|one, other| one.many.per_s.total_cmp(&other.many.per_s));
    let p50 = |measure: &Measure| measure.ms.map(|ms| ms.p50);
    let rate = faster.map(|peer| ours.many.per_s / peer.many.per_s);
    let latency = faster.and_then(|peer| Some(p50(&ours.one)? / p50(&peer.one)?));
    found.bars.extend([
        Bar::at_least("wait, 32 clients: rate, of the peer's faster mode", rate, Some(RATE_OF_PEER), "x"),
        Bar::at_most("wait, 1 client: p50, of that mode's", latency, Some(LATENCY_OF_PEER), "x"),
        Bar::at_most("failed requests", Some((ours.one.errors + ours.many.errors) as f64), Some(0.0), ""),
    ]);
    Ok(found)
}

async fn peer(environment: &Environment, aegra: Option<&Path>, redis: bool) -> Result<Waits> {
    let name = if redis { "aegra_redis" } else { "aegra" };
    let database = environment.databases.make(name).await?;
    let port = free_port()?;
    let mut command = Command::new(aegra.unwrap_or(Path::new("aegra")));
    command.args(["serve", "--host", "127.0.0.1", "--port", &port, "--config", "aegra.json"]);
    command.env("DATABASE_URL", database.replacen("postgres://", "postgresql://", 1)).env("LOG_LEVEL", "WARNING");
    command.env("REDIS_BROKER_ENABLED", redis.to_string()).env("REDIS_URL", format!("{}/1", environment.redis.url));
    let config = environment.folder.join("langgraph.json");
    std::fs::copy(config, environment.folder.join("aegra.json"))
        .map_err(|source| crate::error::Error::Io { what: "cannot write aegra.json".into(), source })?;
    let server = Server::start(name, command, &environment.folder, &port).await?;
    let waits = waits(environment, &server.client).await;
    server.stop().await;
    Ok(waits)
}

async fn waits(environment: &Environment, client: &Client) -> Waits {
    let scale = if environment.quick { 0.4 } else { 1.0 };
    let measure = async |clients, seconds: f64| {
        let input = json!({"messages": [{"role": "user", "content": "hi"}]});
        let work = Work::new(client.clone(), Scenario::Wait, "noop", &input, "values");
        let window = Duration::from_secs_f64(seconds * scale);
        run(work, Load { clients, warm_up: Duration::from_secs(2), window }).await
    };
    Waits { one: measure(1, 10.0).await, many: measure(32, 15.0).await }
}

fn show(found: &mut Found, name: &str, waits: &Waits) {
    if let Some(ms) = waits.one.ms {
        found.figure(format!("{name}: wait, 1 client, p50"), ms.p50, "ms");
    }
    found.figure(format!("{name}: wait, 32 clients"), waits.many.per_s, "runs/s");
    for measure in [&waits.one, &waits.many] {
        if let Some(error) = &measure.last_error {
            found.notes.push(format!("{name}: {} failed requests, such as: {error}", measure.errors));
        }
    }
}
