//! OBF-Device-Identity: `<kind>:<value>`.

use crate::{AttributeWriter, Malformed, ObfAttribute, Packet, PutError, Vendor};
use obf_types::{Epoch, GlobalIdentity};

impl AttributeWriter<'_> {
    /// Writes a device's identity; one longer than an attribute becomes a run of them.
    ///
    /// # Errors
    /// [`PutError::Full`]; nothing was written then.
    pub fn put_identity(&mut self, vendor: Vendor, identity: &GlobalIdentity) -> Result<(), PutError> {
        self.put_split(vendor.attribute(ObfAttribute::DeviceIdentity), identity.to_string().as_bytes())
    }
}

impl Packet<'_> {
    /// The device's identity, if one is there.
    ///
    /// # Errors
    /// [`Malformed`] if it is not a valid identity.
    pub fn identity(&self, vendor: Vendor) -> Result<Option<GlobalIdentity>, Malformed> {
        let octets = self.joined(vendor.attribute(ObfAttribute::DeviceIdentity));
        if octets.is_empty() { Ok(None) } else { read(&octets).map(Some) }
    }

    /// Devices with their epochs, in order: an identity, then its OBF-Epoch, and so on. Of a single device the two may
    /// stand in any order.
    ///
    /// # Errors
    /// [`Malformed`] if an identity lacks its epoch or the other way round, or if one of them is not valid.
    pub fn devices(&self, vendor: Vendor) -> Result<Vec<(GlobalIdentity, Epoch)>, Malformed> {
        let (identity, epoch) =
            (vendor.attribute(ObfAttribute::DeviceIdentity), vendor.attribute(ObfAttribute::Epoch));
        if self.all(epoch).take(2).count() < 2 {
            let device = self.identity(vendor)?.ok_or(Malformed("OBF-Device-Identity"))?;
            return Ok(vec![(device, read_epoch(self.first(epoch).unwrap_or_default())?)]);
        }
        let (mut devices, mut octets) = (Vec::new(), Vec::new());
        for field in self.fields() {
            if field.name == identity {
                octets.extend_from_slice(field.value);
            } else if field.name == epoch {
                devices.push((read(&octets)?, read_epoch(field.value)?));
                octets.clear();
            }
        }
        if octets.is_empty() { Ok(devices) } else { Err(Malformed("OBF-Epoch")) }
    }
}

fn read(octets: &[u8]) -> Result<GlobalIdentity, Malformed> {
    let identity = std::str::from_utf8(octets).ok().and_then(|text| text.parse().ok());
    identity.ok_or(Malformed("OBF-Device-Identity"))
}

fn read_epoch(octets: &[u8]) -> Result<Epoch, Malformed> {
    let octets = octets.try_into().map_err(|_| Malformed("OBF-Epoch"))?;
    Ok(Epoch(u64::from_be_bytes(octets)))
}
