//! The right status for everything that is wrong (the table in `status.rs`), and no difference between identities.

use crate::world::{Device, START, World, header, replace, response};
use obf_rpb::http::{ClientRequest, HttpRequest, OFFER_HEADER};
use obf_rpb::{Bootstrap, ClientStep, KeyRing, Outcome, Reply};
use obf_token::SealingKey;
use obf_types::{Refusal, Secret, UnixTime};

const IMSI: &str = "001010000000001";

/// The second request of a device, right in everything.
fn second_request(world: &mut World, device: &mut Device) -> ClientRequest {
    let mut bootstrap = Bootstrap::new(device.settings.clone());
    let reply = world.serve_client(&bootstrap.first_request().unwrap());
    let ClientStep::Authenticate { rand, autn, .. } = bootstrap.answer(&response(&reply)).unwrap() else {
        panic!("no challenge")
    };
    bootstrap.authenticated(device.authenticate(&rand, &autn), world.random.octets()).unwrap()
}

fn authorization(value: &str) -> ClientRequest {
    ClientRequest { method: "GET", target: "/", headers: vec![("authorization", value.as_bytes().to_vec())] }
}

#[test]
fn tampering_with_any_field_gets_its_status() {
    let mut world = World::new(21).with_device(IMSI).with_device("001010000000002");
    let mut device = Device::new(IMSI);
    for (from, to, outcome) in [
        ("username=\"001010000000001\"", "username=\"001010000000002\"", Outcome::ForeignChallenge),
        ("username=\"001010000000001\"", "username=\"\"", Outcome::Malformed),
        ("username=\"001010000000001\"", "x=\"y\"", Outcome::Malformed),
        ("username=\"001010000000001\"", "username=\"001010000000001\", userhash=true", Outcome::Malformed),
        ("realm=\"as.", "realm=\"at.", Outcome::ForeignChallenge),
        ("nonce=\"", "nonce=\"A", Outcome::ForeignChallenge),
        ("opaque=\"A", "opaque=\"B", Outcome::ForeignChallenge),
        ("opaque=\"A", "opaque=\"", Outcome::ForeignChallenge),
        ("opaque=", "x=", Outcome::ForeignChallenge),
        ("uri=\"/\"", "uri=\"/x\"", Outcome::OtherUri),
        ("uri=\"/\"", "uri=\"\"", Outcome::OtherUri),
        ("response=\"", "response=\"0", Outcome::WrongResponse),
        ("response=", "x=", Outcome::Malformed),
        ("cnonce=\"", "cnonce=\"0", Outcome::WrongResponse),
        ("cnonce=", "x=", Outcome::Malformed),
        ("nc=00000001", "nc=00000002", Outcome::WrongResponse),
        ("nc=00000001", "nc=00000000", Outcome::Malformed),
        ("nc=00000001", "nc=1", Outcome::Malformed),
        ("nc=00000001, ", "", Outcome::Malformed),
        ("qop=auth-int", "qop=auth", Outcome::Malformed),
        ("qop=auth-int, ", "", Outcome::Malformed),
        ("algorithm=AKAv2-SHA-256", "algorithm=AKAv1-MD5", Outcome::WrongResponse),
        ("algorithm=AKAv2-SHA-256", "algorithm=AKAv2-MD5", Outcome::AlgorithmNotOffered),
        ("algorithm=AKAv2-SHA-256", "algorithm=AKAv2-SHA-256-sess", Outcome::AlgorithmNotOffered),
        ("algorithm=AKAv2-SHA-256", "algorithm=SHA-256", Outcome::AlgorithmNotOffered),
        ("algorithm=AKAv2-SHA-256", "algorithm=ROT13", Outcome::NoCredentials),
        ("algorithm=AKAv2-SHA-256, ", "", Outcome::AlgorithmNotOffered),
        ("Digest ", "Digest realm=\"as.operator.example\", ", Outcome::Malformed),
        ("Digest ", "Basic ", Outcome::NoCredentials),
        ("Digest ", "", Outcome::Malformed),
        ("Digest ", "Digest auts=\"AAAAAAAAAAAAAAAAAAA=\", ", Outcome::WrongResponse),
    ] {
        let request = second_request(&mut world, &mut device);
        let mut tampered = request.clone();
        replace(header(&mut tampered, "authorization"), from, to);
        let tokens = world.tokens.len();
        let reply = world.serve_client(&tampered);
        assert_eq!(reply.outcome, outcome, "{from} -> {to}");
        assert_eq!((world.tokens.len(), world.spent.len()), (tokens, tokens), "{from} -> {to}");
        // Nothing was spent: what the device really sent is still accepted.
        assert_eq!(world.serve_client(&request).outcome, Outcome::Bootstrapped, "{from} -> {to}");
    }
}

