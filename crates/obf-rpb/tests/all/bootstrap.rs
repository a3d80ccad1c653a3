//! RPB end to end in memory (N3 P2 R11 R14 R15 W2): both machines, real AKA, a clock that only tests move.

use crate::world::{Device, START, World, header, replace, response};
use obf_digest::{AkaNonce, AkaPassword, AuthenticationInfo, Challenge, Credentials, Qop};
use obf_rpb::body::BootstrappingInfo;
use obf_rpb::http::{HttpRequest, OFFER_HEADER};
use obf_rpb::{BootstrapError, Outcome};
use obf_token::{Algorithm, Method, Obf1Context, TokenId, derive};
use obf_types::{AppId, Domain, Epoch, KeySchema, Lifetime, NafId, Refusal, UaId, UnixTime};

const IMPI: &str = "001010000000001@ims.mnc001.mcc001.3gppnetwork.org";
const IMSI: &str = "001010000000001";

fn naf() -> NafId {
    NafId { app: AppId::new("track.example").unwrap(), ua: UaId::TLS13_PSK }
}

#[test]
fn w2_both_ends_derive_the_same_token_each_for_itself() {
    for (username, schemas, schema) in [
        (IMPI, vec![KeySchema::Obf1, KeySchema::GbaMe], KeySchema::Obf1),
        (IMSI, vec![KeySchema::Obf1], KeySchema::Obf1),
        (IMSI, vec![KeySchema::GbaMe], KeySchema::GbaMe),
        (IMPI, vec![], KeySchema::GbaMe),
    ] {
        let mut world = World::new(1).with_device(username);
        let mut device = Device::new(username);
        device.settings.schemas = schemas;
        for counter in 1..=3 {
            let association = device.plainly(&mut world).unwrap();
            let (token, kept_counter) = world.tokens.last().unwrap();
            assert_eq!((association.counter, *kept_counter), (counter, counter));
            assert_eq!((&association.id, association.ks.expose()), (&token.id, Some(&token.ks)));
            assert_eq!((association.schema, token.facts.schema), (schema, schema));
            assert_eq!(association.method, Method::Aka(Algorithm::AkaV2Sha256));
            assert_eq!(association.expires, START.plus(Lifetime::DEFAULT));
            assert_eq!(&*token.username, username);
            assert_eq!(token.id.domain().as_str(), "rs1.as.operator.example");
            assert_eq!(token.carried.as_deref(), Some(b"rights".as_slice()));
            let expected = match schema {
                KeySchema::GbaMe => {
                    derive::gba_me(&token.ks, token.id.rand(), token.username.as_bytes(), &naf())
                }
                KeySchema::Obf1 => derive::obf_1(
                    &token.ks,
                    &Obf1Context {
                        rand: token.id.rand(),
                        identity: &token.identity,
                        technology: obf_token::Technology::ThreeGpp,
                        as_domain: &world.server.settings().domain,
                        counter,
                        method: token.facts.method,
                    },
                    &naf(),
                ),
            };
            assert_eq!(association.app_key(&naf()), Some(expected));
        }
    }
}

/// A key of an IoT service provider's own: both ends derive under the technology that the Resource Server said.
#[test]
fn r10_a_key_of_the_providers_own_derives_as_such() {
    use obf_token::Technology::{Standalone, ThreeGpp};
    let mut world = World::new(21).with_device(IMPI);
    world.subscribers.get_mut(IMPI).unwrap().technology = Standalone;
    let mut device = Device::new(IMPI);
    device.settings.schemas = vec![KeySchema::Obf1];
    let association = device.plainly(&mut world).unwrap();
    let (token, counter) = world.tokens.last().unwrap();
    assert_eq!((association.technology, token.facts.technology), (Standalone, Standalone));
    let key = |technology| {
        let context = Obf1Context {
            rand: token.id.rand(),
            identity: &token.identity,
            technology,
            as_domain: &world.server.settings().domain,
            counter: *counter,
            method: token.facts.method,
        };
        derive::obf_1(&token.ks, &context, &naf())
    };
    assert_eq!(association.app_key(&naf()), Some(key(Standalone)));
    assert_ne!(association.app_key(&naf()), Some(key(ThreeGpp)));
}

