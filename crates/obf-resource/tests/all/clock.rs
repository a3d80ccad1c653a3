//! Issue 4, bad input: the clock jumps while the Resource Server serves. No SQN comes twice, what was remembered stays
//! remembered, what expires is judged by the time it is, the audit stays whole, and notices go out when the clocks agree.

use crate::common::*;
use http_body_util::Full;
use hyper::{Request as HttpRequest, body::Bytes};
use obf_aka::Authentication;
use obf_net::{
    Clock, Stopper, certificates,
    http::HttpClient,
    radius::{Handler, Origin, UdpPeer, UdpServerSettings, serve_udp},
};
use obf_radius::{AnswerError, Request};
use obf_resource::Environment;
use obf_rpr::{Notice, VectorAnswer};
use obf_store::{
    Options,
    resource::{Claim, ResourceDb},
};
use obf_types::{Refusal, SecretBytes, UnixTime};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{net::UdpSocket, sync::mpsc};

const IMSI: &str = "001010000000001";
const APP: &str = "track.example";
/// 2030-03-17.
const START: u64 = 1_900_000_000;
const MONTH: u64 = 30 * 86_400;

/// A clock that somebody sets.
#[derive(Debug, Default)]
struct Set(AtomicU64);

impl Set {
    fn to(&self, seconds: u64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Set {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::SeqCst))
    }
}

/// An Authentication Server's dynamic-authorisation port. Its own clock stays right.
struct Taker(mpsc::UnboundedSender<Result<Notice, String>>);

impl Handler for Taker {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        match Notice::decode(&request, VENDOR, UnixTime(START)) {
            Ok(notices) => {
                obf_radius::notice::acknowledge(&request, &mut out);
                notices.into_iter().for_each(|notice| self.0.send(Ok(notice)).unwrap());
            }
            Err(error) => {
                obf_radius::notice::refuse(&request, error.cause(), &mut out);
                self.0.send(Err(error.to_string())).unwrap();
            }
        }
        Some(out)
    }
}

