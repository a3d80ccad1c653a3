//! The handshake tap: reads along with a TLS handshake's plaintext and says what key it needs.
//!
//! TLS 1.3 names the identity in the ClientHello, TLS 1.2 in the ClientKeyExchange, when our own ServerHello has
//! already chosen the suite. Records may be cut and joined at will; the tap keeps at most
//! [`ServerTap::MAX_OCTETS`] of them.

use crate::{
    hello::{self, ClientHello, Malformed, ServerHello},
    record::{Message, Messages, RecordError},
};
use alloc::vec::Vec;
use core::fmt;
use obf_token::TokenId;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// Why the tap gave up; the handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TapError {
    /// These octets are no TLS handshake.
    NotTls,
    /// More octets than a handshake of ours has.
    TooLong,
    /// A message does not follow its grammar.
    Malformed,
    /// A message came that cannot stand here.
    Unexpected,
}

impl fmt::Display for TapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTls => "not a TLS handshake",
            Self::TooLong => "handshake too long",
            Self::Malformed => "malformed handshake message",
            Self::Unexpected => "handshake message out of place",
        })
    }
}

impl core::error::Error for TapError {}

impl From<RecordError> for TapError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::NotTls => Self::NotTls,
            RecordError::TooLong => Self::TooLong,
        }
    }
}

impl From<Malformed> for TapError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// A PSK identity as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PskIdentity(pub Vec<u8>);

impl PskIdentity {
    /// The token it names: `3GPP-bootstrapping` + `;` or `.` + id, or the bare id.
    pub fn token(&self) -> Option<TokenId> {
        TokenId::from_psk_identity(&self.0).ok()
    }
}

/// What the tap found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TapEvent {
    /// The (first) ClientHello is complete.
    ClientHello(ClientHello),
    /// TLS 1.2: the ClientKeyExchange is complete and this is its identity.
    KeyExchange {
        /// The identity, as sent.
        identity: PskIdentity,
        /// The suite that our ServerHello chose.
        suite: u16,
    },
}

/// The server's tap.
#[derive(Debug)]
pub struct ServerTap {
    inbound: Messages,
    outbound: Messages,
    greeted: bool,
    suite: Option<u16>,
}

impl Default for ServerTap {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerTap {
    /// Octets of a handshake, each direction, beyond which it is refused.
    pub const MAX_OCTETS: usize = 1 << 16;

    /// At the beginning of a connection.
    pub const fn new() -> Self {
        Self {
            inbound: Messages::new(Self::MAX_OCTETS),
            outbound: Messages::new(Self::MAX_OCTETS),
            greeted: false,
            suite: None,
        }
    }

    /// Octets from the client. At most one event a call matters; it belongs to the last octets given.
    ///
    /// # Errors
    /// [`TapError`]: refuse the handshake.
    pub fn inbound(&mut self, octets: &[u8]) -> Result<Option<TapEvent>, TapError> {
        let mut messages = Vec::new();
        self.inbound.push(octets, &mut messages)?;
        let mut event = None;
        for Message { kind, body } in messages {
            match kind {
                CLIENT_HELLO if !self.greeted => {
                    self.greeted = true;
                    event = Some(TapEvent::ClientHello(ClientHello::parse(&body)?));
                }
                // A second one answers our HelloRetryRequest; the key has been decided by the first.
                CLIENT_HELLO => {}
                CLIENT_KEY_EXCHANGE => {
                    let suite = self.suite.ok_or(TapError::Unexpected)?;
                    let identity = PskIdentity(hello::key_exchange_identity(&body)?.into());
                    event = Some(TapEvent::KeyExchange { identity, suite });
                }
                _ if !self.greeted => return Err(TapError::Unexpected),
                _ => {}
            }
        }
        Ok(event)
    }

    /// Octets of ours to the client: notes the suite of a TLS 1.2 ServerHello.
    ///
    /// # Errors
    /// [`TapError`], which would be a fault of our TLS library.
    pub fn outbound(&mut self, octets: &[u8]) -> Result<(), TapError> {
        if self.suite.is_none()
            && let Some(hello) = server_hello(&mut self.outbound, octets)?
        {
            self.suite = Some(hello.suite);
        }
        Ok(())
    }
}

/// The client's tap: learns what the server chose, before the TLS library asks for the TLS 1.2 key.
#[derive(Debug)]
pub struct ClientTap {
    inbound: Messages,
    chosen: Option<ServerHello>,
}

impl Default for ClientTap {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientTap {
    /// At the beginning of a connection.
    pub const fn new() -> Self {
        Self { inbound: Messages::new(ServerTap::MAX_OCTETS), chosen: None }
    }

