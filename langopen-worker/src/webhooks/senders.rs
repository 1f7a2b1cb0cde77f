//! The sender of each deployment.

use std::collections::HashMap;
use std::sync::Arc;

use langopen_core::{Result, Tenant};
use parking_lot::Mutex;
use reqwest::dns::Resolve;

use super::WebhookSettings;
use super::send::Sender;
use crate::DeploymentRules;

/// The settings of a deployment, and the sender for them.
pub(super) type Known = (Arc<WebhookSettings>, Arc<Sender>);

/// The sender of each deployment. A sender keeps its connections between deliveries, until the settings change.
pub(super) struct Senders {
    resolver: Arc<dyn Resolve>,
    /// For all deployments, unless they have rules of their own.
    common: Known,
    rules: Option<Arc<dyn DeploymentRules>>,
    known: Mutex<HashMap<Tenant, Known>>,
}

impl Senders {
    pub(super) fn new(settings: Arc<WebhookSettings>, resolver: Arc<dyn Resolve>) -> Result<Self> {
        let sender = Arc::new(Sender::new(&settings, Arc::clone(&resolver))?);
        Ok(Self { resolver, common: (settings, sender), rules: None, known: Mutex::default() })
    }

    /// The same resolver and common sender, with rules per deployment.
    pub(super) fn with_rules(&self, rules: Arc<dyn DeploymentRules>) -> Self {
        Self {
            resolver: Arc::clone(&self.resolver),
            common: self.common.clone(),
            rules: Some(rules),
            known: Mutex::default(),
        }
    }

    /// The settings and the sender of a deployment; `None` while its rules are unknown.
    pub(super) fn of(&self, tenant: &Tenant) -> Result<Option<Known>> {
        let Some(rules) = &self.rules else { return Ok(Some(self.common.clone())) };
        let Some(settings) = rules.webhooks(tenant) else { return Ok(None) };
        let mut known = self.known.lock();
        if let Some((held, sender)) = known.get(tenant)
            && Arc::ptr_eq(held, &settings)
        {
            return Ok(Some((settings, Arc::clone(sender))));
        }
        let sender = Arc::new(Sender::new(&settings, Arc::clone(&self.resolver))?);
        known.insert(tenant.clone(), (Arc::clone(&settings), Arc::clone(&sender)));
        Ok(Some((settings, sender)))
    }
}
