//! What is said on a thread: by all its runs, and of the thread itself.

use bytes::Bytes;
use futures::StreamExt;
use langopen_core::error::ErrorKind;
use langopen_core::event_log::{Event, EventId, EventStream, LogKey, NewEvent, ReadFrom, run_done};
use langopen_core::ids::{RunId, ThreadId};
use uuid::Uuid;

use super::Fixture;
use super::events::{BEGINNING, append, events, log, next, number, numbers, quiet, read, rest, rising};
use super::support::{SECOND, thread_id};

/// Another run on the thread.
fn beside(log: LogKey) -> LogKey {
    LogKey { run_id: RunId(Uuid::now_v7()), ..log }
}

async fn read_thread(backend: &Fixture, thread_id: ThreadId, from: ReadFrom) -> EventStream {
    backend.event_log().read_thread(thread_id, from).await.expect("read the thread")
}

async fn tell(backend: &Fixture, thread_id: ThreadId, number: usize) {
    backend.event_log().append_to_thread(thread_id, events([number])).await.expect("append to the thread");
}

async fn end(backend: &Fixture, log: LogKey) {
    backend.event_log().end(log).await.expect("end");
}

async fn take(stream: &mut EventStream, count: usize) -> Vec<Event> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(next(stream).await.expect("a thread's log goes on"));
    }
    taken
}

/// Whose event it is, and what it says: the number, or that the run is over.
fn said(events: &[Event]) -> Vec<(Option<RunId>, String)> {
    let text = |event: &Event| match &*event.name {
        "metadata" => "done".to_owned(),
        _ => number(event).to_string(),
    };
    events.iter().map(|event| (event.run_id, text(event))).collect()
}

fn of(log: LogKey, number: usize) -> (Option<RunId>, String) {
    (Some(log.run_id), number.to_string())
}

fn of_thread(text: &str) -> (Option<RunId>, String) {
    (None, text.to_owned())
}

/// A reader of a thread hears every run on it, the end of each, and what is said of the thread; readers of a run hear
/// that run alone.
pub async fn a_thread_is_all_its_runs(backend: &Fixture) {
    let (first, elsewhere) = (log(), log());
    let second = beside(first);
    let mut stream = read_thread(backend, first.thread_id, ReadFrom::Now).await;
    let mut other = read_thread(backend, elsewhere.thread_id, ReadFrom::Now).await;
    quiet(&mut stream).await;
    let run = read(backend, second, ReadFrom::Now).await;
    append(backend, first, true, [0, 1]).await;
    append(backend, second, false, [2]).await;
    append(backend, first, true, [3]).await;
    tell(backend, first.thread_id, 4).await;
    end(backend, first).await;
    append(backend, second, false, [5]).await;
    end(backend, second).await;
    let all = take(&mut stream, 8).await;
    rising(&all);
    let expected = [
        of(first, 0),
        of(first, 1),
        of(second, 2),
        of(first, 3),
        of_thread("4"),
        of_thread("done"),
        of(second, 5),
        of_thread("done"),
    ];
    assert_eq!(said(&all), expected);
    assert_eq!(all[5].data, run_done(first.run_id).data);
    assert_eq!(all[7].data, run_done(second.run_id).data);
    assert_eq!(numbers(&rest(run).await), [2, 5]);
    assert_eq!(numbers(&rest(read(backend, first, BEGINNING).await).await), [0, 1, 3]);
    quiet(&mut stream).await;
    quiet(&mut other).await;
    for log in [first, beside(first)] {
        end(backend, log).await;
    }
    let silent = take(&mut stream, 1).await;
    assert_ne!(
        silent[0].data,
        run_done(first.run_id).data,
        "the end of a kept log is told once; a run that said nothing ends too"
    );
}

/// A reader who comes back gets what is kept after the last event it saw, and then all that comes.
pub async fn a_thread_replays_and_goes_on(backend: &Fixture) {
    let first = log();
    let thread_id = first.thread_id;
    let (silent, second) = (beside(first), beside(first));
    let mut live = read_thread(backend, thread_id, ReadFrom::Now).await;
    append(backend, first, true, 0..100).await;
    end(backend, first).await;
    tell(backend, thread_id, 100).await;
    append(backend, silent, false, [1000]).await;
    end(backend, silent).await;
    append(backend, second, true, 101..150).await;
    let all = take(&mut live, 153).await;
    rising(&all);
    let is_kept = |event: &&Event| event.run_id != Some(silent.run_id) && event.data != run_done(silent.run_id).data;
    let kept: Vec<_> = all.iter().filter(is_kept).cloned().collect();
    assert_eq!(kept.len(), 151);
    for (seen, place) in
        [(EventId::ZERO, 0), (kept[0].id, 1), (kept[70].id, 71), (kept[100].id, 101), (kept[150].id, 151)]
    {
        let mut again = read_thread(backend, thread_id, ReadFrom::After(seen)).await;
        assert_eq!(take(&mut again, 151 - place).await, kept[place..], "after {seen}");
        quiet(&mut again).await;
    }
    // Also after an event that was not kept.
    let mut again = read_thread(backend, thread_id, ReadFrom::After(all[102].id)).await;
    let third = beside(first);
    append(backend, third, false, [200]).await;
    append(backend, second, true, [201]).await;
    end(backend, second).await;
    let rest = take(&mut again, 52).await;
    assert_eq!(rest[..49], kept[102..]);
    assert_eq!(said(&rest[49..]), [of(third, 200), of(second, 201), of_thread("done")]);
    assert_eq!(take(&mut live, 3).await, rest[49..], "who stayed and who came back see the same");
}

