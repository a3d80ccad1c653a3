//! What a device may do: one right an application.

use crate::{AppId, Lifetime};
use alloc::boxed::Box;

/// The longest security settings, octets (WIRES "RADIUS on RPR and RPO").
pub const MAX_SETTINGS: usize = 2048;

/// One application that a device may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Right {
    /// The application.
    pub app: AppId,
    /// How long a key for it may live from the time that the Resource Server said so: the least of grant, application and
    /// KYC (WIRES "Lifetime"), the Authentication Server's own maximum apart.
    pub lifetime: Lifetime,
    /// Application-specific user security settings, octets as registered, at most [`MAX_SETTINGS`]; empty if there are
    /// none.
    pub settings: Box<[u8]>,
    /// How long the application may use a key before it has to fetch it again, if limited.
    pub local_validity: Option<Lifetime>,
}
