//! Patterns of text, each with its words for people. Regular expressions that ECMA 262 and Rust read alike.

use regex_lite::Regex;
use std::sync::LazyLock;

/// An id that an administrator chooses.
pub const SLUG: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// An application's id, a certificate name (`obf_types::AppId`).
pub const FQDN: &str = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// A domain of one label or more (`obf_types::Domain`).
pub const DOMAIN: &str = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// Text for people: something, and no control characters.
pub const TEXT: &str = r"^[^\x00-\x1f\x7f]+$";
/// Octets as hex digits.
pub const HEX: &str = "^([0-9A-Fa-f]{2})*$";
/// Two octets as hex digits.
pub const HEX_2: &str = "^[0-9A-Fa-f]{4}$";
/// Six octets as hex digits.
pub const HEX_6: &str = "^[0-9A-Fa-f]{12}$";
/// Sixteen octets as hex digits.
pub const HEX_16: &str = "^[0-9A-Fa-f]{32}$";
/// Sixteen or thirty-two octets as hex digits.
pub const HEX_16_32: &str = "^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{64})$";
/// Thirty-two octets as hex digits.
pub const HEX_32: &str = "^[0-9A-Fa-f]{64}$";
/// A security protocol that an application speaks.
pub const UA: &str = "^(tls-psk|http-digest|[0-9A-Fa-f]{10})$";
/// A second in UTC.
pub const TIMESTAMP: &str = r"^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$";
/// 6 to 15 digits (TS 23.003 2.2).
pub const IMSI: &str = "^[0-9]{6,15}$";
/// `user@realm` (TS 23.003 13.3).
pub const IMPI: &str = r"^[!#-?A-\[\]-~]+@[!#-?A-\[\]-~]+$";
/// 18 to 20 digits beginning 89 (ITU-T E.118).
pub const ICCID: &str = "^89[0-9]{16,18}$";
/// An ICCID without its check digit.
pub const ICCID_PAYLOAD: &str = "^89[0-9]{15,17}$";
/// The name of a transport key and its octets.
pub const TRANSPORT_KEY: &str = "^[0-9A-Za-z_.-]{1,64}:([0-9A-Fa-f]{32}|[0-9A-Fa-f]{64})$";
/// 32 digits beginning 89 (GSMA SGP.29); its check digits are checked as well.
pub const EID: &str = "^89[0-9]{30}$";
/// 15 digits (TS 23.003 6.2); its check digit is checked as well.
pub const IMEI: &str = "^[0-9]{15}$";
/// 16 hex digits (LoRaWAN).
pub const DEVEUI: &str = "^[0-9A-Fa-f]{16}$";
/// An identity of a device, its kind in front or not.
pub const IDENTITY: &str = r"^((imsi|impi|iccid|eid|imei|deveui):)?[!-~]+$";
/// An identity of a device, its kind in front unless it is an IMSI or IMPI; check digits are checked as well.
pub const KNOWN_IDENTITY: &str = r"^((imsi:)?[0-9]{6,15}|(impi:)?[!#-?A-\[\]-~]+@[!#-?A-\[\]-~]+|iccid:89[0-9]{16,18}|eid:89[0-9]{30}|imei:[0-9]{15}|deveui:[0-9A-Fa-f]{16})$";
/// A token id, `base64(RAND)@domain`, spare bits zero (`obf_token::TokenId`).
pub const TOKEN_ID: &str =
    r"^[0-9A-Za-z+/]{21}[AQgw]==@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// The cursor of the listing of grants: whose it is, and for which application.
pub const GRANT_CURSOR: &str = r"^(device/[0-9]{18}|group/[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)/([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// An Idempotency-Key.
pub const KEY: &str = "^[0-9A-Za-z_.:-]+$";
/// A version of an object, or any.
pub const ETAG: &str = r#"^(\*|"[0-9]{1,20}")$"#;
/// A reason, in a header.
pub const REASON: &str = "^[!-~]([ -~]*[!-~])?$";

