//! Requests and replies whose authenticity has been checked, and how they are made.
//!
//! A [`Request`] or [`Reply`] cannot be had from octets that fail a check; what fails one is silently discarded on
//! UDP and ends the connection on TLS (RFC 6613 2.6.4).

use crate::{
    AttributeWriter, Code, Framing, HEADER, MAX_PACKET, Name, Packet, ParseError, PutError, SharedSecret,
    authenticator::{message_authenticator, packet_hash},
    dictionary::{MESSAGE_AUTHENTICATOR, PROXY_STATE},
    framing::MESSAGE_AUTHENTICATOR_LEN,
    hidden,
};
use core::fmt;
use obf_types::SecretBytes;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Why a packet is discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is no packet.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// A reply where a request was expected, or one that does not answer the request.
    #[error("packet code {0:?} does not belong here")]
    Code(Code),
    /// The identifier or token is not that of the request.
    #[error("reply to another request")]
    Identifier,
    /// Message-Authenticator is missing.
    #[error("Message-Authenticator is missing")]
    MessageAuthenticatorMissing,
    /// Message-Authenticator stands there more than once, or is not 16 octets long.
    #[error("Message-Authenticator is malformed or repeated")]
    MessageAuthenticatorMalformed,
    /// Message-Authenticator is wrong: altered, or another secret.
    #[error("Message-Authenticator is wrong")]
    MessageAuthenticatorWrong,
    /// The Request or Response Authenticator is wrong: altered, or another secret.
    #[error("Authenticator is wrong")]
    Authenticator,
}

/// An authentic request, as received.
#[derive(Clone)]
pub struct Request {
    code: Code,
    octets: Box<[u8]>,
    framing: Framing,
}

impl Request {
    /// Checks a received packet: a request code, Message-Authenticator once and valid (RADIUS/1.0), the Request
    /// Authenticator where it is a hash (RFC 5176 2.3).
    ///
    /// # Errors
    /// [`Rejected`].
    pub fn authenticate(framing: &Framing, octets: &[u8]) -> Result<Self, Rejected> {
        let packet = Packet::parse(octets)?;
        if !packet.code().is_request() {
            return Err(Rejected::Code(packet.code()));
        }
        if let Framing::V10 { secret } = framing {
            let hashed = packet.code().has_hashed_authenticator();
            let authenticator = if hashed { [0; 16] } else { packet.authenticator() };
            check_message_authenticator(&packet, &authenticator, secret)?;
            if hashed {
                check_authenticator(&packet, &authenticator, secret)?;
            }
        }
        Ok(Self { code: packet.code(), octets: packet.octets().into(), framing: framing.clone() })
    }

    /// What is asked.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The packet.
    pub fn packet(&self) -> Packet<'_> {
        Packet::of_parsed(self.code, &self.octets)
    }

    /// Begins the reply in `out`, which is emptied: header, Message-Authenticator, and the request's Proxy-State
    /// attributes in order (RFC 2865 5.33).
    pub fn reply<'b>(&self, code: Code, out: &'b mut Vec<u8>) -> ReplyBuilder<'b> {
        let packet = self.packet();
        out.clear();
        out.extend([code as u8, 0, 0, 0]);
        out.extend(packet.authenticator());
        match self.framing {
            Framing::V10 { .. } => {
                if let Some(identifier) = out.get_mut(1) {
                    *identifier = packet.identifier();
                }
                out.extend([MESSAGE_AUTHENTICATOR.number(), MESSAGE_AUTHENTICATOR_LEN as u8]);
                out.extend([0; 16]);
            }
            Framing::V11 => {
                if let Some(reserved) = out.get_mut(8..) {
                    reserved.fill(0);
                }
            }
        }
        let mut attributes = AttributeWriter::up_to(out, MAX_PACKET);
        for state in packet.all(PROXY_STATE) {
            // It came in a packet of the same bound with the same attributes around it, so it fits.
            let _ = attributes.put(PROXY_STATE, state);
        }
        ReplyBuilder {
            attributes,
            framing: self.framing.clone(),
            request_authenticator: packet.authenticator(),
        }
    }
}

