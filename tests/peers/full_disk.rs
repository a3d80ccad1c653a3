//! The disk of PostgreSQL fills up while the Resource Server serves.

use crate::common::full_disk::*;
use crate::common::{
    Site,
    load::{DEVICES, Load, imsi},
    record,
};
use obf_testkit::{PostgresCluster, SmallDisk};
use serde_json::json;

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
