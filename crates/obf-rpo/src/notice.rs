//! What the Authentication Server tells unasked, in reverse on the application's own connection: a token is over.
//!
//! It stores a notice until it is acknowledged; a repetition is written anew, with its own Event-Timestamp.

use obf_radius::{
    AttributeWriter, Code, Malformed, NoticeError, ObfAttribute, PutError, Request, Vendor,
    dictionary::EVENT_TIMESTAMP, notice::check_fresh,
};
use obf_token::TokenId;
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};

/// Disconnect-Request: the token no longer serves this application. Never a key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenNotice {
    /// The token.
    pub token: TokenId,
    /// The application: a connection may serve several.
    pub app: AppId,
    /// The device, if the application is registered to be told.
    pub device: Option<GlobalIdentity>,
    /// The device's epoch from now on.
    pub epoch: Epoch,
}

impl TokenNotice {
    /// The packet code it travels under.
    pub const CODE: Code = Code::DisconnectRequest;

    /// Writes the request's attributes, Event-Timestamp `now`: a repetition later is written anew.
    ///
    /// # Errors
    /// [`PutError`] never in practice: the longest notice is far below 4096 octets.
    pub fn encode(
        &self,
        vendor: Vendor,
        now: UnixTime,
        to: &mut AttributeWriter<'_>,
    ) -> Result<(), PutError> {
        to.put_integer(EVENT_TIMESTAMP, u32::try_from(now.0).unwrap_or(u32::MAX))?;
        to.put_display(vendor.attribute(ObfAttribute::TokenId), &self.token)?;
        to.put(vendor.attribute(ObfAttribute::Application), self.app.as_str().as_bytes())?;
        if let Some(device) = &self.device {
            to.put_identity(vendor, device)?;
        }
        to.put_integer64(vendor.attribute(ObfAttribute::Epoch), self.epoch.0)
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`NoticeError`]; answer with [`obf_radius::notice::refuse`] and its [`NoticeError::cause`].
    pub fn decode(request: &Request, vendor: Vendor, now: UnixTime) -> Result<Self, NoticeError> {
        if request.code() != Self::CODE {
            return Err(NoticeError::NotANotice);
        }
        let packet = request.packet();
        check_fresh(&packet, now)?;
        let only = |attribute| packet.only(vendor.attribute(attribute)).map_err(Malformed::from);
        let text = |attribute| {
            let value = only(attribute)?;
            Ok::<_, Malformed>(value.and_then(|value| std::str::from_utf8(value).ok()))
        };
        let token = text(ObfAttribute::TokenId)?.and_then(|text| TokenId::parse(text).ok());
        let app = text(ObfAttribute::Application)?.and_then(|text| AppId::new(text).ok());
        let epoch = only(ObfAttribute::Epoch)?.and_then(|value| value.try_into().ok());
        Ok(Self {
            token: token.ok_or(Malformed("OBF-Token-Id"))?,
            app: app.ok_or(Malformed("OBF-Application"))?,
            device: packet.identity(vendor)?,
            epoch: Epoch(u64::from_be_bytes(epoch.ok_or(Malformed("OBF-Epoch"))?)),
        })
    }
}
