//! What an HLR sends and gets, and what nobody should: frames, connection management, Send Auth Info.

use obf_gsup::{
    AuthTuple, Cause, Ccm, CnDomain, Frame, FrameError, FrameReader, Imsi, MAX_PAYLOAD, Message,
    MessageClass, PeerName, Quintet, Resynchronisation, SendAuthInfoError, SendAuthInfoRequest,
    SendAuthInfoResult, Triplet, Undecodable,
};
use obf_types::{Secret, SecretBytes};
use proptest::prelude::*;

/// One vector of osmo-hlr 1.5.0 for Milenage, behind length and protocol.
const RESULT_OF_OSMO_HLR: &str = "050a010800010100000000f1036220100a0cfb86426a2ec6301e24506564591921042c58ed94\
    22080e757583849bbc3e2310325fe1c3ffd3287df699b430a5632dfd24103e027d8c940fad81f4b15dfc4a24143f25105c0e32588c\
    680000e014a28280e58e5c27087e8abba252d25636";

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn imsi() -> Imsi {
    Imsi::new("001010000000001").unwrap()
}

fn read(hex: &str) -> Result<Message, Undecodable> {
    Message::read(&octets(hex))
}

/// What is wrong with a message, in words.
fn complaint(hex: &str) -> String {
    read(hex).unwrap_err().error.to_string()
}

/// The frames of a stream, as they are told apart.
fn frames(stream: &[u8]) -> Result<Vec<String>, FrameError> {
    let mut reader = FrameReader::new();
    let mut all = Vec::new();
    let mut rest = stream;
    while !rest.is_empty() {
        let room = reader.room();
        let taken = room.len().min(rest.len());
        room[..taken].copy_from_slice(&rest[..taken]);
        reader.filled(taken);
        rest = &rest[taken..];
        while let Some(frame) = reader.next_frame()? {
            all.push(format!("{frame:?}"));
        }
    }
    Ok(all)
}

/// A message through its frame and back.
fn through(message: &Message) -> Message {
    let mut stream = Vec::new();
    message.write(&mut stream);
    let mut reader = FrameReader::new();
    reader.room()[..stream.len()].copy_from_slice(&stream);
    reader.filled(stream.len());
    let Some(Frame::Gsup(payload)) = reader.next_frame().unwrap() else { panic!("no GSUP frame") };
    Message::read(payload).unwrap()
}

#[test]
fn a_result_of_osmo_hlr_is_read() {
    let Message::SendAuthInfoResult(result) = read(&RESULT_OF_OSMO_HLR[2..]).unwrap() else { panic!() };
    assert_eq!(result.imsi, imsi());
    let [tuple] = result.tuples.as_slice() else { panic!("{result:?}") };
    assert_eq!(tuple.rand.to_vec(), octets("0a0cfb86426a2ec6301e245065645919"));
    let quintet = tuple.quintet.as_ref().unwrap();
    assert_eq!(quintet.autn.to_vec(), octets("5c0e32588c680000e014a28280e58e5c"));
    assert_eq!(quintet.xres.expose(), octets("7e8abba252d25636"));
    assert_eq!(quintet.ck.expose().to_vec(), octets("3e027d8c940fad81f4b15dfc4a24143f"));
    assert_eq!(quintet.ik.expose().to_vec(), octets("325fe1c3ffd3287df699b430a5632dfd"));
    assert_eq!(tuple.triplet.as_ref().unwrap().sres.expose().to_vec(), octets("2c58ed94"));
    // No octet of a key is in what is printed.
    let printed = format!("{result:?}");
    assert!(printed.contains("Secret<16 octets>") && !printed.contains("62, 2, 125"), "{printed}");
}

#[test]
fn every_message_comes_back_as_it_was() {
    let quintet = Quintet {
        autn: [1; 16],
        xres: SecretBytes::new(vec![2; 8]),
        ck: Secret::new([3; 16]),
        ik: Secret::new([4; 16]),
    };
    let triplet = Triplet { sres: Secret::new([5; 4]), kc: Secret::new([6; 8]) };
    let tuple = |triplet, quintet| AuthTuple { rand: [7; 16], triplet, quintet };
    let resynchronisation = Resynchronisation { rand: [8; 16], auts: [9; 14] };
    let full = SendAuthInfoRequest {
        imsi: imsi(),
        resynchronisation: Some(resynchronisation.clone()),
        domain: Some(CnDomain::CircuitSwitched),
        vectors: Some(5),
        class: Some(MessageClass::SUBSCRIBER_MANAGEMENT),
    };
    let all = [
        Message::SendAuthInfoRequest(full),
        Message::SendAuthInfoRequest(SendAuthInfoRequest::one_vector(imsi(), None)),
        Message::SendAuthInfoRequest(SendAuthInfoRequest::one_vector(imsi(), Some(resynchronisation))),
        Message::SendAuthInfoResult(SendAuthInfoResult {
            imsi: imsi(),
            tuples: vec![
                tuple(Some(triplet.clone()), Some(quintet.clone())),
                tuple(None, Some(quintet)),
                tuple(Some(triplet), None),
            ],
        }),
        Message::SendAuthInfoError(SendAuthInfoError { imsi: imsi(), cause: Cause::IMSI_UNKNOWN }),
        Message::Other(0x1c),
    ];
    for message in all {
        assert_eq!(through(&message), message);
    }
}

