//! RPR's messages from one end to the other, through packets.

use obf_aka::{AkaVector, SecretOutput};
use obf_radius::{
    AttributeWriter, Code, Framing, Name, ObfAttribute, Pending, Reply, Request,
    dictionary::{ErrorCause, MS_MPPE_RECV_KEY, MS_MPPE_SEND_KEY, NAS_IDENTIFIER, USER_NAME},
    notice::{acknowledge, refuse as refuse_notice},
};
use obf_rpr::{
    AdministratorAnswer, AdministratorCredential, AdministratorRequest, AnswerError, ApplicationAnswer,
    ApplicationRequest, AuthenticationData, Malformed, Notice, NoticeError, Resynchronisation, Rights,
    RightsAnswer, RightsRequest, RightsSelector, RprClient, RprOperation, RprRequest, VectorAnswer,
    VectorRequest, Vendor, answer::DeviceFacts, refuse,
};
use obf_token::{Algorithm, Mode, Technology};
use obf_types::{
    AppId, Domain, Epoch, GlobalIdentity, IdentityKind, Lifetime, MncLength, NodeNumber, Refusal, Right,
    SecretBytes, UaClass, UaId, UnixTime,
};
use proptest::prelude::*;

const VENDOR: Vendor = Vendor::DOCUMENTATION;
const NOW: UnixTime = UnixTime(1_800_000_000);

fn framing() -> Framing {
    Framing::with_secret(SecretBytes::from(b"a secret of this hop".as_slice()))
}

fn app(text: &str) -> AppId {
    AppId::new(text).unwrap()
}

fn device() -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, "001010000000001").unwrap()
}

fn client() -> RprClient {
    RprClient { domain: Domain::new("as.operator.example").unwrap(), node: NodeNumber::new(3).unwrap() }
}

fn facts() -> DeviceFacts {
    DeviceFacts {
        identity: device(),
        epoch: Epoch(u64::MAX - 1),
        kyc_expiry: Some(UnixTime(NOW.0 + 5)),
        mnc_length: Some(MncLength::Three),
        minimum_algorithm: Algorithm::AkaV2Sha256,
    }
}

fn vector() -> AkaVector {
    AkaVector {
        rand: [1; 16],
        autn: [2; 16],
        xres: SecretOutput::from_slice(&[3; 8]).unwrap(),
        ck: SecretOutput::from_slice(&[4; 16]).unwrap(),
        ik: SecretOutput::from_slice(&[5; 16]).unwrap(),
    }
}

fn right(name: &str, settings: &[u8]) -> Right {
    Right {
        app: app(name),
        lifetime: Lifetime::DEFAULT,
        settings: settings.into(),
        local_validity: Lifetime::from_seconds(name.len() as u32),
    }
}