#[test]
fn a_wrong_response_does_not_take_the_challenge_from_the_device() {
    let mut world = World::new(22).with_device(IMSI);
    let mut device = Device::new(IMSI);
    let request = second_request(&mut world, &mut device);
    let mut wrong = request.clone();
    replace(header(&mut wrong, "authorization"), "response=\"", "response=\"0");
    assert_eq!(world.serve_client(&wrong).outcome, Outcome::WrongResponse);
    assert_eq!(world.serve_client(&request).outcome, Outcome::Bootstrapped);
}

#[test]
fn what_is_decided_before_any_credentials() {
    let mut world = World::new(23);
    let mut ask = |method: &str, target: &str, headers: &[(&str, &[u8])]| {
        let mut request = HttpRequest::new(method, target, b"");
        headers.iter().for_each(|(name, value)| request.header(name, value));
        let reply = world.serve(&request);
        assert!(world.asked.is_empty());
        reply
    };
    assert_eq!(ask("POST", "/", &[]).status(), 405);
    assert!(ask("HEAD", "/", &[]).headers.contains(&("allow", b"GET".to_vec())));
    assert_eq!(ask("GET", "/x", &[]).status(), 404);
    assert_eq!(ask("GET", "*", &[]).status(), 404);
    assert_eq!(ask("GET", "http://as.operator.example/x", &[]).status(), 404);
    assert_eq!(ask("GET", "http://as.operator.example", &[]).outcome, Outcome::NoCredentials);
    let digest = b"Digest username=\"u\", realm=\"\", nonce=\"\", uri=\"/\", response=\"\"";
    assert_eq!(ask("GET", "/", &[("authorization", digest), ("Authorization", digest)]).status(), 400);
    assert_eq!(ask("GET", "/", &[("authorization", b"Digest username=")]).status(), 400);
    assert_eq!(ask("GET", "/", &[("authorization", &[b'a'; 9000])]).status(), 431);
    assert_eq!(ask("GET", "/", &[(OFFER_HEADER, b"OBF!"), ("authorization", digest)]).status(), 400);
    let reply = ask("GET", "/", &[("user-agent", b"x; GBA_Digest"), ("authorization", digest)]);
    assert_eq!(
        (reply.status(), reply.body),
        (403, b"OBF-204 identity uses another bootstrapping mode\n".to_vec())
    );
    for authorization in [None, Some(b"Basic dTpw".as_slice()), Some(b"Bearer x")] {
        let headers: Vec<_> = authorization.map(|value| ("authorization", value)).into_iter().collect();
        let reply = ask("GET", "/", &headers);
        assert_eq!((reply.status(), reply.outcome), (401, Outcome::NoCredentials));
        assert!(reply.headers.iter().filter(|(name, _)| *name == "www-authenticate").count() == 2);
    }
    for username in ["u".repeat(254), "\u{85}".into(), "\\\u{1}".into()] {
        let digest =
            format!("Digest username=\"{username}\", realm=\"\", nonce=\"\", uri=\"/\", response=\"\"");
        assert_eq!(ask("GET", "/", &[("authorization", digest.as_bytes())]).status(), 400, "{username}");
    }
}

#[test]
fn what_the_deployment_lacks_is_503_for_everyone() {
    for known in [true, false] {
        let mut world = World::new(24);
        if known {
            world.add(IMSI);
        }
        let first = Bootstrap::new(Device::new(IMSI).settings).first_request().unwrap();
        world.reachable = false;
        assert_eq!(world.serve_client(&first).outcome, Outcome::Unreachable);
    }
    let mut world = World::new(24).with_device(IMSI);
    let mut device = Device::new(IMSI);
    for (refusal, status) in [
        (Refusal::Overloaded, 503),
        (Refusal::StorageFailed, 503),
        (Refusal::HlrUnavailable, 503),
        (Refusal::NodeNotRegistered, 503),
        (Refusal::Limited, 401),
    ] {
        world.subscribers.get_mut(IMSI).unwrap().refused = Some(refusal);
        let first = Bootstrap::new(device.settings.clone()).first_request().unwrap();
        assert_eq!(world.serve_client(&first).status(), status, "{refusal}");
    }
    world.subscribers.get_mut(IMSI).unwrap().refused = None;
    let request = second_request(&mut world, &mut device);
    world.store_works = false;
    let reply = world.serve_client(&request);
    assert_eq!((reply.status(), reply.outcome), (503, Outcome::StorageFailed));
    assert!(!reply.headers.iter().any(|(name, _)| *name == "authentication-info"));
    world.store_works = true;
    assert_eq!(world.serve_client(&request).outcome, Outcome::Bootstrapped);
}

