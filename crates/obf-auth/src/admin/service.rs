//! From the door to the handlers.

use super::{Administration, handlers, standing};
use obf_admin::Api;
use obf_admin_http::{Asked, Caller, Credential, Problem, Reply, Service, Target};

impl Service for Administration {
    const API: Api = Api::Auth;

    async fn administrator(&self, credential: Credential, target: &Target) -> Result<Caller, Problem> {
        standing::find(&self.locator.table(), &credential, target).await
    }

    async fn answer(&self, asked: Asked) -> Reply {
        handlers::answer(self, asked).await
    }
}
