//! Every published and computed digest vector (R11): RFC 7616 3.9, RFC 2617 3.5, draft-smith-sipping-auth-examples,
//! RFC 5090 6, RFC 4169, TS 24.109. RFC 3310's own examples are placeholders and no vectors (see the file).

use base64ct::{Base64, Encoding};
use obf_digest::exchange::userhash;
use obf_digest::{
    AkaNonce, AkaPassword, Algorithm, AuthenticationInfo, Challenge, Credentials, Exchange, Hash, NonceCount,
    Qop, Username, aka,
};
use serde_json::Value;
use std::borrow::Cow;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/digest.json")).unwrap()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap_or_default()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn exchange<'a>(case: &'a Value, algorithm: &str, user: &str) -> Exchange<'a> {
    Exchange {
        algorithm: Algorithm::parse(algorithm.as_bytes()).unwrap(),
        username: text(case, user).as_bytes(),
        realm: text(case, "realm").as_bytes(),
        nonce: text(case, "nonce").as_bytes(),
        uri: text(case, "uri").as_bytes(),
        qop: case["qop"].as_str().map(|qop| Qop::parse(qop.as_bytes()).unwrap()),
        nc: NonceCount::parse(text(case, "nc").as_bytes()).unwrap(),
        cnonce: text(case, "cnonce").as_bytes(),
    }
}

#[test]
fn published_responses_are_computed_from_passwords() {
    let vectors = vectors();
    let cases = vectors["published"].as_array().unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let exchange = exchange(case, text(case, "alg"), "user");
        let ha1 = exchange.ha1(text(case, "password").as_bytes());
        assert_eq!(ha1.expose(), text(case, "ha1"), "{case}");
        let body = hex(text(case, "body_hex"));
        let response = exchange.response(&ha1, text(case, "method").as_bytes(), &body);
        assert_eq!(response.as_str(), text(case, "response"), "{case}");
        assert!(response.matches(text(case, "response").as_bytes()));
        assert!(!response.matches(&text(case, "response").as_bytes()[1..]));
        if let Some(rspauth) = case["rspauth"].as_str() {
            assert_eq!(exchange.rspauth(&ha1, b"").as_str(), rspauth, "{case}");
        }
    }
}

#[test]
fn rfc_7616_3_9_2_sha_512_256_and_userhash_as_erratum_4897_corrects_them() {
    let vectors = vectors();
    let case = &vectors["rfc7616_sha512_256"][0];
    let (user, realm) = (text(case, "user").as_bytes(), text(case, "realm").as_bytes());
    let hidden = userhash(Hash::Sha512_256, user, realm);
    assert_eq!(hidden.as_str(), text(&case["correct"], "userhash"));

    let header = format!(
        "Digest realm=\"{}\", qop=\"auth\", algorithm=SHA-512-256, nonce=\"{}\", opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true",
        text(case, "realm"),
        text(case, "nonce")
    );
    let challenges = Challenge::parse_all([header.as_bytes()]).unwrap();
    assert!(challenges[0].userhash && challenges[0].utf8 && challenges[0].offers(Qop::Auth));
    let mut credentials = Credentials::answering(
        &challenges[0],
        user,
        text(case, "uri").as_bytes(),
        Some(Qop::Auth),
        text(case, "cnonce").as_bytes(),
    );
    credentials.username = Username::Hashed(Cow::Borrowed(hidden.as_bytes()));
    credentials.sign(user, text(case, "password").as_bytes(), b"GET", b"");
    assert_eq!(&*credentials.response, text(&case["correct"], "response").as_bytes());

    let header = credentials.to_header().unwrap();
    assert!(header.is_ascii());
    let received = Credentials::parse(&header).unwrap();
    assert_eq!(received, credentials);
    assert!(received.verify(user, text(case, "password").as_bytes(), b"GET", b""));
}

/// RFC 7616 3.9.1 as it travels: two challenges, each with its own header.
#[test]
fn rfc_7616_3_9_1_headers() {
    let sha = br#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    let md5 = br#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    let several = Challenge::parse_all([sha.as_slice(), md5.as_slice()]).unwrap();
    let one = [sha.as_slice(), b", ", md5.as_slice()].concat();
    assert_eq!(Challenge::parse_all([one.as_slice()]).unwrap(), several);
    assert_eq!([several[0].algorithm, several[1].algorithm], [Algorithm::SHA_256, Algorithm::MD5]);

    let authorization = br#"Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;
    let credentials = Credentials::parse(authorization).unwrap();
    assert!(credentials.verify(b"Mufasa", b"Circle of Life", b"GET", b""));
    assert!(!credentials.verify(b"Mufasa", b"Circle of life", b"GET", b""));
    assert!(!credentials.verify(b"Mufasa", b"Circle of Life", b"POST", b""));
}

