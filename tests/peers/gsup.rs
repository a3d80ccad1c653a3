//! The GSUP client against osmo-hlr.

use obf_aka::{Algorithm, Authentication, SqnArray, SqnLayout, SqnLimits, authenticate};
use obf_gsup::{Cause, Failure, Imsi, Limits, PeerName, Resynchronisation, SendAuthInfoRequest};
use obf_net::{
    Stopper,
    gsup::{GsupClient, GsupClientSettings, GsupError},
};
use obf_testkit::peer::{capture::Capture, osmo_hlr::OsmoHlr};
use obf_types::Secret;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";
const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(400);

fn settings(address: SocketAddr) -> GsupClientSettings {
    let mut settings = GsupClientSettings::new(address, PeerName::new("obf-net-test").unwrap());
    settings.connect_time = Duration::from_secs(1);
    settings.backoff = Duration::from_millis(200);
    settings
}

fn imsi(number: u32) -> Imsi {
    Imsi::new(&format!("00101{number:010}")).unwrap()
}

fn one(number: u32) -> SendAuthInfoRequest {
    SendAuthInfoRequest::one_vector(imsi(number), None)
}

fn algorithm() -> Algorithm {
    let [k, opc] = [K, OPC].map(|hex| Secret::new(u128::from_str_radix(hex, 16).unwrap().to_be_bytes()));
    Algorithm::milenage(&k, &opc)
}

fn card() -> SqnArray {
    SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT)
}

