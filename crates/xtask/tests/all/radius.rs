//! The packets of RPR and RPO, made by the code that the nodes make them with, and read back.

use crate::document::{Example, Value};
use obf_aka::{AkaVector, SecretOutput};
use obf_radius::{AttributeWriter, Code, Framing, Pending, Request, Vendor, refuse};
use obf_rpo::{KeyGrant, KeyRequest, Resume, TokenNotice};
use obf_rpr::{
    AdministratorAnswer, AdministratorCredential, AdministratorRequest, ApplicationAnswer,
    ApplicationRequest, AuthenticationData, Resynchronisation, Rights, RightsRequest, RightsSelector,
    RprClient, RprOperation, RprRequest, VectorAnswer, VectorRequest, answer::DeviceFacts,
};
use obf_token::{AppKey, Mode, Technology, TokenId};
use obf_types::{
    AppId, Domain, Epoch, GlobalIdentity, KeySchema, Lifetime, MncLength, NodeNumber, Refusal, Right,
    SecretBytes, UaClass, UaId, UnixTime,
};

const VENDOR: Vendor = Vendor::DOCUMENTATION;

pub fn packet(example: &Example) {
    let packet = match example.label.as_str() {
        "RPR: a vector is asked for" => rpr_request(example, &vector_request(None)),
        "RPR: after a synchronisation failure" => rpr_request(
            example,
            &vector_request(Some(Resynchronisation {
                rand: example.array("OBF-RAND"),
                auts: example.array("OBF-AUTS"),
            })),
        ),
        "RPR: rights behind a cursor" => {
            let selector = RightsSelector::After(app(example, "OBF-Right-Cursor"));
            let user_name = example.text("User-Name").into_bytes();
            rpr_request(example, &RprOperation::Rights(RightsRequest { user_name, selector }))
        }
        "RPR: an application's registration is asked for" => {
            let app = app(example, "OBF-Application");
            rpr_request(example, &RprOperation::Application(ApplicationRequest { app }))
        }
        "RPR: a vector, and one right" => vector_answer(example),
        "RPR: an application's registration" => application_answer(example),
        "RPR: whose is this token" => {
            let credential = AdministratorCredential::TokenSha256(example.array("OBF-Token-SHA-256"));
            rpr_request(example, &RprOperation::Administrator(AdministratorRequest { credential }))
        }
        "RPR: an administrator's" => administrator_answer(example),
        "RPR: refused" => {
            let refusal = Refusal::from_code(example.number("OBF-Error").try_into().unwrap()).unwrap();
            assert_eq!(example.text("Reply-Message"), refusal.to_string());
            reply(example, |request, out| refuse(request, VENDOR, refusal, out))
        }
        "RPR: the device's tokens are over" => {
            let (device, epoch) = (device(example), Epoch(example.number("OBF-Epoch")));
            let notice = obf_rpr::Notice::DeviceEnded { device, epoch };
            let notices = [notice];
            let packet = request(example, Code::DisconnectRequest, |to| {
                obf_rpr::Notice::encode(&notices, VENDOR, sent_at(example), to).unwrap();
            });
            let read = obf_rpr::Notice::decode(&authentic(example, &packet), VENDOR, sent_at(example));
            assert_eq!(read.unwrap(), notices);
            packet
        }
        "RPO: resume" => rpo_request(
            example,
            &obf_rpo::request::RpoOperation::Resume(Resume { app: app(example, "OBF-Application") }),
        ),
        "RPO: a key is asked for" => {
            let ua = UaId(example.array("OBF-Ua-Id"));
            let app = app(example, "OBF-Application");
            rpo_request(
                example,
                &obf_rpo::request::RpoOperation::Key(KeyRequest { token: token(example), app, ua }),
            )
        }
        "RPO: the key" => key_grant(example),
        "RPO: the token is over" => {
            let notice = TokenNotice {
                token: token(example),
                app: app(example, "OBF-Application"),
                device: None,
                epoch: Epoch(example.number("OBF-Epoch")),
            };
            let packet = request(example, TokenNotice::CODE, |to| {
                notice.encode(VENDOR, sent_at(example), to).unwrap()
            });
            let read = TokenNotice::decode(&authentic(example, &packet), VENDOR, sent_at(example));
            assert_eq!(read.unwrap(), notice);
            packet
        }
        other => panic!("an example of an unknown packet: {other}"),
    };
    example.results_are(&[("packet", Value::Octets(packet))]);
}

