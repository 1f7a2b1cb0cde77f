//! What runs said.

use bytes::Bytes;
use futures::StreamExt;
use langopen_core::clock::Timestamp;
use langopen_core::error::ErrorKind;
use langopen_core::event_log::{EventId, NewEvent, ReadFrom};

use super::Fixture;
use super::events::{BEGINNING, append, events, log, next, number, numbers, quiet, read, rest, rising};
use super::support::{SECOND, refused};

/// Ids carry the time, and rise within a millisecond and when the clock goes back.
pub async fn ids_rise_whatever_the_clock_does(backend: &Fixture) {
    for resumable in [true, false] {
        backend.clock.advance(SECOND * 10);
        let log = log();
        let mut stream = read(backend, log, BEGINNING).await;
        let began = backend.now();
        append(backend, log, resumable, [0, 1]).await;
        append(backend, log, resumable, [2]).await;
        backend.clock.advance(SECOND);
        append(backend, log, resumable, [3]).await;
        backend.clock.set(Timestamp::from_micros(began.as_micros() - 5_000_000));
        append(backend, log, resumable, [4, 5]).await;
        backend.clock.set(began);
        let mut all = Vec::new();
        for _ in 0..6 {
            all.push(next(&mut stream).await.expect("six events"));
        }
        rising(&all);
        assert_eq!(numbers(&all), [0, 1, 2, 3, 4, 5]);
        assert_eq!(all[0].id.millis, u64::try_from(began.as_millis()).expect("a time after 1970"));
        assert_eq!(all[3].id.millis, all[0].id.millis + 1000);
        assert_eq!((&*all[0].name, &all[0].data), ("values", &Bytes::from_static(b"0")));
        backend.event_log().end(log).await.expect("end");
    }
}

/// Once an attempt has said something, the earlier ones of its run are refused, and nothing of theirs is heard.
pub async fn a_later_attempt_silences_the_earlier(backend: &Fixture) {
    for resumable in [true, false] {
        let log = log();
        let stream = read(backend, log, BEGINNING).await;
        let append = async |attempt, n| backend.event_log().append(log, attempt, resumable, events([n])).await;
        append(1, 0).await.expect("the first attempt");
        append(1, 1).await.expect("the first attempt goes on");
        append(3, 2).await.expect("a later attempt");
        refused(append(1, 9).await, ErrorKind::LeaseLost, "the first attempt is over");
        refused(append(2, 9).await, ErrorKind::LeaseLost, "the second attempt is over");
        append(3, 3).await.expect("the later attempt goes on");
        backend.event_log().end(log).await.expect("end");
        assert_eq!(numbers(&rest(stream).await), [0, 1, 2, 3]);
    }
}

/// A reader of a resumable run gets what is kept after its place, and then what comes; each reader all of it.
pub async fn a_reader_replays_and_goes_on(backend: &Fixture) {
    let log = log();
    append(backend, log, true, 0..200).await;
    let mut early = read(backend, log, BEGINNING).await;
    let mut seen = Vec::new();
    for _ in 0..100 {
        seen.push(next(&mut early).await.expect("a kept event"));
    }
    let after = seen[99].id;
    append(backend, log, true, 200..210).await;
    let late = read(backend, log, ReadFrom::After(after)).await;
    let future = read(backend, log, ReadFrom::After(EventId { millis: after.millis, sequence: 204 })).await;
    append(backend, log, true, 210..220).await;
    append(backend, log, true, []).await;
    backend.event_log().end(log).await.expect("end");
    seen.extend(rest(early).await);
    rising(&seen);
    assert_eq!(numbers(&seen), (0..220).collect::<Vec<_>>(), "from the beginning to the end");
    assert_eq!(numbers(&rest(late).await), (100..220).collect::<Vec<_>>(), "after the last one that was seen");
    assert_eq!(numbers(&rest(future).await), (205..220).collect::<Vec<_>>(), "after an id of its own choice");
}

/// `Now` begins with the next event, even if others are kept.
pub async fn now_means_the_next_event(backend: &Fixture) {
    for resumable in [true, false] {
        let log = log();
        append(backend, log, resumable, 0..3).await;
        let mut stream = read(backend, log, ReadFrom::Now).await;
        quiet(&mut stream).await;
        append(backend, log, resumable, 3..5).await;
        backend.event_log().end(log).await.expect("end");
        assert_eq!(numbers(&rest(stream).await), [3, 4]);
    }
}

/// A run that is not resumable keeps nothing: readers get what comes while they read.
pub async fn a_log_that_is_not_resumable_keeps_nothing(backend: &Fixture) {
    let log = log();
    append(backend, log, false, 0..3).await;
    let stream = read(backend, log, BEGINNING).await;
    drop(read(backend, log, BEGINNING).await);
    append(backend, log, false, 3..6).await;
    backend.event_log().end(log).await.expect("end");
    assert_eq!(numbers(&rest(stream).await), [3, 4, 5]);
}

/// The end of a log ends every reader after what is left for it, also one that waited for the first event.
pub async fn an_end_ends_every_reader(backend: &Fixture) {
    for resumable in [true, false] {
        let log = log();
        let mut first = read(backend, log, BEGINNING).await;
        let second = read(backend, log, ReadFrom::Now).await;
        quiet(&mut first).await;
        append(backend, log, resumable, 0..3).await;
        for _ in 0..2 {
            backend.event_log().end(log).await.expect("end, twice too");
        }
        for stream in [first, second] {
            assert_eq!(numbers(&rest(stream).await), [0, 1, 2], "what is left, and then the end");
        }
    }
    let silent = log();
    let stream = read(backend, silent, BEGINNING).await;
    backend.event_log().end(silent).await.expect("end");
    assert_eq!(rest(stream).await, [], "a run that said nothing");
    backend.event_log().end(log()).await.expect("ending a log that never began");
}

