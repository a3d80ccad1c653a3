//! A caller of the admin API who is gone before it is answered, while the request waits for a lock of PostgreSQL's.

use crate::common::{LONG, Site, TOKEN};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use obf_net::{
    certificates,
    http::{HttpClient, HttpClientError},
};
use obf_testkit::PostgresCluster;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Instant};

/// What each stranger would send if it were let.
async fn add_group(address: SocketAddr, ca: std::path::PathBuf) -> Result<Response<Bytes>, HttpClientError> {
    let tls = certificates::client(&ca).unwrap();
    let mut http = HttpClient::connect(address, "rs.example", Some(tls), LONG).await?;
    let request = Request::post("/v1/groups")
        .header("host", "rs.example")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("idempotency-key", "once")
        .body(Full::new(Bytes::from(json!({"group": "fleet"}).to_string())))
        .unwrap();
    http.send(request).await
}

/// Connections that a server has at that port, also those whose other end is gone.
fn connections(port: u16) -> usize {
    const ESTABLISHED_OR_HALF_CLOSED: [&str; 2] = ["01", "08"];
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let ours = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1].ends_with(&format!(":{port:04X}")) && ESTABLISHED_OR_HALF_CLOSED.contains(&fields[3])
    };
    table.lines().skip(1).filter(ours).count()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Its caller goes away while it waits for a lock in the middle: it is carried out all the same, once, and whoever asks again
/// gets its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_an_idempotency_key_is_carried_out_once_though_its_caller_is_gone() {
    let (cluster, database) = tokio::task::spawn_blocking(|| {
        let cluster = PostgresCluster::start();
        let database = cluster.database();
        (cluster, database)
    })
    .await
    .unwrap();
    let name = database.rsplit_once('/').unwrap().1.to_owned();
    let site = Site::new();
    let mut config = site.config(None);
    config["database"] = json!(database);
    let rs = site.start(config).await;
    let (address, ca) = (rs.endpoint("admin"), site.path("ca.pem"));
    let locked = cluster.hold(&name, "BEGIN; LOCK TABLE groups IN ACCESS EXCLUSIVE MODE");
    let asking = tokio::spawn(add_group(address, ca.clone()));
    until("the request is in the middle", || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        cluster.sql(&name, waiting).trim() == "1"
    })
    .await;
    assert!(connections(address.port()) == 1);
    asking.abort();
    until("the server has noticed", || connections(address.port()) == 0).await;
    drop(locked);
    let mut admin = rs.admin().await;
    let done = async {
        while admin.json("GET", "/v1/groups/fleet", Value::Null).await.0 != 200 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, done).await.expect("it is carried out");
    let answer = async {
        loop {
            let answer = add_group(address, ca.clone()).await.unwrap();
            // Its answer is kept a moment after the group is there.
            if answer.status() != 409 {
                break answer;
            }
        }
    };
    let answer = tokio::time::timeout(LONG, answer).await.expect("its answer is kept");
    let group: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["etag"]), (201, &"\"1\"".parse().unwrap()));
    assert_eq!((&group["group"], &group["version"]), (&json!("fleet"), &json!(1)));
    let acts = admin.done("GET", "/v1/audit?object=fleet", Value::Null).await;
    assert_eq!(acts["audit"].as_array().unwrap().len(), 1, "{acts}");
    rs.handle.shutdown().await;
    tokio::task::spawn_blocking(move || drop(cluster)).await.unwrap();
}