fn refused(answer: Result<VectorAnswer, AnswerError>) -> Refusal {
    match answer {
        Err(AnswerError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn add_group(rs: &Rs, site: &Site, key: &str, name: &str) -> (u16, Bytes) {
    let tls = certificates::client(&site.path("ca.pem")).unwrap();
    let mut http = HttpClient::connect(rs.endpoint("admin"), "rs.example", Some(tls), LONG).await.unwrap();
    let request = HttpRequest::post("/v1/groups")
        .header("host", "rs.example")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("idempotency-key", key)
        .body(Full::new(Bytes::from(json!({ "group": name }).to_string())))
        .unwrap();
    let answer = http.send(request).await.unwrap();
    (answer.status().as_u16(), answer.into_body())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_repeats_no_sqn_forgets_nothing_and_breaks_no_audit() {
    let site = Site::new();
    let clock = Arc::new(Set(AtomicU64::new(START)));
    let rs = site.start_in(site.config(None), Environment { clock: clock.clone() }).await;
    let mut admin = rs.admin().await;
    let mut device = record(IMSI);
    device["kyc_expiry"] = json!(UnixTime(START + 1000).to_string());
    admin.done("POST", "/v1/devices", device).await;
    admin.done("POST", "/v1/apps", json!({"app": APP, "cert_names": [APP], "ua": ["tls-psk"]})).await;
    let expires = UnixTime(START + 500).to_string();
    admin.done("POST", "/v1/grants", json!({"device": IMSI, "app": APP, "expires": expires})).await;
    let first = add_group(&rs, &site, "one", "fleet").await;
    assert_eq!(first.0, 201);
    let store = ResourceDb::open(&Options::new(site.path("rs.db"))).unwrap();
    // A request whose server died before it answered.
    assert_eq!(store.claim("admin", "dead", [1; 32], UnixTime(START)).await.unwrap(), Claim::Fresh);

    let (client, mut usim) = (rs.client().await, Usim::new());
    usim.memory =
        obf_aka::SqnArray::restore(Default::default(), obf_aka::SqnLimits::DEFAULT, &[5000; 32]).unwrap();
    let stale = client.vector(IMSI).await.unwrap();
    let Authentication::SynchronisationFailure(auts) = usim.authenticate(&stale) else { panic!("fresh") };
    let fresh = client.resynchronise(IMSI, aka(&stale).rand, auts).await.unwrap();
    usim.accepts(&fresh);
    let mut highest = usim.sqn(&fresh);

    // From now to a month ago, on to after every expiry, back again: rights by the time that it is, SQN always onwards.
    for (now, lifetime) in [
        (START, Some(500)),
        (START - MONTH, Some(86_400)),
        (START + 499, Some(1)),
        (START + 500, None),
        (START, Some(500)),
        (0, Some(86_400)),
        (START - 1, Some(501)),
    ] {
        clock.to(now);
        let answer = client.vector(IMSI).await.unwrap();
        usim.accepts(&answer);
        assert!(usim.sqn(&answer) > highest, "at {now}");
        highest = usim.sqn(&answer);
        let told = answer.rights.list.first().map(|right| right.lifetime.seconds());
        assert_eq!(told, lifetime, "at {now}");
        assert_eq!(answer.device.kyc_expiry, Some(UnixTime(START + 1000)));
        let again = client.resynchronise(IMSI, aka(&stale).rand, auts).await;
        assert_eq!(refused(again), Refusal::BadResynchronisation, "at {now}: an AUTS is accepted once");
        assert_eq!(add_group(&rs, &site, "one", "fleet").await, first, "at {now}");
    }
    clock.to(START + 1000);
    assert_eq!(refused(client.vector(IMSI).await), Refusal::KycExpired);
    clock.to(START - MONTH);
    assert_eq!(add_group(&rs, &site, "two", "other").await.0, 201);
    let dead = store.claim("admin", "dead", [1; 32], UnixTime(START - MONTH)).await.unwrap();
    assert_eq!(dead, Claim::Fresh, "it is not under way for a month");
    usim.accepts(&client.vector(IMSI).await.unwrap());

    // The audit is in the order of what happened, and sealed as it goes.
    let sealed = async {
        loop {
            let verified = admin.done("GET", "/v1/audit:verify", Value::Null).await;
            assert_eq!((&verified["intact"], &verified["faults"]), (&json!(true), &json!([])));
            if verified["unsealed"] == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LONG, sealed).await.expect("the audit is sealed");
    let exported = admin.call("GET", "/v1/audit:export", "").await;
    let lines = std::str::from_utf8(exported.body()).unwrap().lines();
    let rows: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = rows.iter().filter_map(|row| row["seq"].as_u64()).collect();
    assert!(numbers.len() > 10 && numbers.is_sorted(), "{numbers:?}");
    drop(store);
    rs.handle.shutdown().await;
}

/// A notice carries the time at which it is sent. While the clocks differ too much it is refused and waits; as soon as
/// they agree again it arrives, by itself.
#[tokio::test(flavor = "multi_thread")]
async fn notices_wait_while_the_clock_is_wrong_and_go_out_when_it_is_right() {
    let site = Site::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let das = socket.local_addr().unwrap();
    let (heard, mut notices) = mpsc::unbounded_channel();
    let stopper = Stopper::new();
    let running = stopper.running();
    let secret = SecretBytes::from(SECRET.as_bytes());
    let peers = vec![UdpPeer { source: das.ip(), secret, names: Vec::new() }];
    let taker = Arc::new(Taker(heard));
    running.spawn(serve_udp(socket, peers, UdpServerSettings::default(), running.clone(), taker));

    let clock = Arc::new(Set(AtomicU64::new(START - MONTH)));
    let rs = site.start_in(site.config(Some(das)), Environment { clock: clock.clone() }).await;
    let mut admin = rs.admin().await;
    admin.done("POST", "/v1/devices", record(IMSI)).await;
    admin.done("POST", &format!("/v1/devices/{IMSI}:revoke"), Value::Null).await;
    let mut next =
        async || tokio::time::timeout(LONG, notices.recv()).await.expect("a notice comes").unwrap();
    let old = next().await.unwrap_err();
    assert!(old.contains("the clocks of the servers differ"), "{old}");
    assert!(next().await.is_err(), "it is tried again");
    let store = ResourceDb::open(&Options::new(site.path("rs.db"))).unwrap();
    assert_eq!(outbox(&store, "as.example#1").await.len(), 1, "it is kept");
    clock.to(START + 10);
    let arrived = loop {
        if let Ok(notice) = next().await {
            break notice;
        }
    };
    assert!(matches!(arrived, Notice::DeviceEnded { .. }), "{arrived:?}");
    let empty = async {
        while !outbox(&store, "as.example#1").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, empty).await.expect("the outbox empties");
    drop((running, store));
    rs.handle.shutdown().await;
    stopper.stop(LONG).await;
}
