//! What a device may do: one right an application.

use obf_radius::{AttributeWriter, Malformed, ObfAttribute, Packet, PutError, Vendor};
use obf_types::{AppId, Lifetime, UaId};
use std::{fmt, str::FromStr};

/// The longest security settings, octets (WIRES "RADIUS on RPR and RPO").
pub const MAX_SETTINGS: usize = 2048;

/// One application that a device may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// The application.
    pub app: AppId,
    /// The longest that a token may serve for it.
    pub lifetime: Lifetime,
    /// Application-specific user security settings, at most [`MAX_SETTINGS`] octets; empty if there are none.
    pub settings: Box<[u8]>,
    /// How long the application may use a key before it has to fetch it again, if limited.
    pub local_validity: Option<Lifetime>,
}

/// Rights in the order of their application's name, and whether more follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Those sent.
    pub list: Vec<Right>,
    /// More follow behind the last of the list: ask with [`crate::Wanted::After`].
    pub more: bool,
}

impl Rights {
    /// Writes as many rights as fit, each with its settings or not at all, then OBF-More if some did not or `self.more`
    /// says so.
    pub(crate) fn encode(&self, vendor: Vendor, to: &mut AttributeWriter<'_>) -> Result<(), PutError> {
        let more_flag = vendor.attribute(ObfAttribute::More);
        let mut all = true;
        for right in &self.list {
            let mark = to.mark();
            let written = right.encode(vendor, to);
            if written.is_err() || to.room() < MORE_LEN {
                to.rewind(mark);
                all = false;
                break;
            }
        }
        if all && !self.more { Ok(()) } else { to.put_integer(more_flag, 1) }
    }

    pub(crate) fn decode(packet: &Packet<'_>, vendor: Vendor) -> Result<Self, Malformed> {
        let right_name = vendor.attribute(ObfAttribute::Right);
        let settings_name = vendor.attribute(ObfAttribute::SecuritySettings);
        let validity_name = vendor.attribute(ObfAttribute::LocalValidity);
        let mut list: Vec<(AppId, Lifetime, Vec<u8>, Option<Lifetime>)> = Vec::new();
        for field in packet.fields() {
            if field.name == right_name {
                let (app, lifetime) = read_right(field.value).ok_or(Malformed("OBF-Right"))?;
                list.push((app, lifetime, Vec::new(), None));
            } else if field.name == settings_name {
                let (_, _, settings, _) = list.last_mut().ok_or(Malformed("OBF-Security-Settings"))?;
                settings.extend_from_slice(field.value);
                if settings.len() > MAX_SETTINGS {
                    return Err(Malformed("OBF-Security-Settings"));
                }
            } else if field.name == validity_name {
                let malformed = Malformed("OBF-Local-Validity");
                let (.., validity) = list.last_mut().ok_or(malformed)?;
                let seconds = field.value.try_into().map(u32::from_be_bytes).ok();
                *validity = Some(seconds.and_then(Lifetime::from_seconds).ok_or(malformed)?);
            }
        }
        let list = list
            .into_iter()
            .map(|(app, lifetime, settings, local_validity)| Right {
                app,
                lifetime,
                settings: settings.into(),
                local_validity,
            })
            .collect();
        Ok(Self { list, more: packet.integer(vendor.attribute(ObfAttribute::More)) == Some(1) })
    }
}

impl Right {
    fn encode(&self, vendor: Vendor, to: &mut AttributeWriter<'_>) -> Result<(), PutError> {
        let text = format_args!("{} {}", self.app, self.lifetime.seconds());
        to.put_display(vendor.attribute(ObfAttribute::Right), &text)?;
        if let Some(validity) = self.local_validity {
            to.put_integer(vendor.attribute(ObfAttribute::LocalValidity), validity.seconds())?;
        }
        to.put_split(vendor.attribute(ObfAttribute::SecuritySettings), &self.settings)
    }
}

/// Octets of OBF-More.
const MORE_LEN: usize = 12;

fn read_right(value: &[u8]) -> Option<(AppId, Lifetime)> {
    let (app, seconds) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let digits = !seconds.is_empty() && seconds.bytes().all(|octet| octet.is_ascii_digit());
    let lifetime = Lifetime::from_seconds(seconds.parse().ok().filter(|_| digits)?)?;
    Some((AppId::new(app).ok()?, lifetime))
}

/// Security protocols that an application is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UaClass {
    /// `tls-psk`: TLS-PSK 1.3, and 1.2 with any suite.
    TlsPsk,
    /// `http-digest`: Digest alone, and inside server-certificate TLS with any suite.
    HttpDigest,
    /// One Ua security protocol id, 10 hex digits.
    Exactly(UaId),
}

impl UaClass {
    /// Whether a key for that protocol may be handed out.
    pub fn covers(self, ua: UaId) -> bool {
        match self {
            Self::TlsPsk => ua == UaId::TLS13_PSK || ua.tls12_suite().is_some(),
            Self::HttpDigest => ua == UaId::HTTP_DIGEST || ua.tls12_suite().is_some(),
            Self::Exactly(one) => ua == one,
        }
    }
}

impl fmt::Display for UaClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsPsk => f.write_str("tls-psk"),
            Self::HttpDigest => f.write_str("http-digest"),
            Self::Exactly(ua) => ua.fmt(f),
        }
    }
}

/// A text that names no security protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a security protocol is tls-psk, http-digest, or a Ua id of 10 hex digits")]
pub struct NoUaClass;

impl FromStr for UaClass {
    type Err = NoUaClass;
    fn from_str(text: &str) -> Result<Self, NoUaClass> {
        match text {
            "tls-psk" => Ok(Self::TlsPsk),
            "http-digest" => Ok(Self::HttpDigest),
            hex => UaId::from_hex(hex).map(Self::Exactly).ok_or(NoUaClass),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_strictly() {
        assert!(read_right(b"track.example 28800").is_some());
        for bad in [
            "track.example",
            "track.example 0",
            "track.example 86401",
            "track.example +5",
            "track.example  5",
            "Track.example 5",
            "track.example ",
            "\u{FFFD} 5",
        ] {
            assert_eq!(read_right(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read_right(&[0xFF, b' ', b'5']), None);
    }

    #[test]
    fn classes_cover_their_protocols() {
        let gcm = UaId::tls12(0x00A8);
        assert!(UaClass::TlsPsk.covers(UaId::TLS13_PSK) && UaClass::TlsPsk.covers(gcm));
        assert!(!UaClass::TlsPsk.covers(UaId::HTTP_DIGEST));
        assert!(
            UaClass::HttpDigest.covers(UaId::HTTP_DIGEST) && !UaClass::HttpDigest.covers(UaId::TLS13_PSK)
        );
        assert!(UaClass::Exactly(gcm).covers(gcm) && !UaClass::Exactly(gcm).covers(UaId::tls12(0x00A9)));
        for text in ["tls-psk", "http-digest", "01000100a8"] {
            assert_eq!(text.parse::<UaClass>().unwrap().to_string(), text);
        }
        assert_eq!("tls".parse::<UaClass>(), Err(NoUaClass));
    }
}