/// An element that keeps Ks: RES is all that AKAv1 needs of it; AKAv2's password it must compute itself (RFC 4169 3).
#[test]
fn r4_an_element_that_keeps_ks_answers_with_a_password_and_the_device_has_no_key() {
    use obf_rpb::client::{AkaAnswer, DeviceKs};
    for strongest in Algorithm::ALL {
        let mut world = World::new(22).with_device(IMPI);
        let mut device = Device::new(IMPI);
        device.settings.strongest = strongest;
        let mut challenged = || {
            let mut bootstrap = obf_rpb::Bootstrap::new(device.settings.clone());
            let reply = world.serve_client(&bootstrap.first_request().unwrap());
            let step = bootstrap.answer(&response(&reply)).unwrap();
            let obf_rpb::ClientStep::Authenticate { rand, autn, algorithm } = step else {
                panic!("{step:?}")
            };
            assert_eq!(algorithm, strongest);
            let answer = device.authenticate(&rand, &autn);
            let AkaAnswer::HandedOut { res, ck, ik } = answer else { panic!("{answer:?}") };
            let password = match algorithm {
                Algorithm::AkaV1Md5 => res,
                Algorithm::AkaV2Sha256 => {
                    let [res, ik, ck] = [res.expose(), ik.expose(), ck.expose()];
                    let password = AkaPassword::derive(obf_digest::Algorithm::AKA_V2_SHA_256, res, ik, ck);
                    password.unwrap().expose().into()
                }
            };
            (bootstrap, password)
        };
        for octets in [0, 3, 17, 43, 45] {
            let (mut bootstrap, _) = challenged();
            let password = vec![b'A'; octets].as_slice().into();
            let refused = bootstrap.authenticated(AkaAnswer::Kept { password }, [7; 16]);
            assert_eq!(refused.unwrap_err(), BootstrapError::BadSecureElement, "{octets}");
        }
        let (mut bootstrap, password) = challenged();
        let request = bootstrap.authenticated(AkaAnswer::Kept { password }, [7; 16]).unwrap();
        let reply = world.serve_client(&request);
        let step = bootstrap.answer(&response(&reply)).unwrap();
        let obf_rpb::ClientStep::Done(association) = step else { panic!("{step:?}") };
        assert_eq!(association.method, Method::Aka(strongest));
        assert_eq!((&association.ks, association.app_key(&naf())), (&DeviceKs::IN_ELEMENT, None));
        // What the element is asked with is all that the server derives from besides Ks.
        let (token, counter) = world.tokens.last().unwrap();
        let context = Obf1Context {
            rand: token.id.rand(),
            identity: &token.identity,
            technology: token.facts.technology,
            as_domain: &world.server.settings().domain,
            counter: *counter,
            method: token.facts.method,
        };
        let key = association.derivation(&naf()).key(&token.ks);
        assert_eq!(key, derive::obf_1(&token.ks, &context, &naf()));
    }
}

