//! What a device type's registration says about its frames. AIS-140 fixes the fields and leaves order, separators
//! and checksum to the maker, so nothing here is guessed from the frame.

use crate::checksum::ChecksumRule;
use alloc::vec::Vec;

/// How the fields stand in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `$,NRM,…`: the header is the field after an empty one.
    BareDollar,
    /// `$NRM,…`: the header is glued to the `$`.
    NamedHeader,
    /// `NRM…`, `BTH…`: no separators (CDAC).
    FixedWidth,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 3] = [Self::BareDollar, Self::NamedHeader, Self::FixedWidth];

    /// The name that registrations and vectors use: `bare-dollar`, `named-header`, `cdac-fixed-width`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BareDollar => "bare-dollar",
            Self::NamedHeader => "named-header",
            Self::FixedWidth => "cdac-fixed-width",
        }
    }

    /// The layout of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }
}

/// A device type's dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// How the fields stand.
    pub layout: Layout,
    /// The checksum rules of this device type; a frame must satisfy one of them. Some makers use one rule for
    /// positions and another for logins. Empty: its frames carry none, or none that can be verified.
    pub checksums: Vec<ChecksumRule>,
}

impl Dialect {
    /// A dialect without checksum.
    pub const fn unchecked(layout: Layout) -> Self {
        Self { layout, checksums: Vec::new() }
    }

    /// A dialect with one checksum rule.
    pub fn checked(layout: Layout, rule: ChecksumRule) -> Self {
        Self { layout, checksums: alloc::vec![rule] }
    }
}
