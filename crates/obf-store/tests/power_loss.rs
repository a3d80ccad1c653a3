//! Power loss at random moments under load (issue sentence 9): what was acknowledged before it is on the disk, and no
//! SQN is handed out twice. The disk drops every write that no fsync has followed, or keeps an arbitrary part of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use obf_store::{
    Options,
    fault::{PowerLossVfs, Unsynced},
    resource::*,
    rusqlite::{Connection, OpenFlags},
};
use obf_types::{GlobalIdentity, HomeNetwork, IdentityKind, UnixTime};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

const NOW: UnixTime = UnixTime(1_800_000_000);
const DEVICES: u64 = 40;
const ALL: WithRights = WithRights { limit: 10 };

fn imsi(number: u64) -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, &format!("{number:015}")).unwrap()
}

fn device(number: u64) -> NewDevice {
    NewDevice {
        identities: vec![imsi(number)],
        home_network: HomeNetwork::TwoDigitMnc,
        key: Some(KeyEnvelope { algorithm: AkaAlgorithm::Milenage, wrapped: vec![0x57; 80] }),
        amf: [0, 0],
        sqn: 0,
        state: State::Active,
        minimum_algorithm: 1,
        kyc_expiry: None,
        custodian: None,
    }
}

fn change() -> Change {
    Change { actor: "tester".into(), reason: "".into(), addressees: ["as#0".to_owned()].into(), at: NOW }
}

fn key_use() -> KeyUse {
    KeyUse { actor: "as#0".into(), at: NOW }
}

/// The highest SQN and epoch that were acknowledged, by device.
type Acknowledged = Arc<Mutex<HashMap<u64, (u64, u64)>>>;

fn raise(acknowledged: &Acknowledged, number: u64, sqn: u64, epoch: u64) {
    let mut all = acknowledged.lock().unwrap();
    let known = all.entry(number).or_default();
    *known = (known.0.max(sqn), known.1.max(epoch));
}

async fn load(
    db: ResourceDb,
    lane: u64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    acknowledged: Acknowledged,
) {
    let mut step = lane;
    while !stop.load(Ordering::Relaxed) {
        let number = step % DEVICES;
        if step.is_multiple_of(7) {
            let id = db.find_devices(None, imsi(number).value()).await.unwrap()[0].id;
            let Outcome::Done(epoch) = db.end_tokens(id, None, change()).await.unwrap() else { panic!() };
            raise(&acknowledged, number, 0, epoch.0);
        } else {
            let taken = db
                .take_sqn(imsi(number), (lane % 32) as u8, ALL, key_use(), |_| Ok(()))
                .await
                .unwrap()
                .unwrap();
            raise(&acknowledged, number, taken.device.sqn, 0);
        }
        step += 13;
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// The database in this directory has everything that was acknowledged, and goes on above it.
async fn check(directory: &Path, acknowledged: &HashMap<u64, (u64, u64)>) {
    let db = ResourceDb::open(&Options::new(directory.join("rs.db"))).unwrap();
    let mut disconnects = 0;
    for (number, (sqn, epoch)) in acknowledged {
        let device = &db.find_devices(None, imsi(*number).value()).await.unwrap()[0];
        assert!(device.sqn >= *sqn, "device {number}: SQN {} after {sqn} was acknowledged", device.sqn);
        assert!(device.epoch.0 >= *epoch, "device {number}: epoch {} after {epoch}", device.epoch.0);
        let next =
            db.take_sqn(imsi(*number), 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap().device.sqn;
        assert!(next >> 5 > *sqn >> 5, "device {number}: {next} again");
        // Epochs begin at the time of the change that added the device.
        disconnects += epoch.saturating_sub(change().at.0) as usize;
    }
    // A revocation's notice is in the same transaction: none is lost with the power.
    let waiting = db.waiting_notices("as#0", 0, u32::MAX).await.unwrap();
    assert!(waiting.len() >= disconnects, "{} notices for {disconnects} revocations", waiting.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_survives_a_power_loss_under_load() {
    let vfs = PowerLossVfs::register("power-loss").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path().join("rs.db")).vfs(&vfs);
    // Two openers, as two processes of one Resource Server.
    let nodes = [ResourceDb::open(&options).unwrap(), ResourceDb::open(&options).unwrap()];
    nodes[0].add_devices((0..DEVICES).map(device).collect(), change()).await.unwrap();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let acknowledged = Acknowledged::default();
    let lanes: Vec<_> = (0..16u64)
        .map(|lane| {
            let db = nodes[lane as usize % 2].clone();
            tokio::spawn(load(db, lane, stop.clone(), done.clone(), acknowledged.clone()))
        })
        .collect();
    // Each power loss some more work later: moments spread over whole commits and checkpoints.
    let mut moment = 0;
    for round in 0..24u64 {
        moment += 37 + round * 11 % 101;
        while done.load(Ordering::Relaxed) < moment {
            tokio::task::yield_now().await;
        }
        let before = acknowledged.lock().unwrap().clone();
        let after = tempfile::tempdir().unwrap();
        let unsynced =
            if round % 2 == 0 { Unsynced::Lost } else { Unsynced::SomeKept { seed: round * 0x9E37_79B9 } };
        vfs.after_power_loss(after.path(), unsynced).unwrap();
        check(after.path(), &before).await;
        moment = moment.max(done.load(Ordering::Relaxed));
    }
    stop.store(true, Ordering::Relaxed);
    for lane in lanes {
        lane.await.unwrap();
    }
    let commits: u64 = nodes.iter().map(|db| db.statistics().commits).sum();
    assert!(commits > 100, "{commits} commits: too little load to mean anything");
}

/// The test above can fail: without the fsync at commit, this disk forgets the commit.
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
