//! A cache of the deployments' rows, which every request needs.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use langopen_core::model::Deployment;
use langopen_core::storage::Deployments;
use langopen_core::{Clock, Result, Tenant, Timestamp};
use parking_lot::RwLock;
use tokio::sync::Mutex;

use crate::http::rate::Rate;

/// How long cached rows stay valid. A change of a row takes effect after at most this time.
pub(super) const FRESH: Duration = Duration::from_secs(5);

/// The cache of the rows.
pub(super) struct Directory {
    rows: Arc<dyn Deployments>,
    clock: Arc<dyn Clock>,
    read: RwLock<Option<(Timestamp, Arc<Rows>)>>,
    reading: Mutex<()>,
}

/// The rows as one read returned them.
#[derive(Default)]
pub(super) struct Rows {
    deployments: HashMap<Tenant, Option<Arc<Rate>>>,
    hosts: HashMap<String, Tenant>,
}

impl Directory {
    pub(super) fn new(rows: Arc<dyn Deployments>, clock: Arc<dyn Clock>) -> Self {
        Self { rows, clock, read: RwLock::default(), reading: Mutex::default() }
    }

    /// The rows. While one request reads them again, the others get the old rows. If the storage does not answer, the
    /// old rows stay valid.
    ///
    /// # Errors
    /// When the first read fails.
    pub(super) async fn rows(&self) -> Result<Arc<Rows>> {
        let Some(old) = self.cached() else {
            let _reading = self.reading.lock().await;
            return match self.cached() {
                Some((_, rows)) => Ok(rows),
                None => self.read(&Rows::default()).await,
            };
        };
        let (at, old) = old;
        let now = self.clock.now();
        if at <= now && now.since(at) < FRESH {
            return Ok(old);
        }
        let Ok(_reading) = self.reading.try_lock() else { return Ok(old) };
        match self.read(&old).await {
            Ok(rows) => Ok(rows),
            Err(error) => {
                tracing::warn!(%error, "the deployments cannot be read; the rows of the last read stay in use");
                self.cache(Arc::clone(&old));
                Ok(old)
            }
        }
    }

    fn cached(&self) -> Option<(Timestamp, Arc<Rows>)> {
        self.read.read().clone()
    }

    fn cache(&self, rows: Arc<Rows>) {
        *self.read.write() = Some((self.clock.now(), rows));
    }

    async fn read(&self, old: &Rows) -> Result<Arc<Rows>> {
        let rows = Arc::new(Rows::new(self.rows.list_deployments().await?, old));
        self.cache(Arc::clone(&rows));
        Ok(rows)
    }
}

impl Rows {
    fn new(deployments: Vec<Deployment>, old: &Self) -> Self {
        let mut rows = Self::default();
        for Deployment { tenant, hosts, limits, .. } in deployments {
            // A deployment with the same limit keeps its counter.
            let rate = limits.max_requests_per_second.and_then(NonZeroU32::new).map(|limit| {
                let same = old.rate(&tenant).filter(|rate| rate.limit() == limit);
                same.unwrap_or_else(|| Arc::new(Rate::new(limit)))
            });
            rows.hosts.extend(hosts.into_iter().map(|host| (host, tenant.clone())));
            rows.deployments.insert(tenant, rate);
        }
        rows
    }

    pub(super) fn has(&self, tenant: &Tenant) -> bool {
        self.deployments.contains_key(tenant)
    }

    pub(super) fn rate(&self, tenant: &Tenant) -> Option<Arc<Rate>> {
        self.deployments.get(tenant).cloned().flatten()
    }

    pub(super) fn of_host(&self, host: &str) -> Option<&Tenant> {
        self.hosts.get(host)
    }
}
