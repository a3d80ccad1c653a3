//! What the Authentication Server remembers of a challenge: sealed in `opaque`, so that any node can finish what another
//! began and first requests cost no memory (DESIGN "No memory between the two RPB requests").

use alloc::{boxed::Box, string::String, vec::Vec};
use base64ct::{Base64, Encoding};
use obf_token::{Algorithm, Mode, SealingKey, Technology};
use obf_types::{Epoch, GlobalIdentity, IdentityKind, Secret, SecretBytes, UnixTime};
use zeroize::Zeroizing;

/// Octets of the sealed content, always: its length must not tell whose it is.
pub const CONTENT_LEN: usize = 256;
/// Octets left for the Resource Server's label, the identity and what the shell wants carried.
pub const VARIABLE_LEN: usize = CONTENT_LEN - FIXED_LEN;
/// Characters of `opaque`.
pub const OPAQUE_LEN: usize = (CONTENT_LEN + obf_token::envelope::OVERHEAD) / 3 * 4;

const VERSION: u8 = 2;
/// XRES padded, CK, IK, with the minimum algorithm and the length of XRES.
const AKA_LEN: usize = 1 + 1 + 16 + 16 + 16;
const FIXED_LEN: usize = 1 + 1 + 8 + 8 + 8 + 1 + 1 + AKA_LEN + 1 + 1 + 1 + 1;
const RESYNCHRONISED: u8 = 1;
const CARRIED_DROPPED: u8 = 2;
/// In place of an identity's length: it is the user name.
const SAME: u8 = 255;

/// The sealing keys of a deployment: one to seal with, all to open with.
#[derive(Clone, Debug)]
pub struct KeyRing {
    current: SealingKey,
    former: Vec<SealingKey>,
}

impl KeyRing {
    /// A ring that seals with `current` and opens with it and with `others` (former keys, until the last challenge
    /// sealed under them is over, and a next one that other nodes may use already).
    pub const fn new(current: SealingKey, others: Vec<SealingKey>) -> Self {
        Self { current, former: others }
    }

    fn find(&self, envelope: &[u8]) -> Option<&SealingKey> {
        let id = SealingKey::id_of(envelope)?;
        core::iter::once(&self.current).chain(&self.former).find(|key| key.id() == id)
    }
}

/// What a challenge was for. Opened only together with exactly these, octet for octet.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeBinding<'a> {
    /// The mode.
    pub mode: Mode,
    /// The realm.
    pub realm: &'a [u8],
    /// The user name as the UE wrote it.
    pub username: &'a str,
    /// The whole nonce, as text.
    pub nonce: &'a [u8],
    /// The algorithms offered.
    pub offered: &'a [Algorithm],
}

impl ChallengeBinding<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.realm.len() + self.username.len() + self.nonce.len());
        out.extend_from_slice(b"obf-rpb\x01");
        out.push(self.mode as u8);
        for part in [self.realm, self.username.as_bytes(), self.nonce] {
            out.extend_from_slice(&(part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend(self.offered.iter().map(|algorithm| *algorithm as u8));
        out
    }
}

/// What a right response to a challenge is made from, by mode: one octet in the seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Aka(ExpectedAka),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExpectedAka {
    pub(crate) minimum: Algorithm,
    /// At most 16 octets.
    pub(crate) xres: SecretBytes,
    pub(crate) ck: Secret<16>,
    pub(crate) ik: Secret<16>,
}

/// What is remembered. RAND and AUTN stand in the nonce, which the seal covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SealedChallenge {
    pub(crate) issued: UnixTime,
    pub(crate) epoch: Epoch,
    pub(crate) not_after: Option<UnixTime>,
    /// The technology that the credential is of.
    pub(crate) technology: Technology,
    /// What a right response is made from.
    pub(crate) expected: Expected,
    /// The Resource Server's label in token ids.
    pub(crate) rs: Box<str>,
    /// The registered identity; none in a decoy challenge.
    pub(crate) identity: Option<GlobalIdentity>,
    /// What the shell wants back at the commit; `None` if it was too long.
    pub(crate) carried: Option<Vec<u8>>,
    /// One resynchronisation was made in this bootstrap.
    pub(crate) resynchronised: bool,
}

impl SealedChallenge {
    /// The `opaque` text, or `None` if RES, label or identity are too long to be sealed.
    pub(crate) fn seal(
        &self,
        ring: &KeyRing,
        nonce: &[u8; 24],
        bound: &ChallengeBinding<'_>,
    ) -> Option<String> {
        let content = self.encode(bound.username)?;
        Some(Base64::encode_string(&ring.current.seal(nonce, &bound.associated_data(), &content)))
    }

