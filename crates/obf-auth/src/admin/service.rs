//! From the dispatcher to the handlers.

use super::{Administration, handlers, standing};
use obf_admin::Api;
use obf_admin_http::{AdminRequest, Caller, Credential, Problem, Reply, Service, Target};

impl Service for Administration {
    const API: Api = Api::Auth;

    async fn administrator(&self, credential: Credential, target: &Target) -> Result<Caller, Problem> {
        standing::find(&self.locator.table(), &credential, target).await
    }

    async fn answer(&self, asked: AdminRequest) -> Reply {
        handlers::answer(self, asked).await
    }
}
