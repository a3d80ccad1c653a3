//! What a device may do with a token.

use obf_types::{AppId, Lifetime, Right};

/// The rights that came with a vector. Immutable; ordered by application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RightsSet {
    rights: Box<[Right]>,
    more: bool,
}

impl RightsSet {
    /// A set of rights; `more` says that the Resource Server has others that did not fit its answer. Of two rights
    /// for one application the first stands.
    pub fn new(mut rights: Vec<Right>, more: bool) -> Self {
        rights.sort_by(|a, b| a.app.cmp(&b.app));
        rights.dedup_by(|b, a| a.app == b.app);
        Self { rights: rights.into(), more }
    }

    /// The right for an application, if it is in this set.
    pub fn find(&self, app: &AppId) -> Option<&Right> {
        let place = self.rights.binary_search_by(|right| right.app.cmp(app)).ok()?;
        self.rights.get(place)
    }

    /// Every right, by application.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Right> {
        self.rights.iter()
    }

    /// Whether the Resource Server has more rights for the device than these.
    pub const fn more(&self) -> bool {
        self.more
    }

    /// One run of octets: *more*, then for each right `length 1 ‖ application ‖ lifetime 4 ‖ local validity 4
    /// (0: not limited) ‖ length 2 ‖ settings`.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.more)];
        for right in &self.rights {
            let app = right.app.as_str().as_bytes();
            // An application id has at most 253 octets; settings are bounded by the wire.
            out.push(app.len() as u8);
            out.extend_from_slice(app);
            out.extend_from_slice(&right.lifetime.seconds().to_be_bytes());
            let validity = right.local_validity.map_or(0, Lifetime::seconds);
            out.extend_from_slice(&validity.to_be_bytes());
            let settings = right.settings.get(..usize::from(u16::MAX)).unwrap_or(&right.settings);
            out.extend_from_slice(&(settings.len() as u16).to_be_bytes());
            out.extend_from_slice(settings);
        }
        out
    }

    /// Reads what [`RightsSet::to_octets`] wrote; `None` if it is something else.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let (more, mut rest) = octets.split_first()?;
        let mut rights = Vec::new();
        while let Some((length, tail)) = rest.split_first() {
            let (app, tail) = tail.split_at_checked(usize::from(*length))?;
            let (lifetime, tail) = tail.split_first_chunk::<4>()?;
            let (validity, tail) = tail.split_first_chunk::<4>()?;
            let (length, tail) = tail.split_first_chunk::<2>()?;
            let (settings, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rights.push(Right {
                app: AppId::new(std::str::from_utf8(app).ok()?).ok()?,
                lifetime: Lifetime::from_seconds(u32::from_be_bytes(*lifetime))?,
                settings: settings.into(),
                local_validity: Lifetime::from_seconds(u32::from_be_bytes(*validity)),
            });
            rest = tail;
        }
        Some(Self::new(rights, *more != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(app: &str, seconds: u32, settings: &[u8]) -> Right {
        Right {
            app: AppId::new(app).unwrap(),
            lifetime: Lifetime::from_seconds(seconds).unwrap(),
            settings: settings.into(),
            local_validity: Lifetime::from_seconds(seconds / 2),
        }
    }

    #[test]
    fn stored_rights_read_back() {
        let set =
            RightsSet::new(vec![right("b.example", 60, &[1, 2]), right("a.example", 86_400, &[])], true);
        assert_eq!(RightsSet::from_octets(&set.to_octets()), Some(set.clone()));
        assert_eq!(RightsSet::from_octets(&[]), None);
        assert_eq!(RightsSet::from_octets(&set.to_octets()[..20]), None);
    }

    #[test]
    fn the_first_of_two_rights_for_one_application_stands() {
        let set = RightsSet::new(vec![right("a.example", 5, &[]), right("a.example", 9, &[])], true);
        assert_eq!((set.iter().len(), set.more()), (1, true));
        assert_eq!(set.find(&AppId::new("a.example").unwrap()).unwrap().lifetime.seconds(), 5);
        assert_eq!(set.find(&AppId::new("b.example").unwrap()), None);
    }
}
