//! Key management on a real store: data keys, rotation while serving, and what becomes of a node whose HSM is gone.

use crate::common::{Site, record};
use obf_kms::{Envelope, Kek, Kms, LocalKek, Settings, rotation::State};
use obf_net::{Clock, Stopper, SystemClock};
use obf_resource::registry::{DeviceRecord, Registry};
use obf_store::{
    Options,
    resource::{Change, KeyEnvelope, ResourceDb},
};
use obf_types::{MncLength, Secret, UnixTime};
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

const WITHIN: Duration = Duration::from_secs(180);

/// Records registered at once.
const BATCH: usize = 250;

fn kek(octet: u8) -> Arc<dyn Kek> {
    Arc::new(LocalKek::new(&Secret::new([octet; 32])))
}

fn settings() -> Settings {
    Settings { lease: Duration::from_secs(60), records_per_key: 700 }
}

fn database(path: &Path) -> ResourceDb {
    ResourceDb::open(&Options::new(path)).unwrap()
}

async fn kms(store: &ResourceDb, keks: Vec<Arc<dyn Kek>>) -> Kms {
    Kms::open(store.clone(), Arc::new(SystemClock), keks, settings()).await.unwrap()
}

fn change() -> Change {
    Change { actor: "test".into(), reason: "".into(), addressees: Arc::new([]), at: SystemClock.now() }
}

fn imsi(number: usize) -> String {
    format!("{:015}", 1_010_000_000_000 + number)
}

/// A subscriber of that number; each has another key.
fn device(number: usize) -> DeviceRecord {
    let mut line = record(&imsi(number));
    line["k"] = format!("{:032x}", 0x1111_2222_3333_4444_u128 + number as u128).into();
    DeviceRecord::parse(line.to_string().as_bytes(), MncLength::Two).unwrap()
}

async fn register(store: &ResourceDb, kms: &Kms, numbers: std::ops::Range<usize>) {
    let registry = Registry::new(store.clone(), kms.clone(), Arc::new([]));
    for first in numbers.clone().step_by(BATCH) {
        let records = (first..numbers.end.min(first + BATCH)).map(device).collect();
        for outcome in registry.register(records, SystemClock.now()).await.unwrap() {
            outcome.unwrap();
        }
    }
}

async fn assert_usable(store: &ResourceDb, kms: &Kms, numbers: impl Iterator<Item = usize>) {
    let registry = Registry::new(store.clone(), kms.clone(), Arc::new([]));
    for number in numbers {
        let found = registry.device(&imsi(number)).await.unwrap();
        let KeyEnvelope { algorithm, wrapped } = found.credentials[0].envelope().unwrap();
        let kept = Envelope { primary: found.primary().unwrap(), algorithm: *algorithm, octets: wrapped };
        assert!(kms.is_key_of(device(number).source.key().unwrap(), kept).await.unwrap(), "{number}");
    }
}

async fn rotate(kms: &Kms, full: bool) {
    kms.rotate(full, change()).await.unwrap();
    let stopper = Stopper::new();
    let running = stopper.running();
    running.spawn(kms.clone().run(running.clone()));
    drop(running);
    until_done(kms).await;
    stopper.stop(Duration::from_secs(5)).await;
}

async fn until_done(kms: &Kms) {
    let started = Instant::now();
    while kms.rotation().await.unwrap().unwrap().state != State::Done {
        assert!(started.elapsed() < WITHIN, "{:?}", kms.rotation().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_a_changed_kek_wraps_data_keys_anew_and_a_full_rotation_every_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = database(&dir.path().join("rs.db"));
    let first = kms(&store, vec![kek(1)]).await;
    register(&store, &first, 0..2000).await;
    let before = first.status().await.unwrap();
    assert_eq!(before.data_keys.len(), 4, "whole batches, one for 700 records at most");
    assert_eq!(before.data_keys.iter().map(|key| key.records).sum::<u64>(), 2000);

    // The KEK is changed: the old one is needed until the data keys are under the new one.
    let error = Kms::open(store.clone(), Arc::new(SystemClock), vec![kek(2)], settings()).await.unwrap_err();
    assert!(error.to_string().contains("[[resource.kms.former]]"), "{error}");
    let second = kms(&store, vec![kek(2), kek(1)]).await;
    assert_usable(&store, &second, (0..2000).step_by(97)).await;
    rotate(&second, false).await;
    let done = second.rotation().await.unwrap().unwrap();
    assert_eq!((done.data_keys_done, done.records_done), (4, 0));
    let third = kms(&store, vec![kek(2)]).await;
    assert_usable(&store, &third, (0..2000).step_by(97)).await;
    assert!(third.status().await.unwrap().data_keys.iter().all(|key| key.kek == kek(2).name()));

    rotate(&third, true).await;
    let done = third.rotation().await.unwrap().unwrap();
    assert_eq!((done.records_total, done.records_done, done.full), (2000, 2000, true));
    assert_usable(&store, &third, 0..2000).await;
    let after = third.status().await.unwrap();
    let old: Vec<u32> = before.data_keys.iter().map(|key| key.id).collect();
    assert!(after.data_keys.iter().all(|key| (key.records == 0) == old.contains(&key.id)), "{after:?}");
    // And once more from nothing.
    drop(third);
    assert_usable(&store, &kms(&store, vec![kek(2)]).await, (0..2000).step_by(97)).await;
}

/// Two nodes on one database: what one adds while the other rotates is neither lost nor left behind.
#[tokio::test(flavor = "multi_thread")]
async fn r8_records_added_by_another_node_during_a_rotation_are_usable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rs.db");
    let (here, there) = (database(&path), database(&path));
    let (rotating, adding) = (kms(&here, vec![kek(1)]).await, kms(&there, vec![kek(1)]).await);
    register(&here, &rotating, 0..3000).await;
    let other = {
        let (there, adding) = (there.clone(), adding.clone());
        tokio::spawn(async move { register(&there, &adding, 3000..4000).await })
    };
    rotate(&rotating, true).await;
    other.await.unwrap();
    assert_usable(&there, &adding, 0..4000).await;
    assert_usable(&here, &rotating, (0..4000).step_by(7)).await;
}

/// A clock that stands still: data keys cannot be told apart by when they were made.
#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> UnixTime {
        UnixTime(1_800_000_000)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_nothing_new_goes_under_a_data_key_that_is_being_replaced_whatever_the_clock_says() {
    for _ in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let store = database(&dir.path().join("rs.db"));
        let open =
            async || Kms::open(store.clone(), Arc::new(Stopped), vec![kek(1)], settings()).await.unwrap();
        let first = open().await;
        register(&store, &first, 0..1).await;
        let old = store.data_keys().await.unwrap()[0].id;
        first.rotate(true, change()).await.unwrap();
        // Another process starts while the rotation is under way.
        register(&store, &open().await, 1..3).await;
        assert_eq!(store.envelopes_by_data_key().await.unwrap()[&old], 1);
    }
}