#[test]
fn aka_flows_of_ts_24_109() {
    let vectors = vectors();
    let flows = vectors["aka_flows"].as_array().unwrap();
    assert_eq!(flows.len(), 5);
    for case in flows {
        let algorithm = Algorithm::parse(text(case, "algorithm").as_bytes()).unwrap();
        let (res, ck, ik) = (hex(text(case, "res")), hex(text(case, "ck")), hex(text(case, "ik")));
        let password = AkaPassword::derive(algorithm, &res, &ik, &ck).unwrap();
        match case["akav2_password"].as_str() {
            Some(expected) => assert_eq!(password.expose(), expected.as_bytes()),
            None => assert_eq!(password.expose(), res),
        }
        let exchange = exchange(case, text(case, "algorithm"), "username");
        let ha1 = exchange.ha1(password.expose());
        assert_eq!(ha1.expose(), text(case, "ha1"));
        assert_eq!(exchange.response(&ha1, b"GET", b"").as_str(), text(case, "response"));
        let rspauth = exchange.rspauth(&ha1, text(case, "body_200").as_bytes());
        assert_eq!(rspauth.as_str(), text(case, "rspauth"));

        let empty = exchange.ha1(AkaPassword::EMPTY.expose());
        assert_eq!(exchange.response(&empty, b"GET", b"").as_str(), text(case, "auts_request_response"));
        let auts = aka::parse_auts(text(case, "auts").as_bytes()).unwrap();
        assert_eq!(aka::encode_auts(&auts), text(case, "auts"));

        let nonce = AkaNonce::parse(text(case, "nonce").as_bytes()).unwrap();
        assert_eq!(nonce.to_string(), text(case, "nonce"));
        assert_eq!(nonce.server_data, hex(text(case, "server_data")));
        let btid = text(case, "btid").split_once('@').unwrap().0;
        assert_eq!(Base64::encode_string(&nonce.rand), btid);

        let challenge = Challenge::auth_int(
            algorithm,
            text(case, "realm").as_bytes(),
            text(case, "nonce").as_bytes(),
            text(case, "opaque").as_bytes(),
        );
        let header = challenge.to_header().unwrap();
        let challenges = Challenge::parse_all([header.as_slice()]).unwrap();
        assert_eq!(challenges, [challenge]);
        let user = text(case, "username").as_bytes();
        let mut credentials = Credentials::answering(
            &challenges[0],
            user,
            b"/",
            Some(Qop::AuthInt),
            text(case, "cnonce").as_bytes(),
        );
        credentials.sign(user, password.expose(), b"GET", b"");
        assert_eq!(&*credentials.response, text(case, "response").as_bytes());
        let info = AuthenticationInfo::answering(&credentials, &rspauth).to_header().unwrap();
        let info = AuthenticationInfo::parse(&info).unwrap();
        assert!(rspauth.matches(&info.rspauth.unwrap()));
        assert_eq!((info.qop, info.nc), (Some(Qop::AuthInt), Some(NonceCount::FIRST)));
    }
}

#[test]
fn live_trace_nonce_is_rand_and_autn() {
    let vectors = vectors();
    let case = &vectors["live_trace"][0];
    let nonce = AkaNonce::parse(text(case, "nonce").as_bytes()).unwrap();
    assert_eq!(
        (nonce.rand.to_vec(), nonce.autn.to_vec()),
        (hex(text(case, "rand")), hex(text(case, "autn")))
    );
    assert_eq!(AkaNonce::encode(&nonce.rand, &nonce.autn), text(case, "nonce"));
}

#[test]
fn ua_digest_with_base64_of_the_application_key() {
    let vectors = vectors();
    let case = &vectors["ua_digest"][0];
    let exchange = exchange(case, "MD5", "user");
    let ha1 = exchange.ha1(text(case, "password").as_bytes());
    assert_eq!(
        exchange.response(&ha1, text(case, "method").as_bytes(), b"").as_str(),
        text(case, "response")
    );
}

#[test]
fn ts_24_109_a_3_first_request() {
    let header = br#"Digest username="user1_private@home1.net", realm="bsf.home1.net", nonce="", uri="/", response="""#;
    let credentials = Credentials::parse(header).unwrap();
    assert_eq!(credentials, Credentials::initial(b"user1_private@home1.net", b"bsf.home1.net", b"/"));
    assert_eq!(credentials.to_header().unwrap(), header);
}
