//! The token id: `base64(RAND)@<rs>.<as domain>`, a B-TID (TS 33.220 4.5.2; WIRES "OBF_Token id").

use alloc::string::String;
use base64ct::{Base64, Encoding};
use core::{fmt, str::FromStr};
use obf_types::{Domain, NameError};

/// What stands before the token id in a PSK identity (TS 24.109 5.3, TS 33.222 5.4).
pub const PSK_IDENTITY_HINT: &str = "3GPP-bootstrapping";

/// 16 octets in base64: 22 characters and `==`.
const RAND_TEXT: usize = 24;

/// Why a text is not a token id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenIdError {
    /// No `@`, or more octets than [`TokenId::MAX_LEN`].
    Shape,
    /// What stands before `@` is not canonical padded base64 of 16 octets.
    Rand,
    /// What stands behind `@` is not a lower-case domain name.
    Domain(NameError),
}

impl fmt::Display for TokenIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => {
                write!(f, "a token id is base64(RAND)@domain, at most {} octets", TokenId::MAX_LEN)
            }
            Self::Rand => f.write_str("the part before '@' must be canonical base64 of 16 octets"),
            Self::Domain(error) => write!(f, "the domain behind '@' is wrong: {error}"),
        }
    }
}

impl core::error::Error for TokenIdError {}

/// A token's id: globally unique (RAND and the domain of its Resource and Authentication Server), and not a secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId {
    rand: [u8; 16],
    domain: Domain,
}

impl TokenId {
    /// The longest text: 24 + `@` + 84.
    pub const MAX_LEN: usize = RAND_TEXT + 1 + Domain::MAX_LEN;

    /// The id of the token bootstrapped with `rand`; `domain` is `<rs>.<as domain>`.
    pub const fn new(rand: [u8; 16], domain: Domain) -> Self {
        Self { rand, domain }
    }

    /// Reads the canonical text; any other spelling is refused.
    ///
    /// # Errors
    /// [`TokenIdError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, TokenIdError> {
        let (rand_text, domain) = text.split_once('@').ok_or(TokenIdError::Shape)?;
        if text.len() > Self::MAX_LEN {
            return Err(TokenIdError::Shape);
        }
        let mut rand = [0; 16];
        match Base64::decode(rand_text, &mut rand) {
            Ok(octets) if octets.len() == 16 && rand_text.len() == RAND_TEXT => {}
            _ => return Err(TokenIdError::Rand),
        }
        Ok(Self { rand, domain: Domain::new(domain).map_err(TokenIdError::Domain)? })
    }

    /// Reads a PSK identity: `3GPP-bootstrapping;<id>`, `3GPP-bootstrapping.<id>` or the bare id.
    ///
    /// # Errors
    /// [`TokenIdError`] as [`TokenId::parse`]; octets that are no text are [`TokenIdError::Shape`].
    pub fn from_psk_identity(identity: &[u8]) -> Result<Self, TokenIdError> {
        let text = core::str::from_utf8(identity).map_err(|_| TokenIdError::Shape)?;
        let id = match text.strip_prefix(PSK_IDENTITY_HINT) {
            Some(rest) => rest.strip_prefix([';', '.']).ok_or(TokenIdError::Shape)?,
            None => text,
        };
        Self::parse(id)
    }

    /// The PSK identity that a client of ours sends: `3GPP-bootstrapping;<id>`, at most 128 octets.
    pub fn psk_identity(&self) -> String {
        alloc::format!("{PSK_IDENTITY_HINT};{self}")
    }

    /// RAND of the bootstrap.
    pub const fn rand(&self) -> &[u8; 16] {
        &self.rand
    }

    /// `<rs>.<as domain>`, BSF_Id at the same time.
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The Resource Server's name in the id, if the id is of this Authentication Server (R21).
    pub fn rs(&self, as_domain: &Domain) -> Option<&str> {
        let rs = self.domain.as_str().strip_suffix(as_domain.as_str())?.strip_suffix('.')?;
        (!rs.is_empty()).then_some(rs)
    }
}

