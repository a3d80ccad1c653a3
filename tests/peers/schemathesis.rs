//! Issue 4 sentence 6: schemathesis against the served document finds nothing.

use crate::common::*;
use obf_testkit::{Deployment, Sim, peer};
use serde_json::json;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing() {
    let site = Site::new();
    site.certificate("rs", "localhost");
    let mut config = site.config(None);
    config["admin"]["requests_per_second"] = json!(1_000_000);
    config["admin"]["strangers_per_second"] = json!(1_000_000);
    config["admin"]["most_registrations"] = json!(1_000_000);
    let rs = site.start(config).await;
    let mut admin = rs.admin_at("localhost").await;
    for number in 1..=3 {
        admin.provision(&format!("00101000000000{number}"), "track.example").await;
    }
    let url = format!("https://localhost:{}/v1/openapi.json", rs.endpoint("admin").port());
    let (ca, directory) = (site.path("ca.pem"), site.dir.path().to_owned());
    tokio::task::spawn_blocking(move || peer::schemathesis::finds_nothing(&url, &ca, TOKEN, &directory))
        .await
        .unwrap();
    rs.handle.shutdown().await;
}

/// The same of the Authentication Server's document (issue 11 sentence 7).
#[test]
fn schemathesis_finds_nothing_at_the_authentication_server() {
    let mut deployment = Deployment::init(&[]);
    let rate = |whose: &str| format!("auth.admin.{whose}_per_second=1000000");
    deployment.serve("all", &["--set", &rate("requests"), "--set", &rate("strangers")]);
    deployment.add_app("track.example");
    for number in 1..=3 {
        let (sim, se) = (Sim::number(number), deployment.file("sim.json"));
        deployment.add_device(&sim, &["track.example"]);
        fs::write(&se, sim.import_line()).unwrap();
        deployment.obf(&["client", "bootstrap", "--se", se.to_str().unwrap()]).expect_success();
    }
    let url = format!("https://localhost:{}/v1/openapi.json", deployment.endpoint("auth", "admin").port());
    let token = fs::read_to_string(deployment.file("admin.token")).unwrap();
    peer::schemathesis::finds_nothing(&url, &deployment.file("ca.pem"), token.trim(), deployment.dir());
}
