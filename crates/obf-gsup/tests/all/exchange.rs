//! A client and an HLR joined without a socket and without a clock.

use obf_gsup::{
    AuthTuple, Cause, Ccm, Dead, Event, Exchange, Failure, Frame, FrameReader, Imsi, Limits, Message,
    PeerName, SendAuthInfoError, SendAuthInfoRequest, SendAuthInfoResult, Triplet, Waiter,
};
use obf_types::Secret;
use std::{cell::Cell, rc::Rc, time::Duration};

const AT_ONCE: Duration = Duration::ZERO;

#[derive(Debug)]
struct TestWaiter {
    number: u32,
    gone: Rc<Cell<bool>>,
}

impl Waiter for TestWaiter {
    fn is_gone(&self) -> bool {
        self.gone.get()
    }
}

fn asker(number: u32) -> TestWaiter {
    TestWaiter { number, gone: Rc::default() }
}

fn limits() -> Limits {
    Limits { requests: 6, waiting_for_one: 3, ..Limits::default() }
}

fn imsi(number: u32) -> Imsi {
    Imsi::new(&format!("00101{number:010}")).unwrap()
}

fn request(number: u32) -> SendAuthInfoRequest {
    SendAuthInfoRequest::one_vector(imsi(number), None)
}

fn refusal(number: u32) -> Message {
    Message::SendAuthInfoError(SendAuthInfoError { imsi: imsi(number), cause: Cause::IMSI_UNKNOWN })
}

/// A client that has told who it is.
fn identified() -> Exchange<TestWaiter> {
    let mut client = Exchange::new(PeerName::new("obf-rs").unwrap(), limits());
    let mut out = Vec::new();
    let event = client.received(AT_ONCE, Frame::Ccm(&[4, 1, 0]), &mut out);
    assert!(matches!(event, Event::Identified));
    assert_eq!(sent(&out), ["IdentityResponse(PeerName(\"obf-rs\"))"]);
    client
}

/// What a client wrote: connection management as it is, requests by their IMSI.
fn sent(out: &[u8]) -> Vec<String> {
    let mut reader = FrameReader::new();
    reader.room()[..out.len()].copy_from_slice(out);
    reader.filled(out.len());
    let mut all = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        all.push(match frame {
            Frame::Ccm(payload) => format!("{:?}", Ccm::read(payload).unwrap()),
            Frame::Gsup(payload) => match Message::read(payload).unwrap() {
                Message::SendAuthInfoRequest(request) => request.imsi.digits().into(),
                other => panic!("{other:?}"),
            },
            Frame::Other(other) => panic!("{other}"),
        });
    }
    all
}

fn receive(client: &mut Exchange<TestWaiter>, message: &Message, out: &mut Vec<u8>) -> Event<TestWaiter> {
    receive_at(client, AT_ONCE, message, out)
}

fn receive_at(
    client: &mut Exchange<TestWaiter>,
    now: Duration,
    message: &Message,
    out: &mut Vec<u8>,
) -> Event<TestWaiter> {
    let mut stream = Vec::new();
    message.write(&mut stream);
    client.received(now, Frame::Gsup(&stream[4..]), out)
}