impl FromStr for TokenId {
    type Err = TokenIdError;
    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        Self::parse(text)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; RAND_TEXT];
        let text = Base64::encode(&self.rand, &mut text).map_err(|_| fmt::Error)?;
        write!(f, "{text}@{}", self.domain)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};
    use proptest::prelude::*;

    fn domain(text: &str) -> Domain {
        Domain::new(text).unwrap()
    }

    #[test]
    fn r20_r21_id_names_its_resource_server_and_domain() {
        let id = TokenId::new([0x23; 16], domain("rs1.as.operator.example"));
        assert_eq!(id.to_string(), "IyMjIyMjIyMjIyMjIyMjIw==@rs1.as.operator.example");
        assert_eq!(id.rs(&domain("as.operator.example")), Some("rs1"));
        assert_eq!(id.rs(&domain("s.operator.example")), None);
        assert_eq!(id.rs(&domain("rs1.as.operator.example")), None);
        for identity in [id.psk_identity(), format!("3GPP-bootstrapping.{id}"), id.to_string()] {
            assert_eq!(TokenId::from_psk_identity(identity.as_bytes()), Ok(id.clone()), "{identity}");
        }
    }

    #[test]
    fn r19_ids_of_other_servers_and_other_challenges_never_collide() {
        let ids =
            [("rs1.as.example", 1), ("rs2.as.example", 1), ("rs1.as2.example", 1), ("rs1.as.example", 2)]
                .map(|(of, rand)| TokenId::new([rand; 16], domain(of)));
        for (index, one) in ids.iter().enumerate() {
            for other in &ids[index + 1..] {
                assert_ne!(one, other);
                assert_ne!(one.psk_identity(), other.psk_identity());
            }
        }
    }

    #[test]
    fn r19_other_spellings_are_other_texts_and_refused() {
        for bad in [
            "IyMjIyMjIyMjIyMjIyMjIw@rs.as.example",   // no padding
            "IyMjIyMjIyMjIyMjIyMjIx==@rs.as.example", // spare bits set
            "IyMjIyMjIyMjIyMjIyMj-w==@rs.as.example", // URL alphabet
            "IyMjIyMjIyMjIyMjIyMjIw==@RS.as.example", // upper case
            "IyMjIyMjIyMjIyMjIyMjIw==",               // no domain
            "IyMjIyMjIyMjIyMjIyMjIw==@",
            "IyMjIyMjIyMjIyMjIyMjIw==@a@b",
            "IyMjIyMjIyMjIyMjIyMj@rs.as.example", // 15 octets
            "3GPP-bootstrapping IyMjIyMjIyMjIyMjIyMjIw==@rs.as.example",
        ] {
            assert!(TokenId::from_psk_identity(bad.as_bytes()).is_err(), "{bad}");
        }
        let long = format!("IyMjIyMjIyMjIyMjIyMjIw==@{}", "a.".repeat(42) + "b");
        assert_eq!(TokenId::parse(&long), Err(TokenIdError::Shape));
    }

    #[test]
    fn the_longest_id_fits_a_psk_identity_of_128() {
        let domain = domain(&("a".repeat(42) + "." + &"b".repeat(41)));
        let id = TokenId::new([0; 16], domain);
        assert_eq!(id.to_string().len(), TokenId::MAX_LEN);
        assert!(id.psk_identity().len() <= 128);
    }

    proptest! {
        #[test]
        fn every_id_reads_back(rand: [u8; 16]) {
            let id = TokenId::new(rand, domain("rs.as.example"));
            prop_assert_eq!(TokenId::parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn arbitrary_octets_never_panic(octets: alloc::vec::Vec<u8>) {
            let _ = TokenId::from_psk_identity(&octets);
        }
    }
}
