//! A token as it lies in memory: one run of octets, Ks wrapped.
//!
//! `RAND 16 ‖ bootstrapped 4 ‖ expires 4 ‖ domain 2 ‖ origin 4 ‖ kind 1 ‖ identity length 1 ‖ user name length 1 ‖
//! wrapped Ks 48 ‖ age of the rights 1 ‖ identity ‖ user name ‖ epoch ‖ counter`; the last two are LEB128. A user name equal to the identity
//! is not stored twice. Times are seconds since 1970 in 32 bits (until 2106).

use obf_token::{TokenFacts, facts::read_origin};
use obf_types::{Epoch, GlobalIdentity, IdentityKind, UnixTime};

/// Octets of RAND at the head of a record.
const RAND: usize = 16;
/// Octets of the wrapped Ks: ciphertext and tag.
pub(super) const WRAPPED: usize = 48;
const FIXED: usize = RAND + 4 + 4 + 2 + 4 + 1 + 1 + 1 + WRAPPED + 1;
/// The longest user name of a token, octets.
pub const MAX_USER_NAME: usize = 254;
/// In place of a user name's length: it is the identity.
const SAME: u8 = 255;
/// The longest record, octets.
pub(super) const MAX: usize = FIXED + GlobalIdentity::MAX_LEN + MAX_USER_NAME + 20;

/// A record's octets, read in place. Records are only made by [`encode`], so every part is there.
#[derive(Clone, Copy)]
pub(super) struct View<'a>(&'a [u8]);

/// The head of a record, in order.
pub(super) struct Head<'a> {
    pub(super) rand: &'a [u8; RAND],
    pub(super) domain: u16,
    pub(super) identity: &'a GlobalIdentity,
    pub(super) user_name: &'a [u8],
    pub(super) wrapped: &'a [u8; WRAPPED],
    pub(super) facts: &'a TokenFacts,
}

/// The record of a token, or `None` if the user name is longer than [`MAX_USER_NAME`].
pub(super) fn encode(head: &Head<'_>) -> Option<Box<[u8]>> {
    let (identity, facts) = (head.identity.value().as_bytes(), head.facts);
    let same = identity == head.user_name;
    let user_name: &[u8] = if same { &[] } else { head.user_name };
    let identity_length = u8::try_from(identity.len()).ok()?;
    let user_name_length = u8::try_from(user_name.len()).ok().filter(|length| *length != SAME)?;
    let (mut epoch, mut counter) = (Varint::default(), Varint::default());
    let (epoch, counter) = (epoch.encode(facts.epoch.0), counter.encode(facts.counter));
    let length = FIXED + identity.len() + user_name.len() + epoch.len() + counter.len();
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(head.rand);
    out.extend_from_slice(&seconds(facts.bootstrapped_at).to_be_bytes());
    out.extend_from_slice(&seconds(facts.expires).to_be_bytes());
    out.extend_from_slice(&head.domain.to_be_bytes());
    out.extend_from_slice(&facts.origin());
    out.push(head.identity.kind() as u8);
    out.push(identity_length);
    out.push(if same { SAME } else { user_name_length });
    out.extend_from_slice(head.wrapped);
    out.push(u8::try_from(facts.bootstrapped_at.since(facts.rights_at)).unwrap_or(u8::MAX));
    out.extend_from_slice(identity);
    out.extend_from_slice(user_name);
    out.extend_from_slice(epoch);
    out.extend_from_slice(counter);
    Some(out.into())
}

/// Writes another expiry into a record.
pub(super) fn set_expires(record: &mut [u8], expires: UnixTime) {
    if let Some(place) = record.get_mut(RAND + 4..RAND + 8) {
        place.copy_from_slice(&seconds(expires).to_be_bytes());
    }
}

impl<'a> View<'a> {
    pub(super) const fn new(record: &'a [u8]) -> Self {
        Self(record)
    }

    pub(super) fn rand(self) -> &'a [u8; RAND] {
        self.0.first_chunk().unwrap_or(&[0; RAND])
    }

    pub(super) fn bootstrapped_at(self) -> UnixTime {
        UnixTime(u64::from(u32::from_be_bytes(self.chunk(RAND))))
    }

    pub(super) fn expires(self) -> UnixTime {
        UnixTime(u64::from(u32::from_be_bytes(self.chunk(RAND + 4))))
    }

    pub(super) fn domain(self) -> u16 {
        u16::from_be_bytes(self.chunk(RAND + 8))
    }

    pub(super) fn kind(self) -> u8 {
        let [kind] = self.chunk(RAND + 14);
        kind
    }

    pub(super) fn wrapped(self) -> [u8; WRAPPED] {
        self.chunk(RAND + 17)
    }

    pub(super) fn identity(self) -> &'a str {
        let [length] = self.chunk(RAND + 15);
        std::str::from_utf8(self.slice(FIXED, usize::from(length))).unwrap_or_default()
    }

    pub(super) fn user_name(self) -> &'a [u8] {
        let [identity, user_name] = self.chunk(RAND + 15);
        match user_name {
            SAME => self.slice(FIXED, usize::from(identity)),
            length => self.slice(FIXED + usize::from(identity), usize::from(length)),
        }
    }

    /// How it came about; `None` if an octet of its origin is unknown, which [`encode`] never writes.
    pub(super) fn facts(self) -> Option<TokenFacts> {
        let (schema, method, technology) = read_origin(self.chunk(RAND + 10))?;
        let [age] = self.chunk(FIXED - 1);
        let (epoch, counter) = self.epoch_and_counter();
        Some(TokenFacts {
            schema,
            method,
            technology,
            epoch,
            counter,
            bootstrapped_at: self.bootstrapped_at(),
            expires: self.expires(),
            rights_at: UnixTime(self.bootstrapped_at().0.saturating_sub(age.into())),
        })
    }

    /// The device's epoch and bootstrap counter.
    pub(super) fn epoch_and_counter(self) -> (Epoch, u64) {
        let [identity, user_name] = self.chunk(RAND + 15);
        let user_name = if user_name == SAME { 0 } else { usize::from(user_name) };
        let tail = self.0.get(FIXED + usize::from(identity) + user_name..).unwrap_or_default();
        let (epoch, tail) = varint(tail);
        let (counter, _) = varint(tail);
        (Epoch(epoch), counter)
    }

    fn slice(self, from: usize, length: usize) -> &'a [u8] {
        self.0.get(from..from + length).unwrap_or_default()
    }

    fn chunk<const N: usize>(self, from: usize) -> [u8; N] {
        self.0.get(from..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
    }
}

