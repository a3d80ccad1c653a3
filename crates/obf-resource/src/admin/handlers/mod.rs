//! What each operation does: a file each resource, and the table of all.

mod administrators;
mod applications;
mod audit;
mod backup;
mod custodians;
mod denials;
mod devices;
mod discovery;
mod grants;
mod groups;
mod kms;
mod kyc;
mod registration;
mod stakeholders;

use super::Administration;
use obf_admin_http::{
    AdminRequest, Problem,
    reply::{Reply, done, object, page, patched, streamed, versioned},
};
use obf_store::resource::{Outcome, State};
use std::{future::Future, pin::Pin};

type Handler = fn(Administration, AdminRequest) -> Pin<Box<dyn Future<Output = Reply> + Send>>;

macro_rules! handlers {
    ($($id:literal => $handler:path,)*) => {
        /// The handler of each operation.
        const HANDLERS: &[(&str, Handler)] =
            &[$(($id, |work, asked| Box::pin(async move { $handler(&work, asked).await })),)*];
    };
}

handlers! {
    "devices.list" => devices::list,
    "devices.add" => devices::add,
    "devices.import" => devices::import,
    "devices.show" => devices::show,
    "devices.set" => devices::set,
    "devices.remove" => devices::remove,
    "devices.activate" => devices::set_state,
    "devices.suspend" => devices::set_state,
    "devices.resume" => devices::set_state,
    "devices.retire" => devices::set_state,
    "devices.revoke" => devices::revoke,
    "groups.list" => groups::list,
    "groups.add" => groups::add,
    "groups.show" => groups::show,
    "groups.set" => groups::set,
    "groups.remove" => groups::remove,
    "groups.members" => groups::members,
    "groups.join" => groups::change_members,
    "groups.leave" => groups::change_members,
    "apps.list" => applications::list,
    "apps.add" => applications::add,
    "apps.show" => applications::show,
    "apps.set" => applications::set,
    "apps.remove" => applications::remove,
    "apps.activate" => applications::set_state,
    "apps.suspend" => applications::set_state,
    "apps.resume" => applications::set_state,
    "apps.retire" => applications::set_state,
    "grants.list" => grants::list,
    "grants.add" => grants::add,
    "grants.remove" => grants::remove,
    "grants.remove-group" => grants::remove_group,
    "denials.list" => denials::list,
    "denials.add" => denials::add,
    "denials.show" => denials::show,
    "denials.remove" => denials::remove,
    "custodians.list" => custodians::list,
    "custodians.add" => custodians::add,
    "custodians.show" => custodians::show,
    "custodians.set" => custodians::set,
    "custodians.remove" => custodians::remove,
    "custodians.suspend" => custodians::set_state,
    "custodians.resume" => custodians::set_state,
    "custodians.retire" => custodians::set_state,
    "kyc.list" => kyc::list,
    "kyc.add" => kyc::add,
    "kyc.show" => kyc::show,
    "kyc.revoke" => kyc::revoke,
    "providers.list" => stakeholders::list,
    "providers.add" => stakeholders::add,
    "providers.show" => stakeholders::show,
    "providers.set" => stakeholders::set,
    "providers.remove" => stakeholders::remove,
    "providers.suspend" => stakeholders::set_state,
    "providers.resume" => stakeholders::set_state,
    "providers.retire" => stakeholders::set_state,
    "resource-servers.list" => stakeholders::list,
    "resource-servers.add" => stakeholders::add,
    "resource-servers.show" => stakeholders::show,
    "resource-servers.set" => stakeholders::set,
    "resource-servers.remove" => stakeholders::remove,
    "resource-servers.suspend" => stakeholders::set_state,
    "resource-servers.resume" => stakeholders::set_state,
    "resource-servers.retire" => stakeholders::set_state,
    "application-providers.list" => stakeholders::list,
    "application-providers.add" => stakeholders::add,
    "application-providers.show" => stakeholders::show,
    "application-providers.set" => stakeholders::set,
    "application-providers.remove" => stakeholders::remove,
    "application-providers.suspend" => stakeholders::set_state,
    "application-providers.resume" => stakeholders::set_state,
    "application-providers.retire" => stakeholders::set_state,
    "application-providers.register" => registration::register,
    "application-providers.approve" => registration::approve,
    "administrators.list" => administrators::list,
    "administrators.add" => administrators::add,
    "administrators.show" => administrators::show,
    "administrators.set" => administrators::set,
    "administrators.renew-token" => administrators::renew_token,
    "administrators.suspend" => administrators::set_state,
    "administrators.resume" => administrators::set_state,
    "administrators.remove" => administrators::remove,
    "backup.make" => backup::make,
    "backup.restore" => backup::restore,
    "kms.show" => kms::show,
    "kms.rotate" => kms::rotate,
    "kms.rotation" => kms::rotation,
    "kms.create" => kms::create,
    "audit.list" => audit::list,
    "audit.export" => audit::export,
    "audit.verify" => audit::verify,
    "discovery.openapi" => discovery::openapi,
    "discovery.show" => discovery::show,
}

/// Does what is asked.
pub async fn answer(work: &Administration, asked: AdminRequest) -> Reply {
    match HANDLERS.iter().find(|(id, _)| *id == asked.operation.id) {
        Some((_, handler)) => handler(work.clone(), asked).await,
        None => Err(Problem::internal(&"this operation has no handler")),
    }
}

/// What a change of the `kind` with that id made, or the problem that it met.
fn settled<T>(outcome: Outcome<T>, kind: &'static str, id: &str) -> Result<T, Problem> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Unknown => Err(Problem::unknown(kind, id)),
        Outcome::Stale { version } => Err(Problem::stale(version)),
        Outcome::Forbidden { state } => Err(Problem::state(id, state)),
        Outcome::NoParent => {
            Err(Problem::rule(format_args!("{kind} {id}: what it refers to is not registered")))
        }
        Outcome::InUse => Err(Problem::in_use(kind, id)),
    }
}

/// The state that the operation's verb leads to, from the one there is.
fn target_state(asked: &AdminRequest, id: &str, now: State) -> Result<State, Problem> {
    let verb = asked.operation.id.rsplit('.').next().unwrap_or_default();
    let (wanted, from): (_, &[State]) = match verb {
        "activate" | "approve" => (State::Active, &[State::Registered, State::Active]),
        "resume" => (State::Active, &[State::Suspended, State::Active]),
        "suspend" => (State::Suspended, &[State::Registered, State::Active, State::Suspended]),
        _ => (State::Retired, &State::ALL),
    };
    if from.contains(&now) { Ok(wanted) } else { Err(Problem::state(id, now)) }
}

/// `?state=`.
fn state_asked(asked: &AdminRequest) -> Option<State> {
    let wanted = asked.query("state")?;
    State::ALL.into_iter().find(|state| state.name() == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is described is served, and what is served is described.
    #[test]
    fn every_operation_has_one_handler() {
        let mut described: Vec<&str> =
            obf_admin::Api::Resource.operations().map(|operation| operation.id).collect();
        let mut served: Vec<&str> = HANDLERS.iter().map(|(id, _)| *id).collect();
        described.sort_unstable();
        served.sort_unstable();
        assert_eq!(described, served);
    }
}