#[tokio::test(flavor = "multi_thread")]
async fn osmo_hlr_gives_vectors_that_the_card_computes_with_many_requests_in_flight() {
    let hlr = OsmoHlr::start();
    let imsis: Vec<Imsi> = (1..=40).map(imsi).collect();
    hlr.add_milenage_all(imsis.iter().map(Imsi::digits), K, OPC);
    let stopper = Stopper::new();
    let client = GsupClient::start(settings(hlr.gsup()), &stopper.running());
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..200 {
        let client = client.clone();
        asking.spawn(async move { (number, client.send_auth_info(one(1 + number % 40), LONG).await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    for (number, answer) in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.imsi, imsi(1 + number % 40));
        let [tuple] = answer.tuples.as_slice() else { panic!("one vector was asked for: {answer:?}") };
        let quintet = tuple.quintet.as_ref().unwrap();
        let Authentication::Success(success) =
            authenticate(&algorithm(), &mut card(), &tuple.rand, &quintet.autn)
        else {
            panic!("the card refuses the vector")
        };
        assert_eq!(success.res.expose(), quintet.xres.expose());
        assert_eq!(success.ck.expose(), quintet.ck.expose());
        assert_eq!(success.ik.expose(), quintet.ik.expose());
    }
    // One connection carried them all.
    assert_eq!(hlr.log().matches("accept()ed new link").count(), 2, "{}", hlr.log());
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn osmo_hlr_refuses_with_a_cause_and_the_connection_goes_on() {
    let hlr = OsmoHlr::start();
    hlr.add_keyless(imsi(2).digits());
    hlr.add_milenage(imsi(1).digits(), K, OPC);
    let stopper = Stopper::new();
    let client = GsupClient::start(settings(hlr.gsup()), &stopper.running());
    let refused = GsupError::Answered(Failure::Refused(Cause::IMSI_UNKNOWN));
    assert_eq!(client.send_auth_info(one(2), LONG).await, Err(refused.clone()), "known, without a key");
    assert_eq!(client.send_auth_info(one(3), LONG).await, Err(refused.clone()), "unknown");
    assert_eq!(refused.to_string(), "the HLR refused: cause 2 (IMSI unknown in HLR)");
    let forged = Resynchronisation { rand: [1; 16], auts: [2; 14] };
    let forged = SendAuthInfoRequest::one_vector(imsi(1), Some(forged));
    assert_eq!(client.send_auth_info(forged, LONG).await, Err(refused), "AUTS that does not verify");
    assert!(client.send_auth_info(one(1), LONG).await.is_ok());
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hlr_that_is_killed_is_away_at_once_and_back_by_itself() {
    let mut hlr = OsmoHlr::start();
    hlr.add_milenage(imsi(1).digits(), K, OPC);
    let stopper = Stopper::new();
    let client = GsupClient::start(settings(hlr.gsup()), &stopper.running());
    assert!(client.send_auth_info(one(1), LONG).await.is_ok());
    for _ in 0..3 {
        hlr.kill();
        while client.is_connected() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let begun = Instant::now();
        let error = client.send_auth_info(one(1), LONG).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody waits for an HLR that is away");
        let reasons = ["Connection refused", "closed by the HLR", "Connection reset"];
        let away = format!("the HLR at {} is away: ", hlr.gsup());
        let reason = error.to_string().strip_prefix(&away).map(str::to_owned);
        assert!(
            reason.is_some_and(|reason| reasons.iter().any(|known| reason.starts_with(known))),
            "{error}"
        );
        hlr.start_again();
        tokio::time::timeout(LONG, client.connected()).await.unwrap();
        assert!(client.send_auth_info(one(1), LONG).await.is_ok());
    }
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hlr_that_holds_its_connection_and_says_nothing_is_given_up() {
    let mut hlr = OsmoHlr::start();
    hlr.add_milenage(imsi(1).digits(), K, OPC);
    let stopper = Stopper::new();
    let mut settings = settings(hlr.gsup());
    settings.limits = Limits { heartbeat: SHORT, patience: SHORT, ..Limits::default() };
    let client = GsupClient::start(settings, &stopper.running());
    assert!(client.send_auth_info(one(1), LONG).await.is_ok());
    hlr.freeze();
    assert_eq!(client.send_auth_info(one(1), SHORT / 4).await, Err(GsupError::NoAnswer));
    let error = loop {
        match client.send_auth_info(one(1), SHORT / 4).await {
            Err(GsupError::NoAnswer | GsupError::Ended) => {}
            Err(error) => break error.to_string(),
            Ok(_) => panic!("a frozen HLR answers"),
        }
    };
    assert!(error.contains("no identity request within 1s: is this the GSUP port of an HLR?"), "{error}");
    hlr.kill();
    hlr.start_again();
    tokio::time::timeout(LONG, client.connected()).await.unwrap();
    assert!(client.send_auth_info(one(1), LONG).await.is_ok());
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tshark_reads_each_message_of_ours_as_osmo_hlr_does() {
    let hlr = OsmoHlr::start();
    hlr.add_milenage(imsi(1).digits(), K, OPC);
    let capture = Capture::start(&format!("tcp port 4222 and host {}", hlr.gsup().ip()));
    let stopper = Stopper::new();
    let client = GsupClient::start(settings(hlr.gsup()), &stopper.running());
    let answer = client.send_auth_info(one(1), LONG).await.unwrap();
    let auts = Resynchronisation { rand: [0x5a; 16], auts: [0xa5; 14] };
    let resynchronise = SendAuthInfoRequest::one_vector(imsi(1), Some(auts));
    client.send_auth_info(resynchronise, LONG).await.unwrap_err();
    stopper.stop(LONG).await;

    let fields = ["msg_type", "ie.iei", "cn_domain", "rand", "auts", "autn", "cause", "ie.len.invalid"];
    let fields = fields.map(|field| format!("gsup.{field}"));
    let mut arguments = vec!["-Y", "gsup", "-T", "fields", "-e", "e212.imsi", "-e", "_ws.malformed"];
    arguments.extend(fields.iter().flat_map(|field| ["-e", field.as_str()]));
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let tuple = &answer.tuples[0];
    let autn = tuple.quintet.as_ref().unwrap().autn;
    let expected = [
        ["8", "1,40,82", "1", "", "", "", "", ""].map(str::to_owned),
        [
            "10".into(),
            "1,3,32,33,34,35,36,37,39".into(),
            String::new(),
            hex(&tuple.rand),
            String::new(),
            hex(&autn),
            String::new(),
            String::new(),
        ],
        ["8", "1,40,38,32,82", "1", &"5a".repeat(16), &"a5".repeat(14), "", "", ""].map(str::to_owned),
        ["9", "1,2", "", "", "", "", "0x02", ""].map(str::to_owned),
    ];
    let packets = capture.read(&arguments, expected.len());
    for (packet, expected) in packets.iter().zip(&expected) {
        let mut found: Vec<&str> = packet.split('\t').collect();
        found.resize(10, "");
        assert_eq!(found[..2], [imsi(1).digits(), ""], "{packet}");
        assert_eq!(found[2..], expected[..], "{packet}");
    }
}
