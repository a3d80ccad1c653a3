//! What is known of a token besides its id, its key and whose it is.

use crate::{Method, Technology};
use obf_types::{Epoch, KeySchema, UnixTime};

/// How a token came about and how long it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// The schema its keys are derived with.
    pub schema: KeySchema,
    /// How the device authenticated.
    pub method: Method,
    /// The network technology whose credential authenticated the device.
    pub technology: Technology,
    /// The device's revocation epoch under which it was bootstrapped.
    pub epoch: Epoch,
    /// The device's bootstrap counter (P6 of `obf-1`).
    pub counter: u64,
    /// When it was bootstrapped.
    pub bootstrapped_at: UnixTime,
    /// When it expires.
    pub expires: UnixTime,
    /// When the Resource Server said the rights: their lifetimes run from here. At most 255 seconds before the bootstrap.
    pub rights_at: UnixTime,
}

impl TokenFacts {
    /// Schema ‖ mode ‖ algorithm ‖ technology: how the token came about, as it is stored.
    pub const fn origin(&self) -> [u8; 4] {
        let [mode, algorithm] = self.method.octets();
        [self.schema as u8, mode, algorithm, self.technology as u8]
    }
}

/// Reads what [`TokenFacts::origin`] wrote; `None` if one of the octets is unknown here.
pub fn read_origin(
    [schema, mode, algorithm, technology]: [u8; 4],
) -> Option<(KeySchema, Method, Technology)> {
    Some((
        KeySchema::from_number(schema.into())?,
        Method::from_octets([mode, algorithm])?,
        Technology::from_number(technology)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    #[test]
    fn an_origin_reads_back_and_an_unknown_octet_is_refused() {
        for schema in [KeySchema::GbaMe, KeySchema::Obf1] {
            for method in Algorithm::ALL.map(Method::Aka) {
                for technology in Technology::ALL {
                    let facts = TokenFacts {
                        schema,
                        method,
                        technology,
                        epoch: Epoch(0),
                        counter: 0,
                        bootstrapped_at: UnixTime(0),
                        expires: UnixTime(0),
                        rights_at: UnixTime(0),
                    };
                    assert_eq!(read_origin(facts.origin()), Some((schema, method, technology)));
                }
            }
        }
        let good = [2, 1, 1, 1];
        assert!(read_origin(good).is_some());
        for place in 0..4 {
            for unknown in [0, 9, u8::MAX] {
                let mut octets = good;
                octets[place] = unknown;
                assert_eq!(read_origin(octets), None, "{octets:?}");
            }
        }
    }
}