/// Readers that come at any moment, while several append, miss nothing and get nothing twice, all in one order.
pub async fn concurrent_readers_miss_and_repeat_nothing(backend: &Fixture) {
    let log = log();
    let appending = (0..4).map(|writer| {
        let events_of = backend.event_log().clone();
        tokio::spawn(async move {
            for n in 0..50 {
                let base = writer * 1000 + n * 3;
                events_of.append(log, 1, true, events(base..base + 3)).await.expect("append");
                tokio::task::yield_now().await;
            }
        })
    });
    let appending: Vec<_> = appending.collect();
    let reading = (0..20).map(|reader: u64| {
        let events_of = backend.event_log().clone();
        tokio::spawn(async move {
            for _ in 0..reader * 5 {
                tokio::task::yield_now().await;
            }
            let stream = events_of.read(log, BEGINNING).await.expect("read");
            // Half of the readers go away in the middle and come back.
            if reader.is_multiple_of(2) {
                return rest(stream).await;
            }
            let mut stream = stream;
            let mut seen = Vec::new();
            for _ in 0..reader * 7 {
                seen.extend(next(&mut stream).await);
            }
            drop(stream);
            let from = seen.last().map_or(BEGINNING, |event| ReadFrom::After(event.id));
            seen.extend(rest(events_of.read(log, from).await.expect("read")).await);
            seen
        })
    });
    let reading: Vec<_> = reading.collect();
    for task in appending {
        task.await.expect("an appending task");
    }
    backend.event_log().end(log).await.expect("end");
    let mut orders = Vec::new();
    for task in reading {
        let seen = task.await.expect("a reading task");
        rising(&seen);
        orders.push(numbers(&seen));
    }
    let mut sorted = orders[0].clone();
    sorted.sort_unstable();
    let expected: Vec<_> = (0..4).flat_map(|writer| (0..150).map(move |n| writer * 1000 + n)).collect();
    assert_eq!(sorted, expected, "everything, once");
    assert!(orders.iter().all(|order| *order == orders[0]), "every reader sees the same order");
    for writer in 0..4 {
        let own: Vec<_> = orders[0].iter().filter(|n| **n / 1000 == writer).collect();
        assert!(own.is_sorted(), "what one writer appended stays in its order");
    }
}

/// A reader that falls too far behind is told and dropped; the run and the other readers go on.
pub async fn a_slow_reader_is_told(backend: &Fixture) {
    let log = log();
    let slow = read(backend, log, ReadFrom::Now).await;
    let mut quick = read(backend, log, ReadFrom::Now).await;
    let big = Bytes::from(vec![b'1'; 4 * 1024 * 1024]);
    for _ in 0..20 {
        let event = NewEvent { name: "values".into(), data: big.clone() };
        backend.event_log().append(log, 1, false, vec![event]).await.expect("append");
        assert_eq!(next(&mut quick).await.map(|event| event.data.len()), Some(big.len()));
    }
    backend.event_log().end(log).await.expect("end");
    assert_eq!(next(&mut quick).await, None, "a quick reader gets everything");
    let items: Vec<_> = slow.collect().await;
    let (last, before) = items.split_last().expect("the slow reader got something");
    assert!(before.iter().all(Result::is_ok) && before.len() < 20, "{} events came before", before.len());
    assert_eq!(
        last.as_ref().map_err(langopen_core::Error::kind).err(),
        Some(ErrorKind::Unavailable),
        "it is told, and that is its end"
    );
}

/// What a resumable run said can be read after its end until the retention is over, and is then swept.
pub async fn ended_logs_are_kept_for_a_while(backend: &Fixture) {
    let (ended, open, plain) = (log(), log(), log());
    append(backend, ended, true, 0..5).await;
    append(backend, open, true, 0..2).await;
    append(backend, plain, false, 0..2).await;
    backend.event_log().end(ended).await.expect("end");
    backend.event_log().end(plain).await.expect("end");
    let all = rest(read(backend, ended, BEGINNING).await).await;
    assert_eq!(numbers(&all), [0, 1, 2, 3, 4], "a late reader gets everything, and the end");
    assert_eq!(numbers(&rest(read(backend, ended, ReadFrom::After(all[2].id)).await).await), [3, 4]);
    assert_eq!(rest(read(backend, ended, ReadFrom::Now).await).await, [], "nothing will come any more");
    backend.clock.advance(backend.retention() - SECOND);
    assert_eq!(backend.event_log().sweep().await.expect("sweep"), 0, "it is kept for its time");
    assert_eq!(rest(read(backend, ended, BEGINNING).await).await.len(), 5);
    backend.clock.advance(SECOND);
    assert_eq!(backend.event_log().sweep().await.expect("sweep"), 1, "the ended one alone");
    assert_eq!(backend.event_log().sweep().await.expect("sweep"), 0);
    let mut gone = read(backend, ended, BEGINNING).await;
    quiet(&mut gone).await;
    let mut still = read(backend, open, BEGINNING).await;
    assert_eq!(next(&mut still).await.map(|event| number(&event)), Some(0), "an open log is not swept");
}
