//! Send Auth Info (MAP_SEND_AUTHENTICATION_INFO): request, result, error.

use crate::{
    Cause, Imsi, ImsiError,
    element::{self, Elements, Once},
    ipa,
    tuple::AuthTuple,
};
use std::fmt;

const REQUEST: u8 = 0x08;
const ERROR: u8 = 0x09;
const RESULT: u8 = 0x0a;

/// The most tuples in a result (TS 29.002 17.7.1, `maxNumOfAuthenticationVectors`).
pub const MAX_TUPLES: usize = 5;

/// A GSUP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for vectors.
    SendAuthInfoRequest(SendAuthInfoRequest),
    /// Vectors.
    SendAuthInfoResult(SendAuthInfoResult),
    /// None, and why.
    SendAuthInfoError(SendAuthInfoError),
    /// A message of another type, by its number: nothing of it is read.
    Other(u8),
}

/// Asks for vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAuthInfoRequest {
    /// Of whom.
    pub imsi: Imsi,
    /// What a card answered instead of RES: the HLR sets its SQN by it before it makes vectors (TS 33.102 6.3.5).
    pub resynchronisation: Option<Resynchronisation>,
    /// Which part of the network asks; an HLR takes packet-switched where nothing is said.
    pub domain: Option<CnDomain>,
    /// How many, 1 to 5; an HLR makes five where nothing is said, and its SQN goes on by as many.
    pub vectors: Option<u8>,
    /// What the message is about, for what multiplexes GSUP connections.
    pub class: Option<MessageClass>,
}

/// What a card answers to a challenge that is not fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resynchronisation {
    /// RAND of that challenge.
    pub rand: [u8; 16],
    /// (SQN_MS ⊕ AK*) ‖ MAC-S.
    pub auts: [u8; 14],
}

/// Which part of a core network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CnDomain {
    /// Packet-switched.
    PacketSwitched = 1,
    /// Circuit-switched.
    CircuitSwitched = 2,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageClass(pub u8);

impl MessageClass {
    /// Subscriber management, Send Auth Info among it.
    pub const SUBSCRIBER_MANAGEMENT: Self = Self(1);
}

/// Vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAuthInfoResult {
    /// Of whom.
    pub imsi: Imsi,
    /// One to five, to be used in this order.
    pub tuples: Vec<AuthTuple>,
}

/// No vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAuthInfoError {
    /// Of whom.
    pub imsi: Imsi,
    /// Why.
    pub cause: Cause,
}

/// Why a message cannot be read. Elements are named as in the OsmoHLR manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// A frame without an octet of GSUP.
    Empty,
    /// The message ends inside an element.
    Truncated {
        /// Its identifier.
        element: u8,
        /// The length it announces.
        length: u8,
        /// Octets that are there.
        left: usize,
    },
    /// An element of a length that it cannot have, octets.
    Length {
        /// Its identifier.
        element: u8,
        /// What it has.
        length: usize,
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
    /// An element that must be there is not.
    Missing {
        /// Its identifier.
        element: u8,
    },
    /// An element that may stand once stands twice.
    Twice {
        /// Its identifier.
        element: u8,
    },
    /// The IMSI is none.
    Imsi(ImsiError),
    /// More tuples than a result may have.
    TooManyTuples,
    /// A value that the element does not have.
    Value {
        /// Its identifier.
        element: u8,
        /// What stands there.
        value: u8,
    },
}