fn framing(example: &Example) -> Framing {
    Framing::with_secret(SecretBytes::new(example.text("secret").into_bytes()))
}

fn app(example: &Example, attribute: &str) -> AppId {
    AppId::new(&example.text(attribute)).unwrap()
}

fn token(example: &Example) -> TokenId {
    TokenId::parse(&example.text("OBF-Token-Id")).unwrap()
}

fn device(example: &Example) -> GlobalIdentity {
    example.text("OBF-Device-Identity").parse().unwrap()
}

fn sent_at(example: &Example) -> UnixTime {
    UnixTime(example.number("Event-Timestamp"))
}

fn request(example: &Example, code: Code, write: impl FnOnce(&mut AttributeWriter<'_>)) -> Vec<u8> {
    assert_eq!(code as u64, example.number("code"));
    let (mut attributes, mut out) = (Vec::new(), Vec::new());
    write(&mut AttributeWriter::for_request(&mut attributes));
    let id = u32::try_from(example.number("identifier")).unwrap();
    let random = if example.has("authenticator") { example.array("authenticator") } else { [0xEE; 16] };
    Pending::begin(&framing(example), code, id, random, &attributes, &mut out);
    out
}

fn authentic(example: &Example, packet: &[u8]) -> Request {
    Request::authenticate(&framing(example), packet).unwrap()
}

fn vector_request(resynchronisation: Option<Resynchronisation>) -> RprOperation {
    let user_name = b"001010000000001@ims.mnc001.mcc001.3gppnetwork.org".to_vec();
    RprOperation::Vector(VectorRequest { user_name, mode: Mode::Aka, resynchronisation })
}

fn rpr_request(example: &Example, operation: &RprOperation) -> Vec<u8> {
    let client = RprClient {
        domain: Domain::new(&example.text("NAS-Identifier")).unwrap(),
        node: NodeNumber::new(example.number("OBF-Node").try_into().unwrap()).unwrap(),
    };
    let packet = request(example, Code::AccessRequest, |to| operation.encode(VENDOR, &client, to).unwrap());
    let read = RprRequest::decode(&authentic(example, &packet), VENDOR).unwrap();
    assert_eq!(read, RprRequest::Operation(client, operation.clone()));
    packet
}

fn rpo_request(example: &Example, operation: &obf_rpo::request::RpoOperation) -> Vec<u8> {
    let instance = example.text("NAS-Identifier");
    let packet = request(example, Code::AccessRequest, |to| operation.encode(VENDOR, &instance, to).unwrap());
    let read = obf_rpo::request::RpoRequest::decode(&authentic(example, &packet), VENDOR).unwrap();
    assert_eq!(read, obf_rpo::request::RpoRequest::Operation { instance, operation: operation.clone() });
    packet
}

/// A reply to a request with the example's identifier and authenticator.
fn reply(example: &Example, write: impl FnOnce(&Request, &mut Vec<u8>)) -> Vec<u8> {
    let (asked, mut out) = (asked(example), Vec::new());
    write(&authentic(example, &asked.1), &mut out);
    asked.0.accept(&framing(example), &out).unwrap();
    assert_eq!(u64::from(out[0]), example.number("code"));
    out
}

fn asked(example: &Example) -> (Pending, Vec<u8>) {
    let mut out = Vec::new();
    let id = u32::try_from(example.number("identifier")).unwrap();
    let random = example.array("authenticator");
    (Pending::begin(&framing(example), Code::AccessRequest, id, random, &[], &mut out), out)
}

fn vector_answer(example: &Example) -> Vec<u8> {
    let (keys, salt) = example.secret("MS-MPPE-Recv-Key");
    let (xres, other_salt) = example.secret("MS-MPPE-Send-Key");
    let right = example.text("OBF-Right");
    let (app, seconds) = right.split_once(' ').unwrap();
    let answer = VectorAnswer {
        data: AuthenticationData::Aka(AkaVector {
            rand: example.array("OBF-RAND"),
            autn: example.array("OBF-AUTN"),
            xres: SecretOutput::from_slice(&xres).unwrap(),
            ck: SecretOutput::from_slice(&keys[..16]).unwrap(),
            ik: SecretOutput::from_slice(&keys[16..]).unwrap(),
        }),
        technology: Technology::ThreeGpp,
        device: DeviceFacts {
            identity: device(example),
            epoch: Epoch(example.number("OBF-Epoch")),
            kyc_expiry: None,
            mnc_length: Some(MncLength::Three),
            minimum_algorithm: obf_token::Algorithm::AkaV1Md5,
        },
        rights: Rights {
            list: vec![Right {
                app: AppId::new(app).unwrap(),
                lifetime: Lifetime::parse(seconds).unwrap(),
                settings: example.hex("OBF-Security-Settings").into(),
                local_validity: None,
            }],
            more: false,
        },
    };
    let salts = [salt, other_salt];
    let packet = reply(example, |request, out| answer.encode(request, VENDOR, salts, out).unwrap());
    let read = asked(example).0.accept(&framing(example), &packet).unwrap();
    assert_eq!(VectorAnswer::decode(&read, VENDOR).unwrap(), answer);
    packet
}

fn application_answer(example: &Example) -> Vec<u8> {
    let answer = ApplicationAnswer {
        app: app(example, "OBF-Application"),
        cert_names: vec![example.text("OBF-Cert-Name")],
        ua_classes: vec![example.text("OBF-Ua-Class").parse::<UaClass>().unwrap()],
        settings: Box::default(),
        discloses_identity: example.number("OBF-Discloses-Identity") == 1,
    };
    let packet = reply(example, |request, out| answer.encode(request, VENDOR, out).unwrap());
    let read = asked(example).0.accept(&framing(example), &packet).unwrap();
    assert_eq!(ApplicationAnswer::decode(&read, VENDOR).unwrap(), answer);
    packet
}

fn administrator_answer(example: &Example) -> Vec<u8> {
    let answer = AdministratorAnswer { name: example.text("User-Name"), role: example.text("OBF-Role") };
    let packet = reply(example, |request, out| answer.encode(request, VENDOR, out).unwrap());
    let read = asked(example).0.accept(&framing(example), &packet).unwrap();
    assert_eq!(AdministratorAnswer::decode(&read, VENDOR).unwrap(), answer);
    packet
}

fn key_grant(example: &Example) -> Vec<u8> {
    let (key, salt) = example.secret("MS-MPPE-Recv-Key");
    let expires = UnixTime(example.number("OBF-Key-Expiry"));
    let now = UnixTime(expires.0 - example.number("Session-Timeout"));
    let grant = KeyGrant {
        key: AppKey::from_slice(&key).unwrap(),
        expires,
        bootstrapped_at: UnixTime(example.number("OBF-Bootstrap-Time")),
        schema: KeySchema::GbaMe,
        settings: Box::default(),
        device: Some(device(example)),
    };
    let packet = reply(example, |request, out| grant.encode(request, VENDOR, now, salt, out).unwrap());
    let read = asked(example).0.accept(&framing(example), &packet).unwrap();
    assert_eq!(KeyGrant::decode(&read, VENDOR).unwrap(), grant);
    packet
}
