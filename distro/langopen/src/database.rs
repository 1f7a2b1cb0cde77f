//! Opens the data store: the data folder's SQLite file, this process's memory, or a shared Postgres.

use std::path::Path;
use std::sync::Arc;

use langopen_backends::memory::{Memory, MemoryEventLog};
use langopen_backends::postgres::{Postgres, PostgresEventLog, PostgresLogOptions, PostgresOptions, PostgresSignals};
use langopen_backends::redis::{RedisLive, RedisSignals};
use langopen_backends::sqlite::{Sqlite, SqliteOptions};
use langopen_core::model::AssistantQuery;
use langopen_core::outbox::Outbox;
use langopen_core::signals::Signals;
use langopen_core::storage::{ApiKeys, Deployments};
use langopen_core::{Backend, EventLog, Queue, Result, Scope, Storage};
use langopen_runner::Withheld;
use langopen_runner::config::Secret;

use crate::clock::{clock, follow};
use crate::error::CommandError;
use crate::probes::Readiness;

/// The value of `--database` that stores data in memory.
const IN_MEMORY: &str = "memory:";

/// The default prefix of Redis names, and the default number of connections.
pub(crate) const PREFIX: &str = "langopen:";
const CONNECTIONS: u32 = 16;

/// The data store to open.
#[derive(Debug, Clone)]
pub(crate) enum DataStore {
    /// A file in the data folder.
    Sqlite,
    /// This process's memory, for trials and tests. The data is lost when the process ends.
    Memory,
    /// A Postgres, and optionally a Redis, that several processes share.
    Postgres(Shared),
}

/// The servers that processes share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    postgres: Secret,
    /// The URL of the same Postgres that bypasses the pooler, for connections that listen for notifications.
    direct: Option<Secret>,
    /// The Redis that carries signals and live copies of events. Without one, Postgres carries the signals.
    redis: Option<Secret>,
    /// The prefix of all Redis names.
    redis_prefix: String,
    connections: u32,
}

impl Shared {
    /// Sets the maximum number of connections, and the prefix of Redis names.
    pub(crate) fn with(self, connections: u32, redis_prefix: &str) -> Self {
        Self { connections: connections.max(2), redis_prefix: redis_prefix.to_owned(), ..self }
    }

    /// Sets the URL that bypasses the pooler, for signals.
    pub(crate) fn with_direct(self, direct: Option<Secret>) -> Result<Self, CommandError> {
        match &direct {
            Some(url) if !is(url.expose(), &POSTGRES) => Err(wrong("--database-direct", "it is not postgres://...")),
            _ => Ok(Self { direct, ..self }),
        }
    }

    /// Whether a Redis is configured.
    pub(crate) fn has_redis(&self) -> bool {
        self.redis.is_some()
    }
}

/// The URL schemes of Postgres.
const POSTGRES: [&str; 2] = ["postgres", "postgresql"];

fn is(url: &str, schemes: &[&str]) -> bool {
    schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")))
}

fn wrong(name: &'static str, why: &str) -> CommandError {
    CommandError::Setting { name, why: why.to_owned() }
}

impl DataStore {
    /// Reads `--database` and `--redis`.
    pub(crate) fn of(database: Option<&str>, redis: Option<&str>) -> Result<Self, CommandError> {
        if redis.is_some_and(|url| !is(url, &["redis", "rediss"])) {
            return Err(wrong("--redis", "it does not begin with redis:// or rediss://"));
        }
        match (database, redis) {
            (None, None) => Ok(Self::Sqlite),
            (Some(IN_MEMORY), None) => Ok(Self::Memory),
            (Some(url), redis) if is(url, &POSTGRES) => {
                let redis = redis.map(|url| Secret::from(url.to_owned()));
                let (postgres, redis_prefix) = (Secret::from(url.to_owned()), PREFIX.to_owned());
                Ok(Self::Postgres(Shared { postgres, direct: None, redis, redis_prefix, connections: CONNECTIONS }))
            }
            (Some(_), None) => Err(wrong("--database", "it is neither postgres://... nor memory:")),
            (_, Some(_)) => {
                Err(wrong("--redis", "a Redis only helps processes that share a Postgres: name it with --database"))
            }
        }
    }

    /// Sets the prefix of Redis names, if a Redis is configured.
    pub(crate) fn with_redis_prefix(self, prefix: &str) -> Self {
        match self {
            Self::Postgres(shared) => Self::Postgres(Shared { redis_prefix: prefix.to_owned(), ..shared }),
            other => other,
        }
    }

    /// The secrets that no variable of user code may contain: the database addresses and their passwords.
    pub(crate) fn withheld(&self) -> Withheld {
        let Self::Postgres(shared) = self else { return Withheld::default() };
        let addresses = [Some(&shared.postgres), shared.direct.as_ref(), shared.redis.as_ref()];
        addresses.into_iter().flatten().fold(Withheld::default(), |all, url| all.with_address(url.expose()))
    }

    /// A description for people, without secrets.
    pub(crate) fn describe(&self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("{} (SQLite)", folder.display()),
            Self::Memory => "in memory: the data is lost when this process ends".to_owned(),
            Self::Postgres(shared) if shared.has_redis() => "in Postgres and Redis".to_owned(),
            Self::Postgres(_) => "in Postgres".to_owned(),
        }
    }
}

/// An open data store.
pub(crate) struct Database {
    backend: Backend,
    deployments: Arc<dyn Deployments>,
    api_keys: Arc<dyn ApiKeys>,
    outbox: Arc<dyn Outbox>,
    sqlite: Option<Sqlite>,
    postgres: Option<Postgres>,
    live: Option<RedisLive>,
}

