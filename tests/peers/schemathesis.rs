//! Issue 4 sentence 6: schemathesis against the served document finds nothing.

use crate::common::*;
use obf_testkit::peer;
use serde_json::json;

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
