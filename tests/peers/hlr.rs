//! Vectors of subscribers who live in osmo-hlr (SPEC R3, R9), made by it and computed again by their cards.

use obf_aka::{AkaVector, Algorithm, Authentication, Sqn, SqnArray, SqnLayout, SqnLimits, authenticate};
use obf_gsup::PeerName;
use obf_net::Stopper;
use obf_resource::{
    config::HlrConfig,
    vectors::{Hlr, HlrError},
};
use obf_testkit::peer::osmo_hlr::OsmoHlr;
use obf_types::{GlobalIdentity, IdentityKind, Refusal, Secret};
use std::time::{Duration, Instant};

const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";
const LONG: Duration = Duration::from_secs(30);

fn imsi(number: u32) -> Vec<GlobalIdentity> {
    let imei = GlobalIdentity::new(IdentityKind::Imei, "490154203237518").unwrap();
    vec![imei, GlobalIdentity::new(IdentityKind::Imsi, &format!("00101{number:010}")).unwrap()]
}

struct Card {
    algorithm: Algorithm,
    memory: SqnArray,
}

impl Card {
    /// With a SQN memory in which each place has this SEQ.
    fn at(seq: u64) -> Self {
        let [k, opc] = [K, OPC].map(|hex| Secret::new(u128::from_str_radix(hex, 16).unwrap().to_be_bytes()));
        let memory = SqnArray::restore(SqnLayout::DEFAULT, SqnLimits::DEFAULT, &[seq; 32]).unwrap();
        Self { algorithm: Algorithm::milenage(&k, &opc), memory }
    }

    fn answer(&mut self, vector: &AkaVector) -> Authentication {
        authenticate(&self.algorithm, &mut self.memory, &vector.rand, &vector.autn)
    }

    /// The vector is fresh, and RES, CK and IK are what the card computes; SQN behind AUTN.
    fn accepts(&mut self, vector: &AkaVector) -> Sqn {
        let Authentication::Success(success) = self.answer(vector) else { panic!("the card refuses") };
        assert_eq!((&success.res, &success.ck, &success.ik), (&vector.xres, &vector.ck, &vector.ik));
        self.memory.sqn_ms()
    }

    fn auts(&mut self, vector: &AkaVector) -> [u8; 14] {
        let Authentication::SynchronisationFailure(auts) = self.answer(vector) else {
            panic!("the card takes a vector that is not fresh")
        };
        auts
    }
}

