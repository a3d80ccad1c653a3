//! Send Auth Info (MAP_SEND_AUTHENTICATION_INFO): request, result, error.

use crate::{
    Cause, Imsi,
    element::{self, Elements, Once},
    error::{DecodeError, Undecodable},
    iei::{self, MAX_TUPLES},
    ipa,
    tuple::AuthTuple,
};

const REQUEST: u8 = 0x08;
const ERROR: u8 = 0x09;
const RESULT: u8 = 0x0a;

/// A GSUP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Asks for vectors.
    SendAuthInfoRequest(SendAuthInfoRequest),
    /// Vectors.
    SendAuthInfoResult(SendAuthInfoResult),
    /// No vectors, and why.
    SendAuthInfoError(SendAuthInfoError),
    /// A message of another type, by its number: nothing of it is read.
    Other(u8),
}

/// Asks for vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAuthInfoRequest {
    /// The subscriber.
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
    /// The subscriber.
    pub imsi: Imsi,
    /// One to five, to be used in this order.
    pub tuples: Vec<AuthTuple>,
}

/// No vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendAuthInfoError {
    /// The subscriber.
    pub imsi: Imsi,
    /// Why.
    pub cause: Cause,
}

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
                    element::write(out, iei::CN_DOMAIN, &[domain as u8]);
                }
                if let Some(Resynchronisation { rand, auts }) = &request.resynchronisation {
                    element::write(out, iei::AUTS, auts);
                    element::write(out, iei::RAND, rand);
                }
                if let Some(vectors) = request.vectors {
                    element::write(out, iei::VECTORS, &[vectors]);
                }
                if let Some(MessageClass(class)) = request.class {
                    element::write(out, iei::MESSAGE_CLASS, &[class]);
                }
            }
            Self::SendAuthInfoResult(result) => {
                begin(out, RESULT, &result.imsi);
                result.tuples.iter().for_each(|tuple| tuple.write(out));
            }
            Self::SendAuthInfoError(SendAuthInfoError { imsi, cause }) => {
                begin(out, ERROR, imsi);
                element::write(out, iei::CAUSE, &[cause.0]);
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

fn begin(out: &mut Vec<u8>, message_type: u8, imsi: &Imsi) {
    out.push(message_type);
    let mut digits = Vec::with_capacity(8);
    imsi.write(&mut digits);
    element::write(out, iei::IMSI, &digits);
}

fn request(elements: &[u8]) -> Result<SendAuthInfoRequest, DecodeError> {
    let mut imsi = Once::new(iei::IMSI);
    let (mut rand, mut auts) = (Once::new(iei::RAND), Once::new(iei::AUTS));
    let (mut domain, mut vectors) = (Once::new(iei::CN_DOMAIN), Once::new(iei::VECTORS));
    let mut class = Once::new(iei::MESSAGE_CLASS);
    for found in Elements::of(elements) {
        let (kind, value) = found?;
        match kind {
            iei::IMSI => imsi.set(Imsi::read(value).map_err(DecodeError::Imsi)?)?,
            iei::RAND => rand.set(element::array(kind, value)?)?,
            iei::AUTS => auts.set(element::array(kind, value)?)?,
            iei::CN_DOMAIN => domain.set(cn_domain(octet(kind, value)?)?)?,
            iei::VECTORS => vectors.set(number_of_vectors(octet(kind, value)?)?)?,
            iei::MESSAGE_CLASS => class.set(MessageClass(octet(kind, value)?))?,
            _ => {}
        }
    }
    let resynchronisation = match (rand.optional(), auts.optional()) {
        (None, None) => None,
        (Some(rand), Some(auts)) => Some(Resynchronisation { rand, auts }),
        (None, Some(_)) => return Err(DecodeError::Missing { element: iei::RAND }),
        (Some(_), None) => return Err(DecodeError::Missing { element: iei::AUTS }),
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
    let mut imsi = Once::new(iei::IMSI);
    let mut tuples = Vec::with_capacity(MAX_TUPLES);
    for found in Elements::of(elements) {
        let (kind, value) = found?;
        match kind {
            iei::IMSI => imsi.set(Imsi::read(value).map_err(DecodeError::Imsi)?)?,
            iei::AUTH_TUPLE if tuples.len() == MAX_TUPLES => return Err(DecodeError::TooManyTuples),
            iei::AUTH_TUPLE => tuples.push(AuthTuple::read(value)?),
            _ => {}
        }
    }
    if tuples.is_empty() {
        return Err(DecodeError::Missing { element: iei::AUTH_TUPLE });
    }
    Ok(SendAuthInfoResult { imsi: imsi.required()?, tuples })
}

fn refusal(elements: &[u8]) -> Result<SendAuthInfoError, DecodeError> {
    let (mut imsi, mut cause) = (Once::new(iei::IMSI), Once::new(iei::CAUSE));
    for found in Elements::of(elements) {
        let (kind, value) = found?;
        match kind {
            iei::IMSI => imsi.set(Imsi::read(value).map_err(DecodeError::Imsi)?)?,
            iei::CAUSE => cause.set(Cause(octet(kind, value)?))?,
            _ => {}
        }
    }
    Ok(SendAuthInfoError { imsi: imsi.required()?, cause: cause.required()? })
}

impl Undecodable {
    /// Whether it answers a Send Auth Info request.
    pub const fn is_answer(&self) -> bool {
        matches!(self.message_type, RESULT | ERROR)
    }
}

/// The IMSI of a message that is otherwise in disorder.
fn imsi_among(elements: &[u8]) -> Option<Imsi> {
    let mut found = Elements::of(elements).map_while(Result::ok);
    let (_, value) = found.find(|(kind, _)| *kind == iei::IMSI)?;
    Imsi::read(value).ok()
}

fn octet(element: u8, value: &[u8]) -> Result<u8, DecodeError> {
    element::array::<1>(element, value).map(|[octet]| octet)
}

const fn cn_domain(value: u8) -> Result<CnDomain, DecodeError> {
    match value {
        1 => Ok(CnDomain::PacketSwitched),
        2 => Ok(CnDomain::CircuitSwitched),
        value => Err(DecodeError::Value { element: iei::CN_DOMAIN, value }),
    }
}

const fn number_of_vectors(value: u8) -> Result<u8, DecodeError> {
    match value {
        1..=5 => Ok(value),
        value => Err(DecodeError::Value { element: iei::VECTORS, value }),
    }
}
