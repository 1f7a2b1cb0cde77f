//! Idle streams: their memory in the API server, and the delay of events on them.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use super::Environment;
use super::platform::Platform;
use crate::bar::Bar;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::quantiles::Quantiles;
use crate::report::Found;

const STREAMS: usize = 5_000;
const KIB_EACH: f64 = 12.0;
const LATE_MS: f64 = 50.0;
/// The number of streams whose events are timed.
const WATCHED: usize = 100;
const SETTLE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(environment: &Environment) -> Result<Found> {
    let platform = Platform::start(environment, "idle", 1, 1, 1).await?;
    let client = &platform.client;
    let mut threads = Vec::with_capacity(STREAMS);
    for _ in 0..STREAMS {
        threads.push(client.create_thread().await?);
    }
    let resident = || platform.memory().map(|memory| memory.resident_mib).unwrap_or_default();
    tokio::time::sleep(SETTLE).await;
    let before = resident();
    let streams = &Client::new(&platform.url, None)?;
    let mut open = Vec::with_capacity(STREAMS);
    for some in threads.chunks(100) {
        let opened: FuturesUnordered<_> = some
            .iter()
            .map(|thread| async move {
                let path = format!("/threads/{thread}/stream?stream_modes=run_modes");
                streams.opened(path, None).await.map(|stream| (thread.clone(), stream))
            })
            .collect();
        let opened: Vec<_> = opened.collect().await;
        for each in opened {
            open.push(each?);
        }
    }
    tokio::time::sleep(SETTLE).await;
    let each = (resident() - before) * 1024.0 / STREAMS as f64;

    let mut late = Vec::with_capacity(WATCHED);
    let run = json!({"assistant_id": "noop", "input": {"messages": []}, "stream_mode": ["values"]}).to_string();
    for (thread, stream) in open.iter_mut().step_by(STREAMS / WATCHED) {
        let path = format!("/threads/{thread}/runs/wait");
        let began = Instant::now();
        let created = client.wait(&path, run.clone().into());
        let came = async {
            loop {
                match stream.next().await {
                    Some(Ok((name, _))) if name == "values" => return Ok(began.elapsed()),
                    Some(Ok::<(String, Value), Error>(_)) => {}
                    Some(Err(error)) => return Err(error),
                    None => return Err(Error::Option("an idle stream ended".into())),
                }
            }
        };
        let came = tokio::time::timeout(PATIENCE, came);
        let (created, came) = tokio::join!(created, came);
        created?;
        late.push(came.map_err(|_| Error::Option("an event did not come to an idle stream".into()))??);
    }
    drop(open);
    platform.stop().await;
    let late = Quantiles::of(&mut late);
    let mut found = Found::default();
    found.figure(
        format!("run's create to its first values on one of {STREAMS} idle streams, p50"),
        late.map_or(f64::NAN, |late| late.p50),
        "ms",
    );
    found.bars.extend([
        Bar::at_most(
            format!("{STREAMS} idle streams: API server's memory for each"),
            Some(each),
            Some(KIB_EACH),
            "KiB",
        ),
        Bar::at_most(
            "an event reaches an idle stream, from its run's creation: p99",
            late.map(|late| late.p99),
            Some(LATE_MS),
            "ms",
        ),
    ]);
    Ok(found)
}
