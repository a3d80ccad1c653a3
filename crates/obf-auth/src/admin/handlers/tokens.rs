//! Tokens that are live.

use crate::admin::{Administration, standing::is_of};
use hyper::StatusCode;
use obf_admin::resource::tokens::{Revoked, Token, TokenApp};
use obf_admin_http::{
    AdminRequest, Caller, Problem, Reply,
    reply::{object, page},
};
use obf_store::{
    audit::Act,
    auth::{Lookup, StoredToken, TokenFilter},
};
use obf_token::TokenId;
use obf_types::{AppId, Domain, GlobalIdentity, IdentityKind, Refusal};

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let filter = TokenFilter {
        device: asked.query("device").map(device).transpose()?,
        app: asked.query_as::<AppId>("app")?,
        domains: domains(work, &asked.caller),
    };
    let after = asked.query("after").map(token_id).transpose()?;
    let tokens = work.tokens.list(filter, after, asked.limit() + 1, work.clock.now()).await?;
    page("tokens", tokens, asked.limit(), |token| token.id.to_string(), shown)
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    match work.tokens.lookup(&token_id(asked.path(0))?, work.clock.now()).await? {
        Lookup::Live(token) => object(StatusCode::OK, &shown(&token)),
        Lookup::Expired => Err(gone(Refusal::TokenExpired)),
        Lookup::Revoked => Err(gone(Refusal::TokenRevoked)),
        Lookup::Unknown => Err(gone(Refusal::UnknownToken)),
    }
}

/// Ends a token; ending one that has ended is no error, and is in the audit too.
pub async fn revoke(work: &Administration, asked: AdminRequest) -> Reply {
    let (id, now) = (token_id(asked.path(0))?, work.clock.now());
    let detail = match work.tokens.lookup(&id, now).await? {
        Lookup::Unknown => return Err(gone(Refusal::UnknownToken)),
        Lookup::Expired => return Err(gone(Refusal::TokenExpired)),
        Lookup::Live(token) => format!("of {}", token.device),
        Lookup::Revoked => "had ended before".to_owned(),
    };
    let act = Act {
        actor: (*asked.caller.name).to_owned(),
        action: "token.revoke".to_owned(),
        object: format!("token:{id}"),
        reason: asked.reason.clone(),
        detail,
    };
    let ended = work.tokens.revoke(&id, act, now).await?;
    work.audit.written();
    // Durable by now: what can still fail is that this node hears of it.
    let heard = work.tokens.settle().await;
    heard.map_err(|error| {
        Problem::internal(&format_args!("the token has ended, and this node cannot hear of it: {error}"))
    })?;
    object(StatusCode::OK, &Revoked { id: id.to_string(), ended })
}

/// The domains of the tokens that the caller may look at; `None`: of all.
fn domains(work: &Administration, caller: &Caller) -> Option<Vec<Domain>> {
    caller.servers.as_ref()?;
    let table = work.locator.table();
    let of = table.servers().iter().filter(|served| is_of(caller, served));
    Some(of.map(|served| served.server.token_domain().clone()).collect())
}

/// A token as an administrator sees it.
fn shown(token: &StoredToken) -> Token {
    let facts = &token.facts;
    let apps = token.rights.iter().map(|right| TokenApp {
        app: right.app.to_string(),
        until: facts.rights_at.plus(right.lifetime).min(facts.expires).into(),
    });
    Token {
        id: token.id.to_string(),
        device: token.device.to_string(),
        user_name: String::from_utf8_lossy(&token.user_name).into_owned(),
        schema: facts.schema.name().to_owned(),
        algorithm: facts.method.algorithm_name().to_owned(),
        epoch: facts.epoch.0,
        counter: facts.counter,
        bootstrapped: facts.bootstrapped_at.into(),
        expires: facts.expires.into(),
        apps: apps.collect(),
        more: token.rights.more(),
    }
}

fn gone(refusal: Refusal) -> Problem {
    Problem::refusal(StatusCode::NOT_FOUND, refusal, "see what is live: obf token list")
}

/// `kind:value`, or a bare IMSI or IMPI.
fn device(text: &str) -> Result<GlobalIdentity, Problem> {
    let device = match IdentityKind::split(text) {
        Some((kind, value)) => GlobalIdentity::new(kind, value),
        None => GlobalIdentity::from_user_name(text),
    };
    device.map_err(|error| Problem::rule(format_args!("device: {error}")))
}

fn token_id(text: &str) -> Result<TokenId, Problem> {
    TokenId::parse(text).map_err(|error| Problem::parameter("token", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_and_token_ids_are_read() {
        assert_eq!(device("imsi:001010000000001").unwrap().kind(), IdentityKind::Imsi);
        assert_eq!(device("001010000000001").unwrap().kind(), IdentityKind::Imsi);
        assert_eq!(device("a@b.example").unwrap().kind(), IdentityKind::Impi);
        // Its form fits the description, and its check digit is wrong.
        assert_eq!(device("imei:490154203237519").unwrap_err().status, StatusCode::UNPROCESSABLE_ENTITY);
        let id = "IyMjIyMjIyMjIyMjIyMjIw==@rs.as.example";
        assert_eq!(token_id(id).unwrap().to_string(), id);
        // Spare bits are not zero.
        assert_eq!(token_id(&id.replace("Iw==", "Ix==")).unwrap_err().status, StatusCode::BAD_REQUEST);
    }
}
