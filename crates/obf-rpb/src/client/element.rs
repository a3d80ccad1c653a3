//! What a secure element answers to AUTHENTICATE.

use obf_digest::AkaPassword;
use obf_token::Ks;
use obf_types::{Secret, SecretBytes};

/// What the secure element answered; where the network is authentic and its challenge fresh, it says where Ks is.
#[derive(Debug)]
pub enum AkaAnswer {
    /// As a USIM answers in its 3G security context: everything comes out.
    HandedOut {
        /// RES, 4 to 16 octets.
        res: SecretBytes,
        /// CK.
        ck: Secret<16>,
        /// IK.
        ik: Secret<16>,
    },
    /// CK and IK stay inside, and so does Ks, as in the GBA security context of a UICC (TS 31.102 7.1.2.2).
    Kept {
        /// The Digest password of the algorithm asked for. AKAv1's is RES (RFC 3310 3.3), 4 to 16 octets. AKAv2's is made of
        /// RES, IK and CK (RFC 4169 3), so only an element that computes it can answer with AKAv2; it is 44 octets of base64.
        password: SecretBytes,
    },
    /// Authentic, but SQN is not fresh: resynchronise.
    SynchronisationFailure {
        /// AUTS.
        auts: [u8; 14],
    },
    /// MAC is wrong: whoever sent this does not know the key.
    MacFailure,
}

/// The longest RES of a USIM (TS 33.102 6.3.7), octets.
const MAX_RES: usize = 16;

/// The Digest password that RES, CK and IK make, and Ks; `None` if RES has an impossible size.
pub(super) fn handed_out(
    algorithm: obf_digest::Algorithm,
    res: &SecretBytes,
    ck: &Secret<16>,
    ik: &Secret<16>,
) -> Option<(AkaPassword, Ks)> {
    let password = AkaPassword::derive(algorithm, res.expose(), ik.expose(), ck.expose())?;
    (res.expose().len() <= MAX_RES).then(|| (password, obf_aka::ks(ck.expose(), ik.expose())))
}

/// The Digest password that an element computed which keeps Ks; `None` if it has an impossible size.
pub(super) fn kept(algorithm: obf_digest::Algorithm, password: &SecretBytes) -> Option<AkaPassword> {
    let res = algorithm.scheme == obf_digest::Scheme::AkaV1;
    let password = password.expose();
    AkaPassword::computed(algorithm, password).filter(|_| !res || password.len() <= MAX_RES)
}