/// A request as the other end receives it.
fn sent(code: Code, write: impl FnOnce(&mut AttributeWriter<'_>)) -> (Pending, Request) {
    let (mut attributes, mut packet) = (Vec::new(), Vec::new());
    write(&mut AttributeWriter::for_request(&mut attributes));
    let pending = Pending::begin(&framing(), code, 1, [9; 16], &attributes, &mut packet);
    (pending, Request::authenticate(&framing(), &packet).unwrap())
}

fn asked(operation: &RprOperation) -> (Pending, Request) {
    sent(Code::AccessRequest, |to| operation.encode(VENDOR, &client(), to).unwrap())
}

fn answered(pending: &Pending, encode: impl FnOnce(&mut Vec<u8>)) -> Reply {
    let mut out = Vec::new();
    encode(&mut out);
    assert!(out.len() <= 4096);
    pending.accept(&framing(), &out).unwrap()
}

#[test]
fn every_rpr_request_reads_back() {
    let user_name = b"001010000000001@ims.mnc001.mcc001.3gppnetwork.org".to_vec();
    let rights = |selector| RprOperation::Rights(RightsRequest { user_name: user_name.clone(), selector });
    let resynchronisation = Some(Resynchronisation { rand: [7; 16], auts: [8; 14] });
    let administrator = |credential| RprOperation::Administrator(AdministratorRequest { credential });
    for operation in [
        RprOperation::Vector(VectorRequest {
            user_name: user_name.clone(),
            mode: Mode::Aka,
            resynchronisation: None,
        }),
        RprOperation::Vector(VectorRequest {
            user_name: user_name.clone(),
            mode: Mode::Aka,
            resynchronisation,
        }),
        // R9: octets as the UE wrote them, also those that no identity has.
        RprOperation::Vector(VectorRequest {
            user_name: vec![0xFF, 0, b'"'],
            mode: Mode::Pki,
            resynchronisation: None,
        }),
        rights(RightsSelector::First),
        rights(RightsSelector::After(app("track.example"))),
        rights(RightsSelector::Only(app("track.example"))),
        RprOperation::Application(ApplicationRequest { app: app("track.example") }),
        administrator(AdministratorCredential::TokenSha256([9; 32])),
        administrator(AdministratorCredential::Certificate(vec![
            "ops.example".into(),
            "alice.ops.example".into(),
        ])),
    ] {
        let (_, request) = asked(&operation);
        assert_eq!(RprRequest::decode(&request, VENDOR), Ok(RprRequest::Operation(client(), operation)));
    }
    let (_, heartbeat) = sent(Code::StatusServer, |_| {});
    assert_eq!(RprRequest::decode(&heartbeat, VENDOR), Ok(RprRequest::Heartbeat));
}

#[test]
fn a_question_that_lacks_or_repeats_something_is_malformed() {
    let name = |attribute| VENDOR.attribute(attribute);
    let whole: Vec<(Name, Vec<u8>)> = vec![
        (NAS_IDENTIFIER, b"as.operator.example".to_vec()),
        (name(ObfAttribute::Node), vec![0, 0, 0, 3]),
        (USER_NAME, b"001010000000001".to_vec()),
        (name(ObfAttribute::Operation), vec![0, 0, 0, 2]),
        (name(ObfAttribute::Rand), vec![1; 16]),
        (name(ObfAttribute::Auts), vec![1; 14]),
    ];
    let decode = |attributes: &[(Name, Vec<u8>)]| {
        let (_, request) = sent(Code::AccessRequest, |to| {
            attributes.iter().for_each(|(name, value)| to.put(*name, value).unwrap());
        });
        RprRequest::decode(&request, VENDOR)
    };
    assert!(decode(&whole).is_ok());
    for place in 0..whole.len() {
        let mut less = whole.clone();
        less.remove(place);
        assert_eq!(decode(&less), Err(Refusal::MalformedRequest), "without {:?}", whole[place].0);
        let mut short = whole.clone();
        short[place].1 = Vec::new();
        assert_eq!(decode(&short), Err(Refusal::MalformedRequest), "empty {:?}", whole[place].0);
        if ![1, 3].contains(&place) {
            let mut twice = whole.clone();
            twice.push(whole[place].clone());
            assert_eq!(decode(&twice), Err(Refusal::MalformedRequest), "two of {:?}", whole[place].0);
        }
    }
    let mut other = whole.clone();
    other[3].1 = vec![0, 0, 0, 5];
    assert_eq!(decode(&other), Err(Refusal::UnsupportedOperation), "an operation of RPO");
    let (_, accounting) = sent(Code::AccountingRequest, |_| {});
    assert_eq!(RprRequest::decode(&accounting, VENDOR), Err(Refusal::UnsupportedOperation));
    let long = RprOperation::Vector(VectorRequest {
        user_name: vec![b'1'; 254],
        mode: Mode::Aka,
        resynchronisation: None,
    });
    let mut buffer = Vec::new();
    assert!(long.encode(VENDOR, &client(), &mut AttributeWriter::for_request(&mut buffer)).is_err());
}

#[test]
fn r18_a_vector_and_its_rights_come_in_one_answer_and_its_keys_are_hidden() {
    let settings: Vec<u8> = (0..600).map(|number| number as u8).collect();
    let answer = VectorAnswer {
        data: AuthenticationData::Aka(vector()),
        technology: Technology::Standalone,
        device: facts(),
        rights: Rights {
            list: vec![right("a.example", b""), right("b.example", &settings), right("c.example", b"x")],
            more: false,
        },
    };
    let operation = RprOperation::Vector(VectorRequest {
        user_name: b"001010000000001".to_vec(),
        mode: Mode::Aka,
        resynchronisation: None,
    });
    let (pending, request) = asked(&operation);
    let reply = answered(&pending, |out| answer.encode(&request, VENDOR, [[1, 1], [0x81, 1]], out).unwrap());
    assert_eq!(VectorAnswer::decode(&reply, VENDOR), Ok(answer));
    let packet = reply.packet();
    let [recv, send] = [MS_MPPE_RECV_KEY, MS_MPPE_SEND_KEY].map(|name| packet.first(name).unwrap());
    assert_ne!(recv[..2], send[..2], "RFC 2548 2.4.2: salts of one packet differ");
    for key in [[3; 4], [4; 4], [5; 4]] {
        assert!(!packet.octets().windows(4).any(|window| window == key));
    }
}

#[test]
fn a_thousand_rights_come_in_pages_in_order_each_whole() {
    let all: Vec<Right> = (0..1000)
        .map(|number| right(&format!("app{number:04}.example"), &vec![7; (number * 37) % 2049]))
        .collect();
    let (mut got, mut pages): (Vec<Right>, usize) = (Vec::new(), 0);
    loop {
        let selector =
            got.last().map_or(RightsSelector::First, |last| RightsSelector::After(last.app.clone()));
        let operation =
            RprOperation::Rights(RightsRequest { user_name: b"001010000000001".to_vec(), selector });
        let (pending, request) = asked(&operation);
        // The Resource Server looks up at most 200 behind the cursor.
        let list: Vec<Right> = all.iter().skip(got.len()).take(200).cloned().collect();
        let more = got.len() + list.len() < all.len();
        let page = RightsAnswer { device: facts(), rights: Rights { list, more } };
        let reply = answered(&pending, |out| page.encode(&request, VENDOR, out).unwrap());
        let page = RightsAnswer::decode(&reply, VENDOR).unwrap();
        assert!(!page.rights.list.is_empty());
        got.extend(page.rights.list);
        pages += 1;
        if !page.rights.more {
            break;
        }
    }
    assert_eq!(got, all);
    assert!(pages > 200, "{pages} pages of about four rights");
}

#[test]
fn small_rights_fill_the_packet() {
    let small = |number| Right { local_validity: None, ..right(&format!("app{number:04}.example"), b"") };
    let list: Vec<Right> = (0..1000).map(small).collect();
    let answer = VectorAnswer {
        data: AuthenticationData::Aka(vector()),
        technology: Technology::ThreeGpp,
        device: facts(),
        rights: Rights { list, more: false },
    };
    let operation = RprOperation::Vector(VectorRequest {
        user_name: b"001010000000001".to_vec(),
        mode: Mode::Aka,
        resynchronisation: None,
    });
    let (pending, request) = asked(&operation);
    let reply = answered(&pending, |out| answer.encode(&request, VENDOR, [[1, 1], [2, 1]], out).unwrap());
    let decoded = VectorAnswer::decode(&reply, VENDOR).unwrap();
    assert!(decoded.rights.more);
    assert!(decoded.rights.list.len() > 110, "{}", decoded.rights.list.len());
    let length = reply.packet().octets().len();
    assert!(length > 4096 - 31, "{length} octets: another right would not fit");
}

#[test]
fn an_application_reads_back() {
    let answer = ApplicationAnswer {
        app: app("track.example"),
        cert_names: vec!["track.example".into(), "proxy.example".into()],
        ua_classes: vec![UaClass::TlsPsk, UaClass::Exactly(UaId::tls12(0x00A8))],
        settings: vec![1; 2048].into(),
        discloses_identity: true,
    };
    let (pending, request) =
        asked(&RprOperation::Application(ApplicationRequest { app: app("track.example") }));
    let reply = answered(&pending, |out| answer.encode(&request, VENDOR, out).unwrap());
    assert_eq!(ApplicationAnswer::decode(&reply, VENDOR), Ok(answer));
}

#[test]
fn an_administrator_reads_back_and_a_credential_that_is_none_is_malformed() {
    let answer = AdministratorAnswer { name: "alice".into(), role: "auditor".into() };
    let ask = RprOperation::Administrator(AdministratorRequest {
        credential: AdministratorCredential::TokenSha256([9; 32]),
    });
    let (pending, request) = asked(&ask);
    let reply = answered(&pending, |out| answer.encode(&request, VENDOR, out).unwrap());
    assert_eq!(AdministratorAnswer::decode(&reply, VENDOR), Ok(answer));
    let name = |attribute| VENDOR.attribute(attribute);
    let token = (name(ObfAttribute::TokenSha256), vec![9; 32]);
    let certificate = (name(ObfAttribute::CertName), b"ops.example".to_vec());
    for shown in [
        vec![],
        vec![token.clone(), certificate.clone()],
        vec![token.clone(), token.clone()],
        vec![(token.0, vec![9; 31])],
        vec![(certificate.0, vec![0xFF])],
        vec![certificate; 17],
    ] {
        let (_, request) = sent(Code::AccessRequest, |to| {
            to.put(NAS_IDENTIFIER, b"as.operator.example").unwrap();
            to.put_integer(name(ObfAttribute::Node), 3).unwrap();
            to.put_integer(name(ObfAttribute::Operation), 11).unwrap();
            shown.iter().for_each(|(name, value)| to.put(*name, value).unwrap());
        });
        assert_eq!(RprRequest::decode(&request, VENDOR), Err(Refusal::MalformedRequest), "{shown:?}");
    }
}

#[test]
fn a_refusal_is_its_code_to_every_question() {
    let operation = RprOperation::Vector(VectorRequest {
        user_name: b"001010000000009".to_vec(),
        mode: Mode::Aka,
        resynchronisation: None,
    });
    let (pending, request) = asked(&operation);
    let reply = answered(&pending, |out| refuse(&request, VENDOR, Refusal::UnknownIdentity, out));
    let refused = AnswerError::Refused(Refusal::UnknownIdentity);
    assert_eq!(VectorAnswer::decode(&reply, VENDOR).unwrap_err(), refused);
    assert_eq!(RightsAnswer::decode(&reply, VENDOR).unwrap_err(), refused);
    assert_eq!(ApplicationAnswer::decode(&reply, VENDOR).unwrap_err(), refused);
}

#[test]
fn rfc5176_notices_read_back_within_their_window_and_are_acknowledged_in_kind() {
    let epoch = Epoch(12);
    for (notice, ack, nak) in [
        (Notice::DeviceEnded { device: device(), epoch }, Code::DisconnectAck, Code::DisconnectNak),
        (Notice::RightsChanged { device: device(), epoch }, Code::CoaAck, Code::CoaNak),
        (Notice::ApplicationChanged { app: app("track.example") }, Code::CoaAck, Code::CoaNak),
    ] {
        let (pending, request) = sent(notice.code(), |to| encode(&notice, to));
        for (skew, fresh) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
            let now = UnixTime(NOW.0.saturating_add_signed(skew));
            let expected = if fresh { Ok(vec![notice.clone()]) } else { Err(NoticeError::Stale) };
            assert_eq!(Notice::decode(&request, VENDOR, now), expected, "{skew}");
        }
        assert_eq!(answered(&pending, |out| acknowledge(&request, out)).code(), ack);
        let cause = NoticeError::Stale.cause();
        let reply = answered(&pending, |out| refuse_notice(&request, cause, out));
        assert_eq!(reply.code(), nak);
        assert_eq!(reply.packet().integer(Name::standard(101)), Some(ErrorCause::InvalidRequest as u32));
    }
    let (_, nameless) = sent(Code::DisconnectRequest, |to| {
        to.put_integer(Name::standard(55), NOW.0 as u32).unwrap();
    });
    assert!(matches!(Notice::decode(&nameless, VENDOR, NOW), Err(NoticeError::Malformed(_))));
    let (_, question) = sent(Code::AccessRequest, |_| {});
    assert_eq!(Notice::decode(&question, VENDOR, NOW), Err(NoticeError::NotANotice));
}

