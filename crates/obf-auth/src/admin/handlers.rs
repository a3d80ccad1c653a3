//! What each operation does.

use super::Administration;
use crate::sealing::Use;
use hyper::StatusCode;
use obf_admin::resource::{
    sealing_keys::{SealingKey, SealingUse},
    seen::SeenApp,
    tokens::{Revoked, Token, TokenApp},
};
use obf_admin_http::{
    Asked, Problem, Reply, audit,
    reply::{object, page},
};
use obf_store::{
    audit::Act,
    auth::{Lookup, StoredToken, TokenFilter},
};
use obf_token::TokenId;
use obf_types::{AppId, GlobalIdentity, IdentityKind, Refusal};
use std::sync::LazyLock;

/// Does what is asked.
pub(super) async fn answer(work: &Administration, asked: Asked) -> Reply {
    match asked.operation.id {
        "tokens.list" => list_tokens(work, asked).await,
        "tokens.show" => show_token(work, &asked).await,
        "tokens.revoke" => revoke_token(work, &asked).await,
        "sealing-keys.list" => sealing_keys(work, &asked),
        "seen-apps.list" => seen_apps(work, &asked),
        "audit.list" => audit::list(&work.audit, asked).await,
        "audit.export" => audit::export(&work.audit, &work.running, &asked),
        "audit.verify" => audit::verify(&work.audit, asked).await,
        "discovery.openapi" => object(StatusCode::OK, &*DOCUMENT),
        _ => Err(Problem::internal(&"this operation has no handler")),
    }
}

static DOCUMENT: LazyLock<serde_json::Value> =
    LazyLock::new(|| obf_admin::openapi::document(obf_admin::Api::Auth));

async fn list_tokens(work: &Administration, asked: Asked) -> Reply {
    let filter = TokenFilter {
        device: asked.query("device").map(device).transpose()?,
        app: asked.query_as::<AppId>("app")?,
    };
    let after = asked.query("after").map(token_id).transpose()?;
    let tokens = work.tokens.list(filter, after, asked.limit() + 1, work.clock.now()).await?;
    page("tokens", tokens, asked.limit(), |token| token.id.to_string(), shown)
}

async fn show_token(work: &Administration, asked: &Asked) -> Reply {
    match work.tokens.lookup(&token_id(asked.path(0))?, work.clock.now()).await? {
        Lookup::Live(token) => object(StatusCode::OK, &shown(&token)),
        Lookup::Expired => Err(gone(Refusal::TokenExpired)),
        Lookup::Revoked => Err(gone(Refusal::TokenRevoked)),
        Lookup::Unknown => Err(gone(Refusal::UnknownToken)),
    }
}

/// Ends a token; ending one that has ended is no error, and is in the audit too.
async fn revoke_token(work: &Administration, asked: &Asked) -> Reply {
    let (id, now) = (token_id(asked.path(0))?, work.clock.now());
    match work.tokens.lookup(&id, now).await? {
        Lookup::Unknown => return Err(gone(Refusal::UnknownToken)),
        Lookup::Expired => return Err(gone(Refusal::TokenExpired)),
        Lookup::Live(_) | Lookup::Revoked => {}
    }
    let act = Act {
        actor: (*asked.caller.name).to_owned(),
        action: "token.revoke".to_owned(),
        object: format!("token:{id}"),
        reason: asked.reason.clone(),
        detail: String::new(),
    };
    let ended = work.tokens.revoke(&id, act, now).await?;
    work.audit.written();
    work.tokens.settle().await?;
    object(StatusCode::OK, &Revoked { id: id.to_string(), ended })
}

fn sealing_keys(work: &Administration, asked: &Asked) -> Reply {
    let after: Option<u32> = asked.query_as("after")?;
    let keys = work.sealing.keys();
    let behind = after.and_then(|after| keys.iter().position(|key| key.id == after)).map_or(0, |at| at + 1);
    let keys: Vec<_> = keys.into_iter().skip(behind).take(asked.limit() as usize + 1).collect();
    page(
        "sealing-keys",
        keys,
        asked.limit(),
        |key| key.id.to_string(),
        |key| SealingKey {
            key: key.id,
            use_now: match key.use_now {
                Use::Next => SealingUse::Next,
                Use::Seals => SealingUse::Seals,
                Use::Opens => SealingUse::Opens,
            },
            created_at: key.created.into(),
        },
    )
}

fn seen_apps(work: &Administration, asked: &Asked) -> Reply {
    let after = asked.query("after").unwrap_or_default();
    let table = work.locator.table();
    let mut seen: Vec<SeenApp> = Vec::new();
    for served in table.servers() {
        for (app, known) in served.applications.seen() {
            let registration = known.as_ref().ok();
            seen.push(SeenApp {
                app: app.to_string(),
                registered: registration.is_some(),
                refusal: known.as_ref().err().map(ToString::to_string),
                cert_names: registration.map(|known| known.cert_names.clone()).unwrap_or_default(),
            });
        }
    }
    // Of an application that several Resource Servers were asked for, the one that has it.
    seen.sort_by(|a, b| a.app.cmp(&b.app).then(b.registered.cmp(&a.registered)));
    seen.dedup_by(|a, b| a.app == b.app);
    seen.retain(|app| app.app.as_str() > after);
    page("seen-apps", seen, asked.limit(), |app| app.app.clone(), SeenApp::clone)
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
    device.map_err(|error| Problem::parameter("device", error))
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
        assert_eq!(device("x:1").unwrap_err().code, "bad-parameter");
        let id = "IyMjIyMjIyMjIyMjIyMjIw==@rs.as.example";
        assert_eq!(token_id(id).unwrap().to_string(), id);
        // Spare bits are not zero.
        assert_eq!(token_id(&id.replace("Iw==", "Ix==")).unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    /// What is described is served: the text of this file has an arm for each operation.
    #[test]
    fn every_operation_has_an_arm() {
        let arms = include_str!("handlers.rs");
        for operation in obf_admin::Api::Auth.operations() {
            assert!(arms.contains(&format!("\"{}\" =>", operation.id)), "{}", operation.id);
        }
    }
}
