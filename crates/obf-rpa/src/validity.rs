//! Local validity: how long this application goes on with a key (SPEC A2, A3; WIRES "A lost notice must not leave
//! access open").

use obf_types::UnixTime;

/// What an application adds to the Authentication Server's conditions. It can only shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalPolicy {
    /// Seconds after its fetch beyond which a key is not used, whatever its expiry; `None`: only its expiry limits its use.
    pub max_age: Option<u32>,
    /// Seconds that known keys go on while no Authentication Server can be reached.
    pub stale_grace: u32,
}

impl LocalPolicy {
    /// 15 minutes.
    pub const DEFAULT_STALE_GRACE: u32 = 15 * 60;

    /// When a key fetched at `fetched` is no longer used: its expiry, or the local maximum age if that is sooner.
    pub fn expiry(&self, key_expiry: UnixTime, fetched: UnixTime) -> UnixTime {
        match self.max_age {
            Some(age) => key_expiry.min(UnixTime(fetched.0.saturating_add(age.into()))),
            None => key_expiry,
        }
    }

    /// When a session ends that holds a key expiring at `expiry`, as things stand on the link to the AS.
    pub fn deadline(&self, expiry: UnixTime, link: LinkState) -> UnixTime {
        match link {
            LinkState::Up => expiry,
            LinkState::Away { since } => {
                expiry.min(UnixTime(since.0.saturating_add(self.stale_grace.into())))
            }
        }
    }

    /// Whether a key expiring at `expiry` opens a session at `now`.
    pub fn admits(&self, expiry: UnixTime, link: LinkState, now: UnixTime) -> bool {
        now < self.deadline(expiry, link)
    }
}

impl Default for LocalPolicy {
    fn default() -> Self {
        Self { max_age: None, stale_grace: Self::DEFAULT_STALE_GRACE }
    }
}

/// The application's link to its Authentication Server, over all addresses of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Connected, and every stored notice was received and acknowledged.
    Up,
    /// Not so, since then.
    Away {
        /// When it was last up (or when the application started).
        since: UnixTime,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a3_a_key_ends_at_the_sooner_of_expiry_and_local_age() {
        let policy = LocalPolicy { max_age: Some(60), ..LocalPolicy::default() };
        assert_eq!(policy.expiry(UnixTime(1_000), UnixTime(100)), UnixTime(160));
        assert_eq!(policy.expiry(UnixTime(120), UnixTime(100)), UnixTime(120));
        assert_eq!(LocalPolicy::default().expiry(UnixTime(1_000), UnixTime(100)), UnixTime(1_000));
    }

    #[test]
    fn a2_without_its_as_a_key_goes_on_for_the_grace_only() {
        let policy = LocalPolicy { max_age: None, stale_grace: 900 };
        let away = LinkState::Away { since: UnixTime(1_000) };
        assert!(policy.admits(UnixTime(9_999), away, UnixTime(1_899)));
        assert!(!policy.admits(UnixTime(9_999), away, UnixTime(1_900)));
        assert!(!policy.admits(UnixTime(1_500), away, UnixTime(1_500)));
        assert!(policy.admits(UnixTime(9_999), LinkState::Up, UnixTime(9_998)));
        assert!(!policy.admits(UnixTime(9_999), LinkState::Up, UnixTime(9_999)));
    }
}
