//! Pages of several streams, in one order.

use bytes::Bytes;
use langopen_core::error::Result;
use langopen_core::event_log::EventId;

use super::keys::place;
use crate::shared_log::{Page, Record};

/// How many records are fetched of a stream at once.
pub(super) const PAGE: usize = 32;

/// An entry of a stream: its place, and the fields `p` (the place before it) and `b` (its bytes).
pub(super) type Entry = (String, (String, String, String, Bytes));

fn record((last, (_, before, _, bytes)): Entry) -> Result<Record> {
    Record::decode(place(&before)?, place(&last)?, bytes)
}

/// Puts the entries of several streams into one order, as far as all of them are known.
pub(super) fn merge(logs: Vec<Vec<Entry>>) -> Result<Page> {
    let mut page = Page::default();
    let mut known = EventId::MAX;
    for log in logs {
        let full = log.len() == PAGE;
        let start = page.records.len();
        for entry in log {
            page.records.push(record(entry)?);
        }
        if full {
            page.more = true;
            known = known.min(page.records[start..].last().map_or(EventId::MAX, |record| record.last));
        }
    }
    page.records.sort_by_key(|record| record.last);
    page.records.retain(|record| record.last <= known);
    Ok(page)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::shared_log::{Kind, encode};

    fn entry(at: u64) -> Entry {
        let bytes = encode(Kind::Thread, Uuid::nil(), &[]).unwrap();
        (format!("{at}-0"), ("p".to_owned(), "0-0".to_owned(), "b".to_owned(), bytes))
    }

    #[test]
    fn streams_are_merged_as_far_as_all_are_known() {
        let long: Vec<_> = (0..PAGE as u64).map(|n| entry(n * 10)).collect();
        let short = vec![entry(5), entry(PAGE as u64 * 10)];
        let page = merge(vec![long, short]).unwrap();
        assert!(page.more);
        assert_eq!(page.records.len(), PAGE + 1, "what comes after the long stream's page waits");
        assert!(page.records.is_sorted_by_key(|record| record.last));
        let page = merge(vec![vec![entry(5)], vec![entry(3)]]).unwrap();
        assert!(!page.more && page.records.len() == 2);
    }
}