    /// Opens an `opaque`; `None` whatever is wrong with it.
    pub(crate) fn open(ring: &KeyRing, opaque: &[u8], bound: &ChallengeBinding<'_>) -> Option<Self> {
        if opaque.len() != OPAQUE_LEN {
            return None;
        }
        let envelope = Base64::decode_vec(core::str::from_utf8(opaque).ok()?).ok()?;
        let content = ring.find(&envelope)?.open(&bound.associated_data(), &envelope).ok()?;
        Self::decode(&content, bound.username)
    }

    fn encode(&self, username: &str) -> Option<Zeroizing<Vec<u8>>> {
        let (kind, value) = self.identity.as_ref().map_or((0, ""), |id| (id.kind() as u8, id.value()));
        let same = value == username && !value.is_empty();
        let value = if same { "" } else { value };
        let room = VARIABLE_LEN.checked_sub(self.rs.len() + value.len())?;
        let carried = self.carried.as_deref().filter(|carried| carried.len() <= room);
        let flags = if self.resynchronised { RESYNCHRONISED } else { 0 }
            | if carried.is_none() { CARRIED_DROPPED } else { 0 };
        let mut out = Zeroizing::new(Vec::with_capacity(CONTENT_LEN));
        out.extend_from_slice(&[VERSION, flags]);
        out.extend_from_slice(&self.issued.0.to_be_bytes());
        out.extend_from_slice(&self.epoch.0.to_be_bytes());
        out.extend_from_slice(&self.not_after.map_or(u64::MAX, |time| time.0).to_be_bytes());
        let Expected::Aka(aka) = &self.expected;
        out.extend_from_slice(&[Mode::Aka as u8, self.technology as u8]);
        aka.encode(&mut out)?;
        out.push(u8::try_from(self.rs.len()).ok()?);
        out.extend_from_slice(self.rs.as_bytes());
        out.extend_from_slice(&[kind, if same { SAME } else { u8::try_from(value.len()).ok()? }]);
        out.extend_from_slice(value.as_bytes());
        let carried = carried.unwrap_or_default();
        out.push(u8::try_from(carried.len()).ok()?);
        out.extend_from_slice(carried);
        out.resize(CONTENT_LEN, 0);
        Some(out)
    }

    fn decode(content: &[u8], username: &str) -> Option<Self> {
        let mut reader = Reader(content);
        let [version, flags] = reader.array()?;
        if version != VERSION {
            return None;
        }
        let issued = UnixTime(u64::from_be_bytes(reader.array()?));
        let epoch = Epoch(u64::from_be_bytes(reader.array()?));
        let not_after = u64::from_be_bytes(reader.array()?);
        let [mode, technology] = reader.array()?;
        let technology = Technology::from_number(technology)?;
        let expected = match Mode::from_number(mode)? {
            Mode::Aka => Expected::Aka(ExpectedAka::decode(&mut reader)?),
            Mode::GbaDigest | Mode::Pki | Mode::Join => return None,
        };
        let rs = core::str::from_utf8(reader.short()?).ok()?.into();
        let [kind] = reader.array()?;
        let [length] = reader.array()?;
        let value = match length {
            SAME => username,
            length => core::str::from_utf8(reader.take(usize::from(length))?).ok()?,
        };
        let identity = match kind {
            0 => None,
            kind => Some(GlobalIdentity::new(IdentityKind::from_number(kind)?, value).ok()?),
        };
        let carried = reader.short()?;
        Some(Self {
            issued,
            epoch,
            not_after: (not_after != u64::MAX).then_some(UnixTime(not_after)),
            technology,
            expected,
            rs,
            identity,
            carried: (flags & CARRIED_DROPPED == 0).then(|| carried.into()),
            resynchronised: flags & RESYNCHRONISED != 0,
        })
    }
}

