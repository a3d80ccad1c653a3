//! RS → AS notices over UDP (RFC 5176): stored with the change, sent again until acknowledged, across a restart.

use crate::common::*;
use obf_net::{
    Stopper,
    radius::{Handler, Origin, UdpPeer, UdpServerSettings, serve_udp},
};
use obf_radius::{Request, dictionary::ErrorCause};
use obf_resource::Environment;
use obf_rpr::Notice;
use obf_types::{SecretBytes, UnixTime};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{net::UdpSocket, sync::mpsc};

const IMSI: &str = "001010000000001";

/// An Authentication Server's dynamic-authorisation port that answers as it is told to.
struct Choosy<F> {
    says: F,
    heard: mpsc::UnboundedSender<Vec<Notice>>,
}

/// What a [`Choosy`] makes of a packet.
enum Says {
    Yes,
    No(ErrorCause),
    Nothing,
}

impl<F: Fn(&[Notice]) -> Says + Send + Sync + 'static> Handler for Choosy<F> {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        let now = UnixTime(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
        let notices = Notice::decode(&request, VENDOR, now).unwrap();
        let mut out = Vec::new();
        match (self.says)(&notices) {
            Says::Yes => {
                obf_radius::notice::acknowledge(&request, &mut out);
                self.heard.send(notices).unwrap();
            }
            Says::No(cause) => obf_radius::notice::refuse(&request, cause, &mut out),
            Says::Nothing => return None,
        }
        Some(out)
    }
}

/// A Resource Server whose one Authentication Server answers so, and what that acknowledged.
async fn told(
    site: &Site,
    says: impl Fn(&[Notice]) -> Says + Send + Sync + 'static,
) -> (Rs, mpsc::UnboundedReceiver<Vec<Notice>>, Stopper) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let das = socket.local_addr().unwrap();
    let (heard, notices) = mpsc::unbounded_channel();
    let stopper = Stopper::new();
    let running = stopper.running();
    let secret = SecretBytes::from(SECRET.as_bytes());
    let peers = vec![UdpPeer { source: das.ip(), secret, names: Vec::new() }];
    let handler = Arc::new(Choosy { says, heard });
    running.spawn(serve_udp(socket, peers, UdpServerSettings::default(), running.clone(), handler));
    (site.start(site.config(Some(das))).await, notices, stopper)
}

const FLEET: u64 = 600;

fn member(number: u64) -> String {
    format!("{:015}", 1_010_000_000_000 + number)
}

fn number(notice: &Notice) -> u64 {
    match notice {
        Notice::DeviceEnded { device, .. } | Notice::RightsChanged { device, .. } => {
            device.value().parse::<u64>().unwrap() - 1_010_000_000_000
        }
        Notice::ApplicationChanged { .. } => u64::MAX,
    }
}

/// [`FLEET`] devices in a group, and an application that nobody is granted yet.
async fn fleet(admin: &mut Admin) {
    let lines: String = (0..FLEET).map(|number| format!("{}\n", record(&member(number)))).collect();
    assert_eq!(admin.import(lines).await.len() as u64, FLEET);
    admin.done("POST", "/v1/groups", json!({"group": "fleet"})).await;
    let devices: Vec<String> = (0..FLEET).map(member).collect();
    admin.done("POST", "/v1/groups/fleet/members", json!({"devices": devices})).await;
    admin
        .done("POST", "/v1/apps", json!({"app": "a.example", "cert_names": ["a.example"], "ua": ["tls-psk"]}))
        .await;
}

