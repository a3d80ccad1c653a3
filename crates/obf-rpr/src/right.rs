//! A device's rights in an answer: each an OBF-Right with what follows it.

use obf_radius::{AttributeWriter, Malformed, ObfAttribute, Packet, PutError, Vendor};
use obf_types::{AppId, Lifetime, MAX_SETTINGS, Right};

/// Rights in the order of their application's name, and whether more follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Those sent.
    pub list: Vec<Right>,
    /// More follow behind the last of the list: ask with [`crate::RightsSelector::After`].
    pub more: bool,
}

impl Rights {
    /// Writes as many rights as fit, each with its settings or not at all, then OBF-More if some did not or `self.more`
    /// says so.
    pub(crate) fn encode(&self, vendor: Vendor, to: &mut AttributeWriter<'_>) -> Result<(), PutError> {
        let more_flag = vendor.attribute(ObfAttribute::More);
        let mut all = true;
        for right in &self.list {
            let mark = to.mark();
            let written = put_right(right, vendor, to);
            if written.is_err() || to.room() < MORE_LEN {
                to.rewind(mark);
                all = false;
                break;
            }
        }
        if all && !self.more { Ok(()) } else { to.put_integer(more_flag, 1) }
    }

    pub(crate) fn decode(packet: &Packet<'_>, vendor: Vendor) -> Result<Self, Malformed> {
        let right_name = vendor.attribute(ObfAttribute::Right);
        let settings_name = vendor.attribute(ObfAttribute::SecuritySettings);
        let validity_name = vendor.attribute(ObfAttribute::LocalValidity);
        let mut list: Vec<(AppId, Lifetime, Vec<u8>, Option<Lifetime>)> = Vec::new();
        for field in packet.fields() {
            if field.name == right_name {
                let (app, lifetime) = read_right(field.value).ok_or(Malformed("OBF-Right"))?;
                list.push((app, lifetime, Vec::new(), None));
            } else if field.name == settings_name {
                let (_, _, settings, _) = list.last_mut().ok_or(Malformed("OBF-Security-Settings"))?;
                settings.extend_from_slice(field.value);
                if settings.len() > MAX_SETTINGS {
                    return Err(Malformed("OBF-Security-Settings"));
                }
            } else if field.name == validity_name {
                let malformed = Malformed("OBF-Local-Validity");
                let (.., validity) = list.last_mut().ok_or(malformed)?;
                let seconds = field.value.try_into().map(u32::from_be_bytes).ok();
                *validity = Some(seconds.and_then(Lifetime::from_seconds).ok_or(malformed)?);
            }
        }
        let list = list
            .into_iter()
            .map(|(app, lifetime, settings, local_validity)| Right {
                app,
                lifetime,
                settings: settings.into(),
                local_validity,
            })
            .collect();
        Ok(Self { list, more: packet.integer(vendor.attribute(ObfAttribute::More)) == Some(1) })
    }
}

fn put_right(right: &Right, vendor: Vendor, to: &mut AttributeWriter<'_>) -> Result<(), PutError> {
    let text = format_args!("{} {}", right.app, right.lifetime.seconds());
    to.put_display(vendor.attribute(ObfAttribute::Right), &text)?;
    if let Some(validity) = right.local_validity {
        to.put_integer(vendor.attribute(ObfAttribute::LocalValidity), validity.seconds())?;
    }
    to.put_split(vendor.attribute(ObfAttribute::SecuritySettings), &right.settings)
}

/// Octets of OBF-More.
const MORE_LEN: usize = 12;

fn read_right(value: &[u8]) -> Option<(AppId, Lifetime)> {
    let (app, seconds) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    let digits = !seconds.is_empty() && seconds.bytes().all(|octet| octet.is_ascii_digit());
    let lifetime = Lifetime::from_seconds(seconds.parse().ok().filter(|_| digits)?)?;
    Some((AppId::new(app).ok()?, lifetime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_read_strictly() {
        assert!(read_right(b"track.example 28800").is_some());
        for bad in [
            "track.example",
            "track.example 0",
            "track.example 86401",
            "track.example +5",
            "track.example  5",
            "Track.example 5",
            "track.example ",
            "\u{FFFD} 5",
        ] {
            assert_eq!(read_right(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(read_right(&[0xFF, b' ', b'5']), None);
    }
}
