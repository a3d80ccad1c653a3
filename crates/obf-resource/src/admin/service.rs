//! From the dispatcher to the handlers: who is an administrator, and a request that is done once however often it comes.

use super::{Administration, handlers};
use crate::registry::administrators::Shown;
use hyper::{
    Response, StatusCode,
    header::{ETAG, HeaderValue},
};
use obf_admin::{Api, Role};
use obf_admin_http::{AdminRequest, Answer, Caller, Credential, Problem, Reply, Service, Target, body};
use obf_store::{
    StoreError,
    resource::{Claim, KeptAnswer},
};

/// The operations of a Resource Server.
#[derive(Clone)]
pub struct Administrative(Administration);

impl Administrative {
    /// The operations, with what they work with.
    pub const fn new(administration: Administration) -> Self {
        Self(administration)
    }
}

impl Service for Administrative {
    const API: Api = Api::Resource;

    async fn administrator(&self, credential: Credential, _: &Target) -> Result<Caller, Problem> {
        let shown = match credential {
            Credential::Token(hash) => Shown::Token(hash),
            Credential::Certificate(names) => Shown::Certificate(names.to_vec()),
        };
        let found = self.0.registry.find_administrator(shown).await?;
        let found = found.ok_or_else(Problem::unauthenticated)?;
        if let Some(state) = found.out_of_use {
            return Err(Problem::not_active(state));
        }
        let role = Role::from_name(&found.account.role).ok_or_else(Problem::unauthenticated)?;
        Ok(Caller {
            provider: found.account.application_provider,
            ..Caller::new(found.account.id.as_str(), role)
        })
    }

    async fn answer(&self, asked: AdminRequest) -> Reply {
        let acting = self.0.acting(&asked.caller.name, &asked.reason);
        match asked.key.clone() {
            None => handlers::answer(&acting, asked).await,
            // It goes on, and its answer is kept, though its caller should go away: else the repetition would do it twice.
            Some(key) => {
                let done = tokio::spawn(async move { once(&acting, &key, asked).await });
                done.await.unwrap_or_else(|error| Err(Problem::internal(&error)))
            }
        }
    }
}

/// Carries a request out the first time its Idempotency-Key comes; a repetition is answered as the first was.
async fn once(work: &Administration, key: &str, asked: AdminRequest) -> Reply {
    let (registry, actor) = (&work.registry, asked.caller.name.clone());
    let request = asked.digest();
    match registry.claim(&actor, key, request, work.now()).await? {
        Claim::Answered(kept) => return Ok(replayed(kept)),
        Claim::UnderWay => return Err(Problem::under_way()),
        Claim::OtherRequest => return Err(Problem::other_request()),
        Claim::Fresh => {}
    }
    let answer = handlers::answer(work, asked).await;
    match &answer {
        Ok(answer) => {
            let etag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
            let body = answer.body().octets().map(|octets| octets.to_vec()).unwrap_or_default();
            let kept = KeptAnswer { status: answer.status().as_u16(), etag, body };
            log_if_failed(registry.keep_answer(&actor, key, request, kept).await);
        }
        Err(_) => log_if_failed(registry.release_claim(&actor, key, request).await),
    }
    answer
}

/// What became of the request stays what is answered, also where that cannot be kept for a repetition: on a disk that has
/// just filled up, say.
fn log_if_failed(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        tracing::error!(%error, "what became of a request cannot be kept for its repetition");
    }
}

fn replayed(kept: KeptAnswer) -> Response<Answer> {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut answer = match kept.body {
        body if body.is_empty() => body::empty(status),
        body => body::whole(status, "application/json", body),
    };
    if let Some(tag) = kept.etag.and_then(|tag| HeaderValue::try_from(tag).ok()) {
        answer.headers_mut().insert(ETAG, tag);
    }
    answer
}