/// TS 24.109 A.3, table A.3-1, as a UE that never heard of OBF writes it, and AKAv1-MD5 from the first challenge.
#[test]
fn ts_24_109_a_3_stock_ue_bootstraps_with_akav1_md5() {
    let mut world = World::new(2).with_device(IMPI);
    let mut device = Device::new(IMPI);
    let first = format!(
        "Digest username=\"{IMPI}\", realm=\"as.operator.example\", nonce=\"\", uri=\"/\", response=\"\""
    );
    let mut request = HttpRequest::new("GET", "/", b"");
    request.header("Host", b"bsf.home1.net:80");
    request.header("User-Agent", b"Bootstrapping Client Agent; Release-6; 3gpp-gba-tmpi");
    request.header("Authorization", first.as_bytes());
    let reply = world.serve(&request);
    assert_eq!((reply.status(), reply.outcome), (401, Outcome::Challenged));

    // A UE that reads only the first WWW-Authenticate finds the algorithm that it knows.
    let only = &reply.headers.iter().find(|(name, _)| *name == "www-authenticate").unwrap().1;
    let challenges = Challenge::parse_all([only.as_slice()]).unwrap();
    assert_eq!(challenges[0].algorithm, obf_digest::Algorithm::AKA_V1_MD5);
    let nonce = AkaNonce::parse(&challenges[0].nonce).unwrap();
    let obf_rpb::client::AkaAnswer::HandedOut { res, ck, ik } = device.authenticate(&nonce.rand, &nonce.autn)
    else {
        panic!("the network did not prove itself")
    };
    let mut credentials = Credentials::answering(
        &challenges[0],
        IMPI.as_bytes(),
        b"/",
        Some(Qop::AuthInt),
        b"6629fae49393a053",
    );
    credentials.sign(IMPI.as_bytes(), res.expose(), b"GET", b"");
    let second = credentials.to_header().unwrap();
    let mut request = HttpRequest::new("GET", "/", b"");
    request.header("authorization", &second);
    let reply = world.serve(&request);
    assert_eq!((reply.status(), reply.outcome), (200, Outcome::Bootstrapped));
    assert!(reply.headers.contains(&("content-type", b"application/vnd.3gpp.bsf+xml".to_vec())));

    let password =
        AkaPassword::derive(obf_digest::Algorithm::AKA_V1_MD5, res.expose(), ik.expose(), ck.expose())
            .unwrap();
    let exchange = credentials.exchange(IMPI.as_bytes());
    let rspauth = exchange.rspauth(&exchange.ha1(password.expose()), &reply.body);
    let info = &reply.headers.iter().find(|(name, _)| *name == "authentication-info").unwrap().1;
    let info = AuthenticationInfo::parse(info).unwrap();
    assert!(rspauth.matches(&info.rspauth.unwrap()));
    let body = BootstrappingInfo::parse(&reply.body).unwrap();
    assert_eq!(body.id, TokenId::new(nonce.rand, Domain::new("rs1.as.operator.example").unwrap()));
    assert_eq!(body.association.unwrap().offer, None);
    let token = &world.tokens[0].0;
    assert_eq!(
        (token.facts.schema, token.facts.method),
        (KeySchema::GbaMe, Method::Aka(Algorithm::AkaV1Md5))
    );
    assert_eq!(*token.ks.expose(), <[u8; 32]>::try_from([*ck.expose(), *ik.expose()].concat()).unwrap());
}