    /// Octets from the server.
    ///
    /// # Errors
    /// [`TapError`]: give the handshake up.
    pub fn inbound(&mut self, octets: &[u8]) -> Result<(), TapError> {
        if self.chosen.is_none() {
            self.chosen = server_hello(&mut self.inbound, octets)?;
        }
        Ok(())
    }

    /// What the server chose, once its ServerHello (or HelloRetryRequest) has come.
    pub const fn chosen(&self) -> Option<ServerHello> {
        self.chosen
    }
}

fn server_hello(messages: &mut Messages, octets: &[u8]) -> Result<Option<ServerHello>, TapError> {
    let mut found = Vec::new();
    messages.push(octets, &mut found)?;
    match found.first() {
        Some(Message { kind: SERVER_HELLO, body }) => Ok(Some(ServerHello::parse(body)?)),
        Some(_) => Err(TapError::Unexpected),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NeedKey;
    use alloc::{
        string::{String, ToString},
        vec,
    };
    use obf_types::{Domain, UaId};
    use proptest::prelude::*;

    fn token() -> TokenId {
        TokenId::new([0x23; 16], Domain::new("rs1.as.example").unwrap())
    }

    fn vec16(content: &[u8]) -> Vec<u8> {
        [&(content.len() as u16).to_be_bytes(), content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vec16(content)].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
    }

    fn records(kind: u8, content: &[u8], size: usize) -> Vec<u8> {
        content.chunks(size).flat_map(|part| [&[kind, 3, 3][..], &vec16(part)].concat()).collect()
    }

    fn client_hello(identities: &[&[u8]], versions: &[u8]) -> Vec<u8> {
        let listed: Vec<u8> = identities.iter().flat_map(|id| [vec16(id), vec![0; 4]].concat()).collect();
        let mut extensions = [
            extension(0, &vec16(&[&[0][..], &vec16(b"track.example")].concat())),
            extension(16, &vec16(b"\x08http/1.1")),
            extension(23, b""),
            extension(45, &[1, 1]),
            extension(43, &[&[versions.len() as u8], versions].concat()),
        ]
        .concat();
        if !identities.is_empty() {
            extensions.extend(extension(41, &[vec16(&listed), vec16(&[32; 33])].concat()));
        }
        let body =
            [&[3, 3][..], &[7; 32], &[0], &vec16(&[0x13, 0x01, 0x00, 0xA8]), &[1, 0], &vec16(&extensions)]
                .concat();
        message(CLIENT_HELLO, &body)
    }

    fn server_hello(suite: u16) -> Vec<u8> {
        let body =
            [&[3, 3][..], &[9; 32], &[0], &suite.to_be_bytes(), &[0], &vec16(&extension(23, b""))].concat();
        records(22, &message(SERVER_HELLO, &body), 1000)
    }

    /// The key that the acceptor looks up before a handshake goes on.
    fn need_key(event: &TapEvent) -> Option<NeedKey> {
        match event {
            TapEvent::ClientHello(hello) => {
                let token = hello.psk_identities.iter().find_map(|id| TokenId::from_psk_identity(id).ok())?;
                hello.tls13.then_some(NeedKey { token, ua: UaId::TLS13_PSK })
            }
            TapEvent::KeyExchange { identity, suite } => {
                Some(NeedKey { token: identity.token()?, ua: UaId::tls12(*suite) })
            }
        }
    }

    #[test]
    fn r13_tls13_names_the_token_in_its_client_hello() {
        let identity = token().psk_identity();
        let hello = client_hello(&[b"some ticket", identity.as_bytes()], &[3, 4, 3, 3]);
        let event = ServerTap::new().inbound(&records(22, &hello, 50)).unwrap().unwrap();
        assert_eq!(need_key(&event), Some(NeedKey { token: token(), ua: UaId::TLS13_PSK }));
        let TapEvent::ClientHello(hello) = event else { panic!() };
        assert_eq!(hello.server_name.as_deref(), Some("track.example"));
        assert_eq!(hello.protocols, [b"http/1.1"]);
        assert!(hello.tls13 && hello.tls12 && hello.extended_master_secret && hello.psk_dhe_ke);
        assert_eq!(hello.suites, [0x1301, 0x00A8]);
    }

    #[test]
    fn r13_tls12_names_it_in_its_key_exchange_and_the_suite_is_ours() {
        let mut tap = ServerTap::new();
        let event = tap.inbound(&records(22, &client_hello(&[], &[3, 3]), 1000)).unwrap().unwrap();
        assert_eq!(need_key(&event), None);
        tap.outbound(&server_hello(0x00AA)).unwrap();
        let exchange =
            message(CLIENT_KEY_EXCHANGE, &[vec16(token().to_string().as_bytes()), vec![9; 65]].concat());
        let event = tap.inbound(&records(22, &exchange, 7)).unwrap().unwrap();
        assert_eq!(need_key(&event), Some(NeedKey { token: token(), ua: UaId::tls12(0x00AA) }));
    }

    #[test]
    fn a_key_exchange_before_our_hello_is_out_of_place() {
        let exchange = records(22, &message(CLIENT_KEY_EXCHANGE, &vec16(b"x")), 100);
        assert_eq!(ServerTap::new().inbound(&exchange), Err(TapError::Unexpected));
        let both = [records(22, &client_hello(&[], &[3, 3]), 1000), exchange].concat();
        assert_eq!(ServerTap::new().inbound(&both), Err(TapError::Unexpected));
    }

    #[test]
    fn what_is_not_tls_is_refused_at_its_first_octets() {
        assert_eq!(ServerTap::new().inbound(b"GET / HTTP/1.1\r\n\r\n"), Err(TapError::NotTls));
        assert_eq!(ServerTap::new().inbound(&[22, 3, 1, 0xFF, 0xFF]), Err(TapError::TooLong));
    }

    #[test]
    fn an_endless_message_meets_the_bound() {
        let mut tap = ServerTap::new();
        let endless = records(22, &[&[CLIENT_HELLO, 0xFF, 0xFF, 0xFF][..], &[0; 16_000]].concat(), 16_000);
        let result = (0..6).try_for_each(|_| tap.inbound(&endless).map(|_| ()));
        assert_eq!(result, Err(TapError::TooLong));
    }

    #[test]
    fn the_client_learns_the_suite_from_the_server_hello() {
        let mut tap = ClientTap::new();
        for octet in server_hello(0xCCAC) {
            tap.inbound(&[octet]).unwrap();
        }
        let chosen = tap.chosen().unwrap();
        assert_eq!((chosen.version, chosen.suite), (0x0303, 0xCCAC));
        assert!(chosen.extended_master_secret);
    }

    proptest! {
        #[test]
        fn cut_anywhere_it_reads_the_same(cuts in proptest::collection::vec(1usize..90, 1..40), size in 1usize..300) {
            let identity: String = token().psk_identity();
            let octets = records(22, &client_hello(&[identity.as_bytes()], &[3, 4]), size);
            let (mut tap, mut rest, mut found) = (ServerTap::new(), octets.as_slice(), None);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                rest = later;
                if let Some(event) = tap.inbound(now).unwrap() {
                    prop_assert!(rest.is_empty());
                    found = need_key(&event);
                }
            }
            prop_assert_eq!(found, Some(NeedKey { token: token(), ua: UaId::TLS13_PSK }));
        }

        #[test]
        fn arbitrary_octets_never_panic(chunks: Vec<Vec<u8>>) {
            let (mut server, mut client) = (ServerTap::new(), ClientTap::new());
            for chunk in &chunks {
                let _ = server.inbound(chunk);
                let _ = server.outbound(chunk);
                let _ = client.inbound(chunk);
                let _ = ClientHello::parse(chunk);
                let _ = ServerHello::parse(chunk);
            }
        }

        #[test]
        fn altered_hellos_never_panic(place: prop::sample::Index, octet: u8) {
            let mut octets = client_hello(&[b"x", token().to_string().as_bytes()], &[3, 4]);
            let place = place.index(octets.len());
            octets[place] = octet;
            let _ = ServerTap::new().inbound(&records(22, &octets, 100));
            let _ = ClientHello::parse(&octets[4..]);
        }
    }
}
