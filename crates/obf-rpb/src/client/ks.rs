//! Where a device has Ks.

use obf_token::{AppKey, Derivation, Ks};

/// Ks of a security association, as the device has it: either here, because the secure element handed out CK and IK, or
/// inside the secure element, which then derives the keys of applications itself (GBA_U, TS 33.220 clause 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKs(Option<Ks>);

impl DeviceKs {
    /// The secure element keeps it.
    pub const IN_ELEMENT: Self = Self(None);

    /// The device has it.
    pub const fn held(ks: Ks) -> Self {
        Self(Some(ks))
    }

    /// Whether the secure element keeps it.
    pub const fn is_in_element(&self) -> bool {
        self.0.is_none()
    }

    /// The key of an application; `None` if the secure element has to derive it.
    pub fn key(&self, derivation: &Derivation<'_>) -> Option<AppKey> {
        self.0.as_ref().map(|ks| derivation.key(ks))
    }

    /// Ks itself, where the device has it: for the private file in which an association outlives its process, and for
    /// nothing else.
    pub const fn expose(&self) -> Option<&Ks> {
        self.0.as_ref()
    }
}
