//! The resources: a file each with the JSON that comes in and goes out, and its operations.

pub mod administrators;
pub mod applications;
pub mod audit;
pub mod backup;
pub mod custodians;
pub mod denials;
pub mod devices;
pub mod discovery;
pub mod grants;
pub mod groups;
pub mod kms;
pub mod kyc;
pub mod providers;
pub mod sealing_keys;
pub mod seen;
pub mod tokens;

pub use obf_types::State;

use crate::{Operation, Parameter, Values, pattern};

/// The operations of each resource of a Resource Server.
pub const RESOURCE_SERVER: &[&[Operation]] = &[
    devices::OPERATIONS,
    groups::OPERATIONS,
    applications::OPERATIONS,
    grants::OPERATIONS,
    denials::OPERATIONS,
    custodians::OPERATIONS,
    kyc::OPERATIONS,
    providers::PROVIDERS,
    providers::RESOURCE_SERVERS,
    providers::APPLICATION_PROVIDERS,
    administrators::OPERATIONS,
    kms::OPERATIONS,
    backup::OPERATIONS,
    audit::OPERATIONS,
    discovery::DOCUMENT,
    discovery::OPERATIONS,
];

/// The operations of each resource of an Authentication Server.
pub const AUTHENTICATION_SERVER: &[&[Operation]] =
    &[tokens::OPERATIONS, sealing_keys::OPERATIONS, seen::OPERATIONS, audit::OPERATIONS, discovery::DOCUMENT];

/// What stands before the dot of an operation's id, and what that is.
pub const TAGS: &[(&str, &str)] = &[
    ("devices", "Devices: secure elements with their identities and keys."),
    ("apps", "Applications: who may ask for the keys of a device's connection."),
    ("grants", "Which device, or which group, may use which application; nothing else is permitted."),
    ("denials", "Which device, or which group, may not use which application, whatever it is granted."),
    ("groups", "Groups of devices: a fleet."),
    ("custodians", "Custodians: who answers for devices."),
    ("kyc", "Machine KYC: what was verified of a custodian, by whom and until when."),
    ("providers", "Providers: mobile network operators and IoT service providers."),
    ("resource-servers", "Resource Servers and whose they are."),
    ("application-providers", "Third-party application service providers."),
    ("administrators", "Administrators and their roles."),
    ("tokens", "Tokens that are live at the Authentication Server."),
    ("sealing-keys", "Keys under which the Authentication Server seals challenges."),
    ("seen-apps", "Applications that asked the Authentication Server for keys lately."),
    ("kms", "Key management: which keys encrypt which."),
    ("backup", "Everything that is kept, out and in again."),
    ("audit", "Who did what, when and why."),
    ("discovery", "What this server offers."),
];

/// `{device}`.
pub const DEVICE: Parameter = Parameter {
    name: "device",
    description: "A device by any of its identities, with the kind in front where the value alone is ambiguous.",
    values: Values::Text { pattern: pattern::IDENTITY, most: 260 },
    example: "imsi:001010000000001",
};
/// `{app}`.
pub const APP: Parameter = Parameter {
    name: "app",
    description: "An application's id: its lower-case full domain name.",
    values: Values::Text { pattern: pattern::FQDN, most: 241 },
    example: "track.example",
};
/// `?state=`.
pub const STATE: Parameter = Parameter {
    name: "state",
    description: "Only those in this state.",
    values: Values::OneOf(State::NAMES),
    example: "active",
};
/// `{custodian}` and `?custodian=`.
pub const CUSTODIAN: Parameter = slug("custodian", "A custodian's id.", "acme-logistics");
/// `{group}` and `?group=`.
pub const GROUP: Parameter = slug("group", "A group's id.", "fleet-north");
/// `{provider}` and `?provider=` of applications.
pub const PROVIDER: Parameter = slug("provider", "A provider's id.", "example-mno");

/// A parameter that is an id chosen by an administrator.
pub const fn slug(name: &'static str, description: &'static str, example: &'static str) -> Parameter {
    Parameter { name, description, values: Values::Text { pattern: pattern::SLUG, most: 63 }, example }
}
