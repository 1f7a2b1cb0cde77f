//! What differs between the deployments that one worker works for.

use std::sync::Arc;

use langopen_core::Tenant;
use langopen_core::model::ThreadTtl;

use crate::WebhookSettings;

/// What differs between the deployments that one worker works for. It may change while the worker works.
pub trait DeploymentRules: Send + Sync + 'static {
    /// How long threads live that crons make; `None` for ever.
    fn thread_ttl(&self, tenant: &Tenant) -> Option<ThreadTtl>;

    /// How webhooks are sent, and where they may go; `None` while that is not known: they wait. The figures of the
    /// dispatcher as a whole (`concurrency`, `timeout`, `failed_retention`, `grace`) are those that it was made with.
    /// The same settings must be the same `Arc`.
    fn webhooks(&self, tenant: &Tenant) -> Option<Arc<WebhookSettings>>;
}