impl ExpectedAka {
    /// `None` if XRES is longer than 16 octets.
    fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        let xres = self.xres.expose();
        let mut padded = Zeroizing::new([0; 16]);
        padded.get_mut(..xres.len())?.copy_from_slice(xres);
        out.extend_from_slice(&[self.minimum as u8, xres.len() as u8]);
        out.extend_from_slice(&*padded);
        out.extend_from_slice(self.ck.expose());
        out.extend_from_slice(self.ik.expose());
        Some(())
    }

    fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let [minimum, xres_len] = reader.array()?;
        let xres = Zeroizing::new(reader.array::<16>()?);
        Some(Self {
            minimum: Algorithm::from_number(minimum)?,
            xres: SecretBytes::from(xres.get(..usize::from(xres_len))?),
            ck: Secret::new(reader.array()?),
            ik: Secret::new(reader.array()?),
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// One octet of length, then so many.
    fn short(&mut self) -> Option<&'a [u8]> {
        let [length] = self.array()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn ring() -> KeyRing {
        KeyRing::new(
            SealingKey::new(2, &Secret::new([2; 32])),
            vec![SealingKey::new(1, &Secret::new([1; 32]))],
        )
    }

    const BOUND: ChallengeBinding<'_> = ChallengeBinding {
        mode: Mode::Aka,
        realm: b"as.example",
        username: "001010000000001",
        nonce: b"nonce",
        offered: &[Algorithm::AkaV2Sha256, Algorithm::AkaV1Md5],
    };

    fn challenge(identity: Option<&str>, carried: usize) -> SealedChallenge {
        SealedChallenge {
            issued: UnixTime(1_700_000_000),
            epoch: Epoch(7),
            not_after: Some(UnixTime(1_800_000_000)),
            technology: Technology::Standalone,
            expected: Expected::Aka(ExpectedAka {
                minimum: Algorithm::AkaV1Md5,
                xres: SecretBytes::new(vec![9; 8]),
                ck: Secret::new([3; 16]),
                ik: Secret::new([4; 16]),
            }),
            rs: "rs1".into(),
            identity: identity.map(|text| GlobalIdentity::from_user_name(text).unwrap()),
            carried: Some(vec![5; carried]),
            resynchronised: true,
        }
    }

    #[test]
    fn every_challenge_has_the_same_length_and_reads_back() {
        let long = alloc::format!("{}@{}", "a".repeat(60), "b".repeat(100));
        for identity in [None, Some("001010000000001"), Some("001010000000002"), Some(long.as_str())] {
            for carried in [0, 5, 158, 250] {
                let challenge = challenge(identity, carried);
                let opaque = challenge.seal(&ring(), &[8; 24], &BOUND).unwrap();
                assert_eq!(opaque.len(), OPAQUE_LEN);
                let opened = SealedChallenge::open(&ring(), opaque.as_bytes(), &BOUND).unwrap();
                let kept = SealedChallenge { carried: opened.carried.clone(), ..challenge.clone() };
                assert_eq!(opened, kept);
                assert!(opened.carried == challenge.carried || (opened.carried.is_none() && carried > 5));
            }
        }
        let too_long = alloc::format!("{}@{}", "a".repeat(100), "b".repeat(100));
        assert_eq!(challenge(Some(&too_long), 0).seal(&ring(), &[8; 24], &BOUND), None);
        let bound = ChallengeBinding { username: &too_long, ..BOUND };
        assert!(challenge(Some(&too_long), 0).seal(&ring(), &[8; 24], &bound).is_some());
    }

    #[test]
    fn former_keys_open_and_forgotten_ones_do_not() {
        let former = KeyRing::new(SealingKey::new(1, &Secret::new([1; 32])), vec![]);
        let opaque = challenge(None, 0).seal(&former, &[8; 24], &BOUND).unwrap();
        assert!(SealedChallenge::open(&ring(), opaque.as_bytes(), &BOUND).is_some());
        let next = KeyRing::new(SealingKey::new(3, &Secret::new([3; 32])), vec![]);
        assert!(SealedChallenge::open(&next, opaque.as_bytes(), &BOUND).is_none());
    }

    #[test]
    fn it_opens_only_with_what_it_was_sealed_for() {
        let opaque = challenge(None, 0).seal(&ring(), &[8; 24], &BOUND).unwrap();
        for other in [
            ChallengeBinding { mode: Mode::GbaDigest, ..BOUND },
            ChallengeBinding { realm: b"as.examplf", ..BOUND },
            ChallengeBinding { username: "001010000000002", ..BOUND },
            ChallengeBinding { nonce: b"noncf", ..BOUND },
            ChallengeBinding { offered: &[Algorithm::AkaV1Md5], ..BOUND },
            ChallengeBinding { realm: b"as.exampl", username: "e001010000000001", ..BOUND },
        ] {
            assert!(SealedChallenge::open(&ring(), opaque.as_bytes(), &other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn a_mode_or_technology_that_is_unknown_is_not_opened() {
        let content = challenge(None, 0).encode("x").unwrap();
        assert!(SealedChallenge::decode(&content, "x").is_some());
        for (place, unknown) in [(0, 1), (26, 0), (26, 2), (26, 9), (27, 0), (27, 4), (28, 3)] {
            let mut content = content.to_vec();
            content[place] = unknown;
            assert_eq!(SealedChallenge::decode(&content, "x"), None, "octet {place} is {unknown}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_opaques_and_contents_never_panic(octets in prop::collection::vec(any::<u8>(), 0..450)) {
            prop_assert!(SealedChallenge::open(&ring(), &octets, &BOUND).is_none());
            let _ = SealedChallenge::decode(&octets, "x");
        }
    }
}
