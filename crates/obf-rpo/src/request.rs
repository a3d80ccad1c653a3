//! What an application asks an Authentication Server.

use obf_radius::{
    AttributeWriter, Code, Malformed, ObfAttribute, Packet, PutError, Request, Vendor,
    dictionary::{NAS_IDENTIFIER, Operation, USER_NAME},
};
use obf_token::TokenId;
use obf_types::{AppId, NafId, Refusal, UaId};

/// The key of one token for one application and one security protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// The token, as the device named it.
    pub token: TokenId,
    /// The application.
    pub app: AppId,
    /// The security protocol that the key is for.
    pub ua: UaId,
}

impl KeyRequest {
    /// What the key is derived for.
    pub fn naf(&self) -> NafId {
        NafId { app: self.app.clone(), ua: self.ua }
    }
}

/// The first thing on each connection: send me what I have missed. Accepted once every stored notice has been
/// acknowledged; only then may keys that were cached before be used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The application.
    pub app: AppId,
}

/// What an application asks for: an OBF-Operation with its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpoOperation {
    /// OBF-Operation Key.
    Key(KeyRequest),
    /// OBF-Operation Resume.
    Resume(Resume),
}

/// A request as an Authentication Server reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpoRequest {
    /// Status-Server (RFC 5997): answered with [`crate::grant::done`].
    Heartbeat,
    /// An operation, and the instance of the application that asks for it.
    Operation {
        /// NAS-Identifier: 1 to 253 octets of text, distinct for each instance of an application.
        instance: String,
        /// What it asks for.
        operation: RpoOperation,
    },
}

impl RpoOperation {
    /// Writes the request's attributes. A key request's User-Name is the token id again: proxies want one, and its part
    /// behind `@` is a realm that leads to the Authentication Server. `instance` is NAS-Identifier: 1 to 253 octets, distinct for each instance of the
    /// application.
    ///
    /// # Errors
    /// [`PutError::TooLong`] for a longer `instance`.
    pub fn encode(
        &self,
        vendor: Vendor,
        instance: &str,
        to: &mut AttributeWriter<'_>,
    ) -> Result<(), PutError> {
        let name = |attribute| vendor.attribute(attribute);
        to.put(NAS_IDENTIFIER, instance.as_bytes())?;
        match self {
            Self::Key(KeyRequest { token, app, ua }) => {
                to.put_display(USER_NAME, token)?;
                to.put_integer(name(ObfAttribute::Operation), Operation::Key as u32)?;
                to.put_display(name(ObfAttribute::TokenId), token)?;
                to.put(name(ObfAttribute::Application), app.as_str().as_bytes())?;
                to.put(name(ObfAttribute::UaId), &ua.0)
            }
            Self::Resume(Resume { app }) => {
                to.put_integer(name(ObfAttribute::Operation), Operation::Resume as u32)?;
                to.put(name(ObfAttribute::Application), app.as_str().as_bytes())
            }
        }
    }
}

impl RpoRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with: [`Refusal::MalformedRequest`]; [`Refusal::UnknownToken`] for a token id in another
    /// spelling than the canonical one, which no token of ours has; [`Refusal::UnsupportedOperation`] for another packet
    /// code or operation.
    pub fn decode(request: &Request, vendor: Vendor) -> Result<Self, Refusal> {
        match request.code() {
            Code::StatusServer => return Ok(Self::Heartbeat),
            Code::AccessRequest => {}
            _ => return Err(Refusal::UnsupportedOperation),
        }
        let packet = request.packet();
        let malformed = |Malformed(_)| Refusal::MalformedRequest;
        let instance = instance(&packet).map_err(malformed)?;
        let app = || app(&packet, vendor).map_err(malformed);
        let number = packet.integer(vendor.attribute(ObfAttribute::Operation));
        let operation = match Operation::from_number(number.ok_or(Refusal::MalformedRequest)?) {
            Some(Operation::Key) => {
                let (app, ua) = (app()?, ua(&packet, vendor).map_err(malformed)?);
                let token = token_text(&packet, vendor).map_err(malformed)?;
                let token = TokenId::from_psk_identity(token).map_err(|_| Refusal::UnknownToken)?;
                RpoOperation::Key(KeyRequest { token, app, ua })
            }
            Some(Operation::Resume) => RpoOperation::Resume(Resume { app: app()? }),
            _ => return Err(Refusal::UnsupportedOperation),
        };
        Ok(Self::Operation { instance, operation })
    }
}

fn instance(packet: &Packet<'_>) -> Result<String, Malformed> {
    let value = packet.only(NAS_IDENTIFIER)?.and_then(|value| std::str::from_utf8(value).ok());
    value.filter(|text| !text.is_empty()).map(str::to_owned).ok_or(Malformed("NAS-Identifier"))
}

fn app(packet: &Packet<'_>, vendor: Vendor) -> Result<AppId, Malformed> {
    let value = packet.only(vendor.attribute(ObfAttribute::Application))?;
    let app = value.and_then(|value| AppId::new(std::str::from_utf8(value).ok()?).ok());
    app.ok_or(Malformed("OBF-Application"))
}

fn ua(packet: &Packet<'_>, vendor: Vendor) -> Result<UaId, Malformed> {
    let value = packet.only(vendor.attribute(ObfAttribute::UaId))?;
    value.and_then(|value| value.try_into().ok()).map(UaId).ok_or(Malformed("OBF-Ua-Id"))
}

fn token_text<'a>(packet: &Packet<'a>, vendor: Vendor) -> Result<&'a [u8], Malformed> {
    packet.only(vendor.attribute(ObfAttribute::TokenId))?.ok_or(Malformed("OBF-Token-Id"))
}
