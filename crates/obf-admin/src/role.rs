//! Roles of administrators, and sets of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an administrator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Role {
    /// Everything.
    Operator = 0,
    /// Custodians and their KYC; reads devices.
    KycOfficer = 1,
    /// Only the applications of its own application provider; reads their grants.
    ApplicationProvider = 2,
    /// Reads everything, the audit too.
    Auditor = 3,
    /// Reads everything but administrators and audit.
    ReadOnly = 4,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] =
        [Self::Operator, Self::KycOfficer, Self::ApplicationProvider, Self::Auditor, Self::ReadOnly];

    /// Its word in JSON, in the configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::KycOfficer => "kyc-officer",
            Self::ApplicationProvider => "application-provider",
            Self::Auditor => "auditor",
            Self::ReadOnly => "read-only",
        }
    }

    /// The role of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A set of roles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Only the operator.
    pub const OPERATOR: Self = Self(1);
    /// All.
    pub const ALL: Self = Self(31);
    /// Those that read what is no secret of administration: all but application providers.
    pub const READERS: Self = Self::of(&[Role::Operator, Role::KycOfficer, Role::Auditor, Role::ReadOnly]);
    /// Those that decide about custodians.
    pub const KYC: Self = Self::of(&[Role::Operator, Role::KycOfficer]);
    /// Those that have applications.
    pub const APPLICATIONS: Self = Self::of(&[Role::Operator, Role::ApplicationProvider]);
    /// Those that may see who did what.
    pub const AUDIT: Self = Self::of(&[Role::Operator, Role::Auditor]);

    /// Of those roles.
    pub const fn of(roles: &[Role]) -> Self {
        let (mut bits, mut rest) = (0, roles);
        while let [role, more @ ..] = rest {
            bits |= 1 << *role as u8;
            rest = more;
        }
        Self(bits)
    }

    /// Whether that role is one of them.
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.contains(*role))
    }
}

impl fmt::Display for Roles {
    /// `operator or auditor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Role::name).collect();
        match names.split_last() {
            Some((last, [])) => f.write_str(last),
            Some((last, others)) => write!(f, "{} or {last}", others.join(", ")),
            None => f.write_str("nobody"),
        }
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_one_name_everywhere() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
        assert_eq!(Roles::APPLICATIONS.to_string(), "operator or application-provider");
        assert_eq!(Roles::OPERATOR.to_string(), "operator");
        assert!(
            Roles::READERS.contains(Role::Auditor) && !Roles::READERS.contains(Role::ApplicationProvider)
        );
    }
}