fn start(hlr: &OsmoHlr, stopper: &Stopper) -> Hlr {
    let config = HlrConfig { name: None, address: hlr.gsup(), allow_plain: false, ipa_name: None };
    Hlr::start(&config, PeerName::new("obf-rs-0").unwrap(), &stopper.running())
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_a_subscriber_of_osmo_hlr_gets_vectors_that_its_card_computes() {
    let osmo = OsmoHlr::start();
    osmo.add_milenage("001010000000001", K, OPC);
    let stopper = Stopper::new();
    let hlr = start(&osmo, &stopper);
    let mut card = Card::at(0);
    let mut last = Sqn::default();
    for _ in 0..5 {
        let vector = hlr.one_vector(&imsi(1), None).await.unwrap();
        assert_eq!(vector.xres.expose().len(), 8);
        let sqn = card.accepts(&vector);
        assert!(sqn > last, "a fresh SQN each time");
        assert_eq!(SqnLayout::DEFAULT.seq(sqn), SqnLayout::DEFAULT.seq(last) + 1, "one vector a request");
        last = sqn;
    }
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_a_card_ahead_of_osmo_hlr_is_resynchronised_by_it() {
    let osmo = OsmoHlr::start();
    osmo.add_milenage("001010000000001", K, OPC);
    let stopper = Stopper::new();
    let hlr = start(&osmo, &stopper);
    let mut card = Card::at(1000);
    let stale = hlr.one_vector(&imsi(1), None).await.unwrap();
    let auts = card.auts(&stale);
    let mut forged = auts;
    forged[13] ^= 1;
    let refused = hlr.one_vector(&imsi(1), Some((stale.rand, forged))).await.unwrap_err();
    assert_eq!(refused.refusal(), Refusal::BadResynchronisation, "{refused}");
    let other = hlr.one_vector(&imsi(1), Some(([9; 16], auts))).await.unwrap_err();
    assert_eq!(other.refusal(), Refusal::BadResynchronisation, "AUTS to another challenge");
    assert!(matches!(
        card.answer(&hlr.one_vector(&imsi(1), None).await.unwrap()),
        Authentication::SynchronisationFailure(_)
    ));

    let fresh = hlr.one_vector(&imsi(1), Some((stale.rand, auts))).await.unwrap();
    let sqn = card.accepts(&fresh);
    assert_eq!(SqnLayout::DEFAULT.seq(sqn), 1001, "the HLR went on from the card's");
    let next = hlr.one_vector(&imsi(1), None).await.unwrap();
    assert!(card.accepts(&next) > sqn, "and stays there");
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_osmo_hlr_cannot_serve_is_refused_with_the_reason() {
    let osmo = OsmoHlr::start();
    osmo.add_gsm("001010000000002", K);
    osmo.add_keyless("001010000000003");
    let stopper = Stopper::new();
    let hlr = start(&osmo, &stopper);
    let impi = vec![GlobalIdentity::new(IdentityKind::Impi, "a@b.example").unwrap()];
    for (device, refusal, words) in [
        (imsi(1), Refusal::UnknownIdentity, "the HLR does not know the subscriber, or has no key: cause 2"),
        (imsi(2), Refusal::AlgorithmNotAllowed, "the HLR has only a GSM key for the subscriber"),
        (imsi(3), Refusal::UnknownIdentity, "the HLR does not know the subscriber, or has no key: cause 2"),
        (impi, Refusal::UnknownIdentity, "the device lives in an HLR and has no IMSI"),
    ] {
        let error = hlr.one_vector(&device, None).await.unwrap_err();
        assert!(error.to_string().starts_with(words), "{error}");
        assert_eq!(error.refusal(), refusal);
    }
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn osmo_hlr_away_fails_closed_and_is_used_again_when_it_is_back() {
    let mut osmo = OsmoHlr::start();
    osmo.add_milenage("001010000000001", K, OPC);
    let stopper = Stopper::new();
    let hlr = start(&osmo, &stopper);
    let mut card = Card::at(0);
    card.accepts(&hlr.one_vector(&imsi(1), None).await.unwrap());
    osmo.kill();
    let deadline = Instant::now() + LONG;
    let error = loop {
        assert!(Instant::now() < deadline, "a killed HLR goes on answering");
        match hlr.one_vector(&imsi(1), None).await {
            Err(error) => break error,
            Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    assert_eq!(error.refusal(), Refusal::HlrUnavailable);
    let begun = Instant::now();
    let away = hlr.one_vector(&imsi(1), None).await.unwrap_err();
    assert!(away.to_string().starts_with(&format!("the HLR at {} is away: ", osmo.gsup())), "{away}");
    assert!(begun.elapsed() < Duration::from_secs(2), "said at once");
    osmo.start_again();
    tokio::time::timeout(LONG, hlr.connected()).await.unwrap();
    let vector = hlr.one_vector(&imsi(1), None).await.unwrap();
    card.accepts(&vector);
    stopper.stop(LONG).await;
    assert!(matches!(hlr.one_vector(&imsi(1), None).await, Err(HlrError::Failed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_devices_at_once_get_each_their_own_vector() {
    let osmo = OsmoHlr::start();
    let names: Vec<String> = (1..=50).map(|number| format!("00101{number:010}")).collect();
    osmo.add_milenage_all(names.iter().map(String::as_str), K, OPC);
    let stopper = Stopper::new();
    let hlr = start(&osmo, &stopper);
    let mut asking = tokio::task::JoinSet::new();
    for number in 1..=50 {
        for _ in 0..4 {
            let hlr = hlr.clone();
            asking.spawn(async move { (number, hlr.one_vector(&imsi(number), None).await.unwrap()) });
        }
    }
    let mut vectors = asking.join_all().await;
    vectors.sort_by_key(|(number, _)| *number);
    for device in vectors.chunks(4) {
        let mut sqns: Vec<Sqn> = device.iter().map(|(_, vector)| Card::at(0).accepts(vector)).collect();
        sqns.sort_unstable();
        sqns.dedup();
        assert_eq!(sqns.len(), 4, "no SQN twice");
    }
    stopper.stop(LONG).await;
}
