//! A Resource Server on PostgreSQL: nodes that share it, and what becomes of them when it crashes.

use crate::common::{
    DOMAIN, Rs, Site,
    load::{DEVICES, Load, imsi},
    record,
};
use obf_resource::{Config, Environment, StartError};
use obf_store::{PostgresOptions, resource::ResourceDb};
use obf_testkit::PostgresCluster;
use serde_json::{Value, json};
use std::collections::HashSet;

fn config(site: &Site, database: &str, node: u8) -> Value {
    let mut config = site.config(None);
    config["database"] = database.into();
    config["node"] = node.into();
    config["nodes"] = 2.into();
    config["auth_servers"] = json!([
        { "domain": DOMAIN, "node": 1, "address": "127.0.0.1", "secret_file": site.path("secret") },
    ]);
    config
}

/// Two nodes on one database; it crashes under load: requests are refused, none is answered wrongly, and when it is
/// back both nodes go on by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_postgresql_hand_out_no_sqn_twice_and_outlive_its_crash() {
    let (mut cluster, database) = tokio::task::spawn_blocking(|| {
        let cluster = PostgresCluster::start();
        let database = cluster.database();
        (cluster, database)
    })
    .await
    .unwrap();
    let site = Site::new();
    let nodes: [Rs; 2] =
        [site.start(config(&site, &database, 0)).await, site.start(config(&site, &database, 1)).await];
    let mut admin = nodes[0].admin().await;
    let lines: String = (0..DEVICES).map(|number| format!("{}\n", record(&imsi(number)))).collect();
    assert!(admin.import(lines).await.iter().all(|line| line["result"] == "added"));
    let mut load = Load::default();
    for node in &nodes {
        load.ask(node.client().await, 8);
    }
    load.answered(200).await;
    cluster = tokio::task::spawn_blocking(move || {
        cluster.crash();
        cluster
    })
    .await
    .unwrap();
    load.refused(20).await;
    cluster = tokio::task::spawn_blocking(move || {
        cluster.restart();
        cluster
    })
    .await
    .unwrap();
    load.answered(200).await;
    let (_, vectors) = load.stop().await;
    for node in nodes {
        node.handle.shutdown().await;
    }
    // Every vector that was given is in the audit, and the chain of both nodes' seals is whole.
    let options = PostgresOptions::new(&database, None).unwrap();
    let store = tokio::task::spawn_blocking(move || ResourceDb::connect(&options)).await.unwrap().unwrap();
    let verified = store.verify_audit(None).await.unwrap();
    assert_eq!((verified.unsealed, verified.faults), (0, vec![]));
    assert!(verified.rows > vectors, "{}", verified.rows);
    drop(store);
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}

/// Two nodes take in the same devices at the same time, from files in opposite orders: transactions get into each other's
/// way, and still each line has an outcome of its own, each device is added by one of them, and no more is reported.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_import_overlapping_files_at_once_and_every_line_has_its_outcome() {
    const DEVICES: u64 = 3_000;
    let database = tokio::task::spawn_blocking(|| PostgresCluster::shared().database()).await.unwrap();
    let site = Site::new();
    let nodes: [Rs; 2] =
        [site.start(config(&site, &database, 0)).await, site.start(config(&site, &database, 1)).await];
    for round in 0..3 {
        let line = |number: u64| format!("{}\n", record(&imsi(round * DEVICES + number)));
        let up: String = (0..DEVICES).map(line).collect();
        let down: String = (0..DEVICES).rev().map(line).collect();
        let (mut first, mut second) = (nodes[0].admin().await, nodes[1].admin().await);
        let (up, down) = tokio::join!(first.import(up), second.import(down));
        let mut added = HashSet::new();
        for line in up.iter().chain(&down) {
            let device = line["device"].as_str().unwrap_or_default();
            match line["result"].as_str() {
                Some("added") => assert!(added.insert(device.to_owned()), "{device} is added twice"),
                Some("unchanged") => {}
                _ => panic!("{line}"),
            }
        }
        assert_eq!((up.len(), down.len(), added.len()), (3_000, 3_000, 3_000));
    }
    for node in nodes {
        node.handle.shutdown().await;
    }
}

/// Wrong tokens reach the database no faster than strangers may ask, and an administrator who is known is served beside
/// them, from the same address: shown by a database that is gone, which whoever asks it notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_tokens_does_not_reach_the_database() {
    const FLOOD: u64 = 400;
    let (mut cluster, database) = tokio::task::spawn_blocking(|| {
        let cluster = PostgresCluster::start();
        let database = cluster.database();
        (cluster, database)
    })
    .await
    .unwrap();
    let site = Site::new();
    let mut config = config(&site, &database, 0);
    config["admin"]["strangers_per_second"] = json!(1);
    let rs = site.start(config).await;
    let mut admin = rs.admin().await;
    let added = json!({"administrator": "auditor", "role": "auditor"});
    let auditor = admin.done("POST", "/v1/administrators", added).await;
    let mut known = rs.admin().await;
    known.token = auditor["token"].as_str().unwrap().to_owned();
    assert_eq!(known.json("GET", "/v1/apps", Value::Null).await.0, 200);
    let mut stranger = rs.admin().await;
    stranger.token = "wrong".into();
    let begun = std::time::Instant::now();
    while stranger.json("GET", "/v1/apps", Value::Null).await.0 != 429 {}
    assert_eq!(known.json("GET", "/v1/apps", Value::Null).await.0, 200);

    cluster = tokio::task::spawn_blocking(move || {
        cluster.crash();
        cluster
    })
    .await
    .unwrap();
    let mut asked = 0;
    for _ in 0..FLOOD {
        match stranger.json("GET", "/v1/apps", Value::Null).await.0 {
            429 => {}
            500 | 503 => asked += 1,
            other => panic!("{other}"),
        }
    }
    // Ten at once, and one for each second.
    let most = 10 + begun.elapsed().as_secs() + 1;
    assert!(asked <= most.min(FLOOD - 1), "{asked} of {FLOOD} asked the database, {most} may");
    assert!(matches!(known.json("GET", "/v1/apps", Value::Null).await.0, 500 | 503), "it is no stranger");
    rs.handle.shutdown().await;
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}

/// What an operator reads when the server is not there, or the text is none: which database, and never a password.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let site = Site::new();
    for (database, wanted) in [
        ("postgresql://obf:geheim@127.0.0.1:1/rs", "postgresql://127.0.0.1:1/rs"),
        ("postgresql://obf:geheim@127.0.0.1:port/rs", "resource.database"),
    ] {
        let config: Config = serde_json::from_value(config(&site, database, 0)).unwrap();
        let error = obf_resource::start(config, Environment::default()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(wanted) && !text.contains("geheim"), "{text}");
        assert!(matches!(error, StartError::Store { .. } | StartError::Config(_)));
    }
    // The file of the password is named, too.
    let mut config = config(&site, "postgresql://obf@127.0.0.1:1/rs", 0);
    config["database_password_file"] = site.path("nowhere").display().to_string().into();
    let config: Config = serde_json::from_value(config).unwrap();
    let error = obf_resource::start(config, Environment::default()).await.unwrap_err().to_string();
    assert!(error.contains("database_password_file") && error.contains("nowhere"), "{error}");
}
