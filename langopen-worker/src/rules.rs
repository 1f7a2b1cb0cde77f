//! Settings that differ between the deployments of one worker.

use std::sync::Arc;

use langopen_core::Tenant;
use langopen_core::model::ThreadTtl;

use crate::WebhookSettings;

/// Settings that differ between the deployments of one worker. They may change while the worker runs.
pub trait DeploymentRules: Send + Sync + 'static {
    /// The lifetime of threads that crons create; `None` if they do not expire.
    fn thread_ttl(&self, tenant: &Tenant) -> Option<ThreadTtl>;

    /// The webhook settings of the deployment. `None` while they are unknown: its deliveries then wait.
    ///
    /// `concurrency`, `timeout`, `failed_retention` and `grace` of the dispatcher as a whole are those that it was
    /// created with. Return the same `Arc` as long as the settings are the same: a new one makes a new HTTP client.
    fn webhooks(&self, tenant: &Tenant) -> Option<Arc<WebhookSettings>>;
}