#[test]
fn the_longest_identity_travels_whole() {
    let identity = format!("{}@{}", "u".repeat(126), "r".repeat(126));
    let device = GlobalIdentity::new(IdentityKind::Impi, &identity).unwrap();
    let notice = Notice::DeviceEnded { device, epoch: Epoch(1) };
    let (_, request) = sent(notice.code(), |to| encode(&notice, to));
    assert_eq!(Notice::decode(&request, VENDOR, NOW), Ok(vec![notice]));
}

fn encode(notice: &Notice, to: &mut AttributeWriter<'_>) {
    Notice::encode(std::slice::from_ref(notice), VENDOR, NOW, to).unwrap();
}

#[test]
fn several_devices_of_which_the_same_is_said_share_a_packet() {
    let ended = |number: u64| {
        let device = GlobalIdentity::new(IdentityKind::Imsi, &format!("{number:015}")).unwrap();
        Notice::DeviceEnded { device, epoch: Epoch(number) }
    };
    let longest = format!("{}@{}", "u".repeat(126), "r".repeat(126));
    let longest = GlobalIdentity::new(IdentityKind::Impi, &longest).unwrap();
    let mut notices: Vec<_> = (0..70).map(ended).collect();
    // An identity in two attributes among those in one.
    notices.insert(7, Notice::DeviceEnded { device: longest, epoch: Epoch(7) });
    assert!(notices[0].joins(&notices[7]));
    let changed = Notice::RightsChanged { device: device(), epoch: Epoch(1) };
    let application = Notice::ApplicationChanged { app: app("track.example") };
    assert!(!notices[0].joins(&changed) && !changed.joins(&application) && !application.joins(&application));
    let (_, request) = sent(Code::DisconnectRequest, |to| Notice::encode(&notices, VENDOR, NOW, to).unwrap());
    assert_eq!(Notice::decode(&request, VENDOR, NOW), Ok(notices));
}