/// Ids rise from one run of a thread to the next within a millisecond, also if nothing was kept and nobody read in
/// between.
pub async fn ids_rise_from_run_to_run(backend: &Fixture) {
    let first = log();
    let mut seen = Vec::new();
    for (round, resumable) in [false, true, false, false, true].into_iter().enumerate() {
        let log = beside(first);
        let reader = read(backend, log, ReadFrom::Now).await;
        append(backend, log, resumable, [round * 2, round * 2 + 1]).await;
        end(backend, log).await;
        seen.extend(rest(reader).await);
    }
    rising(&seen);
    assert_eq!(numbers(&seen), (0..10).collect::<Vec<_>>());
    let mut kept = read_thread(backend, first.thread_id, ReadFrom::After(seen[1].id)).await;
    let kept = take(&mut kept, 6).await;
    assert_eq!(kept.iter().filter(|event| event.run_id.is_some()).map(number).collect::<Vec<_>>(), [2, 3, 8, 9]);
}

/// While several runs of a thread append, kept and not, readers that come and go at any moment miss nothing that they
/// could have and see nothing twice.
pub async fn concurrent_readers_of_a_thread_miss_and_repeat_nothing(backend: &Fixture) {
    const EACH: usize = 120;
    let first = log();
    let thread_id = first.thread_id;
    let whole = read_thread(backend, thread_id, ReadFrom::Now).await;
    let runs: Vec<_> = (0..4).map(|_| beside(first)).collect();
    let appending = runs.iter().copied().enumerate().map(|(writer, log)| {
        let events_of = backend.event_log().clone();
        tokio::spawn(async move {
            for n in (0..EACH).step_by(3) {
                let base = writer * 1000 + n;
                events_of.append(log, 1, writer % 2 == 0, events(base..base + 3)).await.expect("append");
                if n % 30 == 0 {
                    events_of.append_to_thread(thread_id, events([9000 + writer * 100 + n])).await.expect("append");
                }
                tokio::task::yield_now().await;
            }
            events_of.end(log).await.expect("end");
        })
    });
    let appending: Vec<_> = appending.collect();
    let reading: Vec<_> = (0..16)
        .map(|reader: usize| {
            let events_of = backend.event_log().clone();
            tokio::spawn(async move {
                for _ in 0..reader * 4 {
                    tokio::task::yield_now().await;
                }
                let mut stream = events_of.read_thread(thread_id, BEGINNING).await.expect("read");
                let mut seen: Vec<Event> = Vec::new();
                // Most go away again and again, and come back.
                for _ in 0..reader % 4 {
                    for _ in 0..reader * 3 {
                        seen.extend(next(&mut stream).await);
                    }
                    drop(stream);
                    let from = seen.last().map_or(BEGINNING, |event| ReadFrom::After(event.id));
                    stream = events_of.read_thread(thread_id, from).await.expect("read");
                }
                (reader.is_multiple_of(4), seen, stream)
            })
        })
        .collect();
    for task in appending {
        task.await.expect("an appending task");
    }
    let mut readers = vec![(true, Vec::new(), whole)];
    for task in reading {
        readers.push(task.await.expect("a reading task"));
    }
    backend.event_log().append_to_thread(thread_id, events([99_999])).await.expect("append");
    let mut first_seen: Option<Vec<Event>> = None;
    for (stayed, mut seen, mut stream) in readers {
        while seen.last().is_none_or(|event| &*event.name == "metadata" || number(event) != 99_999) {
            seen.extend(next(&mut stream).await);
        }
        rising(&seen);
        let whole = first_seen.get_or_insert_with(|| seen.clone());
        for (writer, log) in runs.iter().enumerate() {
            let own: Vec<_> = seen.iter().filter(|event| event.run_id == Some(log.run_id)).map(number).collect();
            let all: Vec<_> = (writer * 1000..writer * 1000 + EACH).collect();
            match writer % 2 {
                0 => assert_eq!(own, all, "what is kept comes whole and in order"),
                _ if stayed => assert!(all.ends_with(&own), "from when it came, everything comes: {own:?}"),
                _ => assert!(own.iter().all(|n| all.contains(n))),
            }
        }
        let same = seen.iter().all(|event| whole.contains(event));
        assert!(same, "an event has the same place for every reader");
        let of_thread =
            |events: &[Event]| events.iter().filter(|event| &*event.name == "values" && event.run_id.is_none()).count();
        assert_eq!(of_thread(&seen), of_thread(whole), "what is said of the thread is kept");
    }
    let whole = first_seen.expect("there are readers");
    assert_eq!(whole.len(), 4 * EACH + 4 * 4 + 4 + 1, "the reader who came first heard everything");
}

