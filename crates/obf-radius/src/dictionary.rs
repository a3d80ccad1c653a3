//! Attribute names: the standard ones we use, Microsoft's key attributes, and OBF's own space.
//!
//! `docs/dictionary.obf` is the same table for FreeRADIUS and its kin; a test compares the two.

/// A vendor's enterprise number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vendor(pub u32);

impl Vendor {
    /// The number set aside for documentation (RFC 5612): the default until one of our own is registered.
    pub const DOCUMENTATION: Self = Self(32473);

    /// The name of one of our attributes in this vendor's space.
    pub const fn attribute(self, attribute: ObfAttribute) -> Name {
        Name::vendor(self.0, attribute as u8)
    }
}

impl Default for Vendor {
    fn default() -> Self {
        Self::DOCUMENTATION
    }
}

/// Which attribute: a standard number, or a vendor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    vendor: Option<u32>,
    number: u8,
}

impl Name {
    /// The longest value of any attribute, octets.
    pub const MAX_VALUE: usize = 253;

    /// A standard attribute.
    pub const fn standard(number: u8) -> Self {
        Self { vendor: None, number }
    }

    /// A vendor's attribute.
    pub const fn vendor(vendor: u32, number: u8) -> Self {
        Self { vendor: Some(vendor), number }
    }

    /// The number inside its space.
    pub const fn number(self) -> u8 {
        self.number
    }

    /// The vendor, if it is a vendor's.
    pub const fn vendor_number(self) -> Option<u32> {
        self.vendor
    }

    /// Octets in front of the value.
    pub(crate) const fn header(self) -> usize {
        if self.vendor.is_some() { 8 } else { 2 }
    }

    /// The longest value, octets: 253, or 247 for a vendor's.
    pub const fn max_value(self) -> usize {
        255 - self.header()
    }
}

/// User-Name (RFC 2865 5.1).
pub const USER_NAME: Name = Name::standard(1);
/// Reply-Message (RFC 2865 5.18).
pub const REPLY_MESSAGE: Name = Name::standard(18);
/// Session-Timeout, seconds (RFC 2865 5.27).
pub const SESSION_TIMEOUT: Name = Name::standard(27);
/// NAS-Identifier (RFC 2865 5.32).
pub const NAS_IDENTIFIER: Name = Name::standard(32);
/// Proxy-State (RFC 2865 5.33).
pub const PROXY_STATE: Name = Name::standard(33);
/// Event-Timestamp, unix seconds in 32 bits (RFC 2869 5.3).
pub const EVENT_TIMESTAMP: Name = Name::standard(55);
/// Message-Authenticator (RFC 3579 3.2).
pub const MESSAGE_AUTHENTICATOR: Name = Name::standard(80);
/// Error-Cause (RFC 5176 3.5).
pub const ERROR_CAUSE: Name = Name::standard(101);
/// MS-MPPE-Send-Key (RFC 2548 2.4.2).
pub const MS_MPPE_SEND_KEY: Name = Name::vendor(311, 16);
/// MS-MPPE-Recv-Key (RFC 2548 2.4.3).
pub const MS_MPPE_RECV_KEY: Name = Name::vendor(311, 17);

/// Values of Error-Cause (RFC 5176 3.5) that we send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum ErrorCause {
    /// Something required is not there.
    MissingAttribute = 402,
    /// The packet is not one we can act on; also an Event-Timestamp outside its window.
    InvalidRequest = 404,
    /// We do not serve that on this hop (RFC 6614 2.5).
    UnsupportedExtension = 406,
    /// Try again later.
    ResourcesUnavailable = 506,
}

macro_rules! obf_attributes {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $kind:literal;)*) => {
        /// OBF's attributes. Numbers and types are fixed; the vendor number is the deployment's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum ObfAttribute {
            $($(#[$doc])* $variant = $number,)*
        }

        impl ObfAttribute {
            /// Every attribute, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name in `docs/dictionary.obf`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Its type in `docs/dictionary.obf`.
            pub const fn kind(self) -> &'static str {
                match self { $(Self::$variant => $kind),* }
            }
        }
    };
}