/// Whether a record is of that device.
pub(super) fn is_of(record: &[u8], kind: IdentityKind, value: &str) -> bool {
    let view = View::new(record);
    view.kind() == kind as u8 && view.identity() == value
}

fn seconds(time: UnixTime) -> u32 {
    u32::try_from(time.0).unwrap_or(u32::MAX)
}

/// LEB128 of 64 bits.
#[derive(Default)]
struct Varint([u8; 10]);

impl Varint {
    fn encode(&mut self, mut value: u64) -> &[u8] {
        let mut length = 0;
        for place in &mut self.0 {
            length += 1;
            *place = (value & 0x7F) as u8;
            value >>= 7;
            if value == 0 {
                break;
            }
            *place |= 0x80;
        }
        self.0.get(..length).unwrap_or_default()
    }
}

fn varint(octets: &[u8]) -> (u64, &[u8]) {
    let mut value = 0;
    for (index, octet) in octets.iter().enumerate().take(10) {
        value |= u64::from(octet & 0x7F) << (7 * index);
        if octet & 0x80 == 0 {
            return (value, octets.get(index + 1..).unwrap_or_default());
        }
    }
    (value, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_token::{Algorithm, Method, Technology};
    use obf_types::KeySchema;

    #[test]
    fn token_records_read_back() {
        let impi = "234150999999999@ims.mnc015.mcc234.3gppnetwork.org";
        let identity = GlobalIdentity::new(IdentityKind::Imsi, "234150999999999").unwrap();
        for (user_name, epoch, counter) in
            [(impi, 0, 1), ("234150999999999", 127, 128), ("", u64::MAX, u64::MAX), ("x", 1 << 40, 0)]
        {
            for schema in [KeySchema::GbaMe, KeySchema::Obf1] {
                for technology in Technology::ALL {
                    for method in Algorithm::ALL.map(Method::Aka) {
                        let facts = TokenFacts {
                            schema,
                            method,
                            technology,
                            epoch: Epoch(epoch),
                            counter,
                            bootstrapped_at: UnixTime(1_700_000_000),
                            expires: UnixTime(1_700_028_800),
                            rights_at: UnixTime(1_700_000_000 - 60),
                        };
                        let head = Head {
                            rand: &[7; 16],
                            domain: 513,
                            identity: &identity,
                            user_name: user_name.as_bytes(),
                            wrapped: &[9; WRAPPED],
                            facts: &facts,
                        };
                        let mut record = encode(&head).unwrap();
                        assert!(record.len() <= MAX);
                        let view = View::new(&record);
                        assert_eq!(view.facts(), Some(facts));
                        assert_eq!((view.rand(), view.domain()), (&[7; 16], 513));
                        assert_eq!(view.user_name(), user_name.as_bytes());
                        assert_eq!(view.wrapped(), [9; WRAPPED]);
                        assert!(is_of(&record, IdentityKind::Imsi, identity.value()));
                        assert!(!is_of(&record, IdentityKind::Impi, identity.value()));
                        set_expires(&mut record, UnixTime(5));
                        assert_eq!(View::new(&record).expires(), UnixTime(5));
                    }
                }
            }
        }
    }

    #[test]
    fn a_user_name_that_does_not_fit_is_refused() {
        let identity = GlobalIdentity::new(IdentityKind::Imsi, "234150999999999").unwrap();
        let facts = TokenFacts {
            schema: KeySchema::GbaMe,
            method: Method::Aka(Algorithm::AkaV1Md5),
            technology: Technology::ThreeGpp,
            epoch: Epoch(0),
            counter: 0,
            bootstrapped_at: UnixTime(0),
            expires: UnixTime(0),
            rights_at: UnixTime(0),
        };
        let made = |length: usize| {
            encode(&Head {
                rand: &[0; 16],
                domain: 0,
                identity: &identity,
                user_name: &vec![b'x'; length],
                wrapped: &[0; WRAPPED],
                facts: &facts,
            })
        };
        assert!(made(MAX_USER_NAME).is_some());
        assert!(made(MAX_USER_NAME + 1).is_none());
        assert!(made(MAX_USER_NAME + 2).is_none());
    }
}
