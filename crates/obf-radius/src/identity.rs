//! OBF-Device-Identity: `<kind>:<value>`.

use crate::{AttributeWriter, Malformed, ObfAttribute, Packet, PutError, Vendor};
use obf_types::{GlobalIdentity, IdentityKind};

impl AttributeWriter<'_> {
    /// Writes a device's identity; one longer than an attribute becomes a run of them.
    ///
    /// # Errors
    /// [`PutError::Full`]; nothing was written then.
    pub fn put_identity(&mut self, vendor: Vendor, identity: &GlobalIdentity) -> Result<(), PutError> {
        let text = format!("{}:{}", identity.kind().name(), identity.value());
        self.put_split(vendor.attribute(ObfAttribute::DeviceIdentity), text.as_bytes())
    }
}

impl Packet<'_> {
    /// The device's identity, if one is there.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn identity(&self, vendor: Vendor) -> Result<Option<GlobalIdentity>, Malformed> {
        let octets = self.joined(vendor.attribute(ObfAttribute::DeviceIdentity));
        if octets.is_empty() {
            return Ok(None);
        }
        let identity = || {
            let (kind, value) = core::str::from_utf8(&octets).ok()?.split_once(':')?;
            let kind = IdentityKind::ALL.into_iter().find(|known| known.name() == kind)?;
            GlobalIdentity::new(kind, value).ok()
        };
        identity().map(Some).ok_or(Malformed("OBF-Device-Identity"))
    }
}
