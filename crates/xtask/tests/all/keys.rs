//! AKA, token ids, keys, envelopes, Digest.

use crate::document::{Example, Value};
use obf_aka::{Amf, Authentication, Sqn, SqnArray, SqnLayout, SqnLimits};
use obf_digest::{AkaNonce, AkaPassword, Exchange, NonceCount, Qop};
use obf_token::{Ks, Method, Obf1Context, SealingKey, Technology, TokenId, derive};
use obf_types::{AppId, Domain, NafId, Secret, UaId};

fn algorithm(example: &Example) -> obf_aka::Algorithm {
    obf_aka::Algorithm::milenage(&Secret::new(example.array("k")), &Secret::new(example.array("opc")))
}

pub fn milenage(example: &Example) {
    let sqn = Sqn::from_octets(example.array("sqn"));
    let amf = Amf::refusing_separation_bit(example.array("amf")).unwrap();
    let vector = obf_aka::generate_vector(&algorithm(example), &example.array("rand"), sqn, amf);
    example.results_are(&[
        ("autn", Value::Octets(vector.autn.to_vec())),
        ("xres", Value::Octets(vector.xres.expose().to_vec())),
        ("ck", Value::Octets(vector.ck.expose().to_vec())),
        ("ik", Value::Octets(vector.ik.expose().to_vec())),
    ]);
}

pub fn sqn(example: &Example) {
    let place = example.number("as-node") * example.number("rs-nodes") + example.number("rs-node");
    let ind = u8::try_from(place % 32).unwrap();
    let sqn = SqnLayout::DEFAULT.sqn(example.number("seq"), ind).unwrap();
    example.results_are(&[("ind", Value::Number(ind.into())), ("sqn", Value::Octets(sqn.octets().to_vec()))]);
}

/// A USIM that has seen SQN_MS is challenged with an old SQN, and the home environment reads its AUTS.
pub fn auts(example: &Example) {
    let (algorithm, rand) = (algorithm(example), example.array("rand"));
    let sqn_ms = Sqn::from_octets(example.array("sqn-ms"));
    let mut memory = SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT);
    assert!(memory.accept(sqn_ms));
    let stale = obf_aka::generate_vector(&algorithm, &rand, Sqn::new(1).unwrap(), Amf::ZERO);
    let answer = obf_aka::authenticate(&algorithm, &mut memory, &rand, &stale.autn);
    let Authentication::SynchronisationFailure(auts) = answer else { panic!("{answer:?}") };
    assert_eq!(obf_aka::verify_auts(&algorithm, &rand, &auts), Some(sqn_ms));
    example.results_are(&[("auts", Value::Octets(auts.to_vec()))]);
}

pub fn token_id(example: &Example) {
    let domain = Domain::new(&format!("{}.{}", example.text("rs"), example.text("as-domain"))).unwrap();
    let id = TokenId::new(example.array("rand"), domain);
    assert_eq!(TokenId::parse(&id.to_string()).as_ref(), Ok(&id));
    example.results_are(&[
        ("id", Value::Text(id.to_string())),
        ("psk-identity", Value::Text(id.psk_identity())),
    ]);
}

fn ks(example: &Example) -> Ks {
    Ks::from_slice(&[example.hex("ck"), example.hex("ik")].concat()).unwrap()
}

fn naf(example: &Example) -> NafId {
    NafId { app: AppId::new(&example.text("app")).unwrap(), ua: UaId(example.array("ua")) }
}

pub fn gba_me(example: &Example) {
    let key =
        derive::gba_me(&ks(example), &example.array("rand"), example.text("impi").as_bytes(), &naf(example));
    example.results_are(&[("key", Value::Octets(key.expose().to_vec()))]);
}

pub fn obf_1(example: &Example) {
    let octet = |name| u8::try_from(example.number(name)).unwrap();
    let context = Obf1Context {
        rand: &example.array("rand"),
        identity: &example.text("identity").parse().unwrap(),
        technology: Technology::from_number(octet("technology")).unwrap(),
        as_domain: &Domain::new(&example.text("as-domain")).unwrap(),
        counter: example.number("counter"),
        method: Method::from_octets([octet("mode"), octet("algorithm")]).unwrap(),
    };
    let key = derive::obf_1(&ks(example), &context, &naf(example));
    example.results_are(&[("key", Value::Octets(key.expose().to_vec()))]);
}

pub fn envelope(example: &Example) {
    let id = u32::try_from(example.number("key-id")).unwrap();
    let key = SealingKey::new(id, &Secret::new(example.array("key")));
    let (associated, content) = (example.text("associated-data"), example.text("content"));
    let envelope = key.seal(&example.array("nonce"), associated.as_bytes(), content.as_bytes());
    assert_eq!(*key.open(associated.as_bytes(), &envelope).unwrap(), content.into_bytes());
    example.results_are(&[("envelope", Value::Octets(envelope))]);
}

pub fn digest(example: &Example) {
    let algorithm = obf_digest::Algorithm::parse(example.text("algorithm").as_bytes()).unwrap();
    let nonce = AkaNonce::encode(&example.array("rand"), &example.array("autn"));
    let (username, realm) = (example.text("username"), example.text("realm"));
    let (uri, cnonce) = (example.text("uri"), example.text("cnonce"));
    let exchange = Exchange {
        algorithm,
        username: username.as_bytes(),
        realm: realm.as_bytes(),
        nonce: nonce.as_bytes(),
        uri: uri.as_bytes(),
        qop: Some(Qop::AuthInt),
        nc: NonceCount::FIRST,
        cnonce: cnonce.as_bytes(),
    };
    let password = if example.has("auts") {
        AkaPassword::EMPTY
    } else {
        AkaPassword::derive(algorithm, &example.hex("res"), &example.hex("ik"), &example.hex("ck")).unwrap()
    };
    let ha1 = exchange.ha1(password.expose());
    let response = exchange.response(&ha1, b"GET", b"");
    let mut results =
        vec![("nonce", Value::Text(nonce.clone())), ("response", Value::Text(response.as_str().to_owned()))];
    if example.has("auts") {
        results.push(("auts-text", Value::Text(obf_digest::aka::encode_auts(&example.array("auts")))));
    }
    if example.has("body") {
        let body = example.text("body");
        let info = obf_rpb::body::BootstrappingInfo::parse(body.as_bytes()).unwrap();
        assert_eq!(info.to_xml(), body);
        results.push(("rspauth", Value::Text(exchange.rspauth(&ha1, body.as_bytes()).as_str().to_owned())));
    }
    example.results_are(&results);
}
