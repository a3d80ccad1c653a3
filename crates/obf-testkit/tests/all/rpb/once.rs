//! WIRES "Once": a challenge can be used once, whichever Authentication Server gets it; a replayed `auts` asks nobody.

use super::relay::Relay;
use super::wire::{Wire, tls};
use super::{DOMAIN, Device, challenges, import};
use obf_testkit::Deployment;
use std::net::UdpSocket;
use std::sync::Barrier;

const RACES: u32 = 1000;

#[test]
fn a_thousand_responses_raced_at_two_servers_yield_one_token_each() {
    let mut deployment = Deployment::init(&[]);
    // The second server is registered with its node number and the address where it takes notices.
    let notices = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = std::fs::read_to_string(deployment.config()).unwrap();
    config += &format!(
        "\n[[resource.auth_servers]]\ndomain = \"{DOMAIN}\"\nnode = 1\naddress = \"127.0.0.1\"\n\
         secret_file = \"radius.secret\"\ndas = \"{notices}\"\n"
    );
    std::fs::write(deployment.config(), config).unwrap();
    deployment.serve("all", &[]);
    let first = deployment.endpoint("auth", "rpb");
    let das = format!("auth.das.listen={notices}");
    let other =
        deployment.serve("auth", &["--set", "auth.node=1", "--set", &das]).endpoint("auth", "rpb").unwrap();
    assert_ne!(first, other);
    let sims = import(&deployment, 0..RACES);
    let tls = tls(&deployment.file("ca.pem"));

    let threads = 4;
    let mut outcomes: Vec<[(u16, Vec<u8>); 2]> = Vec::new();
    std::thread::scope(|scope| {
        let racers: Vec<_> = sims
            .chunks(sims.len() / threads)
            .map(|sims| {
                let tls = &tls;
                scope.spawn(move || {
                    let mut wires = [Wire::connect(first, tls), Wire::connect(other, tls)];
                    sims.iter()
                        .enumerate()
                        .map(|(index, sim)| race(&mut wires, index % 2, sim))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        outcomes = racers.into_iter().flat_map(|racer| racer.join().unwrap()).collect();
    });
    assert_eq!(outcomes.len(), RACES as usize);
    let mut won = [0, 0];
    for pair in &outcomes {
        let statuses = pair.each_ref().map(|(status, _)| *status);
        assert!(statuses == [200, 401] || statuses == [401, 200], "{statuses:?}");
        won[usize::from(statuses[1] == 200)] += 1;
    }
    assert!(won[0] > 0 && won[1] > 0, "both servers took part: {won:?}");
    let tokens = deployment.obf(&["token", "list", "--json"]).json_lines();
    assert_eq!(tokens.len(), RACES as usize);
}

/// The same second request at both servers at once; the first request went to the one with number `challenger`.
fn race(wires: &mut [Wire; 2], challenger: usize, sim: &obf_testkit::Sim) -> [(u16, Vec<u8>); 2] {
    let mut device = Device::new(sim);
    let (_, request) = device.challenged(&mut wires[challenger]).unwrap();
    let start = Barrier::new(2);
    let [one, two] = wires;
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            start.wait();
            let answer = two.send(&request);
            (answer.status, answer.body)
        });
        start.wait();
        let answer = one.send(&request);
        [(answer.status, answer.body), other.join().unwrap()]
    })
}

#[test]
fn a_replayed_auts_sends_nothing_on_rpr_and_gets_no_usable_challenge() {
    let mut deployment = Deployment::init(&[]);
    deployment.serve("resource", &[]);
    let relay = Relay::start(deployment.endpoint("resource", "rpr"));
    let servers = format!("auth.resource_server.servers=[\"{}\"]", relay.address);
    deployment.serve("auth", &["--set", &servers]);
    let sims = import(&deployment, 0..1);
    let mut wire = Wire::connect(deployment.endpoint("auth", "rpb"), &tls(&deployment.file("ca.pem")));
    let mut device = Device::ahead(&sims[0]);

    let (mut bootstrap, auts) = device.challenged(&mut wire).unwrap();
    let value =
        String::from_utf8(auts.headers.iter().find(|(name, _)| *name == "authorization").unwrap().1.clone());
    assert!(value.unwrap().contains("auts=\""));
    let in_step = wire.send(&auts);
    assert_eq!((in_step.status, relay.asked()), (401, 2), "one vector, one resynchronisation");
    for _ in 0..20 {
        let replayed = wire.send(&auts);
        let nonce = obf_digest::AkaNonce::parse(&challenges(&replayed)[0].nonce).unwrap();
        let answer = device.authenticate(&nonce.rand, &nonce.autn);
        assert!(matches!(answer, obf_rpb::client::AkaAnswer::MacFailure));
    }
    assert_eq!(relay.asked(), 2, "a replayed auts reaches no Resource Server");

    // The challenge that came by resynchronisation is answered as usual.
    let obf_rpb::ClientStep::Authenticate { rand, autn, .. } = bootstrap.answer(&in_step.response()).unwrap()
    else {
        panic!("no challenge")
    };
    let request = bootstrap.authenticated(device.authenticate(&rand, &autn), [1; 16]).unwrap();
    let answer = wire.send(&request);
    assert!(matches!(bootstrap.answer(&answer.response()), Ok(obf_rpb::ClientStep::Done(_))));
    // And the response, replayed, gets a new challenge that says so.
    let replayed = wire.send(&request);
    assert_eq!(replayed.status, 401);
    assert!(challenges(&replayed).iter().all(|challenge| challenge.stale));
}
