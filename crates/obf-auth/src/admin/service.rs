//! From the door to the handlers.

use super::{Administrators, handlers};
use crate::{audit::AuditTrail, locator::Locator, sealing::Sealing, tokens::Tokens};
use obf_admin::Api;
use obf_admin_http::{Asked, Caller, Credential, Problem, Reply, Service};
use obf_net::{Clock, Running};
use std::sync::Arc;

/// What the handlers work with. Clones share it.
#[derive(Clone)]
pub(crate) struct Administration {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) sealing: Arc<Sealing>,
    pub(crate) locator: Arc<Locator>,
    pub(crate) audit: AuditTrail,
    /// Exports run in its group.
    pub(crate) running: Running,
    pub(crate) administrators: Arc<Administrators>,
}

impl Service for Administration {
    const API: Api = Api::Auth;

    async fn administrator(&self, credential: Credential) -> Result<Caller, Problem> {
        self.administrators.find(credential).await
    }

    async fn answer(&self, asked: Asked) -> Reply {
        handlers::answer(self, asked).await
    }
}
