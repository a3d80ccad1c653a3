//! What is written reads back, what is malformed is refused, and no octets make a parser panic.

use obf_digest::syntax::{MAX_CHALLENGES, MAX_HEADER_LEN, MAX_PARAMETERS};
use obf_digest::{
    AkaNonce, AkaPassword, Algorithm, AuthenticationInfo, Challenge, Credentials, Hash, NonceCount,
    ParseError, Qop, Scheme, Username, WriteError, aka,
};
use proptest::prelude::*;
use std::borrow::Cow;

const CREDENTIALS: &str = r#"Digest username="a\"\\b", realm="r", nonce="n", uri="/", response="x", opaque="o", qop=auth-int, nc=00000001, cnonce="c", algorithm=AKAv1-MD5, auts="uoU/PBI8z0TpNZbjVcY=", other="y""#;

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop_oneof![Just(b'"'), Just(b'\\'), Just(b','), Just(b'\t'), 0x20u8..0x7f, 0x80u8..],
        0..24,
    )
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    let scheme = prop::sample::select(vec![Scheme::Password, Scheme::AkaV1, Scheme::AkaV2]);
    let hash = prop::sample::select(vec![Hash::Md5, Hash::Sha256, Hash::Sha512_256]);
    (scheme, hash, any::<bool>()).prop_map(|(scheme, hash, session)| Algorithm { scheme, hash, session })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn credentials_read_back(
        username in value(), realm in value(), nonce in value(), uri in value(), response in value(),
        opaque in prop::option::of(value()), algorithm in prop::option::of(algorithm()), cnonce in value(),
        qop in prop::sample::select(vec![None, Some(Qop::Auth), Some(Qop::AuthInt)]),
        auts in prop::option::of(value()), nc: u32, hashed: bool,
    ) {
        let username = if hashed {
            Username::Hashed(Cow::Owned(username))
        } else if let Ok(name) = String::from_utf8(username) {
            Username::Plain(Cow::Owned(name.into_bytes()))
        } else {
            Username::Plain(Cow::Borrowed("\u{fc}n\u{ef}".as_bytes()))
        };
        let session = algorithm.is_some_and(|algorithm| algorithm.session);
        let credentials = Credentials {
            username, realm: realm.into(), nonce: nonce.into(), uri: uri.into(), response: response.into(),
            algorithm, opaque: opaque.map(Cow::Owned), qop, nc: qop.map(|_| NonceCount::new(nc)),
            cnonce: (qop.is_some() || session).then_some(cnonce.into()), auts: auts.map(Cow::Owned),
        };
        let header = credentials.to_header().unwrap();
        prop_assert_eq!(Credentials::parse(&header).unwrap(), credentials);
    }

    #[test]
    fn challenges_read_back_from_one_header_and_from_several(
        offers in prop::collection::vec((value(), value(), prop::option::of(value()), algorithm(), 1u8..4, any::<bool>()), 1..MAX_CHALLENGES)
    ) {
        let challenges: Vec<_> = offers.into_iter().map(|(realm, nonce, opaque, algorithm, qop, flag)| Challenge {
            realm: realm.into(), nonce: nonce.into(), opaque: opaque.map(Cow::Owned), algorithm,
            auth: qop & 1 != 0, auth_int: qop & 2 != 0, stale: flag, domain: None, utf8: flag, userhash: !flag,
        }).collect();
        let headers: Vec<_> = challenges.iter().map(|challenge| challenge.to_header().unwrap()).collect();
        prop_assert_eq!(&Challenge::parse_all(headers.iter().map(Vec::as_slice)).unwrap(), &challenges);
        let one = headers.join(&b", "[..]);
        prop_assert_eq!(&Challenge::parse_all([one.as_slice()]).unwrap(), &challenges);
    }

    #[test]
    fn nonces_counts_and_auts_read_back(rand: [u8; 16], autn: [u8; 16], server_data in prop::collection::vec(any::<u8>(), 0..256), count: u32, auts: [u8; 14]) {
        let nonce = AkaNonce { rand, autn, server_data };
        prop_assert_eq!(AkaNonce::parse(nonce.to_string().as_bytes()).unwrap(), nonce);
        prop_assert_eq!(NonceCount::new(count).value(), count);
        prop_assert_eq!(aka::parse_auts(aka::encode_auts(&auts).as_bytes()), Some(auts));
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_everything(&octets);
        parse_everything(&[b"Digest ".as_slice(), &octets].concat());
    }

    #[test]
    fn arbitrary_almost_headers_never_panic(text in r#"(Digest )?([a-z*]{0,3} ?= ?("([^"\\]|\\.){0,5}"?|[A-Z0-9]{0,4})[, ]{0,2}){0,6}"#) {
        parse_everything(text.as_bytes());
    }

    #[test]
    fn a_wrong_octet_in_any_hashed_value_is_noticed(place in 0usize..6, password in prop::collection::vec(any::<u8>(), 4..17)) {
        let challenge = Challenge::auth_int(Algorithm::AKA_V1_MD5, b"realm", b"nonce", b"opaque");
        let mut credentials = Credentials::answering(&challenge, b"user", b"/", Some(Qop::AuthInt), b"cnonce");
        credentials.sign(b"user", &password, b"GET", b"body");
        prop_assert!(credentials.verify(b"user", &password, b"GET", b"body"));
        match place {
            0 => credentials.realm = Cow::Borrowed(b"realn"),
            1 => credentials.nonce = Cow::Borrowed(b"noncf"),
            2 => credentials.uri = Cow::Borrowed(b"//"),
            3 => credentials.cnonce = Some(Cow::Borrowed(b"cnonc")),
            4 => credentials.nc = Some(NonceCount::new(2)),
            _ => credentials.qop = Some(Qop::Auth),
        }
        prop_assert!(!credentials.verify(b"user", &password, b"GET", b"body"));
        prop_assert!(!credentials.verify(b"user", &password, b"GET", b"bodz"));
    }
}

