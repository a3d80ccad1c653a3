//! Oversized, slow, too many: the right status, and the others are served meanwhile.

use super::wire::{Wire, tls};
use super::{Device, challenges, first_request, import};
use obf_testkit::Deployment;
use std::time::{Duration, Instant};

#[test]
fn oversized_heads_and_bodies_are_refused_and_the_server_goes_on() {
    let deployment = Deployment::start();
    let sims = import(&deployment, 0..1);
    let (address, tls) = (deployment.endpoint("auth", "rpb"), tls(&deployment.file("ca.pem")));
    let get = |headers: &str| format!("GET / HTTP/1.1\r\nhost: as.obf.example\r\n{headers}\r\n").into_bytes();
    let digest = "Digest username=\"u\", realm=\"r\", nonce=\"\", uri=\"/\", response=\"\"";
    for (request, status) in [
        (get(&format!("authorization: Digest username=\"{}\"\r\n", "u".repeat(9000))), 431),
        (get(&"x: y\r\n".repeat(200)), 431),
        (get(&format!("authorization: {digest}{}\r\n", ", a=b".repeat(40))), 400),
        (get(&format!("authorization: Digest username=\"{}\", {}\r\n", "u".repeat(254), &digest[20..])), 400),
        (get(&format!("authorization: {digest}\r\nauthorization: {digest}\r\n")), 400),
        (get("authorization: Digest \u{fc}=\u{fc}\r\n"), 400),
        (get("obf-key-schemas: <>\r\n"), 400),
        (get("user-agent: GBA_Digest\r\n"), 403),
        ([get("content-length: 5000\r\n"), vec![b'x'; 5000]].concat(), 413),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n".to_vec(), 405),
        (b"GET /bsf HTTP/1.1\r\nhost: a\r\n\r\n".to_vec(), 404),
        (b"\x16\x03\x01 HTTP\r\n\r\n".to_vec(), 400),
        (get(""), 401),
    ] {
        let mut wire = Wire::connect(address, &tls);
        let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
        // A server that refuses a head may close before all of it was written.
        let _ = wire.write(&request);
        let answer = wire.read().unwrap_or_else(|| panic!("no answer to {shown}"));
        assert_eq!(answer.status, status, "{shown}");
    }
    // Of a head that does not end, no more is read than the limit: the connection is over, whether or not the answer still
    // arrives before it is reset.
    let mut endless = Wire::connect(address, &tls);
    let sent = (0..10_000).take_while(|_| endless.write(&[b'y'; 4096]).is_ok()).count();
    assert!(sent < 10_000, "40 MB of one head were taken");
    Device::new(&sims[0]).bootstrap(&mut Wire::connect(address, &tls)).unwrap();
}

/// The server reads heads for 10 seconds; 30 are allowed here, on a machine that does other things too.
#[test]
fn slow_clients_are_ended_and_hold_up_nobody() {
    let deployment = Deployment::start();
    let sims = import(&deployment, 0..1);
    let (address, tls) = (deployment.endpoint("auth", "rpb"), tls(&deployment.file("ca.pem")));
    let mut slow: Vec<Wire> = (0..50).map(|_| Wire::connect(address, &tls)).collect();
    for (index, wire) in slow.iter_mut().enumerate() {
        let part: &[u8] = if index % 2 == 0 { b"GET / HT" } else { b"GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n" };
        wire.write(part).unwrap();
    }
    // Silent TCP connections, without as much as a ClientHello.
    let silent: Vec<_> = (0..50).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    let begun = Instant::now();
    Device::new(&sims[0]).bootstrap(&mut Wire::connect(address, &tls)).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(9), "somebody waited for the slow ones");
    for wire in &mut slow {
        let answer = wire.read();
        assert!(answer.is_none_or(|answer| answer.status == 408));
    }
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let ended = std::io::Read::read(&mut stream, &mut [0; 1]);
        assert!(
            matches!(ended, Ok(0))
                || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
        );
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// WIRES "SQN authority": after 20 unanswered challenges an identity is answered like an unknown one, so that nobody who
/// knows an IMSI can run its SQN up. Others are served.
#[test]
fn a_flood_for_one_identity_gets_twenty_vectors_and_looks_the_same_afterwards() {
    let deployment = Deployment::start();
    let sims = import(&deployment, 0..2);
    let mut wire = Wire::connect(deployment.endpoint("auth", "rpb"), &tls(&deployment.file("ca.pem")));
    let mut device = Device::new(&sims[0]);
    let mut authentic = Vec::new();
    let mut lengths = std::collections::HashSet::new();
    for _ in 0..30 {
        let answer = wire.send(&first_request(&sims[0].imsi));
        assert_eq!(answer.status, 401);
        lengths.insert(answer.head.len());
        let nonce = obf_digest::AkaNonce::parse(&challenges(&answer)[0].nonce).unwrap();
        let answer = device.authenticate(&nonce.rand, &nonce.autn);
        authentic.push(matches!(answer, obf_rpb::client::AkaAnswer::HandedOut { .. }));
    }
    assert_eq!(authentic, (0..30).map(|index| index < 20).collect::<Vec<_>>());
    assert_eq!(lengths.len(), 1);
    // The identity as an IMPI is the same identity.
    let mut impi = Device::new(&sims[0]);
    impi.settings.username = format!("{}@ims.mnc001.mcc001.3gppnetwork.org", sims[0].imsi).into();
    assert!(impi.bootstrap(&mut wire).is_err());
    Device::new(&sims[1]).bootstrap(&mut wire).unwrap();
}

