//! RPO's messages from one end to the other, through packets.

use obf_radius::{
    AttributeWriter, Code, Framing, Name, ObfAttribute, Pending, Reply, Request,
    dictionary::{MS_MPPE_RECV_KEY, NAS_IDENTIFIER, SESSION_TIMEOUT},
};
use obf_rpo::{
    AnswerError, KeyGrant, KeyRequest, NoticeError, Resume, RpoOperation, RpoRequest, TokenNotice, Vendor,
    grant::done, refuse,
};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Domain, Epoch, GlobalIdentity, IdentityKind, KeySchema, Refusal, UaId, UnixTime};
use proptest::prelude::*;

const VENDOR: Vendor = Vendor::DOCUMENTATION;
const NOW: UnixTime = UnixTime(1_800_000_000);

fn app() -> AppId {
    AppId::new("track.example").unwrap()
}

fn token() -> TokenId {
    TokenId::new([0x23; 16], Domain::new("rs1.as.operator.example").unwrap())
}

fn key_request() -> RpoOperation {
    RpoOperation::Key(KeyRequest { token: token(), app: app(), ua: UaId::TLS13_PSK })
}

fn grant() -> KeyGrant {
    KeyGrant {
        key: AppKey::new([0xC5; 32]),
        expires: UnixTime(NOW.0 + 28_800),
        bootstrapped_at: UnixTime(NOW.0 - 60),
        schema: KeySchema::GbaMe,
        settings: vec![1; 2048].into(),
        device: Some(GlobalIdentity::new(IdentityKind::Iccid, "8991101200003204514").unwrap()),
    }
}

