//! The rows of API keys.

use langopen_core::auth::{ApiKey, KeyScope, Role};
use langopen_core::error::ErrorKind;
use langopen_core::ids::ApiKeyId;
use langopen_core::model::{NewStoredApiKey, StoredApiKey};
use uuid::Uuid;

use super::Fixture;
use super::support::{SECOND, refused};

fn within(text: &str) -> KeyScope {
    KeyScope::parse(text).expect("a scope")
}

fn new(name: &str, scope: &str, role: Role) -> (ApiKey, NewStoredApiKey) {
    let key = ApiKey::generate().expect("randomness");
    let new = NewStoredApiKey {
        key_id: ApiKeyId(Uuid::now_v7()),
        name: name.to_owned(),
        hash: key.hash(),
        prefix: key.prefix().to_owned(),
        scope: within(scope),
        role,
        expires_at: None,
    };
    (key, new)
}

/// A key is found by its hash, with all its fields, even after it expires.
pub async fn a_key_is_found_by_its_hash(backend: &Fixture) {
    let (secret, mut first) = new("ci", "acme/web/*", Role::Developer);
    first.expires_at = Some(backend.now().plus(SECOND * 60));
    let created = backend.api_keys().create_api_key(first.clone()).await.expect("create");
    let expected = StoredApiKey {
        key_id: first.key_id,
        name: "ci".to_owned(),
        hash: secret.hash(),
        prefix: secret.prefix().to_owned(),
        scope: within("acme/web/*"),
        role: Role::Developer,
        created_at: backend.now(),
        expires_at: first.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    assert_eq!(created, expected);
    assert_eq!(backend.api_keys().api_key_of_hash(&secret.hash()).await.expect("find"), Some(expected.clone()));
    let (other, _) = new("other", "acme/*", Role::Admin);
    assert_eq!(backend.api_keys().api_key_of_hash(&other.hash()).await.expect("find"), None);
    assert!(expected.is_valid(backend.now()));
    backend.clock.advance(SECOND * 60);
    let found = backend.api_keys().api_key_of_hash(&secret.hash()).await.expect("find").expect("it is still there");
    assert!(!found.is_valid(backend.now()), "it has expired");
}

/// A taken id or hash and an unprintable name are refused.
pub async fn a_bad_key_is_refused(backend: &Fixture) {
    let (_, first) = new("one", "acme/web/prod", Role::Viewer);
    backend.api_keys().create_api_key(first.clone()).await.expect("create");
    let (_, second) = new("one", "acme/web/prod", Role::Viewer);
    let same_id = NewStoredApiKey { key_id: first.key_id, ..second.clone() };
    refused(backend.api_keys().create_api_key(same_id).await, ErrorKind::AlreadyExists, "a taken id");
    let same_hash = NewStoredApiKey { hash: first.hash, ..second.clone() };
    refused(backend.api_keys().create_api_key(same_hash).await, ErrorKind::AlreadyExists, "a taken hash");
    for name in ["", "a\nb", &"n".repeat(101)] {
        let named = NewStoredApiKey { name: name.to_owned(), ..second.clone() };
        refused(backend.api_keys().create_api_key(named).await, ErrorKind::Invalid, name);
    }
    backend.api_keys().create_api_key(second).await.expect("names may repeat");
    assert_eq!(backend.api_keys().list_api_keys(None).await.expect("list").len(), 2);
}

/// Keys are listed and revoked within a scope.
pub async fn keys_are_listed_and_revoked_within_a_scope(backend: &Fixture) {
    let mut ids = Vec::new();
    for (scope, role) in [
        ("acme/web/prod", Role::Viewer),
        ("acme/web/*", Role::Operator),
        ("acme/*", Role::Admin),
        ("acme/webshop/prod", Role::Viewer),
        ("other/web/prod", Role::Viewer),
    ] {
        backend.clock.advance(SECOND);
        ids.push(backend.api_keys().create_api_key(new(scope, scope, role).1).await.expect("create").key_id);
    }
    let listed = async |scope: Option<&str>| {
        let scope = scope.map(within);
        let keys = backend.api_keys().list_api_keys(scope.as_ref()).await.expect("list");
        keys.into_iter().map(|key| key.key_id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, ids, "oldest first");
    assert_eq!(listed(Some("acme/*")).await, ids[..4]);
    assert_eq!(listed(Some("acme/web/*")).await, ids[..2]);
    assert_eq!(listed(Some("acme/web/prod")).await, ids[..1]);
    assert_eq!(listed(Some("acme/web/test")).await, []);
    let project = within("acme/web/*");
    for outside in &ids[2..] {
        refused(
            backend.api_keys().revoke_api_key(Some(&project), *outside).await,
            ErrorKind::NotFound,
            "outside of the scope",
        );
    }
    let unknown = ApiKeyId(Uuid::now_v7());
    refused(backend.api_keys().revoke_api_key(None, unknown).await, ErrorKind::NotFound, "an unknown key");
    let revoked_at = backend.now();
    let revoked = backend.api_keys().revoke_api_key(Some(&project), ids[0]).await.expect("revoke");
    assert_eq!(revoked.revoked_at, Some(revoked_at));
    assert!(!revoked.is_valid(revoked_at));
    backend.clock.advance(SECOND);
    let again = backend.api_keys().revoke_api_key(None, ids[0]).await.expect("revoke again");
    assert_eq!(again.revoked_at, Some(revoked_at), "the first time of revocation stays");
    assert_eq!(backend.api_keys().api_key_of_hash(&revoked.hash).await.expect("find"), Some(again));
    let valid = backend.api_keys().list_api_keys(None).await.expect("list");
    assert_eq!(valid.iter().filter(|key| key.is_valid(backend.now())).count(), 4, "the others are unchanged");
}

/// The last use of a key is recorded and never decreases.
pub async fn use_of_a_key_is_noted(backend: &Fixture) {
    let (secret, key) = new("ci", "acme/web/prod", Role::Viewer);
    let id = backend.api_keys().create_api_key(key).await.expect("create").key_id;
    backend.clock.advance(SECOND);
    let used_at = backend.now();
    backend.api_keys().touch_api_key(id).await.expect("touch");
    backend.api_keys().touch_api_key(ApiKeyId(Uuid::now_v7())).await.expect("an unknown key is no error");
    backend.clock.set(langopen_core::Timestamp::from_micros(used_at.as_micros() - 5));
    backend.api_keys().touch_api_key(id).await.expect("touch");
    let found = backend.api_keys().api_key_of_hash(&secret.hash()).await.expect("find").expect("it is there");
    assert_eq!(found.last_used_at, Some(used_at));
}
