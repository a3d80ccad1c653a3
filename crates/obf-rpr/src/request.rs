//! What an Authentication Server asks a Resource Server.

use crate::administrator::AdministratorRequest;
use obf_radius::{
    AttributeWriter, Code, Malformed, ObfAttribute, Packet, PutError, Request, Vendor,
    dictionary::{NAS_IDENTIFIER, Operation, USER_NAME},
};
use obf_token::Mode;
use obf_types::{AppId, Domain, NodeNumber, Refusal};

/// The Authentication Server node that asks: in every Access-Request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RprClient {
    /// The Authentication Server's domain (NAS-Identifier).
    pub domain: Domain,
    /// Its node's registered number (OBF-Node), which selects the SQN's IND.
    pub node: NodeNumber,
}

/// A vector for an identity, after a resynchronisation if one is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorRequest {
    /// The identity as the UE wrote it, octet for octet (SPEC R9): 1 to 253 octets.
    pub user_name: Vec<u8>,
    /// How the UE wants to authenticate. A request that does not say, as `radclient` sends it, asks for AKA.
    pub mode: Mode,
    /// The UE's AUTS and the RAND that it answers.
    pub resynchronisation: Option<Resynchronisation>,
}

/// A UE's answer to a vector whose SQN it does not accept (TS 33.102 6.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resynchronisation {
    /// RAND of the challenge.
    pub rand: [u8; 16],
    /// (SQN_MS ⊕ AK*) ‖ MAC-S.
    pub auts: [u8; 14],
}

/// Rights of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightsRequest {
    /// An identity of the device, 1 to 253 octets.
    pub user_name: Vec<u8>,
    /// Which of them.
    pub selector: RightsSelector,
}

/// Which of a device's rights an answer is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RightsSelector {
    /// The first that fit.
    First,
    /// Those behind this application.
    After(AppId),
    /// That of one application.
    Only(AppId),
}

/// An application's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationRequest {
    /// The application.
    pub app: AppId,
}

/// What an Authentication Server asks for: an OBF-Operation with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RprOperation {
    /// OBF-Operation Vector or Resynchronise.
    Vector(VectorRequest),
    /// OBF-Operation Rights.
    Rights(RightsRequest),
    /// OBF-Operation Application.
    Application(ApplicationRequest),
    /// OBF-Operation Administrator.
    Administrator(AdministratorRequest),
}

/// A request as a Resource Server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RprRequest {
    /// Status-Server (RFC 5997): answered with an Access-Accept that says nothing ([`crate::answer::alive`]).
    Heartbeat,
    /// An operation, and the node that asks for it.
    Operation(RprClient, RprOperation),
}

impl RprOperation {
    /// Writes the request's attributes.
    ///
    /// # Errors
    /// [`PutError::TooLong`]: the user name is longer than 253 octets, so that no Resource Server knows it.
    pub fn encode(
        &self,
        vendor: Vendor,
        client: &RprClient,
        to: &mut AttributeWriter<'_>,
    ) -> Result<(), PutError> {
        let name = |attribute| vendor.attribute(attribute);
        to.put(NAS_IDENTIFIER, client.domain.as_str().as_bytes())?;
        to.put_integer(name(ObfAttribute::Node), client.node.value().into())?;
        match self {
            Self::Vector(VectorRequest { user_name, mode, resynchronisation }) => {
                let operation =
                    if resynchronisation.is_some() { Operation::Resynchronise } else { Operation::Vector };
                to.put(USER_NAME, user_name)?;
                to.put_integer(name(ObfAttribute::Operation), operation as u32)?;
                to.put_integer(name(ObfAttribute::Mode), u32::from(*mode as u8))?;
                let Some(Resynchronisation { rand, auts }) = resynchronisation else { return Ok(()) };
                to.put(name(ObfAttribute::Rand), rand)?;
                to.put(name(ObfAttribute::Auts), auts)
            }
            Self::Rights(RightsRequest { user_name, selector }) => {
                to.put(USER_NAME, user_name)?;
                to.put_integer(name(ObfAttribute::Operation), Operation::Rights as u32)?;
                match selector {
                    RightsSelector::First => Ok(()),
                    RightsSelector::After(app) => {
                        to.put(name(ObfAttribute::RightCursor), app.as_str().as_bytes())
                    }
                    RightsSelector::Only(app) => {
                        to.put(name(ObfAttribute::Application), app.as_str().as_bytes())
                    }
                }
            }
            Self::Application(ApplicationRequest { app }) => {
                to.put_integer(name(ObfAttribute::Operation), Operation::Application as u32)?;
                to.put(name(ObfAttribute::Application), app.as_str().as_bytes())
            }
            Self::Administrator(request) => request.encode(vendor, to),
        }
    }
}

