//! The copy of a record that processes send each other.
//!
//! Its bytes: the position before the record and the record's position, each as milliseconds and sequence (8 bytes
//! each, big-endian), then the record. A copy of a large record ends after the positions; receivers then fetch the
//! record.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use langopen_core::event_log::EventId;

use super::append::Proposal;
use super::batch::Record;

/// The largest record that is copied, in bytes.
const LARGEST: usize = 64 * 1024;

const HEAD: usize = 4 * 8;

/// Encodes a copy of a record that the store has taken.
pub(crate) fn encode_copy(proposal: &Proposal) -> Bytes {
    let record = if proposal.bytes.len() <= LARGEST { &proposal.bytes[..] } else { &[] };
    let mut copy = BytesMut::with_capacity(HEAD + record.len());
    for id in [proposal.before, proposal.last] {
        copy.put_u64(id.millis);
        copy.put_u64(id.sequence);
    }
    copy.put_slice(record);
    copy.freeze()
}

/// Decodes a copy; `None` if it does not hold a whole record.
pub(crate) fn decode_copy(mut copy: Bytes) -> Option<Record> {
    let mut id = || Some(EventId { millis: copy.try_get_u64().ok()?, sequence: copy.try_get_u64().ok()? });
    let (before, last) = (id()?, id()?);
    Record::decode(before, last, copy).ok()
}

#[cfg(test)]
mod tests {
    use langopen_core::event_log::NewEvent;
    use langopen_core::ids::ThreadId;
    use uuid::Uuid;

    use super::*;
    use crate::shared_log::{Kind, encode};

    fn copy(size: usize) -> Bytes {
        let id = |millis| EventId { millis, sequence: 3 };
        let event = NewEvent { name: "values".into(), data: vec![b'1'; size].into() };
        let bytes = encode(Kind::Thread, Uuid::nil(), &[event]).unwrap();
        let (thread_id, kind, mark) = (ThreadId(Uuid::nil()), Kind::Thread, Uuid::nil());
        let (expected, before, last) = (id(5), id(5), id(6));
        encode_copy(&Proposal {
            thread_id,
            kind,
            attempt: 0,
            keep: true,
            begins: false,
            mark,
            expected,
            before,
            last,
            bytes,
        })
    }

    #[test]
    fn a_copy_decodes_only_as_a_whole() {
        let whole = copy(10);
        let record = decode_copy(whole.clone()).unwrap();
        assert_eq!((record.before.millis, record.last.millis), (5, 6));
        assert_eq!(record.events().unwrap()[0].data.len(), 10);
        assert!((0..HEAD + 30).all(|length| decode_copy(whole.slice(..length)).is_none()));
        assert!(decode_copy(copy(LARGEST)).is_none(), "a large record is fetched");
    }
}
