//! Where a registered object stands in its life.

/// Where an object stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(
    feature = "json-schema",
    derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema),
    serde(rename_all = "lowercase")
)]
#[repr(u8)]
pub enum State {
    /// Known, not in use yet.
    Registered = 0,
    /// In use.
    Active = 1,
    /// Out of use until it is resumed.
    Suspended = 2,
    /// Out of use for good.
    Retired = 3,
}

impl State {
    /// Every state, by number.
    pub const ALL: [Self; 4] = [Self::Registered, Self::Active, Self::Suspended, Self::Retired];
    /// Their names.
    pub const NAMES: &'static [&'static str] =
        &[Self::Registered.name(), Self::Active.name(), Self::Suspended.name(), Self::Retired.name()];

    /// Its name in JSON and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Retired => "retired",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state of that number: it is stored so.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u8 == number)
    }

    /// Whether an object may go from here to `to`: forward, to and fro between active and suspended, never out of
    /// retired. Staying is always allowed.
    pub const fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Registered, _)
                | (_, Self::Retired)
                | (Self::Active | Self::Suspended, Self::Active | Self::Suspended)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_read_back_and_nothing_leaves_retired() {
        for (state, name) in State::ALL.into_iter().zip(State::NAMES) {
            assert_eq!(State::from_name(name), Some(state));
            assert_eq!(State::from_number(state as u8), Some(state));
            assert_eq!(State::Retired.may_become(state), state == State::Retired);
        }
        assert_eq!(State::from_number(4), None);
    }
}
