//! Power loss at random moments under load (issue sentence 9). The disk drops every write that no fsync has followed, or
//! keeps an arbitrary part of them; what was acknowledged before is there again all the same.

mod authentication_server;
mod resource_server;

use obf_store::{
    fault::{PowerLossVfs, Unsynced},
    rusqlite::{Connection, OpenFlags},
};
use obf_types::{GlobalIdentity, IdentityKind, UnixTime};
use std::{
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

const NOW: UnixTime = UnixTime(1_800_000_000);
/// Tasks that each do one thing after the other.
const LANES: u64 = 16;

fn imsi(number: u64) -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, &format!("{number:015}")).unwrap()
}

/// How far the load is, and how far it may go.
#[derive(Default)]
struct Load {
    done: AtomicU64,
    allowed: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    /// Whether a lane goes on; waits until more may be done.
    async fn goes_on(&self) -> bool {
        // What is there must be looked through at every power loss: without this, more comes than can be.
        while self.done.load(Ordering::Relaxed) >= self.allowed.load(Ordering::Relaxed) && !self.stopped() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        !self.stopped()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A lane has done one thing, and was told so.
    fn did(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

/// So many power losses, each some more work later: moments spread over whole commits and checkpoints. `check` is given
/// what the disk had then, what was acknowledged just before and what just after. The load ends with the last.
async fn lose_power<A: Clone>(
    vfs: &PowerLossVfs,
    losses: u64,
    load: &Load,
    acknowledged: &Mutex<A>,
    check: impl AsyncFn(&Path, A, A),
) {
    let mut moment = 0;
    for round in 0..losses {
        moment += 37 + round * 11 % 101;
        load.allowed.store(moment + 100, Ordering::Relaxed);
        while load.done.load(Ordering::Relaxed) < moment {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.lock().unwrap().clone();
        let directory = tempfile::tempdir().unwrap();
        let unsynced =
            if round % 2 == 0 { Unsynced::Lost } else { Unsynced::SomeKept { seed: round * 0x9E37_79B9 } };
        vfs.after_power_loss(directory.path(), unsynced).unwrap();
        let after = acknowledged.lock().unwrap().clone();
        check(directory.path(), before, after).await;
        moment = moment.max(load.done.load(Ordering::Relaxed));
    }
    load.stop.store(true, Ordering::Relaxed);
}

/// The tests can fail: without the fsync at commit, this disk forgets the commit.
#[test]
fn the_disk_does_forget_what_was_not_synced() {
    let vfs = PowerLossVfs::register("forgetful").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection =
        Connection::open_with_flags_and_vfs(dir.path().join("rs.db"), flags, vfs.name()).unwrap();
    let left = |connection: &Connection, value: u32| {
        connection.execute("INSERT INTO t VALUES (?1)", [value]).unwrap();
        let after = tempfile::tempdir().unwrap();
        vfs.after_power_loss(after.path(), Unsynced::Lost).unwrap();
        let left = Connection::open(after.path().join("rs.db")).unwrap();
        left.query_row("SELECT count(*) FROM t WHERE v = ?1", [value], |row| row.get::<_, u32>(0)).unwrap()
    };
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection.execute_batch("CREATE TABLE t (v)").unwrap();
    assert_eq!(left(&connection, 1), 1);
    connection.pragma_update(None, "synchronous", "off").unwrap();
    assert_eq!(left(&connection, 2), 0);
}
