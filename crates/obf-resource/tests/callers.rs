//! Callers of the admin API who are unknown and send much, or who are gone before they are answered (issue 4 sentence 6).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use bytes::Bytes;
use common::{LONG, Site, TOKEN};
use http_body_util::Full;
use hyper::{Request, Response};
use obf_net::{
    certificates,
    http::{HttpClient, HttpClientError, Pieces},
};
use obf_testkit::{Deployment, PostgresCluster};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, time::Instant};
use tokio::{sync::mpsc, task::JoinSet};

/// What each stranger would send if it were let.
const MUCH: usize = 64 * 1024 * 1024;
const STRANGERS: usize = 60;
const PIECE: usize = 64 * 1024;

/// The most memory that a process has held so far, octets.
fn most_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Sends as much as is taken; what was answered, and how much was taken.
async fn push(address: SocketAddr, ca: &Path, path: &str) -> (Option<u16>, usize) {
    let tls = certificates::client(ca).unwrap();
    let mut http = HttpClient::connect(address, "rs.as.obf.example", Some(tls), LONG).await.unwrap();
    let (sender, pieces) = mpsc::channel(1);
    let request = Request::builder().method("POST").uri(path).header("host", "rs.as.obf.example");
    let request = request.header("authorization", "Bearer nobody").body(Pieces::new(pieces)).unwrap();
    let feeding = async move {
        let (piece, mut taken) = (Bytes::from(vec![b'x'; PIECE]), 0);
        while taken < MUCH && sender.send(piece.clone()).await.is_ok() {
            taken += PIECE;
        }
        taken
    };
    let answering = async {
        let status = http.send_stream(request).await.map(|answer| answer.status().as_u16()).ok();
        drop(http);
        status
    };
    tokio::join!(answering, feeding)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_known_does_not_fill_the_server_s_memory() {
    let mut deployment = Deployment::init(&[]);
    deployment.serve("resource", &[]);
    let (address, ca) = (deployment.endpoint("resource", "admin"), deployment.file("ca.pem"));
    let pid = deployment.servers()[0].id();
    let before = most_memory(pid);
    let mut strangers = JoinSet::new();
    for number in 0..STRANGERS {
        let (ca, path) =
            (ca.clone(), ["/v1/devices:import", "/v1/restore", "/v1/groups/fleet/members"][number % 3]);
        strangers.spawn(async move { push(address, &ca, path).await });
    }
    let mut told = 0;
    while let Some(stranger) = strangers.join_next().await {
        let (status, taken) = stranger.unwrap();
        // Whoever goes on sending may lose the answer with the connection.
        assert!(matches!(status, None | Some(401 | 429)), "{status:?}");
        told += usize::from(status.is_some());
        assert!(taken < MUCH, "everything was taken");
    }
    assert!(told > 0, "nobody was told why");
    let grown = most_memory(pid) - before;
    assert!(grown < STRANGERS * 1024 * 1024, "{grown} octets for {STRANGERS} strangers");
    deployment.obf(&["device", "list"]).expect_success();
}

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
