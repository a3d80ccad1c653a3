//! RPR, the Resource Server's end, over real sockets (SPEC P4, R18, C11; issue sentences 4 and 8).

use crate::common::*;
use obf_aka::Authentication;
use obf_net::{
    Stopper, certificates,
    radius::{Handler, LinkEvents, Origin, RadiusTlsClient, TlsClientSettings, TlsServerAddress},
};
use obf_radius::{AnswerError, Code, Framing, Pending, Request};
use obf_rpr::{
    AdministratorAnswer, AdministratorCredential, AdministratorRequest, ApplicationAnswer,
    ApplicationRequest, Notice, RightsAnswer, RightsRequest, RightsSelector, RprOperation, VectorAnswer,
};
use obf_store::resource::{Application, Change, DeviceId, Grant, Grantee, ResourceDb, State, Terms};
use obf_types::{AppId, Epoch, Lifetime, MncLength, Refusal, SecretBytes, UnixTime};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::{net::UdpSocket, sync::mpsc};

const IMSI: &str = "001010000000001";
const APP: &str = "track.example";

fn refused<T: std::fmt::Debug>(answer: Result<T, AnswerError>) -> Refusal {
    match answer.unwrap_err() {
        AnswerError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    }
}

fn rights(selector: RightsSelector) -> RprOperation {
    RprOperation::Rights(RightsRequest { user_name: IMSI.into(), selector })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_and_rights_come_in_one_round_trip() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    let mut device = record(IMSI);
    // WIRES: whatever AMF is registered, the separation bit never leaves (33.102 Annex H).
    device["amf"] = json!("b9b9");
    device["iccid"] = json!("8988211000000000018");
    let begun = epoch(&admin.done("POST", "/v1/devices", device).await);
    admin.done("POST", "/v1/apps", json!({"app": APP, "cert_names": [APP], "ua": ["tls-psk"]})).await;
    admin
        .done("POST", "/v1/grants", json!({"device": IMSI, "app": APP, "lifetime": 600, "settings": "0aff"}))
        .await;
    let (client, mut usim) = (rs.client().await, Usim::new());
    let impi = format!("{IMSI}@ims.mnc001.mcc001.3gppnetwork.org");
    for user in [IMSI, &impi, "8988211000000000018", "iccid:8988211000000000018"] {
        let answer = client.vector(user).await.unwrap();
        usim.accepts(&answer);
        assert_eq!(aka(&answer).autn[6..8], [0x39, 0xb9]);
        assert_eq!(answer.device.identity.value(), IMSI);
        assert_eq!(answer.device.mnc_length, Some(MncLength::Two));
        assert_eq!(answer.device.epoch, begun);
        let [right] = &answer.rights.list[..] else { panic!("{:?}", answer.rights) };
        assert_eq!((right.app.as_str(), right.lifetime.seconds()), (APP, 600));
        assert_eq!(&right.settings[..], [0x0a, 0xff]);
        assert!(!answer.rights.more);
    }
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_authenticate_is_refused_with_its_code_and_costs_no_sqn() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.provision(IMSI, APP).await;
    let mut expired = record("001010000000002");
    expired["kyc_expiry"] = json!("2020-01-01T00:00:00Z");
    admin.done("POST", "/v1/devices", expired).await;
    let mut client = rs.client().await;
    assert_eq!(refused(client.vector("001010000000009").await), Refusal::UnknownIdentity);
    assert_eq!(refused(client.vector("nobody").await), Refusal::UnknownIdentity);
    assert_eq!(refused(client.vector("001010000000002").await), Refusal::KycExpired);
    let begun = epoch(&admin.done("GET", &format!("/v1/devices/{IMSI}"), Value::Null).await);
    admin.done("POST", &format!("/v1/devices/{IMSI}:suspend"), Value::Null).await;
    assert_eq!(refused(client.vector(IMSI).await), Refusal::DeviceSuspended);
    let shown = admin.done("GET", &format!("/v1/devices/{IMSI}"), Value::Null).await;
    assert_eq!((&shown["state"], &shown["sqn"]), (&json!("suspended"), &json!("000000000000")));
    admin.done("POST", &format!("/v1/devices/{IMSI}:resume"), Value::Null).await;
    assert_eq!(client.vector(IMSI).await.unwrap().device.epoch, Epoch(begun.0 + 1));
    // Domain and node number must be those registered for where the packet comes from.
    client.from = auth_server(2);
    assert_eq!(refused(client.vector(IMSI).await), Refusal::NodeNotRegistered);
    rs.handle.shutdown().await;
}