#[test]
fn among_several_devices_each_has_an_identity_and_an_epoch_behind_it() {
    let name = |attribute| VENDOR.attribute(attribute);
    let (identity, epoch) = (name(ObfAttribute::DeviceIdentity), name(ObfAttribute::Epoch));
    let (one, two) = (b"imsi:001010000000001".to_vec(), b"imsi:001010000000002".to_vec());
    let number = 1_u64.to_be_bytes().to_vec();
    let decoded = |fields: &[(Name, &Vec<u8>)]| {
        let (_, request) = sent(Code::CoaRequest, |to| {
            to.put_integer(Name::standard(55), NOW.0 as u32).unwrap();
            fields.iter().for_each(|(name, value)| to.put(*name, value).unwrap());
        });
        Notice::decode(&request, VENDOR, NOW).map(|notices| notices.len())
    };
    assert_eq!(decoded(&[(epoch, &number), (identity, &one)]), Ok(1), "of one in any order");
    assert_eq!(decoded(&[(identity, &one), (epoch, &number), (identity, &two), (epoch, &number)]), Ok(2));
    for lacking in [
        &[(epoch, &number), (identity, &one), (epoch, &number), (identity, &two)][..],
        &[(identity, &one), (identity, &two), (epoch, &number), (epoch, &number)],
        &[(identity, &one), (epoch, &number), (epoch, &number)],
        &[(identity, &one), (epoch, &number), (identity, &two)],
        &[(identity, &one), (epoch, &number), (identity, &two), (epoch, &one)],
        &[(identity, &one)],
        &[(epoch, &number)],
    ] {
        assert!(matches!(decoded(lacking), Err(NoticeError::Malformed(_))), "{lacking:?}");
    }
}

