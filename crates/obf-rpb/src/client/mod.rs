//! The device's machine: from an identity to a [`SecurityAssociation`], asking the secure element in between.
//!
//! The shell sends [`Bootstrap::first_request`], hands every answer to [`Bootstrap::answer`], lets the secure element
//! answer each [`ClientStep::Authenticate`] and sends what [`Bootstrap::authenticated`] returns, until
//! [`ClientStep::Done`] or an error. At most [`MAX_CHALLENGES`] challenges are answered; then it gives up.

mod association;
mod element;
mod error;
mod ks;

pub use association::SecurityAssociation;
pub use element::AkaAnswer;
pub use error::BootstrapError;
pub use ks::DeviceKs;

use crate::body::BootstrappingInfo;
use crate::http::{ClientRequest, HttpResponse, OFFER_HEADER, THREE_GPP_GBA};
use crate::offer::SchemaOffer;
use alloc::{boxed::Box, format, vec, vec::Vec};
use base64ct::{Base64, Encoding};
use obf_aka::Amf;
use obf_digest::{AkaNonce, AkaPassword, AuthenticationInfo, Challenge, Credentials, Ha1, Qop, aka};
use obf_token::{Algorithm, Method, Mode, Technology};
use obf_types::{Domain, KeySchema, Refusal};

/// The first, one after resynchronisation, one after a challenge that was too old or used.
pub const MAX_CHALLENGES: u8 = 3;

/// What a bootstrap starts from.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// IMPI, or IMSI where the deployment registered so: sent unchanged, and P1 of `gba-me`.
    pub username: Box<str>,
    /// The Authentication Server's domain: its certificate's name and the realm that its challenge must have.
    pub domain: Domain,
    /// The least algorithm accepted. AKAv2 once it has worked with this server (WIRES "No downgrade").
    pub minimum: Algorithm,
    /// The strongest algorithm that the secure element can answer: AKAv2, unless the element keeps CK and IK and computes no
    /// password of RFC 4169.
    pub strongest: Algorithm,
    /// Key schemas offered, the one preferred first; empty like a UE that never heard of OBF.
    pub schemas: Vec<KeySchema>,
    /// Goes before `3gpp-gba` in `User-Agent`, for example `OBF-Client/0.1`.
    pub product: Box<str>,
}

/// What the shell does next.
#[derive(Debug)]
pub enum ClientStep {
    /// Let the secure element run AUTHENTICATE; then [`Bootstrap::authenticated`].
    Authenticate {
        /// RAND.
        rand: [u8; 16],
        /// AUTN.
        autn: [u8; 16],
        /// Whose password an element computes that keeps CK and IK.
        algorithm: Algorithm,
    },
    /// Mutually authenticated.
    Done(Box<SecurityAssociation>),
}

/// One bootstrap.
#[derive(Debug)]
pub struct Bootstrap {
    settings: ClientSettings,
    offer: Option<SchemaOffer>,
    state: State,
    challenges: u8,
    resynchronised: bool,
}

#[derive(Debug)]
enum State {
    Started,
    Challenged(Chosen),
    Answered(Box<Answered>),
    Resynchronising,
    Over,
}

/// The challenge chosen.
#[derive(Debug)]
struct Chosen {
    algorithm: Algorithm,
    challenge: Challenge<'static>,
    nonce: AkaNonce,
}

/// What is needed to check the server's proof.
#[derive(Debug)]
struct Answered {
    algorithm: Algorithm,
    rand: [u8; 16],
    ks: DeviceKs,
    ha1: Ha1,
    credentials: Credentials<'static>,
}

impl Bootstrap {
    /// A bootstrap that has not begun.
    pub fn new(settings: ClientSettings) -> Self {
        let offer = (!settings.schemas.is_empty()).then(|| SchemaOffer::of(&settings.schemas));
        Self { settings, offer, state: State::Started, challenges: 0, resynchronised: false }
    }

    /// The first request (TS 24.109 annex A.3): who, and nothing proven.
    ///
    /// # Errors
    /// [`BootstrapError::BadSettings`] if the user name cannot stand in a header.
    pub fn first_request(&self) -> Result<ClientRequest, BootstrapError> {
        let username = self.settings.username.as_bytes();
        let realm = self.settings.domain.as_str().as_bytes();
        self.request(&Credentials::initial(username, realm, b"/"))
    }

    /// Takes in the server's answer.
    ///
    /// # Errors
    /// [`BootstrapError`] ends the bootstrap.
    pub fn answer(&mut self, response: &HttpResponse<'_>) -> Result<ClientStep, BootstrapError> {
        let state = core::mem::replace(&mut self.state, State::Over);
        match (response.status, state) {
            (401, State::Started | State::Resynchronising) => self.challenge(response, false),
            (401, State::Answered(_)) => self.challenge(response, true),
            (200, State::Answered(answered)) => {
                Ok(ClientStep::Done(Box::new(self.finish(&answered, response)?)))
            }
            (_, State::Challenged(_) | State::Over) => Err(BootstrapError::OutOfOrder),
            (403, _) => Err(BootstrapError::Refused(Refusal::from_reply_message(&response.text()))),
            (429 | 503, _) => Err(BootstrapError::Unavailable { status: response.status }),
            (status, _) => Err(BootstrapError::UnexpectedStatus { status }),
        }
    }