/// A reader of a thread that falls too far behind is told and dropped; runs and other readers go on.
pub async fn a_slow_reader_of_a_thread_is_told(backend: &Fixture) {
    let log = log();
    let slow = read_thread(backend, log.thread_id, ReadFrom::Now).await;
    let mut quick = read_thread(backend, log.thread_id, ReadFrom::Now).await;
    let big = Bytes::from(vec![b'1'; 4 * 1024 * 1024]);
    for _ in 0..20 {
        let event = NewEvent { name: "values".into(), data: big.clone() };
        backend.event_log().append(log, 1, false, vec![event]).await.expect("append");
        assert_eq!(next(&mut quick).await.map(|event| event.data.len()), Some(big.len()));
    }
    let items: Vec<_> = slow.collect().await;
    let (last, before) = items.split_last().expect("the slow reader got something");
    assert!(before.iter().all(Result::is_ok) && before.len() < 20, "{} events came before", before.len());
    assert_eq!(
        last.as_ref().map_err(langopen_core::Error::kind).err(),
        Some(ErrorKind::Unavailable),
        "it is told at the end"
    );
}

/// Removing a thread ends every reader of it and of its runs, and leaves nothing to read; a thread of the same id
/// begins anew.
pub async fn a_removed_thread_ends_its_readers(backend: &Fixture) {
    let (kept, plain, other) = (log(), log(), log());
    let plain = LogKey { thread_id: kept.thread_id, ..plain };
    append(backend, kept, true, [0]).await;
    append(backend, plain, false, [1]).await;
    append(backend, other, true, [2]).await;
    let readers = [
        read_thread(backend, kept.thread_id, ReadFrom::Now).await,
        read(backend, kept, ReadFrom::Now).await,
        read(backend, plain, ReadFrom::Now).await,
    ];
    let mut spared = read_thread(backend, other.thread_id, BEGINNING).await;
    tell(backend, kept.thread_id, 3).await;
    backend.event_log().remove_threads(&[kept.thread_id, thread_id()]).await.expect("remove");
    let mut lengths = Vec::new();
    for reader in readers {
        lengths.push(rest(reader).await.len());
    }
    assert_eq!(lengths, [1, 0, 0], "what is left, and then the end");
    assert_eq!(take(&mut spared, 1).await.len(), 1);
    quiet(&mut spared).await;
    let mut anew = read_thread(backend, kept.thread_id, BEGINNING).await;
    quiet(&mut anew).await;
    append(backend, beside(kept), true, [4]).await;
    assert_eq!(numbers(&take(&mut anew, 1).await), [4]);
}

/// What is kept of a thread is kept for the retention, and is then swept; what is in flight stays.
pub async fn a_thread_is_kept_for_a_while(backend: &Fixture) {
    let ended = log();
    let open = beside(ended);
    append(backend, ended, true, 0..3).await;
    append(backend, open, true, [3]).await;
    tell(backend, ended.thread_id, 4).await;
    append(backend, ended, true, [5]).await;
    end(backend, ended).await;
    let kept = async || {
        let mut stream = read_thread(backend, ended.thread_id, BEGINNING).await;
        tell(backend, ended.thread_id, 99).await;
        let mut count = 0;
        while &*next(&mut stream).await.map_or_else(|| "".into(), |event| event.data) != b"99" {
            count += 1;
        }
        count
    };
    assert_eq!(kept().await, 7, "three, one, one of the thread, one, and the end of the run");
    backend.clock.advance(backend.retention() + SECOND);
    assert_eq!(backend.event_log().sweep().await.expect("sweep"), 1, "one run's log");
    assert_eq!(kept().await, 1, "the run that is in flight");
    assert_eq!(backend.event_log().sweep().await.expect("sweep"), 0);
}