fn parse_everything(octets: &[u8]) {
    let _ = Credentials::parse(octets).map(|credentials| {
        let _ = credentials.to_header();
        credentials.verify(b"user", b"password", b"GET", b"");
    });
    let _ = Challenge::parse_all([octets, octets]).map(|all| all.iter().all(|c| c.to_header().is_ok()));
    let _ = AuthenticationInfo::parse(octets);
    let _ = AkaNonce::parse(octets);
    let _ = aka::parse_auts(octets);
    let _ = Algorithm::parse(octets);
}

/// A small fuzzer: valid headers with octets replaced, removed, doubled and spliced, 100,000 times.
#[test]
fn mutated_headers_never_panic() {
    let challenge = br#"Basic realm="b", Digest realm="r\"", nonce="n", qop="auth, auth-int", algorithm=AKAv2-SHA-256, opaque="o", Negotiate abc==, Digest realm="x", nonce=y"#;
    let seeds: [&[u8]; 4] = [
        CREDENTIALS.as_bytes(),
        challenge,
        br#"qop=auth-int, rspauth="00", cnonce="c", nc=00000001, nextnonce="""#,
        br#"Digest username*=UTF-8''J%C3%A4s, realm="", nonce="", uri="", response="", userhash=false"#,
    ];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % bound.max(1)
    };
    const SPECIAL: &[u8] = b"\"\\=,; \t*'%\x00\r\n\x7f\xff0";
    for _ in 0..100_000 {
        let mut octets = seeds[next(seeds.len())].to_vec();
        for _ in 0..=next(4) {
            let at = next(octets.len());
            match next(5) {
                0 => octets[at] = SPECIAL[next(SPECIAL.len())],
                1 => octets.truncate(at.max(1)),
                2 => drop(octets.remove(at)),
                3 => octets.insert(at, SPECIAL[next(SPECIAL.len())]),
                _ => {
                    let seed = seeds[next(seeds.len())];
                    octets.extend_from_slice(&seed[next(seed.len())..]);
                }
            }
            if octets.is_empty() {
                octets.push(b' ');
            }
        }
        parse_everything(&octets);
    }
}

#[test]
fn quoting_and_case_of_what_other_clients_write() {
    let credentials = Credentials::parse(CREDENTIALS.as_bytes()).unwrap();
    assert_eq!(credentials.username, Username::Plain(Cow::Borrowed(b"a\"\\b")));
    let loose = r#"digest USERNAME=u,Realm="r",nonce="n",uri="/",response="x",qop="auth-int",nc="0000000A",cnonce=c,algorithm="akav1-md5""#;
    let credentials = Credentials::parse(loose.as_bytes()).unwrap();
    assert_eq!(credentials.algorithm, Some(Algorithm::AKA_V1_MD5));
    assert_eq!(credentials.nc.unwrap().as_bytes(), b"0000000A");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let base = r#"Digest username="u", realm="r", nonce="n", uri="/", response="x""#;
    for (more, error) in [
        (", realm=\"r\"", ParseError::Duplicate),
        (", REALM=\"s\"", ParseError::Duplicate),
        (", other=1, Other=2", ParseError::Duplicate),
        (", algorithm=ROT13", ParseError::BadValue("algorithm")),
        (", qop=auth-conf", ParseError::BadValue("qop")),
        (", nc=1", ParseError::BadValue("nc")),
        (", nc=0000000g", ParseError::BadValue("nc")),
        (", qop=auth, cnonce=c", ParseError::Missing("nc")),
        (", qop=auth, nc=00000001", ParseError::Missing("cnonce")),
        (", algorithm=MD5-sess", ParseError::Missing("cnonce")),
        (", userhash=maybe", ParseError::BadValue("userhash")),
        (", username*=UTF-8''x", ParseError::BadValue("username*")),
        (", Basic realm=\"r\"", ParseError::Syntax { at: 0 }),
    ] {
        assert_eq!(Credentials::parse(format!("{base}{more}").as_bytes()), Err(error), "{more}");
    }
    for name in ["username", "realm", "nonce", "uri", "response"] {
        let renamed = base.replace(&format!("{name}="), "x=");
        assert_eq!(Credentials::parse(renamed.as_bytes()), Err(ParseError::Missing(name)));
    }
    assert_eq!(Credentials::parse(b"Basic dTpw"), Err(ParseError::OtherScheme));
    assert_eq!(Credentials::parse(b""), Err(ParseError::Syntax { at: 0 }));
}