/// A message that cannot be read, with what could be read of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("GSUP message {message_type:#04x} cannot be read: {error}")]
pub struct Undecodable {
    /// Its type; 0 where there is none.
    pub message_type: u8,
    /// Whom it is about, as far as that could be read.
    pub imsi: Option<Imsi>,
    /// What is wrong.
    pub error: DecodeError,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = element::name;
        match *self {
            Self::Empty => f.write_str("nothing is in it"),
            Self::Truncated { element, length, left } => {
                write!(f, "{} ({element:#04x}) announces {length} octets, {left} are left", name(element))
            }
            Self::Length { element, length, least, most } if least == most => {
                write!(f, "{} has {length} octets instead of {least}", name(element))
            }
            Self::Length { element, length, least, most } => {
                write!(f, "{} has {length} octets instead of {least} to {most}", name(element))
            }
            Self::Missing { element } => write!(f, "{} is missing", name(element)),
            Self::Twice { element } => write!(f, "{} stands there twice", name(element)),
            Self::Imsi(error) => error.fmt(f),
            Self::TooManyTuples => write!(f, "more than {MAX_TUPLES} authentication tuples"),
            Self::Value { element, value } => write!(f, "{} cannot be {value}", name(element)),
        }
    }
}

impl std::error::Error for DecodeError {}

impl SendAuthInfoRequest {
    /// Asks for one vector of a subscriber.
    pub const fn one_vector(imsi: Imsi, resynchronisation: Option<Resynchronisation>) -> Self {
        let domain = Some(CnDomain::PacketSwitched);
        Self { imsi, resynchronisation, domain, vectors: Some(1), class: None }
    }
}

impl Message {
    /// Appends the message in its frame. A result has keys in it, so `out` has too.
    pub fn write(&self, out: &mut Vec<u8>) {
        ipa::write_gsup(out, |out| match self {
            Self::SendAuthInfoRequest(request) => {
                begin(out, REQUEST, &request.imsi);
                if let Some(domain) = request.domain {
                    element::write(out, element::CN_DOMAIN, &[domain as u8]);
                }
                if let Some(Resynchronisation { rand, auts }) = &request.resynchronisation {
                    element::write(out, element::AUTS, auts);
                    element::write(out, element::RAND, rand);
                }
                if let Some(vectors) = request.vectors {
                    element::write(out, element::VECTORS, &[vectors]);
                }
                if let Some(MessageClass(class)) = request.class {
                    element::write(out, element::MESSAGE_CLASS, &[class]);
                }
            }
            Self::SendAuthInfoResult(result) => {
                begin(out, RESULT, &result.imsi);
                result.tuples.iter().for_each(|tuple| tuple.write(out));
            }
            Self::SendAuthInfoError(SendAuthInfoError { imsi, cause }) => {
                begin(out, ERROR, imsi);
                element::write(out, element::CAUSE, &[cause.0]);
            }
            Self::Other(message_type) => out.push(*message_type),
        });
    }

    /// Reads the message of a [`crate::Frame::Gsup`]. Elements of other kinds are passed over.
    ///
    /// # Errors
    /// [`Undecodable`].
    pub fn read(octets: &[u8]) -> Result<Self, Undecodable> {
        let Some((&message_type, elements)) = octets.split_first() else {
            return Err(Undecodable { message_type: 0, imsi: None, error: DecodeError::Empty });
        };
        let read = match message_type {
            REQUEST => request(elements).map(Self::SendAuthInfoRequest),
            RESULT => result(elements).map(Self::SendAuthInfoResult),
            ERROR => refusal(elements).map(Self::SendAuthInfoError),
            other => Ok(Self::Other(other)),
        };
        read.map_err(|error| Undecodable { message_type, imsi: imsi_among(elements), error })
    }
}

impl Undecodable {
    /// Whether it answers a Send Auth Info request.
    pub const fn is_answer(&self) -> bool {
        matches!(self.message_type, RESULT | ERROR)
    }
}

fn begin(out: &mut Vec<u8>, message_type: u8, imsi: &Imsi) {
    out.push(message_type);
    let mut digits = Vec::with_capacity(8);
    imsi.write(&mut digits);
    element::write(out, element::IMSI, &digits);
}

