//! What the handlers work with.

use crate::{audit::AuditTrail, locator::Locator, sealing::Sealing, tokens::Tokens};
use obf_net::{Clock, Running};
use std::sync::Arc;

/// The parts of the node that are administered. Clones share them.
#[derive(Clone)]
pub(crate) struct Administration {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) sealing: Arc<Sealing>,
    pub(crate) locator: Arc<Locator>,
    pub(crate) audit: AuditTrail,
    /// Exports run in its group.
    pub(crate) running: Running,
}