/// Answered challenges are given back; a response that is played again is no answer.
#[test]
fn a_replayed_response_does_not_fill_the_bucket_again() {
    let deployment = Deployment::start();
    let sims = import(&deployment, 0..1);
    let mut wire = Wire::connect(deployment.endpoint("auth", "rpb"), &tls(&deployment.file("ca.pem")));
    let mut device = Device::new(&sims[0]);
    for _ in 0..30 {
        device.bootstrap(&mut wire).unwrap();
    }
    let (_, response) = device.challenged(&mut wire).unwrap();
    assert_eq!(wire.send(&response).status, 200);
    let mut authentic = 0;
    for _ in 0..40 {
        let answer = wire.send(&response);
        assert_eq!(answer.status, 401);
        let nonce = obf_digest::AkaNonce::parse(&challenges(&answer)[0].nonce).unwrap();
        let answer = device.authenticate(&nonce.rand, &nonce.autn);
        authentic += usize::from(matches!(answer, obf_rpb::client::AkaAnswer::HandedOut { .. }));
    }
    assert!(authentic <= 21, "{authentic} vectors for one response");
}

#[test]
fn a_flood_from_one_source_gets_429() {
    let mut deployment = Deployment::init(&[]);
    let settings = ["auth.limits.requests_per_source=10", "auth.limits.requests_seconds=3600"];
    deployment.serve("all", &["--set", settings[0], "--set", settings[1]]);
    let mut wire = Wire::connect(deployment.endpoint("auth", "rpb"), &tls(&deployment.file("ca.pem")));
    let statuses: Vec<u16> = (0..15).map(|_| wire.send(&first_request("001010000000000")).status).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 5]].concat());
    let answer = wire.send(&first_request("001010000000000"));
    assert!(answer.headers.iter().any(|(name, _)| name == "retry-after"));
}

/// DESIGN "No memory between the two RPB requests": after 12,000 first requests that fill its buffers and tables, 10,000 more of other
/// known devices, none of them answered, leave the process as large as it was. 1 MiB is allowed for the allocator's moods: 105
/// octets a challenge, less than a user name, RAND, XRES, CK and IK in a table would take.
#[test]
fn first_requests_cost_no_memory() {
    let mut deployment = Deployment::init(&[]);
    deployment.serve("resource", &[]);
    let process = deployment.serve("auth", &[]).id();
    import(&deployment, 0..22_000);
    let (address, tls) = (deployment.endpoint("auth", "rpb"), tls(&deployment.file("ca.pem")));
    let mut wires: Vec<Wire> = (0..8).map(|_| Wire::connect(address, &tls)).collect();
    let mut flood = |from: u32, to: u32| {
        std::thread::scope(|scope| {
            for (thread, wire) in wires.iter_mut().enumerate() {
                scope.spawn(move || {
                    for number in (from..to).filter(|number| *number as usize % 8 == thread) {
                        assert_eq!(wire.send(&first_request(&format!("00101{number:010}"))).status, 401);
                    }
                });
            }
        });
    };
    flood(0, 12_000);
    let before = resident_kib(process);
    flood(12_000, 22_000);
    let after = resident_kib(process);
    assert!(after <= before + 1024, "{before} KiB became {after} KiB");
}

fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
