//! Callers of the admin API who are unknown and send much, or who are gone before they are answered (issue 4 sentence 6).

use crate::common::LONG;
use bytes::Bytes;
use hyper::Request;
use obf_net::{
    certificates,
    http::{HttpClient, Pieces},
};
use obf_testkit::Deployment;
use std::{net::SocketAddr, path::Path};
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