fn sent(framing: &Framing, code: Code, write: impl FnOnce(&mut AttributeWriter<'_>)) -> (Pending, Request) {
    let (mut attributes, mut packet) = (Vec::new(), Vec::new());
    write(&mut AttributeWriter::for_request(&mut attributes));
    let pending = Pending::begin(framing, code, 1, [9; 16], &attributes, &mut packet);
    (pending, Request::authenticate(framing, &packet).unwrap())
}

fn asked(framing: &Framing) -> (Pending, Request) {
    sent(framing, Code::AccessRequest, |to| key_request().encode(VENDOR, "host1", to).unwrap())
}

fn answered(framing: &Framing, pending: &Pending, encode: impl FnOnce(&mut Vec<u8>)) -> Reply {
    let mut out = Vec::new();
    encode(&mut out);
    pending.accept(framing, &out).unwrap()
}

#[test]
fn every_rpo_request_reads_back() {
    for operation in [key_request(), RpoOperation::Resume(Resume { app: app() })] {
        let (_, request) = sent(&Framing::radsec(), Code::AccessRequest, |to| {
            operation.encode(VENDOR, "host1", to).unwrap();
        });
        let expected = RpoRequest::Operation { instance: "host1".into(), operation };
        assert_eq!(RpoRequest::decode(&request, VENDOR), Ok(expected));
    }
    let (_, heartbeat) = sent(&Framing::radsec(), Code::StatusServer, |_| {});
    assert_eq!(RpoRequest::decode(&heartbeat, VENDOR), Ok(RpoRequest::Heartbeat));
}

#[test]
fn a_question_that_lacks_or_repeats_something_is_malformed() {
    let name = |attribute| VENDOR.attribute(attribute);
    let whole: Vec<(Name, Vec<u8>)> = vec![
        (NAS_IDENTIFIER, b"host1".to_vec()),
        (name(ObfAttribute::Operation), vec![0, 0, 0, 5]),
        (name(ObfAttribute::TokenId), token().to_string().into_bytes()),
        (name(ObfAttribute::Application), b"track.example".to_vec()),
        (name(ObfAttribute::UaId), vec![1, 0, 0, 0, 7]),
    ];
    let decode = |attributes: &[(Name, Vec<u8>)]| {
        let (_, request) = sent(&Framing::radsec(), Code::AccessRequest, |to| {
            attributes.iter().for_each(|(name, value)| to.put(*name, value).unwrap());
        });
        RpoRequest::decode(&request, VENDOR)
    };
    assert!(decode(&whole).is_ok());
    for place in 0..whole.len() {
        let mut less = whole.clone();
        less.remove(place);
        assert_eq!(decode(&less), Err(Refusal::MalformedRequest), "without {:?}", whole[place].0);
        if place != 1 {
            let mut twice = whole.clone();
            twice.push(whole[place].clone());
            assert_eq!(decode(&twice), Err(Refusal::MalformedRequest), "two of {:?}", whole[place].0);
        }
    }
    for (place, value, refusal) in [
        (1, vec![0, 0, 0, 1], Refusal::UnsupportedOperation),
        (2, b"IyMjIyMjIyMjIyMjIyMjIx==@rs1.as.operator.example".to_vec(), Refusal::UnknownToken),
        (2, vec![0xFF], Refusal::UnknownToken),
        (3, b"Track.example".to_vec(), Refusal::MalformedRequest),
        (4, vec![1, 0, 0, 7], Refusal::MalformedRequest),
    ] {
        let mut other = whole.clone();
        other[place].1 = value;
        assert_eq!(decode(&other), Err(refusal), "{:?}", other[place]);
    }
}

#[test]
fn r16_r17_a_grant_reads_back_and_its_key_is_hidden_on_radius_1_0() {
    for framing in [Framing::radsec(), Framing::V11] {
        let (pending, request) = asked(&framing);
        let reply = answered(&framing, &pending, |out| {
            grant().encode(&request, VENDOR, NOW, [7, 7], out).unwrap();
        });
        assert_eq!(KeyGrant::decode(&reply, VENDOR), Ok(grant()));
        assert_eq!(reply.packet().integer(SESSION_TIMEOUT), Some(28_800));
        let clear = reply.packet().octets().windows(8).any(|window| window == [0xC5; 8]);
        assert_eq!(clear, matches!(framing, Framing::V11));
        assert_eq!(reply.packet().all(MS_MPPE_RECV_KEY).count(), 1);
    }
}

#[test]
fn a_refusal_is_its_code_and_done_is_no_grant() {
    let framing = Framing::radsec();
    let (pending, request) = asked(&framing);
    for refusal in [Refusal::UnknownToken, Refusal::TokenExpired, Refusal::NotPermitted] {
        let reply = answered(&framing, &pending, |out| refuse(&request, VENDOR, refusal, out));
        assert_eq!(KeyGrant::decode(&reply, VENDOR), Err(AnswerError::Refused(refusal)));
    }
    let reply = answered(&framing, &pending, |out| done(&request, out));
    assert_eq!(reply.accepted(VENDOR), Ok(()));
    assert!(matches!(KeyGrant::decode(&reply, VENDOR), Err(AnswerError::Malformed(_))));
}

#[test]
fn a_notice_reads_back_within_its_window() {
    for device in [None, grant().device] {
        let notice = TokenNotice { token: token(), app: app(), device, epoch: Epoch(4) };
        let framing = Framing::radsec();
        let (_, request) = sent(&framing, TokenNotice::CODE, |to| notice.encode(VENDOR, NOW, to).unwrap());
        assert_eq!(TokenNotice::decode(&request, VENDOR, UnixTime(NOW.0 + 300)), Ok(notice));
        let late = TokenNotice::decode(&request, VENDOR, UnixTime(NOW.0 + 301));
        assert_eq!(late, Err(NoticeError::Stale));
    }
}

proptest! {
    #[test]
    fn arbitrary_attributes_never_panic(
        attributes in proptest::collection::vec((0u8..30, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
        code in prop_oneof![Just(Code::AccessRequest), Just(Code::DisconnectRequest)],
    ) {
        let framing = Framing::radsec();
        let write = |to: &mut AttributeWriter<'_>| {
            to.put_integer(Name::standard(55), NOW.0 as u32).unwrap();
            to.put(NAS_IDENTIFIER, b"host1").unwrap();
            for (number, value) in &attributes {
                to.put(Name::vendor(VENDOR.0, *number), value).unwrap();
            }
        };
        let (_, request) = sent(&framing, code, write);
        let _ = RpoRequest::decode(&request, VENDOR);
        let _ = TokenNotice::decode(&request, VENDOR, NOW);
        let (pending, request) = asked(&framing);
        let reply = answered(&framing, &pending, |out| {
            let mut reply = request.reply(Code::AccessAccept, out);
            write(reply.attributes());
            reply.finish();
        });
        prop_assert!(KeyGrant::decode(&reply, VENDOR).is_err());
    }
}
