//! Typed ids and where new ones come from.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// Names an assistant: version 4 when a client made it, version 5 for a system assistant.
    AssistantId
);
id!(
    /// Names a thread: version 7, or whatever UUID the client chose.
    ThreadId
);
id!(
    /// Names a run: version 7, so ids of one process rise with time.
    RunId
);
id!(
    /// Names a cron: version 7.
    CronId
);

id!(
    /// Names an API key: version 7. It is no secret.
    ApiKeyId
);

/// The namespace of system assistants' ids. It differs on purpose from the RFC's URL namespace, which has `ba7b811`:
/// every Agent Server derives these ids from this value, and clients rely on them.
const SYSTEM_ASSISTANT_NAMESPACE: Uuid = Uuid::from_u128(0x6ba7_b821_9dad_11d1_80b4_00c0_4fd4_30c8);

impl AssistantId {
    /// The id of a graph's system assistant.
    pub fn system(graph_id: &str) -> Self {
        Self(Uuid::new_v5(&SYSTEM_ASSISTANT_NAMESPACE, graph_id.as_bytes()))
    }
}

/// A source of new ids.
pub trait IdSource: Send + Sync + 'static {
    /// A new time-ordered UUID (version 7); of two calls in one process, the later id is the greater.
    fn ordered(&self) -> Uuid;

    /// A new random UUID (version 4).
    fn random(&self) -> Uuid;
}

/// Ids from the machine's clock and random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn ordered(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn random(&self) -> Uuid {
        Uuid::new_v4()
    }
}

/// Ids that count up from one, for tests.
#[derive(Debug, Default)]
pub struct CountingIds(AtomicU64);

impl IdSource for CountingIds {
    fn ordered(&self) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        uuid::Builder::from_u128(u128::from(n)).with_version(uuid::Version::SortRand).into_uuid()
    }

    fn random(&self) -> Uuid {
        let n = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        uuid::Builder::from_u128(u128::from(n)).with_version(uuid::Version::Random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_assistant_has_the_id_that_every_agent_server_gives_it() {
        assert_eq!(AssistantId::system("agent").to_string(), "fe096781-5601-53d2-b2f6-0d3403f7e9ca");
    }

    #[test]
    fn ordered_ids_rise() {
        let ids: Vec<_> = (0..1000).map(|_| SystemIds.ordered()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
