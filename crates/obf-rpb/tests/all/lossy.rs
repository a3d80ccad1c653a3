//! RPB on a wire that loses, repeats and delays: thousands of runs, whatever comes the invariants hold.

use crate::world::{Device, World, response};
use obf_rpb::http::{ClientRequest, HttpRequest};
use obf_rpb::{Bootstrap, ClientStep, Outcome};
use obf_types::{Epoch, UnixTime};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    /// The device sends its next request (or begins anew) and gets the answer.
    Exchange,
    /// The request arrives, the answer is lost; the device begins anew.
    LoseAnswer,
    /// The request is lost; the device begins anew.
    LoseRequest,
    /// Somebody sends a copy of an earlier request.
    Replay(prop::sample::Index),
    /// A copy with one octet of the credentials changed.
    Tamper(prop::sample::Index, prop::sample::Index, u8),
    /// Time passes.
    Wait(u8),
    /// The device's tokens are ended.
    Revoke,
    /// The Resource Server loses its SQN (a backup is restored).
    ForgetSqn,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Exchange),
        1 => Just(Event::LoseAnswer),
        1 => Just(Event::LoseRequest),
        3 => any::<prop::sample::Index>().prop_map(Event::Replay),
        2 => any::<(prop::sample::Index, prop::sample::Index, u8)>().prop_map(|(a, b, c)| Event::Tamper(a, b, c)),
        2 => any::<u8>().prop_map(Event::Wait),
        1 => Just(Event::Revoke),
        1 => Just(Event::ForgetSqn),
    ]
}

const IMSI: &str = "001010000000001";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn invariants_hold_whatever_the_wire_does(seed: u64, events in prop::collection::vec(event(), 1..40)) {
        let mut world = World::new(seed).with_device(IMSI);
        let mut device = Device::new(IMSI);
        let mut bootstrap = Bootstrap::new(device.settings.clone());
        let mut next = bootstrap.first_request().unwrap();
        let mut sent: Vec<ClientRequest> = vec![];
        let mut associations = 0;
        for event in events {
            let begin_anew = match event {
                Event::Exchange => {
                    sent.push(next.clone());
                    let reply = world.serve_client(&next);
                    match bootstrap.answer(&response(&reply)) {
                        Ok(ClientStep::Authenticate { rand, autn, .. }) => {
                            let cnonce = world.random.octets();
                            match bootstrap.authenticated(device.authenticate(&rand, &autn), cnonce) {
                                Ok(request) => {
                                    next = request;
                                    false
                                }
                                Err(_) => true,
                            }
                        }
                        Ok(ClientStep::Done(association)) => {
                            associations += 1;
                            // What the device believes, the server has committed, octet for octet.
                            let (token, counter) = world.tokens.last().unwrap();
                            prop_assert_eq!(&association.id, &token.id);
                            prop_assert_eq!(association.ks.expose(), Some(&token.ks));
                            prop_assert_eq!(association.counter, *counter);
                            prop_assert_eq!(association.expires, token.facts.expires);
                            true
                        }
                        Err(_) => true,
                    }
                }
                Event::LoseAnswer => {
                    sent.push(next.clone());
                    world.serve_client(&next);
                    true
                }
                Event::LoseRequest => true,
                Event::Replay(which) if !sent.is_empty() => {
                    let tokens = world.tokens.len();
                    let request = sent[which.index(sent.len())].clone();
                    let reply = world.serve_client(&request);
                    // A copy never yields a second token: what was answered once is spent.
                    prop_assert_eq!(world.tokens.len(), tokens);
                    prop_assert_ne!(reply.outcome, Outcome::Bootstrapped);
                    false
                }
                Event::Tamper(which, place, flip) if !sent.is_empty() => {
                    let mut request = sent[which.index(sent.len())].clone();
                    let value = &mut request.headers.iter_mut().find(|(n, _)| *n == "authorization").unwrap().1;
                    let place = place.index(value.len());
                    value[place] ^= flip;
                    let tokens = world.tokens.len();
                    world.serve_client(&request);
                    prop_assert_eq!(world.tokens.len(), tokens);
                    false
                }
                Event::Wait(seconds) => {
                    world.now = UnixTime(world.now.0 + u64::from(seconds));
                    false
                }
                Event::Revoke => {
                    let subscriber = world.subscribers.get_mut(IMSI).unwrap();
                    subscriber.epoch = Epoch(subscriber.epoch.0 + 1);
                    false
                }
                Event::ForgetSqn => {
                    let sqn = obf_aka::SqnLayout::DEFAULT.sqn(1, 1).unwrap();
                    world.subscribers.get_mut(IMSI).unwrap().sqn = sqn;
                    false
                }
                Event::Replay(_) | Event::Tamper(..) => false,
            };
            if begin_anew {
                bootstrap = Bootstrap::new(device.settings.clone());
                next = bootstrap.first_request().unwrap();
            }
        }
        prop_assert!(associations <= world.tokens.len());
        let mut rands: Vec<_> = world.tokens.iter().map(|(token, _)| *token.id.rand()).collect();
        let count = rands.len();
        rands.sort_unstable();
        rands.dedup();
        prop_assert_eq!(rands.len(), count);
        // Whatever happened, an undisturbed bootstrap succeeds.
        prop_assert!(device.plainly(&mut world).is_ok());
    }

    #[test]
    fn arbitrary_requests_never_panic_nor_commit(
        seed: u64, method in "GET|POST|[A-Z]{0,3}", target in "/|http://a/|[ -~]{0,9}",
        value in prop_oneof!["[ -~]{0,80}".prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..80)],
        name in "authorization|user-agent|obf-key-schemas", digest: bool,
    ) {
        let mut world = World::new(seed).with_device(IMSI);
        let value = if digest { [b"Digest ".as_slice(), &value].concat() } else { value };
        let mut request = HttpRequest::new(&method, &target, b"");
        request.header(&name, &value);
        let reply = world.serve(&request);
        prop_assert!((400..500).contains(&reply.status()));
        prop_assert!(world.tokens.is_empty());
    }

    #[test]
    fn arbitrary_answers_never_panic_the_client(status in 100u16..600, value in "[ -~]{0,120}", body: Vec<u8>, name in "www-authenticate|authentication-info") {
        let mut world = World::new(1).with_device(IMSI);
        let mut device = Device::new(IMSI);
        let answer = obf_rpb::http::HttpResponse::new(status, &body).with_header(&name, value.as_bytes());
        let mut bootstrap = Bootstrap::new(device.settings.clone());
        prop_assert!(bootstrap.answer(&answer).is_err());
        let mut bootstrap = Bootstrap::new(device.settings.clone());
        let reply = world.serve_client(&bootstrap.first_request().unwrap());
        if let Ok(ClientStep::Authenticate { rand, autn, .. }) = bootstrap.answer(&response(&reply)) {
            bootstrap.authenticated(device.authenticate(&rand, &autn), [0; 16]).unwrap();
        }
        prop_assert!(bootstrap.answer(&answer).is_err());
    }
}