    /// Takes in what the secure element answered; `cnonce` is drawn at random.
    ///
    /// # Errors
    /// [`BootstrapError`] ends the bootstrap: the network is not authentic, or a second resynchronisation would be needed.
    pub fn authenticated(
        &mut self,
        answer: AkaAnswer,
        cnonce: [u8; 16],
    ) -> Result<ClientRequest, BootstrapError> {
        let State::Challenged(chosen) = core::mem::replace(&mut self.state, State::Over) else {
            return Err(BootstrapError::OutOfOrder);
        };
        let username = self.settings.username.clone();
        let cnonce = Base64::encode_string(&cnonce);
        let mut credentials = own(Credentials::answering(
            &chosen.challenge,
            username.as_bytes(),
            b"/",
            Some(Qop::AuthInt),
            cnonce.as_bytes(),
        ));
        match answer {
            AkaAnswer::MacFailure => Err(BootstrapError::NetworkNotAuthentic),
            AkaAnswer::SynchronisationFailure { .. } if self.resynchronised => {
                Err(BootstrapError::ResynchronisationFailed)
            }
            AkaAnswer::SynchronisationFailure { auts } => {
                credentials.auts = Some(aka::encode_auts(&auts).into_bytes().into());
                credentials.sign(username.as_bytes(), AkaPassword::EMPTY.expose(), b"GET", b"");
                self.resynchronised = true;
                self.state = State::Resynchronising;
                self.request(&credentials)
            }
            AkaAnswer::HandedOut { res, ck, ik } => {
                let (password, ks) = element::handed_out(chosen.challenge.algorithm, &res, &ck, &ik)
                    .ok_or(BootstrapError::BadSecureElement)?;
                self.respond(&chosen, credentials, &password, DeviceKs::held(ks))
            }
            AkaAnswer::Kept { password } => {
                let password = element::kept(chosen.challenge.algorithm, &password)
                    .ok_or(BootstrapError::BadSecureElement)?;
                self.respond(&chosen, credentials, &password, DeviceKs::IN_ELEMENT)
            }
        }
    }

    fn respond(
        &mut self,
        chosen: &Chosen,
        mut credentials: Credentials<'static>,
        password: &AkaPassword,
        ks: DeviceKs,
    ) -> Result<ClientRequest, BootstrapError> {
        let exchange = credentials.exchange(self.settings.username.as_bytes());
        let ha1 = exchange.ha1(password.expose());
        let response = exchange.response(&ha1, b"GET", b"").as_bytes().to_vec();
        credentials.response = response.into();
        let request = self.request(&credentials)?;
        let (algorithm, rand) = (chosen.algorithm, chosen.nonce.rand);
        self.state = State::Answered(Box::new(Answered { algorithm, rand, ks, ha1, credentials }));
        Ok(request)
    }

    fn request(&self, credentials: &Credentials<'_>) -> Result<ClientRequest, BootstrapError> {
        let authorization = credentials.to_header().map_err(|_| BootstrapError::BadSettings)?;
        let user_agent = format!("{} {THREE_GPP_GBA}", self.settings.product);
        let mut headers: Vec<(&'static str, Vec<u8>)> = vec![
            ("user-agent", user_agent.into_bytes()),
            ("accept", b"*/*".to_vec()),
            ("authorization", authorization),
        ];
        if let Some(offer) = &self.offer {
            headers.push((OFFER_HEADER, offer.as_str().into()));
        }
        Ok(ClientRequest { method: "GET", target: "/", headers })
    }

    /// `answered`: our response was sent already, so only a stale challenge may be followed by another.
    fn challenge(
        &mut self,
        response: &HttpResponse<'_>,
        answered: bool,
    ) -> Result<ClientStep, BootstrapError> {
        let offers = Challenge::parse_all(response.all("www-authenticate"))?;
        if answered && !offers.iter().any(|offer| offer.stale) {
            return Err(BootstrapError::Rejected);
        }
        self.challenges += 1;
        if self.challenges > MAX_CHALLENGES {
            return Err(BootstrapError::TooManyChallenges);
        }
        let chosen = self.choose(offers)?;
        let AkaNonce { rand, autn, .. } = chosen.nonce;
        let step = ClientStep::Authenticate { rand, autn, algorithm: chosen.algorithm };
        self.state = State::Challenged(chosen);
        Ok(step)
    }