impl Database {
    /// Opens the data store. `file` is the path of the SQLite file.
    pub(crate) async fn open(store: DataStore, file: &Path) -> Result<Self, CommandError> {
        match store {
            DataStore::Sqlite => {
                let sqlite = Sqlite::open(file, SqliteOptions::default().with_clock(clock())).await?;
                Ok(Self::of(Arc::new(sqlite.clone()), Arc::new(sqlite.event_log()), Some(sqlite)))
            }
            DataStore::Memory => Ok(Self::of(Arc::new(Memory::new()), Arc::new(MemoryEventLog::new()), None)),
            DataStore::Postgres(shared) => Self::shared(shared).await,
        }
    }

    async fn shared(shared: Shared) -> Result<Self, CommandError> {
        let Shared { postgres, direct, redis, redis_prefix, connections } = shared;
        let through_postgres: Arc<dyn Signals> =
            Arc::new(PostgresSignals::new(direct.as_ref().unwrap_or(&postgres).expose())?);
        let signals = match &redis {
            Some(redis) => Arc::new(RedisSignals::new(redis.expose(), &redis_prefix)?),
            None => Arc::clone(&through_postgres),
        };
        let options = PostgresOptions::default().with_connections(connections).with_signals(signals);
        let postgres = Postgres::open(postgres.expose(), options).await?;
        follow(postgres.clock());
        let live = match &redis {
            Some(redis) => Some(RedisLive::new(redis.expose(), &redis_prefix)?),
            None => None,
        };
        let mut options = PostgresLogOptions::default().with_signals(through_postgres);
        if let Some(live) = &live {
            options = options.with_live_copies(Arc::new(live.clone()));
        }
        let events = Arc::new(PostgresEventLog::open_with(&postgres, options).await?);
        let database = Self::of(Arc::new(postgres.clone()), events, None);
        Ok(Self { postgres: Some(postgres), live, ..database })
    }

    fn of<D>(database: Arc<D>, events: Arc<dyn EventLog>, sqlite: Option<Sqlite>) -> Self
    where
        D: Storage + Deployments + ApiKeys + Queue + Outbox,
    {
        Self {
            backend: Backend::new(database.clone(), events).with_clock(clock()),
            deployments: database.clone(),
            api_keys: database.clone(),
            outbox: database,
            sqlite,
            postgres: None,
            live: None,
        }
    }

    /// What servers and workers use, with the installation's clock.
    pub(crate) fn backend(&self) -> Backend {
        self.backend.clone()
    }

    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        self.backend.storage.clone()
    }

    pub(crate) fn deployments(&self) -> Arc<dyn Deployments> {
        self.deployments.clone()
    }

    pub(crate) fn api_keys(&self) -> Arc<dyn ApiKeys> {
        self.api_keys.clone()
    }

    pub(crate) fn outbox(&self) -> Arc<dyn Outbox> {
        self.outbox.clone()
    }

    /// The carrier of live copies, if a Redis is configured.
    pub(crate) fn live(&self) -> Option<RedisLive> {
        self.live.clone()
    }

    pub(crate) async fn close(&self) {
        if let Some(sqlite) = &self.sqlite {
            sqlite.close().await;
        }
        if let Some(postgres) = &self.postgres {
            postgres.close().await;
        }
    }
}

/// Whether the database answers.
async fn answers(storage: Arc<dyn Storage>) -> Result<(), String> {
    let one = AssistantQuery::default().with_limit(1);
    let answer = storage.search_assistants(&Scope::default(), &one).await;
    answer.map(drop).map_err(|_| "it does not answer".to_owned())
}

/// The readiness checks of the data stores. A process without its database is not ready. A process without Redis stays
/// ready, because it then fetches events from the database.
pub(crate) fn readiness(database: &Database) -> Readiness {
    let storage = database.storage();
    let readiness = Readiness::default().needs("database", move || answers(storage.clone()));
    let Some(live) = database.live() else { return readiness };
    readiness.likes("redis", move || {
        let away = "it does not answer; streams come from Postgres";
        std::future::ready(if live.is_up() { Ok(()) } else { Err(away.to_owned()) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backends_are_distinguished_and_shown_without_secrets() {
        let backend = |database, redis| DataStore::of(database, redis).map_err(|error| error.to_string());
        assert!(matches!(backend(None, None), Ok(DataStore::Sqlite)));
        assert!(matches!(backend(Some("memory:"), None), Ok(DataStore::Memory)));
        let shared = backend(Some("postgres://u:hush@a/b"), Some("redis://:hush@a")).unwrap();
        assert_eq!(shared.describe(Path::new("/data")), "in Postgres and Redis");
        assert!(!format!("{shared:?}").contains("hush"));
        for (database, redis, says) in [
            (Some("mysql://a"), None, "--database"),
            (None, Some("redis://a"), "--database"),
            (Some("postgres://a/b"), Some("http://a"), "--redis"),
        ] {
            assert!(backend(database, redis).is_err_and(|why| why.contains(says)), "{database:?} {redis:?}");
        }
        let DataStore::Postgres(shared) = shared else { panic!("{shared:?}") };
        let direct = |url: &str| shared.clone().with_direct(Some(Secret::from(url.to_owned())));
        assert!(!format!("{:?}", direct("postgresql://u:hush@a/b").unwrap()).contains("hush"));
        assert!(direct("redis://a").is_err_and(|why| why.to_string().contains("--database-direct")));
    }
}
