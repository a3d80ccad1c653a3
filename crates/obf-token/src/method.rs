//! How a device authenticated: mode, algorithm and technology (`obf_types`), one octet each. They are on RPR and RPB, in the store and
//! in `obf-1`; an octet that is not listed here is refused, never taken for another.

pub use obf_types::Technology;

/// The mode of a bootstrap (OBF-Mode; first octet of P7 of `obf-1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mode {
    /// HTTP Digest AKA (TS 24.109 clause 4).
    Aka = 1,
    /// GBA_Digest (TS 33.220 Annex M).
    GbaDigest = 2,
    /// Mutual TLS and its exporter.
    Pki = 3,
    /// A LoRaWAN join.
    Join = 4,
}

impl Mode {
    /// Every mode, by number.
    pub const ALL: [Self; 4] = [Self::Aka, Self::GbaDigest, Self::Pki, Self::Join];

    /// The mode of that number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Aka),
            2 => Some(Self::GbaDigest),
            3 => Some(Self::Pki),
            4 => Some(Self::Join),
            _ => None,
        }
    }

    /// Its name in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aka => "aka",
            Self::GbaDigest => "gba-digest",
            Self::Pki => "pki",
            Self::Join => "join",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// The digest algorithm of an AKA bootstrap (second octet of P7 of `obf-1`; `OBF-Minimum-Algorithm`). Ordered by strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Algorithm {
    /// `AKAv1-MD5` (RFC 3310).
    AkaV1Md5 = 1,
    /// `AKAv2-SHA-256` (RFC 4169 with SHA-256).
    AkaV2Sha256 = 2,
}

impl Algorithm {
    /// Every algorithm, by number, so also by strength.
    pub const ALL: [Self; 2] = [Self::AkaV1Md5, Self::AkaV2Sha256];

    /// The algorithm of that number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::AkaV1Md5),
            2 => Some(Self::AkaV2Sha256),
            _ => None,
        }
    }

    /// The name on RPB.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AkaV1Md5 => "AKAv1-MD5",
            Self::AkaV2Sha256 => "AKAv2-SHA-256",
        }
    }

    /// The algorithm of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// How a token came about: the mode, with what is particular to it (P7 of `obf-1`). A mode is added here with the code that
/// serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// HTTP Digest AKA with this algorithm.
    Aka(Algorithm),
}

impl Method {
    /// Its mode.
    pub const fn mode(self) -> Mode {
        match self {
            Self::Aka(_) => Mode::Aka,
        }
    }

    /// The name of its algorithm.
    pub const fn algorithm_name(self) -> &'static str {
        match self {
            Self::Aka(algorithm) => algorithm.name(),
        }
    }

    /// Mode ‖ algorithm.
    pub const fn octets(self) -> [u8; 2] {
        match self {
            Self::Aka(algorithm) => [Mode::Aka as u8, algorithm as u8],
        }
    }

    /// The method of those octets; `None` for a method that is not served here.
    pub const fn from_octets([mode, algorithm]: [u8; 2]) -> Option<Self> {
        match (Mode::from_number(mode), Algorithm::from_number(algorithm)) {
            (Some(Mode::Aka), Some(algorithm)) => Some(Self::Aka(algorithm)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_that_is_not_listed_is_refused() {
        for number in 0..=u8::MAX {
            let technology = Technology::ALL.into_iter().find(|technology| *technology as u8 == number);
            assert_eq!(Technology::from_number(number), technology);
            let mode = Mode::ALL.into_iter().find(|mode| *mode as u8 == number);
            assert_eq!(Mode::from_number(number), mode);
            let algorithm = Algorithm::ALL.into_iter().find(|algorithm| *algorithm as u8 == number);
            assert_eq!(Algorithm::from_number(number), algorithm);
            for other in 0..=u8::MAX {
                match Method::from_octets([number, other]) {
                    Some(method) => assert_eq!(method.octets(), [number, other]),
                    None => assert!(number != 1 || Algorithm::from_number(other).is_none()),
                }
            }
        }
    }

    #[test]
    fn modes_technologies_and_algorithms_read_back_by_name() {
        assert!(Technology::ALL.into_iter().all(|it| Technology::from_name(it.name()) == Some(it)));
        assert!(Mode::ALL.into_iter().all(|it| Mode::from_name(it.name()) == Some(it)));
        assert!(Algorithm::ALL.into_iter().all(|it| Algorithm::from_name(it.name()) == Some(it)));
        assert_eq!((Technology::from_name("gsm"), Mode::from_name("AKA")), (None, None));
    }
}