/// A reply in the making.
pub struct ReplyBuilder<'b> {
    attributes: AttributeWriter<'b>,
    framing: Framing,
    request_authenticator: [u8; 16],
}

impl<'b> ReplyBuilder<'b> {
    /// Where attributes go.
    pub fn attributes(&mut self) -> &mut AttributeWriter<'b> {
        &mut self.attributes
    }

    /// Writes a secret: salt-encrypted on RADIUS/1.0 (RFC 2548 2.4.2), plain on 1.1 (RFC 9765 5.1). Two secrets of one
    /// packet need different salts; the salt's top bit is set here.
    ///
    /// # Errors
    /// [`PutError`]; nothing was written then.
    pub fn put_secret(&mut self, name: Name, plain: &[u8], salt: [u8; 2]) -> Result<(), PutError> {
        match &self.framing {
            Framing::V10 { secret } => {
                if plain.len() > hidden::MAX_SALTED {
                    return Err(PutError::TooLong);
                }
                self.attributes.begin(name, 2 + 16 * (plain.len() + 1).div_ceil(16))?;
                let out = self.attributes.buffer();
                hidden::salt_encrypt(out, plain, salt, secret, &self.request_authenticator);
                Ok(())
            }
            Framing::V11 => self.attributes.put(name, plain),
        }
    }

    /// Completes the packet: length, Message-Authenticator, Response Authenticator. The buffer now holds it.
    pub fn finish(mut self) {
        let authenticator = self.request_authenticator;
        seal(self.attributes.buffer(), &self.framing, &authenticator, true);
    }
}

/// What a reply must fit: kept by who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    code: Code,
    id: u32,
    authenticator: [u8; 16],
}

impl Pending {
    /// Makes the request packet in `out`, which is emptied: header, Message-Authenticator first (RADIUS/1.0), then the
    /// `attributes` as written with [`AttributeWriter::for_request`].
    ///
    /// `id` is the identifier (RADIUS/1.0: only its low octet is sent) or the token (1.1). `random` becomes the Request
    /// Authenticator where that is not a hash; it must be unpredictable and new (RFC 2865 3).
    pub fn begin(
        framing: &Framing,
        code: Code,
        id: u32,
        random: [u8; 16],
        attributes: &[u8],
        out: &mut Vec<u8>,
    ) -> Self {
        out.clear();
        let [_, _, _, identifier] = id.to_be_bytes();
        let hashed = code.has_hashed_authenticator();
        let mut authenticator = if hashed { [0; 16] } else { random };
        let id = match framing {
            Framing::V10 { .. } => {
                out.extend([code as u8, identifier, 0, 0]);
                out.extend(authenticator);
                out.extend([MESSAGE_AUTHENTICATOR.number(), MESSAGE_AUTHENTICATOR_LEN as u8]);
                out.extend([0; 16]);
                u32::from(identifier)
            }
            Framing::V11 => {
                out.extend([code as u8, 0, 0, 0]);
                out.extend(id.to_be_bytes());
                out.extend([0; 12]);
                id
            }
        };
        out.extend_from_slice(attributes);
        seal(out, framing, &authenticator, hashed);
        if let Some(sent) = out.get(4..).and_then(|rest| rest.first_chunk::<16>()) {
            authenticator = *sent;
        }
        Self { code, id, authenticator }
    }

    /// What was asked.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Identifier or token.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Checks a received packet as the reply: code, identifier, Response Authenticator, and Message-Authenticator
    /// once and valid over the Request Authenticator (RADIUS/1.0; Blast-RADIUS).
    ///
    /// # Errors
    /// [`Rejected`]: on UDP the request goes on waiting.
    pub fn accept(&self, framing: &Framing, octets: &[u8]) -> Result<Reply, Rejected> {
        let packet = Packet::parse(octets)?;
        if !self.code.is_answered_by(packet.code()) {
            return Err(Rejected::Code(packet.code()));
        }
        match framing {
            Framing::V10 { secret } => {
                if u32::from(packet.identifier()) != self.id {
                    return Err(Rejected::Identifier);
                }
                check_authenticator(&packet, &self.authenticator, secret)?;
                check_message_authenticator(&packet, &self.authenticator, secret)?;
            }
            Framing::V11 if packet.token() != self.id => return Err(Rejected::Identifier),
            Framing::V11 => {}
        }
        Ok(Reply {
            code: packet.code(),
            octets: Zeroizing::new(packet.octets().into()),
            framing: framing.clone(),
            request_authenticator: self.authenticator,
        })
    }
}

