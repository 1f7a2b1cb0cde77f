//! Backends on a volume that is full and later has space again.

use std::path::Path;
use std::process::Command;

use langopen_backends::sqlite::Sqlite;
use langopen_core::model::{IfExists, NewStoreItem, NewThread};
use langopen_core::storage::{Health, StoreItems, Threads};
use langopen_core::{ErrorKind, JsonMap, RawJson, Scope, ThreadId};
use uuid::Uuid;

/// A small in-memory filesystem. Only root may mount it.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "none"]).arg(folder.path()).output();
        mount.is_ok_and(|done| done.status.success()).then(|| Self(folder))
    }

    /// Takes all the remaining space.
    fn fill(&self) {
        for size in [1 << 20, 1 << 12] {
            let mut number = 0;
            while std::fs::write(self.0.path().join(format!("filler-{size}-{number}")), vec![1; size]).is_ok() {
                number += 1;
            }
        }
    }

    fn free(&self) {
        for entry in std::fs::read_dir(self.0.path()).expect("the folder").flatten() {
            if entry.file_name().to_string_lossy().starts_with("filler") {
                std::fs::remove_file(entry.path()).expect("remove a file");
            }
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

async fn new_thread(db: &Sqlite) -> langopen_core::Result<ThreadId> {
    let new = NewThread { thread_id: ThreadId(Uuid::now_v7()), metadata: JsonMap::new(), ttl: None };
    db.create_thread(&Scope::default(), new, IfExists::Raise).await.map(|thread| thread.thread_id)
}

async fn put(db: &Sqlite, size: usize) -> langopen_core::Result<()> {
    let value = RawJson::from(serde_json::json!({ "text": "x".repeat(size) }));
    let new = NewStoreItem {
        namespace: vec!["a".to_owned()],
        key: Uuid::new_v4().to_string(),
        value,
        ttl_minutes: None,
        vectors: Vec::new(),
        lease: None,
    };
    db.put_item(&Scope::default(), new).await
}

async fn open(path: &Path) -> Sqlite {
    Sqlite::open(path, Default::default()).await.expect("a database")
}

/// While the disk is full, writes and health checks fail, and reads succeed. After space is free again, everything that
/// failed before works: single writes, writes that share a transaction, and opening a connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_works_again_when_there_is_space() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: only root can mount a small disk");
        return;
    };
    let db = open(&disk.0.path().join("langopen.db")).await;
    let kept = new_thread(&db).await.unwrap();
    db.check_health().await.unwrap();
    for round in 0..3 {
        disk.fill();
        let mut refused = 0;
        for _ in 0..20 {
            let writes = futures::future::join_all((0..4).map(|_| put(&db, 20_000))).await;
            for write in writes {
                refused += usize::from(write.is_err_and(|error| error.kind() == ErrorKind::Unavailable));
            }
            if let Err(error) = put(&db, 20_000).await {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            }
        }
        assert!(refused > 0, "round {round}: the disk is full");
        // A smaller write could fit into existing pages.
        let large = put(&db, 200_000).await.expect_err("no space for this");
        assert_eq!(large.kind(), ErrorKind::Unavailable, "{large}");
        assert!(db.thread(&Scope::default(), kept).await.unwrap().is_some(), "reads succeed");
        disk.free();
        new_thread(&db).await.expect("there is space again");
        futures::future::try_join_all((0..4).map(|_| put(&db, 1000))).await.expect("there is space again");
        db.check_health().await.expect("there is space again");
    }
    db.close().await;
}
