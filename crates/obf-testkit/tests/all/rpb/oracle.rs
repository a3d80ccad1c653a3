//! WIRES "No oracle": 1,000 known and 1,000 unknown identities, compared by bytes.

use super::wire::{Answer, Wire, tls};
use super::{challenges, first_request, import};
use obf_digest::{AkaNonce, Credentials, Qop};
use obf_rpb::http::ClientRequest;
use obf_testkit::Deployment;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

const THREADS: u32 = 8;

/// The answer with what is drawn at random or depends on the clock blotted out, octet for octet otherwise.
fn blotted(answer: &Answer) -> Vec<u8> {
    let mut text = String::from_utf8(answer.head.clone()).unwrap();
    for name in ["nonce=\"", "opaque=\""] {
        let mut from = 0;
        while let Some(at) = text[from..].find(name) {
            let start = from + at + name.len();
            let end = start + text[start..].find('"').unwrap();
            text.replace_range(start..end, &"#".repeat(end - start));
            from = end;
        }
    }
    if let Some(at) = text.find("date: ") {
        let end = at + text[at..].find("\r\n").unwrap_or(text.len() - at);
        text.replace_range(at..end, "date: #");
    }
    [text.as_bytes(), b"\r\n\r\n", &answer.body].concat()
}

fn send(wire: &mut Wire, credentials: &Credentials<'_>) -> Vec<u8> {
    let headers = vec![("authorization", credentials.to_header().unwrap())];
    blotted(&wire.send(&ClientRequest { method: "GET", target: "/", headers }))
}

/// The steps of [`probe`].
const STEPS: [&str; 7] = [
    "first request",
    "wrong response",
    "wrong realm",
    "forged opaque",
    "no opaque",
    "auts",
    "the same auts again",
];

/// The answers to each step, and RAND of the first challenge.
fn probe(wire: &mut Wire, username: &str) -> (Vec<Vec<u8>>, [u8; 16]) {
    let first = wire.send(&first_request(username));
    let offered = challenges(&first);
    let nonce = AkaNonce::parse(&offered[0].nonce).unwrap();
    assert_eq!(nonce.autn[6..8], [0, 0], "AMF of the deployment");
    let name = username.as_bytes();
    let mut wrong = Credentials::answering(&offered[0], name, b"/", Some(Qop::AuthInt), b"cnonce");
    wrong.sign(name, &[7; 8], b"GET", b"");
    let mut other_realm = wrong.clone();
    other_realm.realm = Cow::Borrowed(b"at.obf.example");
    other_realm.sign(name, &[7; 8], b"GET", b"");
    let mut forged = wrong.clone();
    let mut opaque = wrong.opaque.clone().unwrap().into_owned();
    let middle = opaque.len() / 2;
    opaque[middle] = if opaque[middle] == b'A' { b'B' } else { b'A' };
    forged.opaque = Some(opaque.into());
    let without = Credentials { opaque: None, ..wrong.clone() };
    let mut auts = wrong.clone();
    auts.auts = Some(obf_digest::aka::encode_auts(&[7; 14]).into_bytes().into());
    auts.sign(name, b"", b"GET", b"");
    let mut seen = vec![blotted(&first)];
    for credentials in [&wrong, &other_realm, &forged, &without, &auts, &auts] {
        seen.push(send(wire, credentials));
    }
    (seen, nonce.rand)
}

/// Runs `probe` for 1,000 known and 1,000 unknown identities, and wants one answer to each of its steps, whoever asks.
fn compare(
    deployment: &Deployment,
    steps: &[&str],
    probe: impl Fn(&mut Wire, &[String]) -> Vec<Vec<Vec<u8>>> + Sync,
) {
    import(deployment, 0..1000);
    let address = deployment.endpoint("auth", "rpb");
    let tls = tls(&deployment.file("ca.pem"));
    let mut kinds: BTreeMap<(usize, Vec<u8>), [usize; 2]> = BTreeMap::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (tls, probe) = (&tls, &probe);
                scope.spawn(move || {
                    let mut wire = Wire::connect(address, tls);
                    let mine = (0..1000).filter(|number| number % THREADS == thread);
                    let both = |number| [format!("00101{number:010}"), format!("00102{number:010}")];
                    probe(&mut wire, &mine.flat_map(both).collect::<Vec<_>>())
                })
            })
            .collect();
        for (index, answers) in
            threads.into_iter().flat_map(|thread| thread.join().unwrap().into_iter().enumerate())
        {
            for (step, answer) in answers.into_iter().enumerate() {
                kinds.entry((step, answer)).or_default()[index % 2] += 1;
            }
        }
    });
    let shown: Vec<_> = kinds
        .iter()
        .map(|((step, answer), counts)| (steps[*step], counts, String::from_utf8_lossy(answer)))
        .collect();
    assert_eq!(kinds.len(), steps.len(), "one answer to each step, whoever asks: {shown:#?}");
    assert!(kinds.values().all(|counts| *counts == [1000, 1000]), "{shown:#?}");
    assert!(kinds.keys().all(|(_, answer)| answer.starts_with(b"HTTP/1.1 401 Unauthorized\r\n")));
}

#[test]
fn a_thousand_unknown_identities_are_answered_like_a_thousand_known_ones() {
    let rands = Mutex::new(HashSet::new());
    compare(&Deployment::start(), &STEPS, |wire, usernames| {
        let answers = usernames.iter().map(|username| {
            let (answers, rand) = probe(wire, username);
            assert!(rands.lock().unwrap().insert(rand));
            answers
        });
        answers.collect()
    });
    assert_eq!(rands.lock().unwrap().len(), 2000);
}

/// A challenge lives for one second here. What answers it too late does not say for whom.
#[test]
fn a_thousand_stale_challenges_of_unknown_identities_look_like_those_of_known_ones() {
    let mut deployment = Deployment::init(&[]);
    deployment.serve("all", &["--set", "auth.limits.challenge_life=1"]);
    compare(&deployment, &["stale response", "stale auts"], |wire, usernames| {
        let first: Vec<Answer> =
            usernames.iter().map(|username| wire.send(&first_request(username))).collect();
        // Time is what this is about: the last challenge is over when the clock has moved on by more than its life.
        std::thread::sleep(Duration::from_millis(2100));
        let late = usernames.iter().zip(&first).map(|(username, first)| {
            let (name, offered) = (username.as_bytes(), challenges(first));
            let mut wrong = Credentials::answering(&offered[0], name, b"/", Some(Qop::AuthInt), b"cnonce");
            wrong.sign(name, &[7; 8], b"GET", b"");
            let mut auts = wrong.clone();
            auts.auts = Some(obf_digest::aka::encode_auts(&[7; 14]).into_bytes().into());
            auts.sign(name, b"", b"GET", b"");
            vec![send(wire, &wrong), send(wire, &auts)]
        });
        late.collect()
    });
}

#[test]
fn suspended_devices_look_unknown_too() {
    let deployment = Deployment::start();
    let sims = import(&deployment, 0..2);
    deployment.obf(&["device", "suspend", &sims[1].imsi]).expect_success();
    let mut wire = Wire::connect(deployment.endpoint("auth", "rpb"), &tls(&deployment.file("ca.pem")));
    let (known, _) = probe(&mut wire, &sims[0].imsi);
    let (suspended, _) = probe(&mut wire, &sims[1].imsi);
    assert_eq!(known, suspended);
}