/// Each pattern with what is said when a text does not match it.
pub const ALL: &[(&str, &str)] = &[
    (SLUG, "1 to 63 of a-z, 0-9 and '-', not beginning or ending with '-'"),
    (FQDN, "a full lower-case domain name, for example track.example"),
    (DOMAIN, "a lower-case domain name, for example as.example"),
    (TEXT, "text without control characters"),
    (HEX, "pairs of hex digits"),
    (HEX_2, "4 hex digits"),
    (HEX_6, "12 hex digits"),
    (HEX_16, "16 octets, as hex digits"),
    (HEX_16_32, "16 or 32 octets, as hex digits"),
    (HEX_32, "32 octets, as hex digits"),
    (UA, "tls-psk, http-digest or 10 hex digits"),
    (TIMESTAMP, "a date like 2027-01-31T00:00:00Z"),
    (IMSI, "6 to 15 digits"),
    (IMPI, "user@realm"),
    (ICCID, "18 to 20 digits beginning 89"),
    (ICCID_PAYLOAD, "17 to 19 digits beginning 89"),
    (TRANSPORT_KEY, "NAME:KEY, the key 32 or 64 hex digits"),
    (EID, "32 digits beginning 89"),
    (IMEI, "15 digits"),
    (DEVEUI, "16 hex digits"),
    (IDENTITY, "an identity like 001010000000001 or iccid:8988211000000000018"),
    (KNOWN_IDENTITY, "an identity like 001010000000001 or iccid:8988211000000000018"),
    (TOKEN_ID, "a token id, base64(RAND)@domain"),
    (GRANT_CURSOR, "the 'next' of the page before"),
    (KEY, "letters, digits and -_.:"),
    (ETAG, "an ETag like \"7\", or *"),
    (REASON, "printable ASCII"),
];

static COMPILED: LazyLock<Vec<(&str, Regex, &str)>> = LazyLock::new(|| {
    let compiled = ALL.iter().map(|(pattern, words)| Some((*pattern, Regex::new(pattern).ok()?, *words)));
    compiled.flatten().collect()
});

/// The words of the pattern if the text does not match it. An unknown pattern matches nothing.
pub fn mismatch(pattern: &str, text: &str) -> Option<&'static str> {
    match COMPILED.iter().find(|(known, ..)| *known == pattern) {
        Some((_, regex, words)) => (!regex.is_match(text)).then_some(*words),
        None => Some("a text of another form"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::{AppId, Domain, GlobalIdentity, IdentityKind, UaClass, UnixTime};

    #[test]
    fn every_pattern_compiles_and_is_anchored() {
        assert_eq!(COMPILED.len(), ALL.len());
        for (pattern, words) in ALL {
            assert!(pattern.starts_with('^') && pattern.ends_with('$') && !words.is_empty(), "{pattern}");
        }
    }

    /// Where a type of ours checks the same thing, the pattern says the same.
    #[test]
    fn patterns_agree_with_the_types() {
        let texts = [
            "a",
            "a.b",
            "a.b.c",
            "-a.b",
            "a-.b",
            "a..b",
            "A.b",
            "a.b.",
            ".a",
            "",
            "001010000000001",
            "12345",
            "8988211000000000018",
            "898821100000000001",
            "0088211000000000018",
            "me@ims.example",
            "@a",
            "a@",
            "a@b@c",
            "70b3d57ed0000001",
            "70B3D57ED000000G",
            "tls-psk",
            "0100000007",
            "+100000007",
            "2027-01-31T00:00:00Z",
            "2027-13-31T00:00:00Z",
            "1969-01-01T00:00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31",
            "x y@z",
        ];
        let long = "a".repeat(64) + ".b";
        for text in texts.into_iter().chain([long.as_str()]) {
            let matches = |pattern| mismatch(pattern, text).is_none();
            let identity = |kind| GlobalIdentity::new(kind, text).is_ok();
            assert_eq!(matches(FQDN), AppId::new(text).is_ok(), "{text}");
            assert_eq!(matches(DOMAIN), Domain::new(text).is_ok(), "{text}");
            assert_eq!(matches(TIMESTAMP), UnixTime::from_xs_date_time(text).is_some(), "{text}");
            assert_eq!(matches(UA), text.parse::<UaClass>().is_ok(), "{text}");
            for (kind, pattern) in [
                (IdentityKind::Imsi, IMSI),
                (IdentityKind::Impi, IMPI),
                (IdentityKind::Iccid, ICCID),
                (IdentityKind::DevEui, DEVEUI),
            ] {
                assert_eq!(matches(pattern), identity(kind), "{text} as {}", kind.name());
            }
        }
    }
}
