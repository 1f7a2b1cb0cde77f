//! The caller as a graph sees it.

use langopen_core::JsonMap;
use langopen_core::auth::Identity;
use serde_json::Value;

/// Adds the caller to `configurable`, so that a graph's factory sees it when the server asks the graph about itself or
/// a state. An identity without a user adds nothing.
pub(crate) fn show_user(identity: &Identity, configurable: &mut JsonMap) {
    let Some(user) = &identity.user else { return };
    configurable.insert("langgraph_auth_user".to_owned(), Value::Object(user.clone()));
    configurable.insert("langgraph_auth_user_id".to_owned(), identity.identity.as_str().into());
    configurable.insert("langgraph_auth_permissions".to_owned(), identity.permissions.clone().into());
}
