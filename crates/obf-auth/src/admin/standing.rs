//! What an administrator may do where there are several Resource Servers.
//!
//! A token belongs to the Resource Server whose device it is, so that one's administrators look at it and end it, with the
//! role that they have there; those of another have nothing to do with it, as its server has nothing to say of its devices.
//! What belongs to no device (sealing keys, the audit) is the business of whoever runs the Authentication Server: his own
//! Resource Server is the first of the configuration.

use crate::{
    administrators::Administrator,
    locator::{Served, Table},
    resource_server::RprError,
};
use obf_admin::{Access, Operation, Roles};
use obf_admin_http::{Caller, Credential, Problem, Target};
use obf_token::TokenId;
use std::sync::Arc;
use tokio::task::JoinSet;

/// An administrator as one of the servers knows it.
type Known<'a> = (&'a Arc<Served>, Administrator);

/// The administrator with that credential, as the Resource Servers say that the request concerns.
///
/// # Errors
/// 401: none of them knows it, nor does any other. 403: another does. 503: one that would have to know does not answer.
pub(super) async fn find(table: &Table, credential: &Credential, target: &Target) -> Result<Caller, Problem> {
    let all = table.servers();
    let (concerned, others): (Vec<_>, Vec<_>) =
        all.iter().partition(|served| concerns(table, target, served));
    let answers = ask(&concerned, credential).await;
    let known: Vec<Known<'_>> = known(&answers).collect();
    if known.is_empty() {
        if let Some((served, _)) = answers.iter().find(|(_, answer)| answer.is_err()) {
            return Err(Problem::nobody_to_ask(served.server.name()));
        }
        let elsewhere = ask(&others, credential).await;
        return Err(match (known_first(&elsewhere), concerned.first()) {
            (Some((theirs, _)), Some(wanted)) => {
                Problem::of_another_server(theirs.server.name(), wanted.server.name())
            }
            _ => Problem::unauthenticated(),
        });
    }
    let roles = target.operation().map_or(Roles::ALL, roles);
    let may: Vec<&Known<'_>> = known.iter().filter(|(_, one)| roles.contains(one.role)).collect();
    // With a role that does not suffice the dispatcher says so.
    let Some((served, one)) = may.first().copied().or(known.first()) else {
        return Err(Problem::unauthenticated());
    };
    let servers = may.iter().map(|(served, _)| served.server.name().to_owned());
    Ok(Caller {
        servers: (may.len() < all.len()).then(|| servers.collect()),
        ..Caller::new(name(table, served, one), one.role)
    })
}

/// Whether the caller may look at what is that server's.
pub(super) fn is_of(caller: &Caller, served: &Served) -> bool {
    caller.servers.as_ref().is_none_or(|servers| servers.iter().any(|name| name == served.server.name()))
}

/// The first server's administrators go by their own names; those of the others also by the server's, so that two of one
/// name are two in the audit. No administrator's name has an `@`.
fn name(table: &Table, served: &Arc<Served>, administrator: &Administrator) -> Arc<str> {
    match table.servers().first() {
        Some(own) if Arc::ptr_eq(own, served) => Arc::clone(&administrator.name),
        _ => format!("{}@{}", administrator.name, served.server.name()).into(),
    }
}

fn roles(operation: &Operation) -> Roles {
    match operation.access {
        Access::Roles(roles) => roles,
        Access::Anyone => Roles::ALL,
    }
}

/// Whether a server's administrators have to do with what is asked for.
fn concerns(table: &Table, target: &Target, served: &Arc<Served>) -> bool {
    let id = target.operation().map_or("", |operation| operation.id);
    let of = match (id, target.query("device")) {
        ("tokens.list", Some(device)) => table.of_user_name(device),
        ("tokens.list" | "seen-apps.list", _) => return true,
        ("tokens.show" | "tokens.revoke", _) => {
            let token = target.path(0).and_then(|id| TokenId::parse(id).ok());
            token.and_then(|token| table.of_domain(token.domain()))
        }
        _ => None,
    };
    of.or(table.servers().first()).is_some_and(|one| Arc::ptr_eq(one, served))
}

type Answered = (Arc<Served>, Result<Option<Administrator>, RprError>);

/// What each says, in their order; side by side, so that one that is away costs no more than its own time.
async fn ask(servers: &[&Arc<Served>], credential: &Credential) -> Vec<Answered> {
    if let [only] = servers {
        return vec![(Arc::clone(only), only.administrators.find(credential).await)];
    }
    let mut asking = JoinSet::new();
    for (place, served) in servers.iter().enumerate() {
        let (served, credential) = (Arc::clone(served), credential.clone());
        asking.spawn(async move {
            let answer = served.administrators.find(&credential).await;
            (place, (served, answer))
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

fn known(answers: &[Answered]) -> impl Iterator<Item = Known<'_>> {
    answers.iter().filter_map(|(served, answer)| Some((served, answer.as_ref().ok()?.clone()?)))
}

fn known_first(answers: &[Answered]) -> Option<Known<'_>> {
    known(answers).next()
}