/// A BSF that is not ours: one challenge, server data in the nonce, B-TID of its own domain, no element of ours.
#[test]
fn our_client_bootstraps_at_a_stock_bsf() {
    let mut world = World::new(3).with_device(IMPI);
    let mut device = Device::new(IMPI);
    device.settings.domain = Domain::new("bsf.mnc001.mcc001.pub.3gppnetwork.org").unwrap();
    let realm = device.settings.domain.as_str().to_owned();
    let rand: [u8; 16] = world.random.octets();
    let sqn = obf_aka::SqnLayout::DEFAULT.sqn(9, 0).unwrap();
    let vector = obf_aka::generate_vector(&device.aka, &rand, sqn, obf_aka::Amf::ZERO);
    let nonce = AkaNonce { rand, autn: vector.autn, server_data: b"server".to_vec() }.to_string();

    let mut bootstrap = obf_rpb::Bootstrap::new(device.settings.clone());
    bootstrap.first_request().unwrap();
    let algorithm = obf_digest::Algorithm::AKA_V1_MD5;
    let challenge = Challenge::auth_int(
        algorithm,
        realm.as_bytes(),
        nonce.as_bytes(),
        b"5ccc069c403ebaf9f0171e9517f30e41",
    );
    let challenge = challenge.to_header().unwrap();
    let answer = obf_rpb::http::HttpResponse::new(401, b"").with_header("WWW-Authenticate", &challenge);
    let obf_rpb::ClientStep::Authenticate { rand, autn, .. } = bootstrap.answer(&answer).unwrap() else {
        panic!("no challenge")
    };
    let request = bootstrap.authenticated(device.authenticate(&rand, &autn), [1; 16]).unwrap();
    let authorization = &request.headers.iter().find(|(name, _)| *name == "authorization").unwrap().1;
    let credentials = Credentials::parse(authorization).unwrap();
    assert!(credentials.verify(IMPI.as_bytes(), vector.xres.expose(), b"GET", b""));
    assert_eq!(credentials.opaque.as_deref(), Some(b"5ccc069c403ebaf9f0171e9517f30e41".as_slice()));

    let info = BootstrappingInfo {
        id: TokenId::new(rand, device.settings.domain.clone()),
        expires: UnixTime(1_900_000_000),
        association: None,
    };
    let body = info.to_xml().into_bytes();
    let exchange = credentials.exchange(IMPI.as_bytes());
    let rspauth = exchange.rspauth(&exchange.ha1(vector.xres.expose()), &body);
    let info = format!("rspauth=\"{}\", qop=auth-int, opaque=\"x\"", rspauth.as_str());
    let answer =
        obf_rpb::http::HttpResponse::new(200, &body).with_header("Authentication-Info", info.as_bytes());
    let obf_rpb::ClientStep::Done(association) = bootstrap.answer(&answer).unwrap() else {
        panic!("not done")
    };
    assert_eq!((association.schema, association.counter), (KeySchema::GbaMe, 0));
    assert_eq!(association.ks.expose(), vector.ks().as_ref());
}

#[test]
fn the_clients_and_the_strongest_challenge_come_first_for_who_knows_obf() {
    let mut world = World::new(4).with_device(IMSI);
    let first = format!("Digest username=\"{IMSI}\", realm=\"\", nonce=\"\", uri=\"/\", response=\"\"");
    for (offer, order) in
        [(None, ["AKAv1-MD5", "AKAv2-SHA-256"]), (Some(b"gba-me"), ["AKAv2-SHA-256", "AKAv1-MD5"])]
    {
        let mut request = HttpRequest::new("GET", "/", b"");
        request.header("authorization", first.as_bytes());
        if let Some(offer) = offer {
            request.header(OFFER_HEADER, offer);
        }
        let reply = world.serve(&request);
        let names: Vec<String> = Challenge::parse_all(
            response(&reply).headers.iter().filter(|(n, _)| n == "www-authenticate").map(|(_, v)| &**v),
        )
        .unwrap()
        .iter()
        .map(|challenge| challenge.algorithm.to_string())
        .collect();
        assert_eq!(names, order);
    }
}

#[test]
fn ts_24_109_a_4_resynchronisation_happens_once_and_is_spent_first() {
    let mut world = World::new(5).with_device(IMSI);
    let mut device = Device::ahead(IMSI);
    let mut auts_request = None;
    let association = device
        .bootstrap(&mut world, |_, request, reply| {
            if reply.is_none() && String::from_utf8_lossy(header(request, "authorization")).contains("auts=")
            {
                auts_request = Some(request.clone());
            }
        })
        .unwrap();
    assert_eq!(association.ks.expose(), Some(&world.tokens[0].0.ks));
    let kinds: Vec<bool> = world.asked.iter().map(|query| query.resynchronise.is_some()).collect();
    assert_eq!(kinds, [false, true]);

    // A replayed `auts` reaches no Resource Server, and is answered by a challenge that no device takes.
    let asked = world.asked.len();
    let mut request = auts_request.unwrap();
    let reply = world.serve_client(&request);
    assert_eq!((reply.status(), reply.outcome, world.asked.len()), (401, Outcome::ReplayedAuts, asked));
    let challenges = Challenge::parse_all([reply.headers[1].1.as_slice()]).unwrap();
    let nonce = AkaNonce::parse(&challenges[0].nonce).unwrap();
    assert!(matches!(device.authenticate(&nonce.rand, &nonce.autn), obf_rpb::client::AkaAnswer::MacFailure));

    // Nor does one to a challenge that is over, or to another device's.
    world.now = START.plus(Lifetime::from_seconds(60).unwrap());
    let reply = world.serve_client(&request);
    assert_eq!(reply.outcome, Outcome::ResynchronisationRefused);
    world.now = START;
    replace(header(&mut request, "authorization"), IMSI, "001010000000002");
    assert_eq!(world.serve_client(&request).outcome, Outcome::ForeignChallenge);
    assert!(world.asked[asked..].iter().all(|query| query.resynchronise.is_none()));
}

