//! What an Authentication Server is answered on RPR about devices that live in osmo-hlr (SPEC R3, R9, R18).

use crate::common::*;
use obf_aka::{Authentication, SqnArray, SqnLayout, SqnLimits};
use obf_radius::AnswerError;
use obf_resource::{Config, Environment};
use obf_rpr::VectorAnswer;
use obf_store::{
    Options,
    resource::{AuditFilter, ResourceDb},
};
use obf_testkit::peer::osmo_hlr::OsmoHlr;
use obf_types::Refusal;
use serde_json::{Value, json};
use std::time::Instant;

/// Lives in the HLR.
const IMSI: &str = "001010000000001";
/// Lives here, with its key.
const OWN: &str = "001010000000002";
const APP: &str = "track.example";

fn refused(answer: Result<VectorAnswer, AnswerError>) -> Refusal {
    match answer {
        Err(AnswerError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// A Resource Server with that HLR, [`IMSI`] in it and granted [`APP`], [`OWN`] with a key of its own.
async fn serve(site: &Site, hlr: Value) -> Rs {
    let mut config = site.config(None);
    config["hlr"] = hlr;
    let rs = site.start(config).await;
    let mut admin = rs.admin().await;
    admin.done("POST", "/v1/devices", json!({"imsi": IMSI, "source": "hlr"})).await;
    admin.done("POST", "/v1/devices", record(OWN)).await;
    admin.done("POST", "/v1/apps", json!({"app": APP, "cert_names": [APP], "ua": ["tls-psk"]})).await;
    admin.done("POST", "/v1/grants", json!({"device": IMSI, "app": APP})).await;
    rs
}

fn osmo() -> (OsmoHlr, Value) {
    let osmo = OsmoHlr::start();
    osmo.add_milenage(IMSI, K, OPC);
    let at = json!({ "address": osmo.gsup(), "ipa_name": "rs-of-the-test" });
    (osmo, at)
}

/// The first vector once the node has connected to the HLR, or again.
async fn first(client: &RprUdpClient) -> VectorAnswer {
    let deadline = Instant::now() + LONG;
    loop {
        match client.vector(IMSI).await {
            Ok(answer) => return answer,
            Err(AnswerError::Refused(Refusal::HlrUnavailable)) if Instant::now() < deadline => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_a_device_in_osmo_hlr_is_answered_like_any_other() {
    let site = Site::new();
    let (osmo, at) = osmo();
    let rs = serve(&site, at).await;
    let (client, mut card) = (rs.client().await, Usim::new());
    let impi = format!("{IMSI}@ims.mnc001.mcc001.3gppnetwork.org");
    for user in [IMSI, &impi, IMSI] {
        let answer = client.vector(user).await.unwrap();
        card.accepts(&answer);
        assert_eq!(answer.device.identity.value(), IMSI, "unchanged");
        let [right] = &answer.rights.list[..] else { panic!("{:?}", answer.rights) };
        assert_eq!(right.app.as_str(), APP);
    }
    assert!(osmo.log().contains("accept()ed new link"));

    // Rights are ours: a suspended device is refused, and the HLR is not asked.
    let mut admin = rs.admin().await;
    admin.done("POST", &format!("/v1/devices/{IMSI}:suspend"), Value::Null).await;
    assert_eq!(refused(client.vector(IMSI).await), Refusal::DeviceSuspended);
    admin.done("POST", &format!("/v1/devices/{IMSI}:resume"), Value::Null).await;
    let sqn = card.sqn(&client.vector(IMSI).await.unwrap());
    assert_eq!(SqnLayout::DEFAULT.seq(obf_aka::Sqn::new(sqn).unwrap()), 4, "three vectors before this one");
    rs.handle.shutdown().await;

    // Each use of the key is in the audit, though the key is elsewhere.
    let store = ResourceDb::open(&Options::new(site.path("rs.db"))).unwrap();
    let uses = AuditFilter { action: Some("key.use".into()), ..AuditFilter::default() };
    let uses = store.audit_rows(uses, 0, 100).await.unwrap();
    let object = format!("imsi:{IMSI}");
    assert_eq!(
        uses.iter().filter(|row| row.act.object == object && row.act.reason == "vector").count(),
        4,
        "{uses:?}"
    );
    assert!(uses.iter().all(|row| row.act.actor == format!("{DOMAIN}#1")), "{uses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_an_auts_moves_the_hlr_s_sqn_once() {
    let site = Site::new();
    let (_osmo, at) = osmo();
    let rs = serve(&site, at).await;
    let (client, mut card) = (rs.client().await, Usim::new());
    card.memory = SqnArray::restore(SqnLayout::DEFAULT, SqnLimits::DEFAULT, &[5000; 32]).unwrap();
    let stale = first(&client).await;
    let Authentication::SynchronisationFailure(auts) = card.authenticate(&stale) else { panic!("fresh") };
    let rand = aka(&stale).rand;
    let fresh = client.resynchronise(IMSI, rand, auts).await.unwrap();
    card.accepts(&fresh);
    assert_eq!(SqnLayout::DEFAULT.seq(card.memory.sqn_ms()), 5001);
    // The same again is refused here: the HLR would have gone back.
    assert_eq!(refused(client.resynchronise(IMSI, rand, auts).await), Refusal::BadResynchronisation);
    // A forged one the HLR refuses; it changes nothing.
    assert_eq!(refused(client.resynchronise(IMSI, [3; 16], auts).await), Refusal::BadResynchronisation);
    card.accepts(&client.vector(IMSI).await.unwrap());
    assert_eq!(SqnLayout::DEFAULT.seq(card.memory.sqn_ms()), 5002);
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hlr_that_is_killed_refuses_its_own_devices_only_and_comes_back() {
    let site = Site::new();
    let (mut osmo, at) = osmo();
    let rs = serve(&site, at).await;
    let (client, mut card, mut own) = (rs.client().await, Usim::new(), Usim::new());
    for _ in 0..2 {
        card.accepts(&first(&client).await);
        osmo.kill();
        let deadline = Instant::now() + LONG;
        let refusal = loop {
            assert!(Instant::now() < deadline, "a killed HLR goes on answering");
            if let Err(error) = client.vector(IMSI).await {
                break refused(Err(error));
            }
        };
        assert_eq!(refusal.to_string(), "OBF-305 the subscriber's HLR gives no vectors, try again later");
        own.accepts(&client.vector(OWN).await.unwrap());
        osmo.start_again();
    }
    card.accepts(&first(&client).await);
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_the_hlr_cannot_serve_is_refused_by_its_code() {
    let site = Site::new();
    let osmo = OsmoHlr::start();
    let at = json!({ "address": osmo.gsup() });
    let rs = serve(&site, at).await;
    let client = rs.client().await;
    assert_eq!(refused(client.vector(IMSI).await), Refusal::UnknownIdentity, "nor does the HLR know it");
    osmo.add_gsm(IMSI, K);
    assert_eq!(refused(client.vector(IMSI).await), Refusal::AlgorithmNotAllowed, "GSM key only");
    rs.handle.shutdown().await;

    // No HLR is configured, though a device lives in one.
    let mut config = site.config(None);
    config["hlr"] = Value::Null;
    let rs = site.start(config).await;
    assert_eq!(refused(rs.client().await.vector(IMSI).await), Refusal::HlrUnavailable);
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_while_its_hlr_is_away_and_says_a_wrong_configuration() {
    let site = Site::new();
    let (mut osmo, at) = osmo();
    osmo.kill();
    let rs = serve(&site, at).await;
    let client = rs.client().await;
    assert_eq!(refused(client.vector(IMSI).await), Refusal::HlrUnavailable);
    Usim::new().accepts(&client.vector(OWN).await.unwrap());
    osmo.start_again();
    Usim::new().accepts(&first(&client).await);
    rs.handle.shutdown().await;

    let mut config = site.config(None);
    config["hlr"] = json!({ "address": "127.0.0.1:4222", "ipa_name": "two words" });
    let config: Config = serde_json::from_value(config).unwrap();
    let error = obf_resource::start(config, Environment::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("resource.hlr.ipa_name: a peer's name has"), "{error}");
}
