use langopen_core::auth::{Action, Auth, Credentials, Decision, Identity, Resource};
use serde_json::Value;

use super::calls::chaotic;

chaotic!(Auth {
    "auth.authenticate" authenticate(credentials: &Credentials) -> Identity;
    "auth.authorize" authorize(identity: &Identity, resource: Resource, action: Action, value: &mut Value) -> Decision;
    => {
        fn authorizes(&self, resource: Resource, action: Action) -> bool {
            self.inner.authorizes(resource, action)
        }

        fn needs_body(&self) -> bool {
            self.inner.needs_body()
        }
    }
});