#[test]
fn an_identity_is_answered_as_osmo_hlr_wants_it() {
    let name = PeerName::new("obf-rs-0").unwrap();
    let mut out = Vec::new();
    Ccm::IdentityResponse(name.clone()).write(&mut out);
    assert_eq!(
        out,
        octets("0022 fe 05 0007 08 302f302f3000 000a 01 6f62662d72732d3000 000a 00 6f62662d72732d3000")
    );
    assert_eq!(Ccm::read(&out[3..]), Ok(Ccm::IdentityResponse(name)));
    // osmo-hlr's question, as it stands on the wire.
    assert_eq!(Ccm::read(&octets("0401080107010201030104010501010100")), Ok(Ccm::IdentityRequest));
    for message in [Ccm::Ping, Ccm::Pong, Ccm::IdentityRequest, Ccm::IdentityAck, Ccm::Other(0x42)] {
        let mut out = Vec::new();
        message.write(&mut out);
        assert_eq!(Ccm::read(&out[3..]), Ok(message));
    }
    for bad in ["", "two words", "a\0b", &"x".repeat(64)] {
        assert!(PeerName::new(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn bad_connection_management_is_named() {
    let words = |hex: &str| Ccm::read(&octets(hex)).unwrap_err().to_string();
    assert_eq!(words(""), "a message of connection management without a type");
    assert_eq!(words("05 0009 00 6162"), "an identity element of 9 octets where 3 are left");
    assert_eq!(words("05 0000"), "an identity element of 0 octets where 0 are left");
    assert!(words("05").starts_with("an identity without a name"));
    assert!(words("05 0003 00 ff00").starts_with("an identity without a name"));
}

#[test]
fn truncated_and_misshapen_messages_are_named() {
    let request = "08 0108 00010100000000f1";
    for (hex, words) in [
        ("", "nothing is in it"),
        ("08", "IMSI is missing"),
        ("08 01", "IMSI (0x01) announces 0 octets, 0 are left"),
        ("08 0108 000101", "IMSI (0x01) announces 8 octets, 3 are left"),
        ("08 0109 00010100000000f1ff", "an IMSI has digits only"),
        ("08 0100", "an IMSI has 6 to 15 digits, not 0"),
        ("08 0102 2143", "an IMSI has 6 to 15 digits, not 4"),
        ("08 0108 00010100000000f1 0103 214365", "IMSI stands there twice"),
        (&format!("{request} 2010 {}", "11".repeat(16)), "AUTS is missing"),
        (&format!("{request} 260e {}", "11".repeat(14)), "RAND is missing"),
        (&format!("{request} 260d {}", "11".repeat(13)), "AUTS has 13 octets instead of 14"),
        (&format!("{request} 2801 03"), "CN domain cannot be 3"),
        (&format!("{request} 2800"), "CN domain has 0 octets instead of 1"),
        (&format!("{request} 5201 06"), "number of vectors cannot be 6"),
        ("09 0108 00010100000000f1", "cause is missing"),
        ("09 0108 00010100000000f1 0202 0202", "cause has 2 octets instead of 1"),
        ("0a 0108 00010100000000f1", "authentication tuple is missing"),
        ("0a 0108 00010100000000f1 0300", "RAND is missing"),
        ("0a 0108 00010100000000f1 0303 200101", "RAND has 1 octets instead of 16"),
        ("0a 0108 00010100000000f1 0303 201001", "RAND (0x20) announces 16 octets, 1 are left"),
        (
            "0a 0108 00010100000000f1 03ff 2010",
            "authentication tuple (0x03) announces 255 octets, 2 are left",
        ),
    ] {
        assert_eq!(complaint(hex), words, "{hex}");
    }
}

#[test]
fn a_tuple_with_half_a_vector_is_refused() {
    let rand = format!("2010{}", "0a".repeat(16));
    let tuple = |rest: &str| {
        let value = format!("{rand}{}", rest.replace(' ', ""));
        format!("0a 0108 00010100000000f1 03 {:02x} {value}", value.len() / 2)
    };
    let key = "0b".repeat(16);
    assert_eq!(complaint(&tuple("2104 01020304")), "Kc is missing");
    assert_eq!(complaint(&tuple("2208 0102030405060708")), "SRES is missing");
    assert_eq!(complaint(&tuple(&format!("2510 {key}"))), "RES is missing");
    assert_eq!(complaint(&tuple(&format!("2510 {key} 2704 01020304"))), "CK is missing");
    assert_eq!(complaint(&tuple(&format!("2510 {key} 2704 01020304 2410 {key}"))), "IK is missing");
    assert_eq!(complaint(&tuple(&format!("2310 {key}"))), "AUTN is missing");
    assert_eq!(complaint(&tuple("2703 010203")), "RES has 3 octets instead of 4 to 16");
    assert_eq!(complaint(&tuple("2310 01")), "IK (0x23) announces 16 octets, 1 are left");
}

#[test]
fn unknown_elements_are_passed_over_and_too_many_tuples_are_not() {
    let vector = &RESULT_OF_OSMO_HLR[2..];
    let known = read(vector).unwrap();
    // Session id, source name, and an element that nobody has defined.
    let more = format!("{vector} 3004 00000001 6003 616200 f702 0102");
    assert_eq!(read(&more), Ok(known));
    let tuple: String = vector.split_at(22).1.to_owned();
    assert_eq!(complaint(&format!("{vector}{}", tuple.repeat(5))), "more than 5 authentication tuples");
    assert_eq!(read("0c 0108 00010100000000f1"), Ok(Message::Other(0x0c)));
}

#[test]
fn an_answer_that_cannot_be_read_still_says_whose_it_is() {
    let undecodable = read("0a 0108 00010100000000f1 0303 200101").unwrap_err();
    assert_eq!((undecodable.imsi.clone(), undecodable.is_answer()), (Some(imsi()), true));
    assert_eq!(undecodable.to_string(), "GSUP message 0x0a cannot be read: RAND has 1 octets instead of 16");
    assert_eq!(read("0a 0108 0001").unwrap_err().imsi, None);
}

#[test]
fn causes_have_the_words_of_ts_24_008() {
    assert_eq!(Cause(2).to_string(), "cause 2 (IMSI unknown in HLR)");
    assert_eq!(Cause(200).to_string(), "cause 200 (not in TS 24.008 10.5.5.14)");
}

#[test]
fn frames_are_cut_wherever_the_stream_is() {
    let mut stream = Vec::new();
    Ccm::Ping.write(&mut stream);
    Message::SendAuthInfoRequest(SendAuthInfoRequest::one_vector(imsi(), None)).write(&mut stream);
    stream.extend_from_slice(&[0, 2, 0xdd, 1, 2, 0, 0, 0xfe, 0, 0, 0xee, 0, 1, 0xee, 4]);
    let expected =
        ["Ccm(1 octets)", "Gsup(17 octets)", "Other(0xdd)", "Ccm(0 octets)", "Other(0xee)", "Other(0xee)"];
    assert_eq!(frames(&stream).unwrap(), expected);
    // One octet at a time.
    let mut reader = FrameReader::new();
    let mut all = Vec::new();
    for octet in &stream {
        reader.room()[0] = *octet;
        reader.filled(1);
        while let Some(frame) = reader.next_frame().unwrap() {
            all.push(format!("{frame:?}"));
        }
    }
    assert_eq!(all, expected);
}

#[test]
fn a_frame_too_long_ends_the_stream_before_it_is_read() {
    // What an HTTP server would say to us: "HTTP" is a frame of 18,516 octets.
    let error = frames(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "an IPA frame announces 18516 octets, more than 4096: the peer does not speak GSUP"
    );
    let mut longest = vec![0x10, 0x00, 0xfe];
    longest.extend_from_slice(&[1; MAX_PAYLOAD]);
    assert_eq!(frames(&longest.repeat(20)).unwrap().len(), 20);
    assert_eq!(frames(&[0x10, 0x01, 0xfe]), Err(FrameError { length: 4097 }));
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Message::read(&octets);
        let _ = Ccm::read(&octets);
        let _ = frames(&octets);
        for message_type in [8, 9, 10] {
            let _ = Message::read(&[&[message_type], octets.as_slice()].concat());
        }
    }

    #[test]
    fn an_altered_result_never_panics_and_what_is_read_can_be_written(
        place in 1usize..200, value: u8, cut in 0usize..200,
    ) {
        let mut octets = octets(&RESULT_OF_OSMO_HLR[2..]);
        if let Some(octet) = octets.get_mut(place) {
            *octet = value;
        }
        octets.truncate(octets.len().saturating_sub(cut).max(1));
        if let Ok(message) = Message::read(&octets) {
            prop_assert_eq!(through(&message), message);
        }
    }

    #[test]
    fn every_imsi_comes_back(digits in "[0-9]{6,15}") {
        let imsi = Imsi::new(&digits).unwrap();
        let message = Message::SendAuthInfoRequest(SendAuthInfoRequest::one_vector(imsi, None));
        prop_assert_eq!(through(&message), message);
    }
}