#[test]
fn a_second_auts_in_one_bootstrap_is_not_followed() {
    let mut world = World::new(6).with_device(IMSI);
    let mut device = Device::ahead(IMSI);
    let mut fresh = Device::ahead(IMSI);
    let mut count = 0;
    // The Resource Server forgets what it learnt: the second challenge is again out of step.
    let error = device.bootstrap(&mut world, |world, _, reply| {
        count += 1;
        if reply.is_none() && count > 1 {
            world.subscribers.get_mut(IMSI).unwrap().sqn = obf_aka::SqnLayout::DEFAULT.sqn(1, 0).unwrap();
        }
        if count == 4 {
            // What the server then sends is replaced by a challenge of before, still authentic.
            let mut other = World::new(99).with_device(IMSI);
            let first = obf_rpb::Bootstrap::new(fresh.settings.clone()).first_request().unwrap();
            *reply = Some(other.serve_client(&first));
        }
    });
    assert_eq!(error.unwrap_err(), BootstrapError::ResynchronisationFailed);

    // And the server: `auts` to a challenge that came by resynchronisation.
    let mut world = World::new(66).with_device(IMSI);
    let first = obf_rpb::Bootstrap::new(fresh.settings.clone()).first_request().unwrap();
    let mut reply = world.serve_client(&first);
    for outcome in
        [Outcome::Resynchronised, Outcome::ResynchronisationRefused, Outcome::ResynchronisationRefused]
    {
        let challenges: Vec<_> =
            reply.headers.iter().filter(|(name, _)| *name == "www-authenticate").collect();
        let challenges = Challenge::parse_all(challenges.iter().map(|(_, value)| value.as_slice())).unwrap();
        let mut credentials =
            Credentials::answering(&challenges[0], IMSI.as_bytes(), b"/", Some(Qop::AuthInt), b"c");
        let nonce = AkaNonce::parse(&challenges[0].nonce).unwrap();
        let memory = &mut Device::ahead(IMSI).memory;
        let algorithm = crate::world::aka(IMSI);
        let auts = match obf_aka::authenticate(&algorithm, memory, &nonce.rand, &nonce.autn) {
            obf_aka::Authentication::SynchronisationFailure(auts) => auts,
            _ => [1; 14],
        };
        credentials.auts = Some(obf_digest::aka::encode_auts(&auts).into_bytes().into());
        credentials.sign(IMSI.as_bytes(), b"", b"GET", b"");
        let value = credentials.to_header().unwrap();
        let mut request = HttpRequest::new("GET", "/", b"");
        request.header("authorization", &value);
        let next = world.serve(&request);
        assert_eq!(next.outcome, outcome);
        reply = next;
    }
    fresh.plainly(&mut world).unwrap();
}