/// Who was answered.
fn answered(event: Event<TestWaiter>) -> (u32, Result<SendAuthInfoResult, Failure>) {
    match event {
        Event::Answer(asker, outcome) => (asker.number, outcome),
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_find_their_askers_in_any_order() {
    let mut client = identified();
    let mut out = Vec::new();
    for number in [1, 2, 3] {
        client.ask(AT_ONCE, request(number), asker(number), &mut out).unwrap();
    }
    assert_eq!(sent(&out), [imsi(1).digits(), imsi(2).digits(), imsi(3).digits()]);
    for number in [3, 1, 2] {
        let (who, outcome) = answered(receive(&mut client, &refusal(number), &mut out));
        assert_eq!((who, outcome), (number, Err(Failure::Refused(Cause::IMSI_UNKNOWN))));
    }
    assert!(client.is_idle());
    assert!(
        matches!(receive(&mut client, &refusal(1), &mut out), Event::Unasked(unasked) if unasked == imsi(1))
    );
}

#[test]
fn requests_of_one_imsi_take_turns() {
    let mut client = identified();
    let mut out = Vec::new();
    for number in [1, 2, 3] {
        client.ask(AT_ONCE, request(7), asker(number), &mut out).unwrap();
    }
    assert_eq!(sent(&out).len(), 1);
    for number in [1, 2, 3] {
        out.clear();
        assert_eq!(answered(receive(&mut client, &refusal(7), &mut out)).0, number);
        assert_eq!(sent(&out).len(), usize::from(number < 3));
    }
}

#[test]
fn an_answer_to_who_has_left_is_nobody_else_s() {
    let mut client = identified();
    let mut out = Vec::new();
    let (first, second, third) = (asker(1), asker(2), asker(3));
    let (first_gone, second_gone) = (first.gone.clone(), second.gone.clone());
    for asker in [first, second, third] {
        client.ask(AT_ONCE, request(7), asker, &mut out).unwrap();
    }
    first_gone.set(true);
    second_gone.set(true);
    out.clear();
    // The first one's answer is the first one's, late as it is; the second request is never sent.
    assert_eq!(answered(receive(&mut client, &refusal(7), &mut out)).0, 1);
    assert_eq!(sent(&out).len(), 1);
    assert_eq!(answered(receive(&mut client, &refusal(7), &mut out)).0, 3);
    assert!(client.is_idle());
}

#[test]
fn too_many_requests_are_refused_to_the_asker() {
    let mut client = identified();
    let mut out = Vec::new();
    for number in 0..4 {
        client.ask(AT_ONCE, request(7), asker(number), &mut out).unwrap();
    }
    assert_eq!(client.ask(AT_ONCE, request(7), asker(4), &mut out).unwrap_err().0.number, 4, "of one IMSI");
    client.ask(AT_ONCE, request(8), asker(5), &mut out).unwrap();
    client.ask(AT_ONCE, request(9), asker(6), &mut out).unwrap();
    assert_eq!(client.ask(AT_ONCE, request(10), asker(7), &mut out).unwrap_err().0.number, 7, "in all");
    receive(&mut client, &refusal(7), &mut out);
    assert!(client.ask(AT_ONCE, request(10), asker(8), &mut out).is_ok());
}

#[test]
fn an_answer_that_cannot_be_read_is_its_asker_s_failure() {
    let mut client = identified();
    let mut out = Vec::new();
    client.ask(AT_ONCE, request(1), asker(1), &mut out).unwrap();
    let without_tuples = [0x0a, 1, 8, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xf1];
    let (who, outcome) = answered(client.received(AT_ONCE, Frame::Gsup(&without_tuples), &mut out));
    assert_eq!(who, 1);
    let words = outcome.unwrap_err().to_string();
    assert_eq!(words, "the HLR's answer cannot be read: authentication tuple is missing");
    for unreadable in [&[][..], &[0x0a], &without_tuples] {
        assert!(matches!(client.received(AT_ONCE, Frame::Gsup(unreadable), &mut out), Event::Unreadable(_)));
    }
    assert!(matches!(client.received(AT_ONCE, Frame::Ccm(&[]), &mut out), Event::UnreadableCcm(_)));
    assert!(matches!(client.received(AT_ONCE, Frame::Other(9), &mut out), Event::Ignored));
    assert!(matches!(receive(&mut client, &Message::Other(0x1c), &mut out), Event::Ignored));
}

#[test]
fn signs_of_life_are_given_and_asked_for() {
    let mut client = identified();
    let mut out = Vec::new();
    assert!(matches!(client.received(AT_ONCE, Frame::Ccm(&[0]), &mut out), Event::Nothing));
    assert_eq!(sent(&out), ["Pong"]);
    out.clear();
    let second = Duration::from_secs;
    client.watch(second(4), &mut out).unwrap();
    assert!(out.is_empty());
    client.watch(second(5), &mut out).unwrap();
    assert_eq!(sent(&out), ["Ping"]);
    client.received(second(6), Frame::Ccm(&[1]), &mut out);
    client.watch(second(10), &mut out).unwrap();
    out.clear();
    client.watch(second(11), &mut out).unwrap();
    assert_eq!(sent(&out), ["Ping"]);
    assert_eq!(client.watch(second(16), &mut out), Err(Dead::Silent));
}

#[test]
fn a_request_left_unanswered_ends_the_connection() {
    let second = Duration::from_secs;
    let mut client = identified();
    let mut out = Vec::new();
    client.ask(second(1), request(1), asker(1), &mut out).unwrap();
    client.ask(second(2), request(2), asker(2), &mut out).unwrap();
    receive_at(&mut client, second(3), &refusal(1), &mut out);
    client.watch(second(6), &mut out).unwrap();
    assert_eq!(client.watch(second(7), &mut out), Err(Dead::Unanswered(imsi(2))));

    let mut mute = Exchange::<TestWaiter>::new(PeerName::new("obf-rs").unwrap(), limits());
    mute.watch(second(4), &mut out).unwrap();
    assert_eq!(mute.watch(second(5), &mut out), Err(Dead::NoIdentityRequest));
}

#[test]
fn a_result_goes_to_its_asker_with_its_tuples() {
    let mut client = identified();
    let mut out = Vec::new();
    client.ask(AT_ONCE, request(1), asker(1), &mut out).unwrap();
    let triplet = Some(Triplet { sres: Secret::new([1; 4]), kc: Secret::new([2; 8]) });
    let tuples = vec![AuthTuple { rand: [3; 16], triplet, quintet: None }];
    let result = SendAuthInfoResult { imsi: imsi(1), tuples };
    let (_, outcome) = answered(receive(&mut client, &Message::SendAuthInfoResult(result.clone()), &mut out));
    assert_eq!(outcome, Ok(result));
}