proptest! {
    /// Authentic packets with arbitrary attributes, ours among them: refused or read, never a panic.
    #[test]
    fn arbitrary_attributes_never_panic(
        attributes in proptest::collection::vec((0u8..30, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        code in prop_oneof![Just(Code::AccessRequest), Just(Code::CoaRequest), Just(Code::DisconnectRequest)],
    ) {
        let write = |to: &mut AttributeWriter<'_>| {
            to.put_integer(Name::standard(55), NOW.0 as u32).unwrap();
            for (number, value) in &attributes {
                to.put(Name::vendor(VENDOR.0, *number), value).unwrap();
            }
        };
        let (_, request) = sent(code, write);
        let _ = RprRequest::decode(&request, VENDOR);
        let _ = Notice::decode(&request, VENDOR, NOW);
        let (pending, request) = sent(Code::AccessRequest, |_| {});
        let reply = answered(&pending, |out| {
            let mut reply = request.reply(Code::AccessAccept, out);
            write(reply.attributes());
            reply.attributes().put(MS_MPPE_RECV_KEY, &[7; 50]).unwrap();
            reply.finish();
        });
        prop_assert!(VectorAnswer::decode(&reply, VENDOR).is_err());
        let _ = RightsAnswer::decode(&reply, VENDOR);
        let _ = ApplicationAnswer::decode(&reply, VENDOR);
    }
}

/// A request as `radclient` writes it asks for AKA; a number that is unknown here is refused, never taken for another.
#[test]
fn p4_mode_and_technology_are_octets_without_a_default_for_the_unknown() {
    let mode = |value: Option<&[u8]>| {
        let (mut attributes, mut out) = (Vec::new(), Vec::new());
        let mut to = AttributeWriter::for_request(&mut attributes);
        to.put(NAS_IDENTIFIER, b"as.example").unwrap();
        to.put_integer(VENDOR.attribute(ObfAttribute::Node), 1).unwrap();
        to.put(USER_NAME, b"001010000000001").unwrap();
        to.put_integer(VENDOR.attribute(ObfAttribute::Operation), 1).unwrap();
        if let Some(value) = value {
            to.put(VENDOR.attribute(ObfAttribute::Mode), value).unwrap();
        }
        Pending::begin(&framing(), Code::AccessRequest, 1, [0; 16], &attributes, &mut out);
        match RprRequest::decode(&Request::authenticate(&framing(), &out).unwrap(), VENDOR) {
            Ok(RprRequest::Operation(_, RprOperation::Vector(request))) => Ok(request.mode),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal),
        }
    };
    assert_eq!(mode(None), Ok(Mode::Aka));
    assert_eq!(mode(Some(&[0, 0, 0, 2])), Ok(Mode::GbaDigest));
    for unknown in [&[0, 0, 0, 0][..], &[0, 0, 0, 5], &[0, 0, 1, 1], &[1]] {
        assert_eq!(mode(Some(unknown)), Err(Refusal::MalformedRequest), "{unknown:?}");
    }
}

