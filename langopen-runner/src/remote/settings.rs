//! What a client of runners needs to know.

use super::RunnerUrl;
use crate::config::Secret;
use crate::tls::ClientTls;

/// What a client of runners needs to know.
#[derive(Debug, Clone, Default)]
pub struct RunnerSetSettings {
    /// Where the runners are.
    pub urls: Vec<RunnerUrl>,
    /// What they ask for.
    pub token: Option<Secret>,
    /// For `tls://` addresses.
    pub tls: Option<ClientTls>,
    /// What the client is called in the runners' logs.
    pub name: String,
    /// Whether the requests that an application makes of the API by itself may come here; see [`HostPool::connect`](crate::HostPool::connect).
    pub serves_api: bool,
    /// Whether the headers of webhooks, which may be secrets, are to be told.
    pub delivers_webhooks: bool,
}