#[test]
fn oversized_headers_and_lists_are_refused() {
    let long = format!(r#"Digest username="{}""#, "u".repeat(MAX_HEADER_LEN));
    assert_eq!(Credentials::parse(long.as_bytes()), Err(ParseError::TooLong { len: long.len() }));
    let many: String = (0..=MAX_PARAMETERS).map(|i| format!("p{i}=1,")).collect();
    assert_eq!(Credentials::parse(format!("Digest {many}").as_bytes()), Err(ParseError::TooManyParameters));
    assert_eq!(AuthenticationInfo::parse(many.as_bytes()), Err(ParseError::TooManyParameters));
    let challenges = "Digest realm=r, nonce=n, ".repeat(MAX_CHALLENGES + 1);
    assert_eq!(Challenge::parse_all([challenges.as_bytes()]), Err(ParseError::TooManyChallenges));
    assert_eq!(AkaNonce::parse(&[b'A'; 400]), None);
}

#[test]
fn no_value_ends_the_header_it_stands_in() {
    let credentials = Credentials::initial(b"u\r\nX-Evil: 1", b"r", b"/");
    assert_eq!(credentials.to_header(), Err(WriteError { parameter: "username" }));
}

#[test]
fn unknown_algorithms_and_qops_are_left_out_of_the_choice() {
    let header = br#"Digest realm="r", nonce="n", algorithm=SHA-3, Digest realm="r", nonce="n", qop="auth-conf", Bearer, Digest realm="r", nonce="n", qop="auth-conf,auth-int", algorithm=AKAv1-MD5"#;
    let challenges = Challenge::parse_all([header.as_slice()]).unwrap();
    assert_eq!(challenges.len(), 1);
    assert!(challenges[0].auth_int && !challenges[0].auth);
    assert_eq!(Challenge::parse_all([br#"Digest realm="r""#.as_slice()]), Err(ParseError::Missing("nonce")));
}

#[test]
fn aka_passwords_are_bounded_and_hidden() {
    let password = AkaPassword::derive(Algorithm::AKA_V1_MD5, &[0xAB; 8], &[0; 16], &[0; 16]).unwrap();
    assert_eq!(format!("{password:?}"), "AkaPassword<8 octets>");
    for (algorithm, res) in [
        (Algorithm::MD5, 8),
        (Algorithm::AKA_V1_MD5, 3),
        (Algorithm::AKA_V1_MD5, 33),
        (Algorithm::AKA_V2_SHA_256, 0),
    ] {
        assert!(AkaPassword::derive(algorithm, &vec![1; res], &[0; 16], &[0; 16]).is_none());
    }
}

/// As an element gives it out that keeps IK and CK.
#[test]
fn a_password_that_was_computed_elsewhere_has_the_length_of_one() {
    let (v1, v2) = (Algorithm::AKA_V1_MD5, Algorithm::AKA_V2_SHA_256);
    let v2_md5 = Algorithm { hash: Hash::Md5, ..v2 };
    for algorithm in [v1, v2, v2_md5] {
        let password = AkaPassword::derive(algorithm, &[9; 8], &[1; 16], &[2; 16]).unwrap();
        let computed = AkaPassword::computed(algorithm, password.expose()).unwrap();
        assert_eq!(computed.expose(), password.expose());
    }
    for (algorithm, length) in
        [(v1, 3), (v1, 33), (v2, 8), (v2, 24), (v2, 45), (v2_md5, 44), (Algorithm::MD5, 8)]
    {
        assert!(AkaPassword::computed(algorithm, &vec![b'A'; length]).is_none(), "{algorithm} {length}");
    }
}
