//! RS → AS notices over UDP (RFC 5176): stored with the change, sent again until acknowledged, across a restart.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use common::*;
use obf_net::{
    Stopper,
    radius::{Handler, Origin, UdpPeer, UdpServerSettings, serve_udp},
};
use obf_radius::Request;
use obf_rpr::Notice;
use obf_types::{Epoch, SecretBytes, UnixTime};
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::{net::UdpSocket, sync::mpsc};

const IMSI: &str = "001010000000001";

/// An Authentication Server's dynamic-authorisation port, deaf at first.
struct Taker {
    acknowledges: AtomicBool,
    heard: mpsc::UnboundedSender<Notice>,
}

impl Handler for Taker {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        let now = UnixTime(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
        let notice = Notice::decode(&request, VENDOR, now).unwrap();
        let mut out = Vec::new();
        let acknowledges = self.acknowledges.load(Ordering::SeqCst);
        if acknowledges {
            obf_radius::notice::acknowledge(&request, &mut out);
        }
        self.heard.send(notice).unwrap();
        acknowledges.then_some(out)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_is_repeated_until_acknowledged_even_after_a_restart() {
    let site = Site::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dae = socket.local_addr().unwrap();
    let (heard, mut notices) = mpsc::unbounded_channel();
    let taker = Arc::new(Taker { acknowledges: AtomicBool::new(false), heard });
    let stopper = Stopper::new();
    let running = stopper.running();
    let secret = SecretBytes::from(SECRET.as_bytes());
    let peers = vec![UdpPeer { source: dae.ip(), secret, names: Vec::new() }];
    running.spawn(serve_udp(socket, peers, UdpServerSettings::default(), running.clone(), taker.clone()));

    let rs = site.start(site.config(Some(dae))).await;
    let mut admin = rs.admin().await;
    admin.done("POST", "/v1/devices", record(IMSI)).await;
    admin.done("POST", &format!("/v1/devices/{IMSI}:revoke"), Value::Null).await;
    let next = async |notices: &mut mpsc::UnboundedReceiver<Notice>| {
        tokio::time::timeout(LONG, notices.recv()).await.expect("a notice comes").unwrap()
    };
    let first = next(&mut notices).await;
    assert!(matches!(first, Notice::DeviceEnded { epoch: Epoch(1), .. }), "{first:?}");
    rs.handle.shutdown().await;
    while notices.try_recv().is_ok() {}

    let rs = site.start(site.config(Some(dae))).await;
    assert_eq!(next(&mut notices).await, first, "unacknowledged, so sent again");
    taker.acknowledges.store(true, Ordering::SeqCst);
    let mut admin = rs.admin().await;
    admin.done("DELETE", &format!("/v1/devices/{IMSI}"), Value::Null).await;
    loop {
        match next(&mut notices).await {
            Notice::DeviceEnded { epoch: Epoch(1), .. } => {}
            Notice::DeviceEnded { epoch: Epoch(2), .. } => break,
            other => panic!("{other:?}"),
        }
    }
    // Acknowledged ones are forgotten: the outbox empties.
    let store = obf_store::resource::ResourceDb::open(&obf_store::Options::new(site.path("rs.db"))).unwrap();
    let empty = async {
        use obf_store::resource::Outbox;
        while !store.waiting_notices("as.example#1", 0, 10).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, empty).await.expect("the outbox empties");
    drop((running, store));
    rs.handle.shutdown().await;
    stopper.stop(LONG).await;
}