obf_attributes! {
    /// What is asked: see [`Operation`].
    Operation = 1, "OBF-Operation", "integer";
    /// An application's FQDN.
    Application = 2, "OBF-Application", "string";
    /// Ua security protocol id, 5 octets (TS 33.220 Annex H).
    UaId = 3, "OBF-Ua-Id", "octets";
    /// When the key ends, unix seconds.
    KeyExpiry = 4, "OBF-Key-Expiry", "integer64";
    /// When the device bootstrapped, unix seconds.
    BootstrapTime = 5, "OBF-Bootstrap-Time", "integer64";
    /// The key schema: `obf_types::KeySchema`.
    Schema = 6, "OBF-Schema", "integer";
    /// RAND of a vector, 16 octets.
    Rand = 7, "OBF-RAND", "octets";
    /// AUTN of a vector, 16 octets.
    Autn = 8, "OBF-AUTN", "octets";
    /// AUTS of a resynchronisation, 14 octets.
    Auts = 9, "OBF-AUTS", "octets";
    /// A device's revocation epoch.
    Epoch = 10, "OBF-Epoch", "integer64";
    /// The asking node's registered number.
    Node = 11, "OBF-Node", "integer";
    /// Reserved for GBA_U.
    UiccType = 12, "OBF-UICC-Type", "integer";
    /// The number in `OBF-nnn`.
    Error = 13, "OBF-Error", "integer";
    /// 1: more rights follow, behind the cursor.
    More = 14, "OBF-More", "integer";
    /// A piece of security settings; the pieces in order are the whole, at most 2 KiB.
    SecuritySettings = 15, "OBF-Security-Settings", "octets";
    /// `<fqdn> <lifetime seconds>`.
    Right = 16, "OBF-Right", "string";
    /// A token's id.
    TokenId = 17, "OBF-Token-Id", "string";
    /// `<kind>:<value>`.
    DeviceIdentity = 18, "OBF-Device-Identity", "string";
    /// A dNSName of an application's certificate.
    CertName = 19, "OBF-Cert-Name", "string";
    /// `tls-psk`, `http-digest`, or 10 hex digits.
    UaClass = 20, "OBF-Ua-Class", "string";
    /// The FQDN of the last right sent.
    RightCursor = 21, "OBF-Right-Cursor", "string";
    /// When the custodian's KYC ends, unix seconds.
    KycExpiry = 22, "OBF-KYC-Expiry", "integer64";
    /// MNC digits of the home network, 2 or 3.
    HomeNetwork = 23, "OBF-Home-Network", "integer";
    /// The weakest digest algorithm allowed: `obf_token::Algorithm`.
    MinimumAlgorithm = 24, "OBF-Minimum-Algorithm", "integer";
    /// 1: the application is told the device's identity.
    DisclosesIdentity = 25, "OBF-Discloses-Identity", "integer";
    /// How long an application may use a key before it fetches again, seconds; behind an OBF-Right.
    LocalValidity = 26, "OBF-Local-Validity", "integer";
    /// How a device authenticates: `obf_token::Mode`.
    Mode = 29, "OBF-Mode", "integer";
    /// Which network technology's credential authenticates it: `obf_token::Technology`.
    Technology = 30, "OBF-Technology", "integer";
    /// The SHA-256 of an administrator's bearer token.
    TokenSha256 = 33, "OBF-Token-SHA-256", "octets";
    /// An administrator's role.
    Role = 34, "OBF-Role", "string";
}

/// Values of OBF-Operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Operation {
    /// RPR: a vector and the rights.
    Vector = 1,
    /// RPR: the same after a resynchronisation.
    Resynchronise = 2,
    /// RPR: rights.
    Rights = 3,
    /// RPR: an application's registration.
    Application = 4,
    /// RPO: a key.
    Key = 5,
    /// RPO: the first of a connection.
    Resume = 6,
    /// RPR: which administrator shows a credential.
    Administrator = 11,
}

impl Operation {
    /// Every operation, by number.
    pub const ALL: [Self; 7] = [
        Self::Vector,
        Self::Resynchronise,
        Self::Rights,
        Self::Application,
        Self::Key,
        Self::Resume,
        Self::Administrator,
    ];

    /// Its name in `docs/dictionary.obf`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vector => "Vector",
            Self::Resynchronise => "Resynchronise",
            Self::Rights => "Rights",
            Self::Application => "Application",
            Self::Key => "Key",
            Self::Resume => "Resume",
            Self::Administrator => "Administrator",
        }
    }

    /// The operation of that number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| *operation as u32 == number)
    }
}
