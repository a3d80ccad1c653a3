//! Vectors of subscribers who live in an existing HLR, over GSUP.
//!
//! The HLR has the keys and the sequence numbers: it makes each vector, and it verifies AUTS. What comes from it is
//! checked as WIRES demands: UMTS AKA only, and no vector with the separation bit of the AMF (TS 33.102 Annex H), which
//! would open an LTE network.

use super::{SqnAuthority, VectorSource};
use crate::config::HlrConfig;
use obf_aka::{AkaVector, Amf, SecretOutput};
use obf_gsup::{
    AuthTuple, Cause, DecodeError, Failure, Imsi, ImsiError, PeerName, Quintet, Resynchronisation,
    SendAuthInfoRequest, SendAuthInfoResult,
};
use obf_net::{
    Running,
    gsup::{GsupClient, GsupClientSettings, GsupError},
};
use obf_store::resource::{HlrName, Subscriber};
use obf_types::{GlobalIdentity, IdentityKind, Refusal};
use std::time::Duration;

/// How long an HLR may take: an Authentication Server waits longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// An HLR. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hlr {
    client: GsupClient,
}

/// Why the HLR's subscriber gets no vector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HlrError {
    /// The device's credential names an HLR that this node's configuration does not have.
    #[error("the device lives in the HLR {0}, which neither [resource.hlr] nor [[resource.hlrs]] names")]
    NotConfigured(HlrName),
    /// None of the device's identities is an IMSI.
    #[error("the device lives in an HLR and has no IMSI")]
    NoImsi,
    /// The IMSI is not valid.
    #[error(transparent)]
    BadImsi(#[from] ImsiError),
    /// The HLR is away, too slow, or has too much to do.
    #[error(transparent)]
    Failed(GsupError),
    /// The HLR does not know the IMSI or has no key for it.
    #[error("the HLR does not know the subscriber, or has no key: {0}")]
    UnknownThere(Cause),
    /// AUTS does not verify, or the HLR does not know the subscriber (osmo-hlr has one cause for both).
    #[error("the HLR refused the resynchronisation: {0}")]
    ResynchronisationRefused(Cause),
    /// The HLR bars the subscriber.
    #[error("the HLR bars the subscriber: {0}")]
    Barred(Cause),
    /// The HLR failed, or did not understand us.
    #[error("the HLR failed: {0}")]
    Faulty(Cause),
    /// The HLR's answer cannot be read.
    #[error("the HLR's answer cannot be read: {0}")]
    Malformed(DecodeError),
    /// The subscriber has a GSM key only.
    #[error("the HLR has only a GSM key for the subscriber: bootstrapping needs UMTS AKA (TS 33.220 4.3)")]
    GsmOnly,
    /// The separation bit of the AMF is set.
    #[error("the HLR gave an EPS vector: the separation bit of its AMF must be 0 (TS 33.102 Annex H)")]
    SeparationBit,
}

impl Hlr {
    /// Connects in the background, and stays connected while the group of `running` serves.
    pub fn start(config: &HlrConfig, name: PeerName, running: &Running) -> Self {
        Self { client: GsupClient::start(GsupClientSettings::new(config.address, name), running) }
    }

    /// One vector for the device with those identities, after a resynchronisation if that is given (RAND and AUTS).
    ///
    /// # Errors
    /// [`HlrError`].
    pub async fn one_vector(
        &self,
        identities: &[GlobalIdentity],
        resynchronisation: Option<([u8; 16], [u8; 14])>,
    ) -> Result<AkaVector, HlrError> {
        let imsi = identities.iter().find(|identity| identity.kind() == IdentityKind::Imsi);
        let imsi = Imsi::try_from(imsi.ok_or(HlrError::NoImsi)?)?;
        let resynchronises = resynchronisation.is_some();
        let resynchronisation = resynchronisation.map(|(rand, auts)| Resynchronisation { rand, auts });
        let request = SendAuthInfoRequest::one_vector(imsi, resynchronisation);
        let answer = self.client.send_auth_info(request, ANSWER_WITHIN).await;
        usable(answer.map_err(|error| failed(error, resynchronises))?)
    }

    /// Resolves when the HLR can be asked.
    pub async fn connected(&self) {
        self.client.connected().await;
    }
}

impl VectorSource for Hlr {
    async fn vector(
        &self,
        subscriber: &Subscriber,
        resynchronisation: Option<&obf_rpr::Resynchronisation>,
    ) -> Result<AkaVector, Refusal> {
        let resynchronisation = resynchronisation.map(|with| (with.rand, with.auts));
        let vector = self.one_vector(&subscriber.device.identities, resynchronisation).await;
        vector.map_err(|error| refused(subscriber, &error))
    }

    /// The HLR verifies MAC-S when it is asked for the vector.
    async fn authority(
        &self,
        _: &Subscriber,
        _: &obf_rpr::Resynchronisation,
    ) -> Result<SqnAuthority, Refusal> {
        Ok(SqnAuthority::Source)
    }
}

/// What the Authentication Server is told of that error; the log says more.
pub(super) fn refused(subscriber: &Subscriber, error: &HlrError) -> Refusal {
    let name = subscriber.device.primary().map(GlobalIdentity::value).unwrap_or_default();
    if error.needs_attention() {
        tracing::warn!(device = name, %error, "no vector");
    } else {
        tracing::debug!(device = name, %error, "no vector");
    }
    error.refusal()
}

