//! Issue 4, bad input: the disk fills up while the Resource Server serves, under SQLite as under PostgreSQL (a real one: a
//! small tmpfs, filled to the last octet). What was acknowledged stays, no SQN comes twice, what is refused is refused with
//! its reason, what only reads is answered, and with room again serving goes on by itself.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{
    Admin, RprClient, Site,
    load::{DEVICES, Load, imsi},
    record,
};
use obf_rpr::Asker;
use obf_testkit::{Deployment, PostgresCluster, Sim, SmallDisk, deployment::binary};
use obf_types::{Domain, NodeNumber};
use serde_json::{Value, json};
use std::collections::HashMap;

const FULL: &str = "the disk is full";

/// Every device stands at least where it was acknowledged to be.
async fn check(admin: &mut Admin, highest: &HashMap<u64, u64>) {
    for (device, sqn) in highest {
        let shown = admin.done("GET", &format!("/v1/devices/{}", imsi(*device)), Value::Null).await;
        let now = u64::from_str_radix(shown["sqn"].as_str().unwrap(), 16).unwrap();
        assert!(now >= *sqn, "device {device}: SQN {now:#x} after {sqn:#x} was acknowledged");
    }
}

/// The first of these numbers that is refused: pages that were begun may have room for a few more.
async fn refused<T>(mut change: impl AsyncFnMut(u64) -> Option<T>) -> (u64, T) {
    for number in 1000..11_000 {
        if let Some(refusal) = change(number).await {
            return (number, refusal);
        }
    }
    panic!("the disk is full, and everything is taken");
}

fn group(number: u64) -> String {
    format!("fleet-{number}")
}

/// What an administrator is told on a full disk; the group and the device that were refused.
async fn refuses_changes_and_answers_the_rest(admin: &mut Admin) -> (u64, u64) {
    let (fleet, problem) = refused(async |number| {
        let record = json!({"group": group(number), "name": "x".repeat(60)});
        let (status, problem) = admin.json("POST", "/v1/groups", record).await;
        (status != 201).then_some((status, problem))
    })
    .await;
    let (status, problem) = problem;
    assert_eq!((status, &problem["code"]), (500, &json!("OBF-304")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(FULL) && detail.contains("nothing was changed"), "{problem}");
    let (device, error) = refused(async |number| {
        let report = admin.import(record(&imsi(number)).to_string()).await;
        report[0]["error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(error.contains(FULL), "{error}");
    admin.done("GET", "/v1/devices", Value::Null).await;
    for path in [format!("/v1/groups/{}", group(fleet)), format!("/v1/devices/{}", imsi(device))] {
        assert_eq!(admin.json("GET", &path, Value::Null).await.0, 404, "nothing is half done");
    }
    admin.done("GET", "/v1/audit:verify", Value::Null).await;
    (fleet, device)
}

async fn works_again(admin: &mut Admin, (fleet, device): (u64, u64)) {
    admin.done("POST", "/v1/groups", json!({"group": group(fleet)})).await;
    assert_eq!(admin.import(record(&imsi(device)).to_string()).await[0]["result"], "added");
    let verified = admin.done("GET", "/v1/audit:verify", Value::Null).await;
    assert_eq!((&verified["intact"], &verified["faults"]), (&json!(true), &json!([])));
}

/// By the real binary, which is then killed and started again.
#[tokio::test(flavor = "multi_thread")]
async fn r5_a_full_disk_loses_and_repeats_no_sqn_and_serving_goes_on_with_room_again() {
    let disk = SmallDisk::new(4096);
    let mut deployment = Deployment::init_with(&disk.script(&binary()), &[]);
    let config = std::fs::read_to_string(deployment.config()).unwrap();
    let place = disk.place().join("resource.db");
    let config = config.replace("\"data/resource.db\"", &format!("{place:?}"));
    std::fs::write(deployment.config(), config).unwrap();
    deployment.serve("resource", &[]);
    let pid = deployment.servers()[0].id();
    let lines: String = (0..DEVICES as u32).map(|number| Sim::number(number).import_line()).collect();
    deployment.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
    let mut load = Load::default();
    load.ask(client(&deployment).await, 8);
    load.answered(50).await;
    disk.fill();
    load.refused(50).await;
    let mut admin = admin(&deployment).await;
    let refused = refuses_changes_and_answers_the_rest(&mut admin).await;
    let ran = deployment.obf(&["device", "suspend", &imsi(1)]);
    assert!(ran.code() != 0 && ran.stderr.contains(FULL), "{ran:?}");
    disk.free();
    load.answered(100).await;
    works_again(&mut admin, refused).await;
    let (highest, _) = load.stop().await;
    assert_eq!(deployment.servers()[0].id(), pid);
    assert!(deployment.servers()[0].log().contains(FULL), "the log says it too");
    check(&mut admin, &highest).await;
    deployment.servers()[0].kill();
    deployment.serve("resource", &[]);
    check(&mut self::admin(&deployment).await, &highest).await;
}

async fn client(deployment: &Deployment) -> RprClient {
    let secret = std::fs::read_to_string(deployment.file("radius.secret")).unwrap();
    let asker = Asker { domain: Domain::new("as.obf.example").unwrap(), node: NodeNumber::new(0).unwrap() };
    RprClient::with(&[deployment.endpoint("resource", "rpr")], secret.trim().as_bytes(), asker).await
}

async fn admin(deployment: &Deployment) -> Admin {
    let token = std::fs::read_to_string(deployment.file("admin.token")).unwrap();
    let address = deployment.endpoint("resource", "admin");
    Admin::connect(address, "rs.as.obf.example", &deployment.file("ca.pem"), token.trim()).await.unwrap()
}

/// The disk is PostgreSQL's.
#[tokio::test(flavor = "multi_thread")]
async fn r5_a_full_disk_under_postgresql_loses_and_repeats_no_sqn_and_serving_goes_on_with_room_again() {
    let (disk, cluster, database) = tokio::task::spawn_blocking(|| {
        let disk = SmallDisk::new(160 * 1024);
        let cluster = PostgresCluster::start_on(&disk);
        let database = cluster.database();
        (disk, cluster, database)
    })
    .await
    .unwrap();
    let site = Site::new();
    let mut config = site.config(None);
    config["database"] = json!(database);
    let rs = site.start(config).await;
    let mut admin = rs.admin().await;
    let lines: String = (0..DEVICES).map(|number| format!("{}\n", record(&imsi(number)))).collect();
    assert!(admin.import(lines).await.iter().all(|line| line["result"] == "added"));
    let mut load = Load::default();
    load.ask(rs.client().await, 4);
    load.answered(50).await;
    let (disk, cluster) = tokio::task::spawn_blocking(move || {
        // What is written from here on has a segment of the log to itself: it is the tables that cannot grow.
        cluster.sql("postgres", "SELECT pg_switch_wal()");
        cluster.sql("postgres", "CHECKPOINT");
        disk.fill();
        (disk, cluster)
    })
    .await
    .unwrap();
    load.refused(20).await;
    let refused = refuses_changes_and_answers_the_rest(&mut admin).await;
    disk.free();
    load.answered(100).await;
    works_again(&mut admin, refused).await;
    let (highest, _) = load.stop().await;
    check(&mut admin, &highest).await;
    rs.handle.shutdown().await;
    tokio::task::spawn_blocking(move || {
        drop(cluster);
        drop(disk);
    })
    .await
    .unwrap();
}
