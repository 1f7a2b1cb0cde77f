//! Resolves host names once per connection, and removes the addresses that the policy does not allow.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use langopen_core::webhook::AddressRules;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// The error for a host name that resolves only to addresses which webhooks may not reach.
#[derive(Debug)]
pub(super) struct AddressesBlocked;

impl fmt::Display for AddressesBlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host's name stands for a blocked IP range")
    }
}

impl std::error::Error for AddressesBlocked {}

/// The resolver of the operating system.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A resolver that removes the addresses which webhooks may not reach.
pub(super) struct Guard {
    pub(super) inner: Arc<dyn Resolve>,
    pub(super) rules: AddressRules,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (found, rules) = (self.inner.resolve(name), self.rules);
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = found.await?.filter(|address| rules.allow(address.ip())).collect();
            match allowed.is_empty() {
                true => Err(AddressesBlocked.into()),
                false => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
