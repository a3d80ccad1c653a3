//! ClientHello and ServerHello: the parts that RPA decides by (RFC 8446 4.1, RFC 5246 7.4.1, RFC 6066, RFC 7627).

use crate::reader::Reader;
use alloc::{string::String, vec::Vec};

/// A hello that does not follow its grammar. The handshake is refused with `decode_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("malformed TLS hello")
    }
}

impl core::error::Error for Malformed {}

/// TLS 1.2 on the wire.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3 in `supported_versions`.
pub const TLS13: u16 = 0x0304;

/// Offered PSK identities that are looked at; more are ignored.
const MAX_IDENTITIES: usize = 8;
/// ALPN names that are looked at; more are ignored.
const MAX_PROTOCOLS: usize = 16;

const EXT_SERVER_NAME: u16 = 0;
const EXT_ALPN: u16 = 16;
const EXT_EXTENDED_MASTER_SECRET: u16 = 23;
const EXT_PRE_SHARED_KEY: u16 = 41;
const EXT_SUPPORTED_VERSIONS: u16 = 43;
const EXT_PSK_KEY_EXCHANGE_MODES: u16 = 45;
const PSK_DHE_KE: u8 = 1;

/// What a client said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// It offers TLS 1.2 (or says so by having no `supported_versions`).
    pub tls12: bool,
    /// It offers TLS 1.3.
    pub tls13: bool,
    /// SNI as written, if there is one that is a text.
    pub server_name: Option<String>,
    /// ALPN names in the client's order, the first 16.
    pub protocols: Vec<Vec<u8>>,
    /// It offers the extended master secret (RFC 7627).
    pub extended_master_secret: bool,
    /// It can do (EC)DHE with a PSK.
    pub psk_dhe_ke: bool,
    /// Identities in `pre_shared_key`, in the client's order, the first 8. Empty without that extension.
    pub psk_identities: Vec<Vec<u8>>,
    /// Cipher suites in the client's order.
    pub suites: Vec<u16>,
}

impl ClientHello {
    /// Reads the body of a ClientHello (without the handshake header).
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Self::read(Reader::new(body)).ok_or(Malformed)
    }

    fn read(mut body: Reader<'_>) -> Option<Self> {
        let legacy_version = body.u16()?;
        let _random = body.take(32)?;
        let _session_id = body.vec8()?;
        let mut hello = Self { suites: numbers(body.vec16()?)?, ..Self::default() };
        let _compression = body.vec8()?;
        let mut versions = None;
        if !body.is_empty() {
            let mut extensions = body.vec16()?;
            while !extensions.is_empty() {
                let kind = extensions.u16()?;
                let content = extensions.vec16()?;
                match kind {
                    EXT_SUPPORTED_VERSIONS => versions = Some(numbers({ content }.vec8()?)?),
                    _ => hello.read_extension(kind, content)?,
                }
            }
        }
        match versions {
            Some(versions) => {
                hello.tls13 = versions.contains(&TLS13);
                hello.tls12 = versions.contains(&TLS12);
            }
            None => hello.tls12 = legacy_version >= TLS12,
        }
        body.is_empty().then_some(hello)
    }

    fn read_extension(&mut self, kind: u16, mut content: Reader<'_>) -> Option<()> {
        match kind {
            EXT_SERVER_NAME => {
                let mut names = content.vec16()?;
                while !names.is_empty() {
                    let host_name = names.u8()? == 0;
                    let name = names.vec16()?;
                    if host_name {
                        self.server_name = Some(core::str::from_utf8(name.rest()).ok()?.into());
                    }
                }
            }
            EXT_ALPN => {
                let mut names = content.vec16()?;
                while !names.is_empty() {
                    let name = names.vec8()?;
                    if self.protocols.len() < MAX_PROTOCOLS {
                        self.protocols.push(name.rest().into());
                    }
                }
            }
            EXT_EXTENDED_MASTER_SECRET => self.extended_master_secret = true,
            EXT_PSK_KEY_EXCHANGE_MODES => self.psk_dhe_ke = content.vec8()?.rest().contains(&PSK_DHE_KE),
            EXT_PRE_SHARED_KEY => {
                let mut identities = content.vec16()?;
                while !identities.is_empty() {
                    let identity = identities.vec16()?;
                    let _obfuscated_ticket_age = identities.take(4)?;
                    if self.psk_identities.len() < MAX_IDENTITIES {
                        self.psk_identities.push(identity.rest().into());
                    }
                }
            }
            _ => {}
        }
        Some(())
    }
}

/// What a server chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// [`TLS12`] or [`TLS13`], or what else it may be.
    pub version: u16,
    /// The cipher suite.
    pub suite: u16,
    /// TLS 1.2: it agreed to the extended master secret.
    pub extended_master_secret: bool,
}

impl ServerHello {
    /// Reads the body of a ServerHello (without the handshake header). A HelloRetryRequest reads as TLS 1.3.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        Self::read(Reader::new(body)).ok_or(Malformed)
    }

    fn read(mut body: Reader<'_>) -> Option<Self> {
        let version = body.u16()?;
        let _random = body.take(32)?;
        let _session_id = body.vec8()?;
        let suite = body.u16()?;
        let _compression = body.u8()?;
        let mut hello = Self { version, suite, extended_master_secret: false };
        if !body.is_empty() {
            let mut extensions = body.vec16()?;
            while !extensions.is_empty() {
                let kind = extensions.u16()?;
                let mut content = extensions.vec16()?;
                match kind {
                    EXT_SUPPORTED_VERSIONS => hello.version = content.u16()?,
                    EXT_EXTENDED_MASTER_SECRET => hello.extended_master_secret = true,
                    _ => {}
                }
            }
        }
        body.is_empty().then_some(hello)
    }
}

/// The PSK identity at the head of a TLS 1.2 ClientKeyExchange (RFC 4279 2–4, RFC 5489 2).
///
/// # Errors
/// [`Malformed`] if it is cut off.
pub fn key_exchange_identity(body: &[u8]) -> Result<&[u8], Malformed> {
    Ok(Reader::new(body).vec16().ok_or(Malformed)?.rest())
}

fn numbers(mut list: Reader<'_>) -> Option<Vec<u16>> {
    let mut numbers = Vec::with_capacity(list.rest().len() / 2);
    while !list.is_empty() {
        numbers.push(list.u16()?);
    }
    Some(numbers)
}
