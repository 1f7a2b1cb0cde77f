//! Stored API keys: when a change of one is seen.

use std::sync::Arc;
use std::time::Duration;

use langopen_backends::memory::Memory;
use langopen_core::auth::{ApiKey, Credentials, KeyRing, KeyScope, Role};
use langopen_core::clock::{Clock, ManualClock, Timestamp};
use langopen_core::error::ErrorKind;
use langopen_core::ids::ApiKeyId;
use langopen_core::model::NewStoredApiKey;
use langopen_core::storage::ApiKeys;
use uuid::Uuid;

fn with(key: &ApiKey) -> Credentials {
    let headers = vec![("x-api-key".to_owned(), key.expose().to_owned())];
    Credentials { headers, ..Credentials::default() }
}

#[tokio::test]
async fn a_revoked_key_lets_nobody_in_after_a_few_seconds() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)));
    let memory = Arc::new(Memory::with_clock(clock.clone()));
    let ring = KeyRing::new(Vec::new()).with_stored(memory.clone(), clock.clone());
    let key = ApiKey::generate().unwrap();
    let find = async || ring.find(&with(&key)).await.map(|grant| grant.unwrap().role).map_err(|error| error.kind());
    assert_eq!(find().await, Err(ErrorKind::Unauthenticated));
    assert!(!ring.has_any().await.unwrap());
    let new = NewStoredApiKey {
        key_id: ApiKeyId(Uuid::now_v7()),
        name: "ci".to_owned(),
        hash: key.hash(),
        prefix: key.prefix().to_owned(),
        scope: KeyScope::parse("acme/web/*").unwrap(),
        role: Role::Developer,
        expires_at: Some(clock.now().plus(Duration::from_secs(60))),
    };
    let id = memory.create_api_key(new).await.unwrap().key_id;
    assert_eq!(find().await, Err(ErrorKind::Unauthenticated), "that there was none is known for as long");
    clock.advance(KeyRing::FRESH);
    assert_eq!(find().await, Ok(Role::Developer));
    assert!(ring.has_any().await.unwrap());
    memory.revoke_api_key(None, id).await.unwrap();
    clock.advance(KeyRing::FRESH - Duration::from_micros(1));
    assert_eq!(find().await, Ok(Role::Developer), "the storage is not asked each time");
    clock.advance(Duration::from_micros(1));
    assert_eq!(find().await, Err(ErrorKind::Unauthenticated));
    assert!(ring.has_any().await.unwrap(), "a key that is revoked is one that was asked for");
    clock.set(Timestamp::from_micros(0));
    assert_eq!(find().await, Err(ErrorKind::Unauthenticated), "a clock that goes back does not bring it back");
}

#[tokio::test]
async fn a_key_expires_while_its_answer_is_kept_and_its_use_is_noted() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_763_900_000_000_000)));
    let memory = Arc::new(Memory::with_clock(clock.clone()));
    let ring = KeyRing::new(Vec::new()).with_stored(memory.clone(), clock.clone());
    let key = ApiKey::generate().unwrap();
    let new = NewStoredApiKey {
        key_id: ApiKeyId(Uuid::now_v7()),
        name: "ci".to_owned(),
        hash: key.hash(),
        prefix: key.prefix().to_owned(),
        scope: KeyScope::parse("acme/web/prod").unwrap(),
        role: Role::Viewer,
        expires_at: Some(clock.now().plus(Duration::from_secs(1))),
    };
    memory.create_api_key(new).await.unwrap();
    assert!(ring.find(&with(&key)).await.is_ok());
    while memory.api_key_of_hash(&key.hash()).await.unwrap().unwrap().last_used_at.is_none() {
        tokio::task::yield_now().await;
    }
    clock.advance(Duration::from_secs(1));
    assert!(ring.find(&with(&key)).await.is_err());
}