    /// The strongest algorithm wins that the secure element can answer, in whatever order they stand (RFC 4169: AKAv2 where
    /// both are offered).
    fn choose(&self, offers: Vec<Challenge<'_>>) -> Result<Chosen, BootstrapError> {
        let strongest = offers
            .into_iter()
            .filter_map(|offer| Some((algorithm_of(&offer)?, offer)))
            .filter(|(algorithm, offer)| offer.auth_int && *algorithm <= self.settings.strongest)
            .max_by_key(|(algorithm, _)| *algorithm);
        let (algorithm, challenge) = strongest.ok_or(BootstrapError::NothingUsableOffered)?;
        if algorithm < self.settings.minimum {
            return Err(BootstrapError::Downgrade { offered: algorithm, minimum: self.settings.minimum });
        }
        if &*challenge.realm != self.settings.domain.as_str().as_bytes() {
            return Err(BootstrapError::OtherRealm);
        }
        let nonce = AkaNonce::parse(&challenge.nonce).ok_or(BootstrapError::BadNonce)?;
        Amf::of_autn(&nonce.autn).map_err(|_| BootstrapError::SeparationBit)?;
        let challenge = Challenge {
            realm: challenge.realm.into_owned().into(),
            nonce: challenge.nonce.into_owned().into(),
            opaque: challenge.opaque.map(|opaque| opaque.into_owned().into()),
            domain: None,
            ..challenge
        };
        Ok(Chosen { algorithm, challenge, nonce })
    }

    fn finish(
        &self,
        answered: &Answered,
        response: &HttpResponse<'_>,
    ) -> Result<SecurityAssociation, BootstrapError> {
        let info = response.only("authentication-info").ok_or(BootstrapError::ServerNotAuthentic)?;
        let info = AuthenticationInfo::parse(info)?;
        let credentials = &answered.credentials;
        let echoed = info.cnonce.as_ref().is_none_or(|cnonce| Some(cnonce) == credentials.cnonce.as_ref())
            && info.nc.is_none_or(|nc| Some(nc) == credentials.nc)
            && info.qop.is_none_or(|qop| Some(qop) == credentials.qop);
        let exchange = credentials.exchange(self.settings.username.as_bytes());
        let proof = exchange.rspauth(&answered.ha1, response.body);
        if !echoed || !proof.matches(info.rspauth.as_deref().unwrap_or_default()) {
            return Err(BootstrapError::ServerNotAuthentic);
        }
        let body = BootstrappingInfo::parse(response.body)?;
        let (id, domain) = (body.id, &self.settings.domain);
        if *id.rand() != answered.rand || (id.domain() != domain && id.rs(domain).is_none()) {
            return Err(BootstrapError::OtherToken);
        }
        let association = body.association;
        if let Some(association) = &association {
            if association.offer.as_deref() != self.offer.as_ref().map(SchemaOffer::as_str) {
                return Err(BootstrapError::OfferAltered);
            }
            let offered = self.offer.as_ref().is_some_and(|offer| offer.has(association.schema));
            if !offered && association.schema != KeySchema::GbaMe {
                return Err(BootstrapError::SchemaNotOffered);
            }
            if association.mode != Mode::Aka {
                return Err(BootstrapError::OtherMode);
            }
        }
        // A server that is not ours authenticates devices of a 3GPP network.
        let technology = association.as_ref().map(|ours| ours.technology);
        Ok(SecurityAssociation {
            id,
            ks: answered.ks.clone(),
            schema: association.as_ref().map_or(KeySchema::GbaMe, |ours| ours.schema),
            expires: body.expires,
            username: self.settings.username.clone(),
            counter: association.as_ref().map_or(0, |ours| ours.counter),
            identity: association.map(|ours| ours.identity),
            domain: domain.clone(),
            technology: technology.unwrap_or(Technology::ThreeGpp),
            method: Method::Aka(answered.algorithm),
        })
    }
}

fn algorithm_of(challenge: &Challenge<'_>) -> Option<Algorithm> {
    match challenge.algorithm {
        obf_digest::Algorithm::AKA_V1_MD5 => Some(Algorithm::AkaV1Md5),
        obf_digest::Algorithm::AKA_V2_SHA_256 => Some(Algorithm::AkaV2Sha256),
        _ => None,
    }
}

fn own(credentials: Credentials<'_>) -> Credentials<'static> {
    use obf_digest::Username::{Hashed, Plain};
    Credentials {
        username: match credentials.username {
            Plain(name) => Plain(name.into_owned().into()),
            Hashed(digits) => Hashed(digits.into_owned().into()),
        },
        realm: credentials.realm.into_owned().into(),
        nonce: credentials.nonce.into_owned().into(),
        uri: credentials.uri.into_owned().into(),
        response: credentials.response.into_owned().into(),
        algorithm: credentials.algorithm,
        opaque: credentials.opaque.map(|opaque| opaque.into_owned().into()),
        qop: credentials.qop,
        nc: credentials.nc,
        cnonce: credentials.cnonce.map(|cnonce| cnonce.into_owned().into()),
        auts: credentials.auts.map(|auts| auts.into_owned().into()),
    }
}
