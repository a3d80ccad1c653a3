//! What the Resource Server tells unasked (RFC 5176): a device's tokens are over, its rights or an application changed.
//! Several devices of which the same is said share a packet.
//!
//! The Resource Server stores a notice until it is acknowledged; a repetition is written anew, with its own
//! Event-Timestamp.

use obf_radius::{
    AttributeWriter, Code, Malformed, NoticeError, ObfAttribute, PutError, Request, Vendor,
    dictionary::EVENT_TIMESTAMP, notice::check_fresh,
};
use obf_types::{AppId, Epoch, GlobalIdentity, UnixTime};

/// A notice to an Authentication Server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Disconnect-Request: every token of the device from an epoch below this one is over.
    DeviceEnded {
        /// The device's registered primary identity.
        device: GlobalIdentity,
        /// Its epoch from now on.
        epoch: Epoch,
    },
    /// CoA-Request: the device's rights have changed; ask for them again.
    RightsChanged {
        /// The device's registered primary identity.
        device: GlobalIdentity,
        /// Its epoch.
        epoch: Epoch,
    },
    /// CoA-Request: an application's registration has changed or ended; ask for it again.
    ApplicationChanged {
        /// The application.
        app: AppId,
    },
}

impl Notice {
    /// The packet code it travels under.
    pub const fn code(&self) -> Code {
        match self {
            Self::DeviceEnded { .. } => Code::DisconnectRequest,
            Self::RightsChanged { .. } | Self::ApplicationChanged { .. } => Code::CoaRequest,
        }
    }

    /// Whether it can share a packet with `other`: it says the same of another device.
    pub const fn joins(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::DeviceEnded { .. }, Self::DeviceEnded { .. })
                | (Self::RightsChanged { .. }, Self::RightsChanged { .. })
        )
    }

    /// Writes a request's attributes, Event-Timestamp `now`: a repetition later is written anew. Of several notices each
    /// has to join the first.
    ///
    /// # Errors
    /// [`PutError`] if they are more than a packet holds.
    pub fn encode(
        notices: &[Self],
        vendor: Vendor,
        now: UnixTime,
        to: &mut AttributeWriter<'_>,
    ) -> Result<(), PutError> {
        to.put_integer(EVENT_TIMESTAMP, u32::try_from(now.0).unwrap_or(u32::MAX))?;
        notices.iter().try_for_each(|notice| notice.put(vendor, to))
    }

    fn put(&self, vendor: Vendor, to: &mut AttributeWriter<'_>) -> Result<(), PutError> {
        match self {
            Self::DeviceEnded { device, epoch } | Self::RightsChanged { device, epoch } => {
                to.put_identity(vendor, device)?;
                to.put_integer64(vendor.attribute(ObfAttribute::Epoch), epoch.0)
            }
            Self::ApplicationChanged { app } => {
                to.put(vendor.attribute(ObfAttribute::Application), app.as_str().as_bytes())
            }
        }
    }

    /// Reads a request: one notice at least, and all of one kind.
    ///
    /// # Errors
    /// [`NoticeError`]; answer with [`obf_radius::notice::refuse`] and its [`NoticeError::cause`].
    pub fn decode(request: &Request, vendor: Vendor, now: UnixTime) -> Result<Vec<Self>, NoticeError> {
        if !matches!(request.code(), Code::DisconnectRequest | Code::CoaRequest) {
            return Err(NoticeError::NotANotice);
        }
        let packet = request.packet();
        check_fresh(&packet, now)?;
        let app = packet.only(vendor.attribute(ObfAttribute::Application)).map_err(Malformed::from)?;
        if let (Code::CoaRequest, Some(app)) = (request.code(), app) {
            let app = std::str::from_utf8(app).ok().and_then(|text| AppId::new(text).ok());
            return Ok(vec![Self::ApplicationChanged { app: app.ok_or(Malformed("OBF-Application"))? }]);
        }
        let devices = packet.devices(vendor)?.into_iter();
        Ok(match request.code() {
            Code::DisconnectRequest => {
                devices.map(|(device, epoch)| Self::DeviceEnded { device, epoch }).collect()
            }
            _ => devices.map(|(device, epoch)| Self::RightsChanged { device, epoch }).collect(),
        })
    }
}