/// An authentic reply to our request.
#[derive(Clone)]
pub struct Reply {
    code: Code,
    octets: Zeroizing<Box<[u8]>>,
    framing: Framing,
    request_authenticator: [u8; 16],
}

impl Reply {
    /// The packet.
    pub fn packet(&self) -> Packet<'_> {
        Packet::of_parsed(self.code, &self.octets)
    }

    /// What it is.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The secret in the first attribute of that name; `None` if there is none or it does not decrypt to a value.
    pub fn secret(&self, name: Name) -> Option<SecretBytes> {
        let packet = self.packet();
        let value = packet.first(name)?;
        match &self.framing {
            Framing::V10 { secret } => hidden::salt_decrypt(value, secret, &self.request_authenticator),
            Framing::V11 => Some(SecretBytes::from(value)),
        }
    }
}

// With radius/1.1 a packet holds its secrets plain: none of them prints its octets.
macro_rules! debug_without_octets {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {{ {:?}, {} octets }}", stringify!($name), self.code, self.octets.len())
            }
        }
    };
}

debug_without_octets!(Request);
debug_without_octets!(Reply);

impl fmt::Debug for ReplyBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyBuilder")
    }
}

/// Writes length, Message-Authenticator over `authenticator`, and, if `hash`, the hashed Authenticator.
fn seal(out: &mut [u8], framing: &Framing, authenticator: &[u8; 16], hash: bool) {
    let length = (out.len() as u16).to_be_bytes();
    put_at(out, 2, &length);
    if let Framing::V10 { secret } = framing {
        let value_at = HEADER + 2;
        let mac = message_authenticator(out, value_at, authenticator, secret);
        put_at(out, value_at, &mac);
        if hash {
            let hash = packet_hash(out, authenticator, secret);
            put_at(out, 4, &hash);
        }
    }
}