#[test]
fn a_challenge_is_accepted_once_and_only_in_its_time() {
    let mut world = World::new(7).with_device(IMSI);
    let mut device = Device::new(IMSI);
    let mut last = None;
    device
        .bootstrap(&mut world, |_, request, reply| {
            if reply.is_none() {
                last = Some(request.clone());
            }
        })
        .unwrap();
    let request = last.unwrap();
    let reply = world.serve_client(&request);
    assert_eq!((reply.status(), reply.outcome), (401, Outcome::Spent));
    let challenges = Challenge::parse_all([reply.headers[1].1.as_slice()]).unwrap();
    assert!(challenges[0].stale, "the response was right, so a new challenge is worth answering");
    assert_eq!(world.tokens.len(), 1);

    for (seconds, outcome) in [(59, Outcome::Spent), (60, Outcome::Stale), (61, Outcome::Stale)] {
        world.now = UnixTime(START.0 + seconds);
        assert_eq!(world.serve_client(&request).outcome, outcome);
    }
    // A node whose clock is far behind does not take it for fresh either.
    world.now = UnixTime(START.0 - 61);
    assert_eq!(world.serve_client(&request).outcome, Outcome::Stale);
}

#[test]
fn a_stale_challenge_is_followed_by_another_within_the_same_bootstrap() {
    let mut world = World::new(8).with_device(IMSI);
    let mut device = Device::new(IMSI);
    let mut count = 0;
    let association = device
        .bootstrap(&mut world, |world, _, reply| {
            count += 1;
            if reply.is_some() && count == 2 {
                world.now = UnixTime(START.0 + 100);
            }
        })
        .unwrap();
    assert_eq!((world.tokens.len(), count), (1, 6));
    assert_eq!(association.ks.expose(), Some(&world.tokens[0].0.ks));
}

#[test]
fn revocation_between_the_two_requests_ends_the_bootstrap() {
    let mut world = World::new(9).with_device(IMSI);
    let mut device = Device::new(IMSI);
    let mut count = 0;
    let mut outcomes = vec![];
    let _ = device.bootstrap(&mut world, |world, _, reply| {
        count += 1;
        outcomes.extend(reply.as_ref().map(|reply| reply.outcome));
        if count == 2 {
            let subscriber = world.subscribers.get_mut(IMSI).unwrap();
            subscriber.epoch = Epoch(4);
            subscriber.refused = Some(Refusal::DeviceSuspended);
        }
    });
    assert_eq!(outcomes, [Outcome::Challenged, Outcome::Revoked]);
    assert!(world.tokens.is_empty());
}

#[test]
fn the_devices_minimum_is_honoured_and_rises_for_good() {
    let mut world = World::new(10).with_device(IMSI);
    let mut device = Device::new(IMSI);
    // Somebody on the way removes the strong offer.
    let strip = |_: &mut World, _: &mut _, reply: &mut Option<obf_rpb::Reply>| {
        if let Some(reply) = reply {
            reply.headers.retain(|(_, value)| !String::from_utf8_lossy(value).contains("AKAv2"));
        }
    };
    assert_eq!(device.bootstrap(&mut world, strip).unwrap().method, Method::Aka(Algorithm::AkaV1Md5));
    assert_eq!(device.plainly(&mut world).unwrap().method, Method::Aka(Algorithm::AkaV2Sha256));
    let error = device.bootstrap(&mut world, strip).unwrap_err();
    assert_eq!(error, BootstrapError::Refused(Some(Refusal::AlgorithmNotAllowed)));
    device.settings.minimum = Algorithm::AkaV2Sha256;
    let error = device.bootstrap(&mut world, strip).unwrap_err();
    let (offered, minimum) = (Algorithm::AkaV1Md5, Algorithm::AkaV2Sha256);
    assert_eq!(error, BootstrapError::Downgrade { offered, minimum });
    assert_eq!(world.tokens.len(), 2);
}

#[test]
fn kyc_bounds_the_token_and_ends_bootstrapping() {
    let mut world = World::new(11).with_device(IMSI);
    let mut device = Device::new(IMSI);
    world.subscribers.get_mut(IMSI).unwrap().not_after = Some(UnixTime(START.0 + 100));
    assert_eq!(device.plainly(&mut world).unwrap().expires, UnixTime(START.0 + 100));
    world.now = UnixTime(START.0 + 100);
    let error = device.plainly(&mut world).unwrap_err();
    assert_eq!(error, BootstrapError::Refused(Some(Refusal::KycExpired)));
}