/// SPEC C11: at key fetch the same decision as at bootstrap, and what is asked for alone says why not.
#[tokio::test(flavor = "multi_thread")]
async fn one_right_is_decided_as_the_list_is() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.provision(IMSI, APP).await;
    admin
        .done(
            "POST",
            "/v1/apps",
            json!({"app": "other.example", "cert_names": ["o.example"], "ua": ["tls-psk"]}),
        )
        .await;
    let client = rs.client().await;
    let only = async |app: &str| {
        let operation = rights(RightsSelector::Only(AppId::new(app).unwrap()));
        RightsAnswer::decode(&client.ask(&operation).await, VENDOR)
    };
    let listed = async || client.vector(IMSI).await.unwrap().rights.list.len();
    let answer = only(APP).await.unwrap();
    assert_eq!(answer.rights.list[0].lifetime, Lifetime::CEILING);
    assert_eq!(listed().await, 1);
    assert_eq!(refused(only("other.example").await), Refusal::NotPermitted);
    assert_eq!(refused(only("none.example").await), Refusal::NotPermitted);
    admin.done("POST", &format!("/v1/apps/{APP}:suspend"), Value::Null).await;
    assert_eq!(refused(only(APP).await), Refusal::ApplicationSuspended);
    assert_eq!(listed().await, 0);
    let registration = async |app: &str| {
        let operation = RprOperation::Application(ApplicationRequest { app: AppId::new(app).unwrap() });
        ApplicationAnswer::decode(&client.ask(&operation).await, VENDOR)
    };
    assert_eq!(refused(registration(APP).await), Refusal::ApplicationSuspended);
    assert_eq!(refused(registration("none.example").await), Refusal::ApplicationNotRegistered);
    assert_eq!(registration("other.example").await.unwrap().cert_names, ["o.example"]);
    admin.done("POST", &format!("/v1/apps/{APP}:resume"), Value::Null).await;
    admin.done("DELETE", &format!("/v1/grants/{IMSI}/{APP}"), Value::Null).await;
    assert_eq!(refused(only(APP).await), Refusal::NotPermitted);
    assert_eq!(listed().await, 0);
    rs.handle.shutdown().await;
}

trait PutGranted {
    async fn put_granted(&self, device: DeviceId, number: usize);
}

impl PutGranted for ResourceDb {
    /// The first 200 are suspended: a whole page of grants that are no rights must not hide those behind it.
    async fn put_granted(&self, device: DeviceId, number: usize) {
        let id = AppId::new(&format!("application-{number:04}.example")).unwrap();
        let at = UnixTime(0);
        let application = Application {
            id: id.clone(),
            provider: String::new(),
            cert_names: vec![id.to_string()],
            protocols: Vec::new(),
            ua_classes: vec!["tls-psk".into()],
            max_lifetime: None,
            kyc_level: 0,
            settings: Vec::new(),
            discloses_identity: false,
            state: if number < 200 { State::Suspended } else { State::Active },
            withheld: false,
            version: 1,
            created_at: at,
            updated_at: at,
        };
        let change = Change { actor: "test".into(), reason: "".into(), addressees: [].into(), at };
        assert!(self.add_application(application, change.clone()).await.unwrap());
        let grantee = Grantee::Device(device);
        let grant = Grant { grantee, app: id, terms: Terms::default(), created_at: at };
        assert!(self.put_grant(grant, change).await.unwrap());
    }
}

/// Issue sentence 4: as many rights as fit and a *more* flag, the rest fetched when asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_granted_applications_all_arrive() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.done("POST", "/v1/devices", record(IMSI)).await;
    let store = ResourceDb::open(&obf_store::Options::new(site.path("rs.db"))).unwrap();
    let device = store.find_devices(None, IMSI).await.unwrap()[0].id;
    let mut adding = tokio::task::JoinSet::new();
    for number in 0..1000 {
        let store = store.clone();
        adding.spawn(async move { store.put_granted(device, number).await });
    }
    while let Some(added) = adding.join_next().await {
        added.unwrap();
    }
    let client = rs.client().await;
    let first = client.vector(IMSI).await.unwrap();
    Usim::new().accepts(&first);
    assert!(first.rights.more && first.rights.list.len() > 50, "{}", first.rights.list.len());
    let mut all = first.rights;
    let (mut seen, mut round_trips) = (HashSet::new(), 1);
    loop {
        seen.extend(all.list.iter().map(|right| right.app.clone()));
        if !all.more {
            break;
        }
        let last = all.list.last().unwrap().app.clone();
        all = RightsAnswer::decode(&client.ask(&rights(RightsSelector::After(last))).await, VENDOR)
            .unwrap()
            .rights;
        round_trips += 1;
    }
    assert_eq!((seen.len(), seen.contains(&AppId::new("application-0999.example").unwrap())), (800, true));
    assert!(round_trips < 20, "{round_trips}");
    rs.handle.shutdown().await;
}

