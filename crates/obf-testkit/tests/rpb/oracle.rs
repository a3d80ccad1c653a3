//! WIRES "No oracle": 1,000 known and 1,000 unknown identities, compared by bytes.

use crate::wire::{Answer, Wire, tls};
use crate::{challenges, first_request, import};
use obf_digest::{AkaNonce, Credentials, Qop};
use obf_rpb::http::ClientRequest;
use obf_testkit::Deployment;
use std::collections::{BTreeMap, HashSet};

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

/// The answers to a first request, to a wrong response, to an `auts` and to the same `auts` again.
fn probe(wire: &mut Wire, username: &str) -> (Vec<Vec<u8>>, [u8; 16]) {
    let first = wire.send(&first_request(username));
    let offered = challenges(&first);
    let nonce = AkaNonce::parse(&offered[0].nonce).unwrap();
    assert_eq!(nonce.autn[6..8], [0, 0], "AMF of the deployment");
    let mut wrong =
        Credentials::answering(&offered[0], username.as_bytes(), b"/", Some(Qop::AuthInt), b"cnonce");
    wrong.sign(username.as_bytes(), &[7; 8], b"GET", b"");
    let mut auts = wrong.clone();
    auts.auts = Some(obf_digest::aka::encode_auts(&[7; 14]).into_bytes().into());
    auts.sign(username.as_bytes(), b"", b"GET", b"");
    let mut seen = vec![blotted(&first)];
    for credentials in [&wrong, &auts, &auts] {
        let headers = vec![("authorization", credentials.to_header().unwrap())];
        seen.push(blotted(&wire.send(&ClientRequest { method: "GET", target: "/", headers })));
    }
    (seen, nonce.rand)
}

#[test]
fn a_thousand_unknown_identities_are_answered_like_a_thousand_known_ones() {
    let deployment = Deployment::start();
    import(&deployment, 0..1000);
    let address = deployment.endpoint("auth", "rpb");
    let tls = tls(&deployment.file("ca.pem"));
    let mut kinds: BTreeMap<(usize, Vec<u8>), [usize; 2]> = BTreeMap::new();
    let mut rands = HashSet::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let tls = &tls;
                scope.spawn(move || {
                    let mut wire = Wire::connect(address, tls);
                    let mine = (0..1000).filter(|number| number % THREADS == thread);
                    mine.flat_map(|number| {
                        [(0, format!("00101{number:010}")), (1, format!("00102{number:010}"))]
                    })
                    .map(|(group, username)| (group, probe(&mut wire, &username)))
                    .collect::<Vec<_>>()
                })
            })
            .collect();
        for (group, (answers, rand)) in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert!(rands.insert(rand));
            for (step, answer) in answers.into_iter().enumerate() {
                kinds.entry((step, answer)).or_default()[group] += 1;
            }
        }
    });
    let shown: Vec<_> = kinds
        .iter()
        .map(|((step, answer), counts)| (step, counts, String::from_utf8_lossy(answer)))
        .collect();
    assert_eq!(kinds.len(), 4, "one answer to each step, whoever asks: {shown:#?}");
    assert!(kinds.values().all(|counts| *counts == [1000, 1000]), "{shown:#?}");
    assert!(kinds.keys().all(|(_, answer)| answer.starts_with(b"HTTP/1.1 401 Unauthorized\r\n")));
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