#[test]
fn r15_nobody_without_the_key_is_taken_for_the_network_or_the_device() {
    let mut world = World::new(12).with_device(IMSI);
    let mut impostor = Device::new(IMSI);
    impostor.aka = crate::world::aka("001010000000009");
    assert_eq!(impostor.plainly(&mut world).unwrap_err(), BootstrapError::NetworkNotAuthentic);
    let mut stranger = Device::new("001010000000002");
    assert_eq!(stranger.plainly(&mut world).unwrap_err(), BootstrapError::NetworkNotAuthentic);

    let mut device = Device::new(IMSI);
    for (name, from, to) in [
        ("authentication-info", "rspauth=\"", "rspauth=\"0"),
        ("authentication-info", "rspauth", "x"),
        ("authentication-info", "nc=00000001", "nc=00000002"),
        ("authentication-info", "qop=auth-int", "qop=auth"),
    ] {
        let error = device.bootstrap(&mut world, |_, _, reply| {
            if let Some(reply) = reply.as_mut().filter(|reply| reply.status() == 200) {
                let value = &mut reply.headers.iter_mut().find(|(n, _)| *n == name).unwrap().1;
                replace(value, from, to);
            }
        });
        assert_eq!(error.unwrap_err(), BootstrapError::ServerNotAuthentic, "{from}");
    }
    for (from, to) in [("<lifetime>2", "<lifetime>3"), ("obf-1\"", "gba-me\""), ("counter=\"", "counter=\"1")]
    {
        let error = device.bootstrap(&mut world, |_, _, reply| {
            if let Some(reply) = reply.as_mut().filter(|reply| reply.status() == 200) {
                replace(&mut reply.body, from, to);
            }
        });
        assert_eq!(error.unwrap_err(), BootstrapError::ServerNotAuthentic, "{from}");
    }
}

#[test]
fn an_offer_stripped_or_altered_on_the_way_shows() {
    let mut world = World::new(13).with_device(IMSI);
    let mut device = Device::new(IMSI);
    for altered in [None, Some(b"gba-me".to_vec()), Some(b"obf-1,gba-me".to_vec())] {
        let error = device.bootstrap(&mut world, |_, request, reply| {
            if reply.is_none() {
                request.headers.retain(|(name, _)| *name != OFFER_HEADER);
                request.headers.extend(altered.clone().map(|value| (OFFER_HEADER, value)));
            }
        });
        assert_eq!(error.unwrap_err(), BootstrapError::OfferAltered);
    }
    device.settings.schemas.clear();
    let error = device.bootstrap(&mut world, |_, request, reply| {
        if reply.is_none() {
            request.headers.push((OFFER_HEADER, b"obf-1".to_vec()));
        }
    });
    assert_eq!(error.unwrap_err(), BootstrapError::OfferAltered);
}

/// TS 33.102 annex H: CK and IK of such a vector would open the LTE network. The server's Resource Server is at fault, so
/// everybody would get `503`; a client does not even ask its secure element.
#[test]
fn ts_33_102_annex_h_no_end_takes_a_vector_with_the_separation_bit() {
    let mut world = World::new(14).with_device(IMSI);
    world.amf = [0x80, 0];
    let mut device = Device::new(IMSI);
    let error = device.plainly(&mut world).unwrap_err();
    assert_eq!(error, BootstrapError::Unavailable { status: 503 });

    let nonce = AkaNonce::encode(&[1; 16], &[0x80; 16]);
    let algorithm = obf_digest::Algorithm::AKA_V2_SHA_256;
    let challenge =
        Challenge::auth_int(algorithm, b"as.operator.example", nonce.as_bytes(), b"o").to_header().unwrap();
    let answer = obf_rpb::http::HttpResponse::new(401, b"").with_header("WWW-Authenticate", &challenge);
    let mut bootstrap = obf_rpb::Bootstrap::new(device.settings.clone());
    assert_eq!(bootstrap.answer(&answer).unwrap_err(), BootstrapError::SeparationBit);
}