/// WIRES "Resynchronisation": MAC-S verified, (identity, RAND) once, SQN_HE moved only if it must be.
#[tokio::test(flavor = "multi_thread")]
async fn a_resynchronisation_is_accepted_once_and_only_if_authentic() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    rs.admin().await.provision(IMSI, APP).await;
    let (client, mut usim) = (rs.client().await, Usim::new());
    usim.memory =
        obf_aka::SqnArray::restore(Default::default(), obf_aka::SqnLimits::DEFAULT, &[5000; 32]).unwrap();
    let stale = client.vector(IMSI).await.unwrap();
    let Authentication::SynchronisationFailure(auts) = usim.authenticate(&stale) else { panic!("fresh") };
    let mut forged = auts;
    forged[13] ^= 1;
    let bad = Refusal::BadResynchronisation;
    assert_eq!(refused(client.resynchronise(IMSI, aka(&stale).rand, forged).await), bad);
    let fresh = client.resynchronise(IMSI, aka(&stale).rand, auts).await.unwrap();
    usim.accepts(&fresh);
    assert_eq!(usim.sqn(&fresh) >> 5, 5001);
    assert_eq!(refused(client.resynchronise(IMSI, aka(&stale).rand, auts).await), bad);
    // An AUTS of a card that is behind changes nothing: the next SQN is fresh for it anyway.
    let mut behind = Usim::new();
    behind.memory =
        obf_aka::SqnArray::restore(Default::default(), obf_aka::SqnLimits::DEFAULT, &[5001; 32]).unwrap();
    let Authentication::SynchronisationFailure(auts) = behind.authenticate(&fresh) else { panic!("fresh") };
    let next = client.resynchronise(IMSI, aka(&fresh).rand, auts).await.unwrap();
    assert_eq!(usim.sqn(&next) >> 5, 5002);
    rs.handle.shutdown().await;
}

/// RFC 5080 2.2.2: a repetition is answered with the same octets, and costs no second SQN.
/// WIRES operation 11: whoever administers here is known to an Authentication Server by the same credential, and whoever
/// does not, or does no longer, is one answer.
#[tokio::test(flavor = "multi_thread")]
async fn an_authentication_server_is_told_who_administers() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    let client = rs.client().await;
    let ask = async |credential| {
        let ask = RprOperation::Administrator(AdministratorRequest { credential });
        AdministratorAnswer::decode(&client.ask(&ask).await, VENDOR)
    };
    let token = |token: &str| AdministratorCredential::TokenSha256(Sha256::digest(token).into());
    let names = |names: &[&str]| {
        AdministratorCredential::Certificate(names.iter().map(ToString::to_string).collect())
    };
    let known = |name: &str, role: &str| Ok(AdministratorAnswer { name: name.into(), role: role.into() });
    let record = json!({"administrator": "alice", "role": "auditor", "cert_name": "alice.example"});
    let alice = admin.done("POST", "/v1/administrators", record).await;
    let alice = alice["token"].as_str().unwrap().to_owned();
    assert_eq!(ask(token(TOKEN)).await, known("admin", "operator"));
    assert_eq!(ask(token(&alice)).await, known("alice", "auditor"));
    assert_eq!(ask(names(&["other.example", "alice.example"])).await, known("alice", "auditor"));
    admin.done("POST", "/v1/administrators/alice:suspend", Value::Null).await;
    for shown in
        [token("wrong"), token(&alice), names(&["alice.example"]), names(&["other.example", "admin"])]
    {
        assert_eq!(refused(ask(shown.clone()).await), Refusal::UnknownIdentity, "{shown:?}");
    }
    admin.done("POST", "/v1/administrators/alice:resume", Value::Null).await;
    assert_eq!(ask(token(&alice)).await, known("alice", "auditor"));
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_answer() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    rs.admin().await.provision(IMSI, APP).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(rs.endpoint("rpr")).await.unwrap();
    let framing = Framing::with_secret(SecretBytes::from(SECRET.as_bytes()));
    let (mut packet, mut answers) = (Vec::new(), Vec::new());
    let attributes = encoded(&vector_for(IMSI), &auth_server(1));
    let pending = Pending::begin(&framing, Code::AccessRequest, 7, [9; 16], &attributes, &mut packet);
    for _ in 0..3 {
        socket.send(&packet).await.unwrap();
        let mut answer = [0; 4096];
        let length = tokio::time::timeout(LONG, socket.recv(&mut answer)).await.unwrap().unwrap();
        answers.push(answer[..length].to_vec());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    let reply = pending.accept(&framing, &answers[0]).unwrap();
    assert_eq!(Usim::new().sqn(&VectorAnswer::decode(&reply, VENDOR).unwrap()) >> 5, 1);
    assert_eq!(Usim::new().sqn(&rs.client().await.vector(IMSI).await.unwrap()) >> 5, 2);
    // Under another secret there is no answer at all: the next authentic request gets the next packet.
    let wrong = Framing::with_secret(SecretBytes::from(&b"another secret of thirty-two octets"[..]));
    let _ = Pending::begin(&wrong, Code::AccessRequest, 8, [9; 16], &attributes, &mut packet);
    socket.send(&packet).await.unwrap();
    let pending = Pending::begin(&framing, Code::AccessRequest, 9, [8; 16], &attributes, &mut packet);
    socket.send(&packet).await.unwrap();
    let mut answer = [0; 4096];
    let length = tokio::time::timeout(LONG, socket.recv(&mut answer)).await.unwrap().unwrap();
    assert!(pending.accept(&framing, &answer[..length]).is_ok());
    rs.handle.shutdown().await;
}

