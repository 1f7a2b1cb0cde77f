//! The lifetime of threads and store items, and how often the worker removes expired ones.

use std::time::Duration;

use langopen_core::model::{PruneStrategy, ThreadTtl};
use langopen_runner::config::{AppSettings, ThreadTtl as ConfiguredTtl, TtlStrategy};
use langopen_worker::WorkerSettings;
use serde::Deserialize;

use super::http::Variables;
use crate::error::CommandError;

/// The variable that replaces an absent `checkpointer.ttl`, with the same keys.
const VARIABLE: &str = "LANGGRAPH_THREAD_TTL";

/// The shortest and the longest pause between two sweeps.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(365 * 86_400)];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TtlVariable {
    #[serde(default)]
    strategy: PruneStrategy,
    default_ttl: Option<f64>,
    sweep_interval_minutes: Option<f64>,
    sweep_limit: Option<u64>,
}

impl From<&ConfiguredTtl> for TtlVariable {
    fn from(ttl: &ConfiguredTtl) -> Self {
        let strategy = match ttl.strategy {
            TtlStrategy::Delete => PruneStrategy::Delete,
            TtlStrategy::KeepLatest => PruneStrategy::KeepLatest,
        };
        let (default_ttl, sweep_limit) = (ttl.default_ttl, ttl.sweep_limit);
        Self { strategy, default_ttl, sweep_interval_minutes: ttl.sweep_interval_minutes, sweep_limit }
    }
}

/// The settings of threads. The file overrides the environment.
fn thread_settings(app: &AppSettings) -> Result<Option<TtlVariable>, CommandError> {
    if let Some(ttl) = &app.thread_ttl {
        return Ok(Some(ttl.into()));
    }
    let Some(text) = Variables(&app.variables).value(VARIABLE).filter(|text| !text.trim().is_empty()) else {
        return Ok(None);
    };
    let parsed = serde_json::from_str(&text);
    parsed.map(Some).map_err(|error| CommandError::Setting {
        name: VARIABLE,
        why: format!("it is not an object with the keys of checkpointer.ttl: {error}"),
    })
}

/// The lifetime of threads that are created without a `ttl`.
pub(crate) fn thread_ttl(app: &AppSettings) -> Result<Option<ThreadTtl>, CommandError> {
    let Some(TtlVariable { strategy, default_ttl: Some(minutes), .. }) = thread_settings(app)? else {
        return Ok(None);
    };
    if minutes > 0.0 {
        return Ok(Some(ThreadTtl { strategy, minutes }));
    }
    let why = "default_ttl must be more than 0 minutes".to_owned();
    Err(CommandError::Setting { name: "checkpointer.ttl", why })
}

/// The lifetime of threads of crons, and how often the worker sweeps.
pub(crate) fn sweeps(settings: &mut WorkerSettings, app: &AppSettings) -> Result<(), CommandError> {
    settings.thread_ttl = thread_ttl(app)?;
    if let Some(ttl) = thread_settings(app)? {
        settings.thread_sweep_interval = pause(ttl.sweep_interval_minutes, settings.thread_sweep_interval);
        let limit = ttl.sweep_limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX));
        settings.thread_sweep_limit = limit.unwrap_or(settings.thread_sweep_limit);
    }
    let items = app.store.as_ref().and_then(|store| store.ttl.as_ref()?.sweep_interval_minutes);
    settings.item_sweep_interval = pause(items, settings.item_sweep_interval);
    Ok(())
}

fn pause(minutes: Option<f64>, default: Duration) -> Duration {
    let [shortest, longest] = PAUSES;
    let Some(minutes) = minutes else { return default };
    Duration::try_from_secs_f64(minutes * 60.0).unwrap_or(longest).clamp(shortest, longest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn given(text: &str) -> AppSettings {
        AppSettings { variables: BTreeMap::from([(VARIABLE.to_owned(), text.to_owned())]), ..AppSettings::default() }
    }

    fn with(default_ttl: f64) -> ConfiguredTtl {
        ConfiguredTtl { default_ttl: Some(default_ttl), ..ConfiguredTtl::default() }
    }

    #[test]
    fn the_file_wins_over_the_environment() {
        let by_variable =
            r#"{"strategy": "keep_latest", "default_ttl": 1.5, "sweep_interval_minutes": 2, "sweep_limit": 7}"#;
        let env = given(by_variable);
        let kept = ThreadTtl { strategy: PruneStrategy::KeepLatest, minutes: 1.5 };
        assert_eq!(thread_ttl(&env).unwrap_or_default(), Some(kept));
        assert_eq!(thread_ttl(&AppSettings::default()).unwrap_or_default(), None);
        let mut settings = WorkerSettings::default();
        assert!(sweeps(&mut settings, &env).is_ok());
        let read = (settings.thread_sweep_interval, settings.thread_sweep_limit, settings.thread_ttl);
        assert_eq!(read, (Duration::from_secs(120), 7, Some(kept)));
        let file = AppSettings { thread_ttl: Some(with(60.0)), ..env };
        let deleted = ThreadTtl { strategy: PruneStrategy::Delete, minutes: 60.0 };
        assert_eq!(thread_ttl(&file).unwrap_or_default(), Some(deleted));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for text in ["5", "[]", r#"{"strategy": "x"}"#, r#"{"ttl": 5}"#, "{"] {
            let said = thread_ttl(&given(text)).map_err(|error| error.to_string());
            assert!(said.as_ref().is_err_and(|text| text.contains(VARIABLE)), "{text}: {said:?}");
        }
        let never = AppSettings { thread_ttl: Some(with(0.0)), ..AppSettings::default() };
        assert!(thread_ttl(&never).is_err());
    }

    #[test]
    fn pauses_are_within_bounds() {
        let default = Duration::from_secs(7);
        for (minutes, expected) in [(None, 7), (Some(2.0), 120), (Some(0.0), 1), (Some(1e300), 365 * 86_400)] {
            assert_eq!(pause(minutes, default), Duration::from_secs(expected), "{minutes:?}");
        }
    }
}
