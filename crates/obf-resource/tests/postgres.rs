//! A Resource Server on PostgreSQL: nodes that share it, and what becomes of them when it crashes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::{
    DOMAIN, Rs, Site,
    load::{DEVICES, Load, imsi},
    record,
};
use obf_resource::{Config, Environment, StartError};
use obf_store::{
    PostgresOptions,
    resource::{Audit, ResourceDb},
};
use obf_testkit::PostgresCluster;
use serde_json::{Value, json};

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