/// Vectors are served while everything is wrapped anew, none refused. `OBF_TEST_RECORDS=1000000`, with a release build,
/// measures what both cost each other.
#[tokio::test(flavor = "multi_thread")]
async fn r8_vectors_are_served_while_every_record_is_wrapped_anew() {
    let records =
        std::env::var("OBF_TEST_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(10_000);
    let site = Site::new();
    let store = database(&site.path("rs.db"));
    // The KEK that the site writes.
    let own = kms(&store, vec![kek(0x4B)]).await;
    let started = Instant::now();
    register(&store, &own, 0..records).await;
    println!("{records} registered in {:?}", started.elapsed());
    let rs = site.start(site.config(None)).await;
    let addresses = [rs.endpoint("rpr")];
    let (served, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..16 {
        let (served, stop, client) =
            (served.clone(), stop.clone(), crate::common::RprUdpClient::open(&addresses).await);
        lanes.spawn(async move {
            let mut number = lane;
            while !stop.load(Relaxed) {
                client.vector(&imsi(number % records)).await.unwrap();
                served.fetch_add(1, Relaxed);
                number = (number * 31 + 17) % records;
            }
        });
    }
    let rate = async |time: Duration| {
        let (before, started) = (served.load(Relaxed), Instant::now());
        tokio::time::sleep(time).await;
        (served.load(Relaxed) - before) as f64 / started.elapsed().as_secs_f64()
    };
    let alone = rate(Duration::from_secs(if records > 100_000 { 10 } else { 1 })).await;
    let (before, started) = (served.load(Relaxed), Instant::now());
    rotate(&own, true).await;
    let took = started.elapsed();
    let beside = (served.load(Relaxed) - before) as f64 / took.as_secs_f64();
    println!("{records} wrapped anew in {took:?}; vectors a second: {alone:.0} alone, {beside:.0} beside");
    assert!(beside > 0.0);
    stop.store(true, Relaxed);
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    assert_eq!(own.rotation().await.unwrap().unwrap().records_done, records as u64);
}

const DATABASE: &str = "OBF_TEST_DATABASE";

/// `kill -9` in the middle: the next process goes on where the records say, and every key still opens.
#[tokio::test(flavor = "multi_thread")]
async fn r8_a_full_rotation_goes_on_after_kill_9() {
    const NAME: &str = "kms::r8_a_full_rotation_goes_on_after_kill_9";
    const RECORDS: usize = 20_000;
    if let Some(path) = std::env::var_os(DATABASE) {
        let store = database(Path::new(&path));
        let kms = kms(&store, vec![kek(1)]).await;
        if kms.rotation().await.unwrap().is_none() {
            kms.rotate(true, change()).await.unwrap();
        }
        let stopper = Stopper::new();
        kms.run(stopper.running()).await;
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rs.db");
    let store = database(&path);
    let own = kms(&store, vec![kek(1)]).await;
    register(&store, &own, 0..RECORDS).await;
    let old: Vec<u32> = store.data_keys().await.unwrap().iter().map(|key| key.id).collect();
    let mut reached = 0;
    for _ in 0..3 {
        let this = std::env::current_exe().unwrap();
        let mut child = Command::new(this);
        child.args(["--exact", NAME]).env(DATABASE, &path).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let started = Instant::now();
        loop {
            let done = own.rotation().await.unwrap().map_or(0, |rotation| rotation.records_done);
            if done > reached + 1500 {
                reached = done;
                break;
            }
            assert!(started.elapsed() < WITHIN);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let rotation = own.rotation().await.unwrap().unwrap();
        assert!(rotation.state == State::Running && rotation.records_done >= reached, "{rotation:?}");
    }
    let stopper = Stopper::new();
    let running = stopper.running();
    running.spawn(own.clone().run(running.clone()));
    drop(running);
    until_done(&own).await;
    let done = own.rotation().await.unwrap().unwrap();
    assert_eq!((done.records_total, done.records_done), (RECORDS as u64, RECORDS as u64));
    let counts = store.envelopes_by_data_key().await.unwrap();
    assert!(old.iter().all(|id| !counts.contains_key(id)));
    assert_usable(&store, &own, (0..RECORDS).step_by(13)).await;
    stopper.stop(Duration::from_secs(5)).await;
}