fn put_at(out: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = out.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

fn check_message_authenticator(
    packet: &Packet<'_>,
    authenticator: &[u8; 16],
    secret: &SharedSecret,
) -> Result<(), Rejected> {
    let mut found = packet.offsets_of(MESSAGE_AUTHENTICATOR.number());
    let (at, length) = found.next().ok_or(Rejected::MessageAuthenticatorMissing)?;
    if length != 16 || found.next().is_some() {
        return Err(Rejected::MessageAuthenticatorMalformed);
    }
    let expected = message_authenticator(packet.octets(), at, authenticator, secret);
    let sent = packet.octets().get(at..at + 16).unwrap_or_default();
    if bool::from(expected.ct_eq(sent)) { Ok(()) } else { Err(Rejected::MessageAuthenticatorWrong) }
}

fn check_authenticator(
    packet: &Packet<'_>,
    authenticator: &[u8; 16],
    secret: &SharedSecret,
) -> Result<(), Rejected> {
    let expected = packet_hash(packet.octets(), authenticator, secret);
    if bool::from(expected.ct_eq(&packet.authenticator())) { Ok(()) } else { Err(Rejected::Authenticator) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dictionary::{MS_MPPE_RECV_KEY, MS_MPPE_SEND_KEY, USER_NAME};
    use proptest::prelude::*;

    fn secret() -> Framing {
        Framing::with_secret(SecretBytes::from(b"xyzzy5461".as_slice()))
    }

    fn exchange(framing: &Framing, code: Code, answer: Code) {
        let (mut attributes, mut packet, mut reply) = (Vec::new(), Vec::new(), Vec::new());
        let mut writer = AttributeWriter::for_request(&mut attributes);
        writer.put(USER_NAME, b"001010000000001").unwrap();
        writer.put(PROXY_STATE, b"first").unwrap();
        writer.put(PROXY_STATE, b"").unwrap();
        let pending = Pending::begin(framing, code, 0x0103, [5; 16], &attributes, &mut packet);
        if matches!(framing, Framing::V10 { .. }) {
            assert_eq!(packet[20..22], [80, 18], "Message-Authenticator first");
        }
        let request = Request::authenticate(framing, &packet).unwrap();
        let mut builder = request.reply(answer, &mut reply);
        builder.put_secret(MS_MPPE_RECV_KEY, &[7; 32], [0x12, 1]).unwrap();
        builder.put_secret(MS_MPPE_SEND_KEY, &[8; 8], [0x12, 2]).unwrap();
        builder.finish();
        let reply = pending.accept(framing, &reply).unwrap();
        assert_eq!(reply.secret(MS_MPPE_RECV_KEY).unwrap().expose(), [7; 32]);
        assert_eq!(reply.secret(MS_MPPE_SEND_KEY).unwrap().expose(), [8; 8]);
        assert_eq!(reply.packet().all(PROXY_STATE).collect::<Vec<_>>(), [b"first".as_slice(), b""]);
        assert!(!format!("{reply:?} {request:?}").contains("7, 7"), "no octets in Debug");
        let clear = reply.packet().octets().windows(8).any(|window| window == [7; 8]);
        assert_eq!(clear, matches!(framing, Framing::V11), "secrets are hidden on RADIUS/1.0 only");
    }

    #[test]
    fn requests_and_replies_of_every_kind_are_authentic_to_the_other_end() {
        for framing in [secret(), Framing::radsec(), Framing::V11] {
            exchange(&framing, Code::AccessRequest, Code::AccessAccept);
            exchange(&framing, Code::AccessRequest, Code::AccessReject);
            exchange(&framing, Code::StatusServer, Code::AccessAccept);
            exchange(&framing, Code::DisconnectRequest, Code::DisconnectNak);
            exchange(&framing, Code::CoaRequest, Code::CoaAck);
        }
    }

    /// A request or reply of ours without its leading Message-Authenticator and with `instead` behind the rest;
    /// hashed authenticators are right again.
    fn reworked(packet: &[u8], instead: &[u8], hashed_over: Option<[u8; 16]>) -> Vec<u8> {
        let Framing::V10 { secret } = secret() else { unreachable!() };
        let mut out = packet[..20].to_vec();
        out.extend(&packet[38..]);
        out.extend(instead);
        let length = (out.len() as u16).to_be_bytes();
        out[2..4].copy_from_slice(&length);
        if let Some(authenticator) = hashed_over {
            let hash = packet_hash(&out, &authenticator, &secret);
            out[4..20].copy_from_slice(&hash);
        }
        out
    }

    #[test]
    fn blast_radius_message_authenticator_is_required_once_and_valid_in_any_place() {
        let framing = secret();
        let Framing::V10 { secret } = &framing else { unreachable!() };
        let (mut packet, mut reply) = (Vec::new(), Vec::new());
        let pending = Pending::begin(&framing, Code::AccessRequest, 9, [5; 16], &[1, 3, b'x'], &mut packet);
        let request = Request::authenticate(&framing, &packet).unwrap();
        request.reply(Code::AccessAccept, &mut reply).finish();

        let requests = |octets: &[u8]| Request::authenticate(&framing, octets).map(|_| ());
        let replies = |octets: &[u8]| pending.accept(&framing, octets).map(|_| ());
        type Case<'c> = (&'c [u8], &'c dyn Fn(&[u8]) -> Result<(), Rejected>, Option<[u8; 16]>);
        let cases: [Case<'_>; 2] = [(&packet, &requests, None), (&reply, &replies, Some([5; 16]))];
        for (octets, check, hashed) in cases {
            assert_eq!(check(octets), Ok(()));
            assert_eq!(check(&reworked(octets, &[], hashed)), Err(Rejected::MessageAuthenticatorMissing));
            let short = [80, 3, 1];
            assert_eq!(
                check(&reworked(octets, &short, hashed)),
                Err(Rejected::MessageAuthenticatorMalformed)
            );
            let mut ma = vec![80, 18];
            ma.extend([0; 16]);
            assert_eq!(check(&reworked(octets, &ma, hashed)), Err(Rejected::MessageAuthenticatorWrong));
            let twice = [ma.clone(), ma.clone()].concat();
            assert_eq!(
                check(&reworked(octets, &twice, hashed)),
                Err(Rejected::MessageAuthenticatorMalformed)
            );
            // Last instead of first: valid on receipt.
            let mut last = reworked(octets, &ma, None);
            let at = last.len() - 16;
            let mac = message_authenticator(&last, at, &[5; 16], secret);
            last[at..].copy_from_slice(&mac);
            if hashed.is_some() {
                let hash = packet_hash(&last, &[5; 16], secret);
                last[4..20].copy_from_slice(&hash);
            }
            assert_eq!(check(&last), Ok(()));
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let framing = secret();
        let mut packet = Vec::new();
        for code in [Code::AccessRequest, Code::StatusServer, Code::DisconnectRequest, Code::CoaRequest] {
            let pending = Pending::begin(&framing, code, 9, [5; 16], &[1, 3, b'x'], &mut packet);
            let mut reply = Vec::new();
            let answer = Code::ALL.into_iter().find(|answer| code.is_answered_by(*answer)).unwrap();
            Request::authenticate(&framing, &packet).unwrap().reply(answer, &mut reply).finish();
            for bit in 0..packet.len() * 8 {
                packet[bit / 8] ^= 1 << (bit % 8);
                assert!(Request::authenticate(&framing, &packet).is_err(), "{code:?} bit {bit}");
                packet[bit / 8] ^= 1 << (bit % 8);
            }
            for bit in 0..reply.len() * 8 {
                reply[bit / 8] ^= 1 << (bit % 8);
                assert!(pending.accept(&framing, &reply).is_err(), "reply to {code:?} bit {bit}");
                reply[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn rfc9765_token_must_match_and_message_authenticator_is_ignored() {
        let (mut packet, mut reply) = (Vec::new(), Vec::new());
        let mut ma = vec![80, 18];
        ma.extend([1; 16]);
        let pending = Pending::begin(&Framing::V11, Code::AccessRequest, 70_000, [5; 16], &ma, &mut packet);
        assert_eq!(packet[1], 0, "Reserved-1");
        assert_eq!(packet[8..20], [0; 12], "Reserved-2");
        Request::authenticate(&Framing::V11, &packet).unwrap().reply(Code::AccessReject, &mut reply).finish();
        assert_eq!(reply.len(), 20);
        assert!(pending.accept(&Framing::V11, &reply).is_ok());
        reply[7] ^= 1;
        assert_eq!(pending.accept(&Framing::V11, &reply).map(|_| ()), Err(Rejected::Identifier));
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let framing = secret();
            let mut packet = Vec::new();
            let pending = Pending::begin(&framing, Code::AccessRequest, 9, [5; 16], &[], &mut packet);
            prop_assert!(Request::authenticate(&framing, &octets).is_err());
            prop_assert!(pending.accept(&framing, &octets).is_err());
            let _ = Request::authenticate(&Framing::V11, &octets);
            let Framing::V10 { secret } = &framing else { unreachable!() };
            let _ = hidden::salt_decrypt(&octets, secret, &[0; 16]);
        }

        #[test]
        fn salt_encryption_reverses(plain in proptest::collection::vec(any::<u8>(), 0..=hidden::MAX_SALTED), salt: [u8; 2]) {
            let framing = secret();
            let Framing::V10 { secret } = &framing else { unreachable!() };
            let mut value = Vec::new();
            hidden::salt_encrypt(&mut value, &plain, salt, secret, &[3; 16]);
            let back = hidden::salt_decrypt(&value, secret, &[3; 16]).unwrap();
            prop_assert_eq!(back.expose(), plain.as_slice());
        }
    }
}