impl HlrError {
    /// What the Authentication Server is told; the log knows more.
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::Failed(GsupError::Overloaded) | Self::Faulty(Cause::CONGESTION) => Refusal::Overloaded,
            Self::NotConfigured(_)
            | Self::Failed(_)
            | Self::Faulty(_)
            | Self::Malformed(_)
            | Self::SeparationBit => Refusal::HlrUnavailable,
            Self::NoImsi | Self::BadImsi(_) | Self::UnknownThere(_) => Refusal::UnknownIdentity,
            Self::ResynchronisationRefused(_) => Refusal::BadResynchronisation,
            Self::Barred(_) => Refusal::DeviceSuspended,
            Self::GsmOnly => Refusal::AlgorithmNotAllowed,
        }
    }

    /// Whether the operator has to do something about this device: the HLR and the registry disagree, or the HLR does
    /// not work as it should. That it is away is said once, not for each device.
    pub const fn needs_attention(&self) -> bool {
        !matches!(
            self,
            Self::ResynchronisationRefused(_) | Self::Barred(_) | Self::Failed(GsupError::Away { .. })
        )
    }
}

fn failed(error: GsupError, resynchronises: bool) -> HlrError {
    match error {
        GsupError::Answered(Failure::Malformed(error)) => HlrError::Malformed(error),
        GsupError::Answered(Failure::Refused(cause)) => match cause {
            // osmo-hlr 1.5.0 says so too where AUTS does not verify.
            Cause::IMSI_UNKNOWN | Cause(20 | 21) if resynchronises => {
                HlrError::ResynchronisationRefused(cause)
            }
            Cause::IMSI_UNKNOWN => HlrError::UnknownThere(cause),
            // Illegal MS and ME, services, PLMN, areas and roaming not allowed.
            Cause(3 | 6..=8 | 11..=15) => HlrError::Barred(cause),
            cause => HlrError::Faulty(cause),
        },
        error => HlrError::Failed(error),
    }
}

/// The first vector, if bootstrapping may use it.
fn usable(SendAuthInfoResult { tuples, .. }: SendAuthInfoResult) -> Result<AkaVector, HlrError> {
    let AuthTuple { rand, quintet, .. } = tuples.into_iter().next().ok_or(HlrError::GsmOnly)?;
    let Quintet { autn, xres, ck, ik } = quintet.ok_or(HlrError::GsmOnly)?;
    Amf::of_autn(&autn).map_err(|_| HlrError::SeparationBit)?;
    // 4 to 16 octets, as decoded.
    let xres = SecretOutput::from_slice(xres.expose()).ok_or(HlrError::GsmOnly)?;
    let key = |octets: &[u8]| SecretOutput::from_slice(octets).ok_or(HlrError::GsmOnly);
    Ok(AkaVector { rand, autn, xres, ck: key(ck.expose())?, ik: key(ik.expose())? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_gsup::Triplet;
    use obf_types::{Secret, SecretBytes};

    fn result(autn: [u8; 16], umts: bool) -> SendAuthInfoResult {
        let quintet = Quintet {
            autn,
            xres: SecretBytes::new(vec![1; 8]),
            ck: Secret::new([2; 16]),
            ik: Secret::new([3; 16]),
        };
        let triplet = Some(Triplet { sres: Secret::new([4; 4]), kc: Secret::new([5; 8]) });
        let tuple = AuthTuple { rand: [6; 16], triplet, quintet: umts.then_some(quintet) };
        SendAuthInfoResult { imsi: Imsi::new("001010000000001").unwrap(), tuples: vec![tuple] }
    }

    #[test]
    fn only_umts_vectors_without_the_separation_bit_are_used() {
        let mut autn = [7; 16];
        let vector = usable(result(autn, true)).unwrap();
        assert_eq!((vector.rand, vector.autn, vector.xres.expose()), ([6; 16], autn, &[1; 8][..]));
        assert_eq!((vector.ck.expose(), vector.ik.expose()), (&[2; 16][..], &[3; 16][..]));
        assert_eq!(usable(result(autn, false)).unwrap_err().refusal(), Refusal::AlgorithmNotAllowed);
        autn[6] = 0x80;
        assert_eq!(usable(result(autn, true)), Err(HlrError::SeparationBit));
    }

    #[test]
    fn each_cause_has_its_refusal() {
        let told = |cause: u8, resynchronises| {
            failed(GsupError::Answered(Failure::Refused(Cause(cause))), resynchronises).refusal()
        };
        for (cause, refusal) in [
            (2, Refusal::UnknownIdentity),
            (3, Refusal::DeviceSuspended),
            (8, Refusal::DeviceSuspended),
            (13, Refusal::DeviceSuspended),
            (17, Refusal::HlrUnavailable),
            (22, Refusal::Overloaded),
            (96, Refusal::HlrUnavailable),
            (0, Refusal::HlrUnavailable),
            (255, Refusal::HlrUnavailable),
        ] {
            assert_eq!(told(cause, false), refusal, "{}", Cause(cause));
        }
        for cause in [2, 20, 21] {
            assert_eq!(told(cause, true), Refusal::BadResynchronisation);
        }
        for (error, refusal) in [
            (GsupError::Overloaded, Refusal::Overloaded),
            (GsupError::NoAnswer, Refusal::HlrUnavailable),
            (GsupError::Ended, Refusal::HlrUnavailable),
            (GsupError::Answered(Failure::Malformed(DecodeError::Empty)), Refusal::HlrUnavailable),
        ] {
            assert_eq!(failed(error, false).refusal(), refusal);
        }
    }
}