fn request(elements: &[u8]) -> Result<SendAuthInfoRequest, DecodeError> {
    let mut imsi = Once::new(element::IMSI);
    let (mut rand, mut auts) = (Once::new(element::RAND), Once::new(element::AUTS));
    let (mut domain, mut vectors) = (Once::new(element::CN_DOMAIN), Once::new(element::VECTORS));
    let mut class = Once::new(element::MESSAGE_CLASS);
    for found in Elements::of(elements) {
        let (kind, value) = found?;
        match kind {
            element::IMSI => imsi.set(Imsi::read(value).map_err(DecodeError::Imsi)?)?,
            element::RAND => rand.set(element::array(kind, value)?)?,
            element::AUTS => auts.set(element::array(kind, value)?)?,
            element::CN_DOMAIN => domain.set(cn_domain(octet(kind, value)?)?)?,
            element::VECTORS => vectors.set(number_of_vectors(octet(kind, value)?)?)?,
            element::MESSAGE_CLASS => class.set(MessageClass(octet(kind, value)?))?,
            _ => {}
        }
    }
    let resynchronisation = match (rand.optional(), auts.optional()) {
        (None, None) => None,
        (Some(rand), Some(auts)) => Some(Resynchronisation { rand, auts }),
        (None, Some(_)) => return Err(DecodeError::Missing { element: element::RAND }),
        (Some(_), None) => return Err(DecodeError::Missing { element: element::AUTS }),
    };
    Ok(SendAuthInfoRequest {
        imsi: imsi.required()?,
        resynchronisation,
        domain: domain.optional(),
        vectors: vectors.optional(),
        class: class.optional(),
    })
}

fn result(elements: &[u8]) -> Result<SendAuthInfoResult, DecodeError> {
    let mut imsi = Once::new(element::IMSI);
    let mut tuples = Vec::with_capacity(MAX_TUPLES);
    for found in Elements::of(elements) {
        let (kind, value) = found?;
        match kind {
            element::IMSI => imsi.set(Imsi::read(value).map_err(DecodeError::Imsi)?)?,
            element::AUTH_TUPLE if tuples.len() == MAX_TUPLES => return Err(DecodeError::TooManyTuples),
            element::AUTH_TUPLE => tuples.push(AuthTuple::read(value)?),
            _ => {}
        }
    }
    if tuples.is_empty() {
        return Err(DecodeError::Missing { element: element::AUTH_TUPLE });
    }
    Ok(SendAuthInfoResult { imsi: imsi.required()?, tuples })
}

fn refusal(elements: &[u8]) -> Result<SendAuthInfoError, DecodeError> {
    let (mut imsi, mut cause) = (Once::new(element::IMSI), Once::new(element::CAUSE));
    for found in Elements::of(elements) {
        let (kind, value) = found?;
        match kind {
            element::IMSI => imsi.set(Imsi::read(value).map_err(DecodeError::Imsi)?)?,
            element::CAUSE => cause.set(Cause(octet(kind, value)?))?,
            _ => {}
        }
    }
    Ok(SendAuthInfoError { imsi: imsi.required()?, cause: cause.required()? })
}

/// The IMSI of a message that is otherwise in disorder.
fn imsi_among(elements: &[u8]) -> Option<Imsi> {
    let mut found = Elements::of(elements).map_while(Result::ok);
    let (_, value) = found.find(|(kind, _)| *kind == element::IMSI)?;
    Imsi::read(value).ok()
}

fn octet(element: u8, value: &[u8]) -> Result<u8, DecodeError> {
    element::array::<1>(element, value).map(|[octet]| octet)
}

const fn cn_domain(value: u8) -> Result<CnDomain, DecodeError> {
    match value {
        1 => Ok(CnDomain::PacketSwitched),
        2 => Ok(CnDomain::CircuitSwitched),
        value => Err(DecodeError::Value { element: element::CN_DOMAIN, value }),
    }
}

const fn number_of_vectors(value: u8) -> Result<u8, DecodeError> {
    match value {
        1..=5 => Ok(value),
        value => Err(DecodeError::Value { element: element::VECTORS, value }),
    }
}