#[test]
fn any_node_with_the_ring_finishes_and_one_without_challenges_anew() {
    let mut world = World::new(25).with_device(IMSI);
    let mut device = Device::new(IMSI);
    let (first, second) =
        (SealingKey::new(1, &Secret::new([7; 32])), SealingKey::new(2, &Secret::new([8; 32])));
    let request = second_request(&mut world, &mut device);
    world.keys = KeyRing::new(second.clone(), vec![first]);
    assert_eq!(world.serve_client(&request).outcome, Outcome::Bootstrapped);
    let request = second_request(&mut world, &mut device);
    world.keys = KeyRing::new(SealingKey::new(3, &Secret::new([8; 32])), vec![]);
    assert_eq!(world.serve_client(&request).outcome, Outcome::ForeignChallenge);
    world.keys = KeyRing::new(second, vec![]);
    world.now = UnixTime(START.0 + 3);
    assert_eq!(world.serve_client(&request).outcome, Outcome::Bootstrapped);
}

/// What a peer can count: status, header names in order, lengths of every value, length of the body.
fn shape(reply: &Reply) -> (u16, Vec<(&'static str, usize)>, usize) {
    (
        reply.status(),
        reply.headers.iter().map(|(name, value)| (*name, value.len())).collect(),
        reply.body.len(),
    )
}

/// Everything in a challenge that is not drawn at random or sealed: the text around nonce and opaque.
fn skeleton(reply: &Reply) -> Vec<String> {
    let cut = |text: &str, name: &str| {
        let (head, tail) = text.split_once(&format!("{name}=\"")).unwrap();
        format!("{head}{name}=\"{}", &tail[tail.find('"').unwrap()..])
    };
    let challenges = reply.headers.iter().filter(|(name, _)| *name == "www-authenticate");
    challenges.map(|(_, value)| cut(&cut(&String::from_utf8_lossy(value), "nonce"), "opaque")).collect()
}

/// 1,000 known, 1,000 unknown and 1,000 otherwise refused identities (WIRES "No oracle"): first requests, wrong
/// responses and `auts` differ in nothing but random octets; AUTN of all has the deployment's AMF.
#[test]
fn unknown_identities_cannot_be_told_from_known_ones() {
    let mut world = World::new(26);
    let refusals = [
        Refusal::DeviceSuspended,
        Refusal::KycExpired,
        Refusal::WrongMode,
        Refusal::Limited,
        Refusal::UnknownIdentity,
    ];
    for index in 0..1000 {
        world.add(&format!("00101{index:010}"));
        world.add(&format!("00103{index:010}")).refused = Some(refusals[index % refusals.len()]);
    }
    let (mut shapes, mut skeletons, mut trips) = (vec![], vec![], vec![]);
    for group in ["00101", "00102", "00103"] {
        let mut nonces = std::collections::HashSet::new();
        for index in 0..1000 {
            let username = format!("{group}{index:010}");
            let before = world.asked.len();
            let first = authorization(&format!(
                "Digest username=\"{username}\", realm=\"as.operator.example\", nonce=\"\", uri=\"/\", response=\"\""
            ));
            let challenged = world.serve_client(&first);
            let headers: Vec<_> = challenged
                .headers
                .iter()
                .filter(|(n, _)| *n == "www-authenticate")
                .map(|(_, v)| v.as_slice())
                .collect();
            let challenges = obf_digest::Challenge::parse_all(headers).unwrap();
            let nonce = obf_digest::AkaNonce::parse(&challenges[0].nonce).unwrap();
            assert_eq!(nonce.autn[6..8], [0, 0]);
            assert!(nonces.insert(nonce.rand));

            let mut wrong = obf_digest::Credentials::answering(
                &challenges[0],
                username.as_bytes(),
                b"/",
                Some(obf_digest::Qop::AuthInt),
                b"c",
            );
            wrong.sign(username.as_bytes(), &[1; 8], b"GET", b"");
            let mut auts = wrong.clone();
            auts.auts = Some(obf_digest::aka::encode_auts(&world.random.octets()).into_bytes().into());
            auts.sign(username.as_bytes(), b"", b"GET", b"");
            let answers: Vec<Reply> = [wrong, auts.clone(), auts]
                .iter()
                .map(|credentials| {
                    let value = String::from_utf8(credentials.to_header().unwrap()).unwrap();
                    world.serve_client(&authorization(&value))
                })
                .collect();
            assert_eq!(answers[2].outcome, Outcome::ReplayedAuts);
            for reply in std::iter::once(&challenged).chain(&answers) {
                shapes.push(shape(reply));
                skeletons.push(skeleton(reply));
            }
            trips.push(
                world.asked[before..].iter().map(|query| query.resynchronise.is_some()).collect::<Vec<_>>(),
            );
        }
    }
    assert_eq!(shapes.len(), 12_000);
    assert!(shapes.iter().all(|other| *other == shapes[0]), "{shapes:?}");
    assert!(skeletons.iter().all(|other| *other == skeletons[0]));
    assert!(trips.iter().all(|other| *other == [false, false, true, false]), "the same questions on RPR");
}