impl RprRequest {
    /// Reads a request and who sent it.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with: [`Refusal::MalformedRequest`], or [`Refusal::UnsupportedOperation`] for
    /// another packet code or operation.
    pub fn decode(request: &Request, vendor: Vendor) -> Result<Self, Refusal> {
        match request.code() {
            Code::StatusServer => Ok(Self::Heartbeat),
            Code::AccessRequest => {
                let packet = request.packet();
                let number = packet.integer(vendor.attribute(ObfAttribute::Operation));
                let reader = Reader { packet, vendor };
                let read = || Ok((reader.client()?, reader.operation(number)?));
                let (client, operation) = read().map_err(|Malformed(_)| Refusal::MalformedRequest)?;
                Ok(Self::Operation(client, operation.ok_or(Refusal::UnsupportedOperation)?))
            }
            _ => Err(Refusal::UnsupportedOperation),
        }
    }
}

struct Reader<'a> {
    packet: Packet<'a>,
    vendor: Vendor,
}

impl Reader<'_> {
    fn client(&self) -> Result<RprClient, Malformed> {
        let domain = self.packet.only(NAS_IDENTIFIER)?.and_then(text).and_then(|text| Domain::new(text).ok());
        let node = self.packet.integer(self.vendor.attribute(ObfAttribute::Node));
        let node = node.and_then(|number| NodeNumber::new(number.try_into().ok()?));
        Ok(RprClient {
            domain: domain.ok_or(Malformed("NAS-Identifier"))?,
            node: node.ok_or(Malformed("OBF-Node"))?,
        })
    }

    /// `None`: an operation that is none of RPR's.
    fn operation(&self, number: Option<u32>) -> Result<Option<RprOperation>, Malformed> {
        Ok(Some(match Operation::from_number(number.ok_or(Malformed("OBF-Operation"))?) {
            Some(Operation::Vector) => RprOperation::Vector(VectorRequest {
                user_name: self.user_name()?,
                mode: self.mode()?,
                resynchronisation: None,
            }),
            Some(Operation::Resynchronise) => {
                let rand = self.octets(ObfAttribute::Rand)?.ok_or(Malformed("OBF-RAND"))?;
                let auts = self.octets(ObfAttribute::Auts)?.ok_or(Malformed("OBF-AUTS"))?;
                let resynchronisation = Some(Resynchronisation { rand, auts });
                RprOperation::Vector(VectorRequest {
                    user_name: self.user_name()?,
                    mode: self.mode()?,
                    resynchronisation,
                })
            }
            Some(Operation::Rights) => {
                let selector =
                    match (self.app(ObfAttribute::RightCursor)?, self.app(ObfAttribute::Application)?) {
                        (None, None) => RightsSelector::First,
                        (Some(cursor), None) => RightsSelector::After(cursor),
                        (None, Some(app)) => RightsSelector::Only(app),
                        (Some(_), Some(_)) => return Err(Malformed("OBF-Right-Cursor")),
                    };
                RprOperation::Rights(RightsRequest { user_name: self.user_name()?, selector })
            }
            Some(Operation::Application) => {
                let app = self.app(ObfAttribute::Application)?.ok_or(Malformed("OBF-Application"))?;
                RprOperation::Application(ApplicationRequest { app })
            }
            Some(Operation::Administrator) => {
                RprOperation::Administrator(AdministratorRequest::decode(self.packet, self.vendor)?)
            }
            _ => return Ok(None),
        }))
    }

    fn user_name(&self) -> Result<Vec<u8>, Malformed> {
        let value = self.packet.only(USER_NAME)?.filter(|value| !value.is_empty());
        Ok(value.ok_or(Malformed("User-Name"))?.to_vec())
    }

    fn mode(&self) -> Result<Mode, Malformed> {
        Ok(octet(&self.packet, self.vendor, ObfAttribute::Mode, Mode::from_number)?.unwrap_or(Mode::Aka))
    }

    fn app(&self, attribute: ObfAttribute) -> Result<Option<AppId>, Malformed> {
        let Some(value) = self.packet.only(self.vendor.attribute(attribute))? else { return Ok(None) };
        let app = text(value).and_then(|text| AppId::new(text).ok());
        app.map(Some).ok_or(Malformed(attribute.name()))
    }

    fn octets<const N: usize>(&self, attribute: ObfAttribute) -> Result<Option<[u8; N]>, Malformed> {
        let Some(value) = self.packet.only(self.vendor.attribute(attribute))? else { return Ok(None) };
        value.try_into().map(Some).map_err(|_| Malformed(attribute.name()))
    }
}

/// An attribute with a number of one octet; `None` if it is not there.
///
/// # Errors
/// [`Malformed`] if it is there twice, or its number is unknown here.
pub(crate) fn octet<T>(
    packet: &Packet<'_>,
    vendor: Vendor,
    attribute: ObfAttribute,
    read: impl FnOnce(u8) -> Option<T>,
) -> Result<Option<T>, Malformed> {
    let Some(value) = packet.only(vendor.attribute(attribute))? else { return Ok(None) };
    let number = value.try_into().map(u32::from_be_bytes).ok().and_then(|number| u8::try_from(number).ok());
    number.and_then(read).map(Some).ok_or(Malformed(attribute.name()))
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}