/// Listens until each of the fleet was told of its rights, but those left out.
async fn all_told(notices: &mut mpsc::UnboundedReceiver<Vec<Notice>>, left_out: &[u64]) {
    let mut missing: BTreeSet<u64> = (0..FLEET).filter(|number| !left_out.contains(number)).collect();
    while !missing.is_empty() {
        let packet = tokio::time::timeout(LONG, notices.recv()).await;
        let packet = packet.unwrap_or_else(|_| panic!("not told: {missing:?}")).unwrap();
        let rights = packet.iter().filter(|notice| matches!(notice, Notice::RightsChanged { .. }));
        rights.for_each(|notice| {
            assert!(!left_out.contains(&number(notice)));
            missing.remove(&number(notice));
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_that_are_refused_or_swallowed_hold_no_others_up() {
    const ODD: [u64; 3] = [3, 100, 599];
    let site = Site::new();
    // Each of the three is refused or swallowed for ever, and with it the packet that it stands in.
    let (rs, mut notices, stopper) = told(&site, |notices| {
        let changed = |notice: &&Notice| matches!(notice, Notice::RightsChanged { .. });
        match notices.iter().filter(changed).map(number).find(|number| ODD.contains(number)) {
            Some(3) => Says::No(ErrorCause::MissingAttribute),
            Some(100) => Says::No(ErrorCause::ResourcesUnavailable),
            Some(_) => Says::Nothing,
            None => Says::Yes,
        }
    })
    .await;
    let mut admin = rs.admin().await;
    fleet(&mut admin).await;
    admin.done("POST", "/v1/grants", json!({"group": "fleet", "app": "a.example"})).await;
    all_told(&mut notices, &ODD).await;
    // The three wait, and new ones pass them.
    admin.done("DELETE", "/v1/groups/fleet/grants/a.example", Value::Null).await;
    all_told(&mut notices, &ODD).await;
    for device in ODD {
        admin.done("POST", &format!("/v1/devices/{}:revoke", member(device)), Value::Null).await;
        loop {
            let packet = tokio::time::timeout(LONG, notices.recv()).await.expect("a revocation").unwrap();
            if matches!(&packet[..], [ended @ Notice::DeviceEnded { .. }] if number(ended) == device) {
                break;
            }
        }
    }
    let store = obf_store::resource::ResourceDb::open(&obf_store::Options::new(site.path("rs.db"))).unwrap();
    let expected: Vec<_> = [ODD, ODD].concat().into_iter().map(member).collect();
    let only_they_are_left = async {
        loop {
            let left = outbox(&store, "as.example#1").await;
            let left = left.iter().map(|notice| notice.device.clone().unwrap().0.value().to_owned());
            if left.collect::<Vec<_>>() == expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, only_they_are_left)
        .await
        .expect("the others are acknowledged, and none is lost");
    drop(store);
    rs.handle.shutdown().await;
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_devices_revocation_passes_a_fleets_notices() {
    let site = Site::new();
    let deaf = Arc::new(AtomicBool::new(true));
    let deaf_to_fleets = deaf.clone();
    let (rs, mut notices, stopper) = told(&site, move |notices| match notices {
        [Notice::RightsChanged { .. }, ..] if deaf_to_fleets.load(Ordering::SeqCst) => Says::Nothing,
        _ => Says::Yes,
    })
    .await;
    let mut admin = rs.admin().await;
    fleet(&mut admin).await;
    admin.done("POST", "/v1/grants", json!({"group": "fleet", "app": "a.example"})).await;
    admin.done("POST", &format!("/v1/devices/{}:revoke", member(5)), Value::Null).await;
    loop {
        let packet = tokio::time::timeout(LONG, notices.recv()).await.expect("a revocation").unwrap();
        if let [Notice::DeviceEnded { .. }] = &packet[..] {
            break;
        }
        assert!(!matches!(packet[0], Notice::RightsChanged { .. }), "{packet:?}");
    }
    deaf.store(false, Ordering::SeqCst);
    all_told(&mut notices, &[]).await;
    rs.handle.shutdown().await;
    stopper.stop(LONG).await;
}

/// An Authentication Server that was taken out of the configuration hears nothing any more; what waits for it goes once it
/// is a day old, so that one taken out by mistake loses no revocation.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_server_that_is_gone_is_dropped_when_it_is_a_day_old() {
    let site = Site::new();
    let clock = Arc::new(obf_net::OffsetClock::new());
    let environment = || Environment { clock: clock.clone() };
    let mut config = site.config(None);
    let rs = site.start_in(config.clone(), environment()).await;
    let mut admin = rs.admin().await;
    admin.done("POST", "/v1/devices", record(IMSI)).await;
    admin.done("POST", &format!("/v1/devices/{IMSI}:revoke"), Value::Null).await;
    rs.handle.shutdown().await;

    config["auth_servers"][0]["node"] = json!(2);
    let store = obf_store::resource::ResourceDb::open(&obf_store::Options::new(site.path("rs.db"))).unwrap();
    let waiting = async |name: &str| outbox(&store, name).await.len();
    clock.advance(23 * 3600);
    let rs = site.start_in(config.clone(), environment()).await;
    let mut admin = rs.admin().await;
    admin.done("POST", &format!("/v1/devices/{IMSI}:revoke"), Value::Null).await;
    rs.handle.shutdown().await;
    assert_eq!((waiting("as.example#1").await, waiting("as.example#2").await), (1, 1));
    clock.advance(2 * 3600);
    let rs = site.start_in(config, environment()).await;
    let gone = async {
        while waiting("as.example#1").await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, gone).await.expect("it is dropped");
    assert_eq!(waiting("as.example#2").await, 1);
    drop(store);
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_one_device_a_packet_is_told_of_all() {
    let site = Site::new();
    let (rs, mut notices, stopper) = told(&site, |notices| match notices {
        [_] => Says::Yes,
        _ => Says::No(ErrorCause::MissingAttribute),
    })
    .await;
    let mut admin = rs.admin().await;
    fleet(&mut admin).await;
    admin.done("POST", "/v1/grants", json!({"group": "fleet", "app": "a.example"})).await;
    all_told(&mut notices, &[]).await;
    rs.handle.shutdown().await;
    stopper.stop(LONG).await;
}

/// An Authentication Server's dynamic-authorisation port, deaf at first.
struct Taker {
    acknowledges: AtomicBool,
    heard: mpsc::UnboundedSender<Notice>,
}

impl Handler for Taker {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        let now = UnixTime(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
        let notices = Notice::decode(&request, VENDOR, now).unwrap();
        let mut out = Vec::new();
        let acknowledges = self.acknowledges.load(Ordering::SeqCst);
        if acknowledges {
            obf_radius::notice::acknowledge(&request, &mut out);
        }
        notices.into_iter().for_each(|notice| self.heard.send(notice).unwrap());
        acknowledges.then_some(out)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_is_repeated_until_acknowledged_even_after_a_restart() {
    let site = Site::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let das = socket.local_addr().unwrap();
    let (heard, mut notices) = mpsc::unbounded_channel();
    let taker = Arc::new(Taker { acknowledges: AtomicBool::new(false), heard });
    let stopper = Stopper::new();
    let running = stopper.running();
    let secret = SecretBytes::from(SECRET.as_bytes());
    let peers = vec![UdpPeer { source: das.ip(), secret, names: Vec::new() }];
    running.spawn(serve_udp(socket, peers, UdpServerSettings::default(), running.clone(), taker.clone()));

    let rs = site.start(site.config(Some(das))).await;
    let mut admin = rs.admin().await;
    let begun = epoch(&admin.done("POST", "/v1/devices", record(IMSI)).await);
    admin.done("POST", &format!("/v1/devices/{IMSI}:revoke"), Value::Null).await;
    let ended = |notice: &Notice| match notice {
        Notice::DeviceEnded { epoch, .. } => epoch.0 - begun.0,
        other => panic!("{other:?}"),
    };
    let next = async |notices: &mut mpsc::UnboundedReceiver<Notice>| {
        tokio::time::timeout(LONG, notices.recv()).await.expect("a notice comes").unwrap()
    };
    let first = next(&mut notices).await;
    assert_eq!(ended(&first), 1);
    rs.handle.shutdown().await;
    while notices.try_recv().is_ok() {}

    let rs = site.start(site.config(Some(das))).await;
    assert_eq!(next(&mut notices).await, first, "unacknowledged, so sent again");
    taker.acknowledges.store(true, Ordering::SeqCst);
    let mut admin = rs.admin().await;
    admin.done("DELETE", &format!("/v1/devices/{IMSI}"), Value::Null).await;
    while ended(&next(&mut notices).await) < 2 {}
    // Acknowledged ones are forgotten: the outbox empties.
    let store = obf_store::resource::ResourceDb::open(&obf_store::Options::new(site.path("rs.db"))).unwrap();
    let empty = async {
        while !outbox(&store, "as.example#1").await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, empty).await.expect("the outbox empties");
    drop((running, store));
    rs.handle.shutdown().await;
    stopper.stop(LONG).await;
}