#[test]
fn p4_an_answer_of_another_mode_or_an_unknown_technology_is_none() {
    let answer = VectorAnswer {
        data: AuthenticationData::Aka(vector()),
        technology: Technology::Standalone,
        device: facts(),
        rights: Rights::default(),
    };
    let operation = RprOperation::Vector(VectorRequest {
        user_name: b"001010000000001".to_vec(),
        mode: Mode::Aka,
        resynchronisation: None,
    });
    for (attribute, name, number) in [
        (ObfAttribute::Mode, "OBF-Mode", 2),
        (ObfAttribute::Mode, "OBF-Mode", 9),
        (ObfAttribute::Technology, "OBF-Technology", 0),
        (ObfAttribute::Technology, "OBF-Technology", 4),
    ] {
        let (pending, request) = asked(&operation);
        let reply = answered(&pending, |out| {
            let mut builder = request.reply(Code::AccessAccept, out);
            builder.put_secret(MS_MPPE_RECV_KEY, &[7; 32], [0x80, 1]).unwrap();
            builder.put_secret(MS_MPPE_SEND_KEY, &[7; 8], [0x80, 2]).unwrap();
            let to = builder.attributes();
            to.put(VENDOR.attribute(ObfAttribute::Rand), &[1; 16]).unwrap();
            to.put(VENDOR.attribute(ObfAttribute::Autn), &[1; 16]).unwrap();
            to.put_integer(VENDOR.attribute(attribute), number).unwrap();
            builder.finish();
        });
        let decoded = VectorAnswer::decode(&reply, VENDOR);
        assert_eq!(decoded, Err(AnswerError::Malformed(Malformed(name))), "{number}");
    }
    let (pending, request) = asked(&operation);
    let reply = answered(&pending, |out| answer.encode(&request, VENDOR, [[1, 1], [2, 1]], out).unwrap());
    assert_eq!(VectorAnswer::decode(&reply, VENDOR).unwrap().technology, Technology::Standalone);
}
