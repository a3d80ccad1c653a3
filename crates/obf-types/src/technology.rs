//! Network technologies, one octet each.

/// The network technology whose credential authenticated the device (OBF-Technology; P4 of `obf-1`). An octet that is not listed
/// here is refused, never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Technology {
    /// 3GPP AKA (UMTS and later).
    ThreeGpp = 1,
    /// LoRaWAN.
    LoRaWan = 2,
    /// None: a key or certificate of the IoT service provider's own (SPEC R10).
    Standalone = 3,
}

impl Technology {
    /// Every technology, by number.
    pub const ALL: [Self; 3] = [Self::ThreeGpp, Self::LoRaWan, Self::Standalone];

    /// The technology of that number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::ThreeGpp),
            2 => Some(Self::LoRaWan),
            3 => Some(Self::Standalone),
            _ => None,
        }
    }

    /// Its name in JSON, in key files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ThreeGpp => "3gpp",
            Self::LoRaWan => "lorawan",
            Self::Standalone => "standalone",
        }
    }

    /// The technology of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|technology| technology.name() == name)
    }
}