/// The Authentication Server's end of RADIUS/TLS: takes notices in reverse and acknowledges them.
struct Taker(mpsc::UnboundedSender<Notice>);

impl Handler for Taker {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        let now = UnixTime(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs());
        for notice in Notice::decode(&request, VENDOR, now).unwrap() {
            self.0.send(notice).unwrap();
        }
        let mut out = Vec::new();
        obf_radius::notice::acknowledge(&request, &mut out);
        Some(out)
    }
}

impl LinkEvents for Taker {}

async fn next(notices: &mut mpsc::UnboundedReceiver<Notice>) -> Notice {
    tokio::time::timeout(LONG, notices.recv()).await.expect("a notice comes").unwrap()
}

/// RPR over TLS, and RS → AS Disconnect on the server's own connection; what happened while it was away comes as soon
/// as it connects, before it asks anything.
#[tokio::test(flavor = "multi_thread")]
async fn radius_tls_serves_registered_certificates_and_carries_notices_back() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.provision(IMSI, APP).await;
    let begun = epoch(&admin.done("GET", &format!("/v1/devices/{IMSI}"), Value::Null).await);
    let ended = Epoch(begun.0 + 1);
    admin.done("POST", &format!("/v1/devices/{IMSI}:revoke"), Value::Null).await;
    let stopper = Stopper::new();
    let running = stopper.running();
    let (sender, mut notices) = mpsc::unbounded_channel();
    let link = |file: &str, name: &str, taker: Taker| {
        let tls = certificates::mutual_client(&site.certificate(file, name), &site.path("ca.pem")).unwrap();
        let address = TlsServerAddress::new(rs.endpoint("rpr-tls"), "rs.example");
        RadiusTlsClient::start(TlsClientSettings::new(vec![address], tls), &running, Arc::new(taker))
    };
    let client = link("as", "as.example", Taker(sender.clone()));
    // They travel side by side, so in any order.
    let device = obf_types::GlobalIdentity::new(obf_types::IdentityKind::Imsi, IMSI).unwrap();
    let waited = [next(&mut notices).await, next(&mut notices).await];
    assert!(waited.contains(&Notice::RightsChanged { device: device.clone(), epoch: begun }), "{waited:?}");
    assert!(waited.contains(&Notice::DeviceEnded { device, epoch: ended }), "{waited:?}");

    let attributes = encoded(&vector_for(IMSI), &auth_server(1));
    let reply = client.ask(Code::AccessRequest, &attributes, LONG).await.unwrap();
    let answer = VectorAnswer::decode(&reply, VENDOR).unwrap();
    Usim::new().accepts(&answer);
    assert_eq!(answer.device.epoch, ended);

    admin.done("POST", &format!("/v1/apps/{APP}:suspend"), Value::Null).await;
    let told = [next(&mut notices).await, next(&mut notices).await];
    assert!(told.contains(&Notice::ApplicationChanged { app: AppId::new(APP).unwrap() }), "{told:?}");
    assert!(told.iter().any(|notice| matches!(notice, Notice::RightsChanged { .. })), "{told:?}");
    admin.done("DELETE", &format!("/v1/devices/{IMSI}"), Value::Null).await;
    let last = next(&mut notices).await;
    assert!(matches!(last, Notice::DeviceEnded { epoch, .. } if epoch.0 == ended.0 + 1), "{last:?}");

    // A certificate of the same CA that nobody registered gets nothing, a registered one not under another's node.
    let stranger = link("stranger", "stranger.example", Taker(sender.clone()));
    let short = Duration::from_millis(500);
    assert!(stranger.ask(Code::AccessRequest, &attributes, short).await.is_err());
    let other = encoded(&vector_for(IMSI), &auth_server(5));
    let reply = client.ask(Code::AccessRequest, &other, LONG).await.unwrap();
    assert_eq!(refused(VectorAnswer::decode(&reply, VENDOR)), Refusal::NodeNotRegistered);
    drop((client, stranger, running));
    stopper.stop(LONG).await;
    rs.handle.shutdown().await;
}
