//! What an Authentication Server answers.

use obf_radius::{
    AnswerError, Code, Malformed, ObfAttribute, PutError, Reply, Request, Vendor,
    dictionary::{MS_MPPE_RECV_KEY, SESSION_TIMEOUT},
};
use obf_token::AppKey;
use obf_types::{GlobalIdentity, KeySchema, MAX_SETTINGS, UnixTime};

/// A key for one application and one security protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// The key; Ks itself never travels.
    pub key: AppKey,
    /// When it expires.
    pub expires: UnixTime,
    /// When the device bootstrapped.
    pub bootstrapped_at: UnixTime,
    /// The schema that the key was derived with.
    pub schema: KeySchema,
    /// Application-specific user security settings, at most [`MAX_SETTINGS`] octets; empty if there are none.
    pub settings: Box<[u8]>,
    /// The device, if the application is registered to be told.
    pub device: Option<GlobalIdentity>,
}

/// Writes an Access-Accept that says nothing more into `out`, which is emptied: the answer to a heartbeat, and to a
/// [`crate::Resume`] once every stored notice has been acknowledged.
pub fn done(request: &Request, out: &mut Vec<u8>) {
    request.reply(Code::AccessAccept, out).finish();
}

impl KeyGrant {
    /// Writes the Access-Accept into `out`, which is emptied. Session-Timeout is the whole seconds from `now` to the
    /// expiry. `salt` is random; its top bit is set whatever it was.
    ///
    /// # Errors
    /// [`PutError`]: the settings are too long for the packet, or the request's Proxy-State leaves no room.
    pub fn encode(
        &self,
        request: &Request,
        vendor: Vendor,
        now: UnixTime,
        salt: [u8; 2],
        out: &mut Vec<u8>,
    ) -> Result<(), PutError> {
        let name = |attribute| vendor.attribute(attribute);
        let mut reply = request.reply(Code::AccessAccept, out);
        reply.put_secret(MS_MPPE_RECV_KEY, self.key.expose(), salt)?;
        let to = reply.attributes();
        to.put_integer64(name(ObfAttribute::KeyExpiry), self.expires.0)?;
        to.put_integer64(name(ObfAttribute::BootstrapTime), self.bootstrapped_at.0)?;
        to.put_integer(name(ObfAttribute::Schema), self.schema as u32)?;
        to.put_integer(SESSION_TIMEOUT, u32::try_from(self.expires.since(now)).unwrap_or(u32::MAX))?;
        if let Some(device) = &self.device {
            to.put_identity(vendor, device)?;
        }
        to.put_split(name(ObfAttribute::SecuritySettings), &self.settings)?;
        reply.finish();
        Ok(())
    }

    /// Reads the answer to a [`crate::KeyRequest`].
    ///
    /// # Errors
    /// [`AnswerError::Refused`] with the Authentication Server's reason, [`AnswerError::Malformed`] if it is no answer.
    pub fn decode(reply: &Reply, vendor: Vendor) -> Result<Self, AnswerError> {
        reply.accepted(vendor)?;
        let packet = reply.packet();
        let time = |attribute: ObfAttribute| {
            let value = packet.only(vendor.attribute(attribute))?;
            let octets = value.and_then(|value| value.try_into().ok()).map(u64::from_be_bytes);
            octets.map(UnixTime).ok_or(Malformed(attribute.name()))
        };
        packet.only(MS_MPPE_RECV_KEY).map_err(Malformed::from)?;
        let key = reply.secret(MS_MPPE_RECV_KEY).and_then(|key| AppKey::from_slice(key.expose()));
        let schema = packet.integer(vendor.attribute(ObfAttribute::Schema)).and_then(KeySchema::from_number);
        let settings = packet.joined(vendor.attribute(ObfAttribute::SecuritySettings));
        if settings.len() > MAX_SETTINGS {
            return Err(Malformed("OBF-Security-Settings").into());
        }
        Ok(Self {
            key: key.ok_or(Malformed("MS-MPPE-Recv-Key"))?,
            expires: time(ObfAttribute::KeyExpiry)?,
            bootstrapped_at: time(ObfAttribute::BootstrapTime)?,
            schema: schema.ok_or(Malformed("OBF-Schema"))?,
            settings: settings.into(),
            device: packet.identity(vendor)?,
        })
    }
}
