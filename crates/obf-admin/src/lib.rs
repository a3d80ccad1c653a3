//! The wire of administration: **one description of each resource**, from which everything else is made.
//!
//! Reading order: [`api`] (which server has which operations), [`resource`] (the JSON of each resource and its operations, a
//! file each), [`operation`] (what an operation is), [`role`] (who may), [`routing`] (a request's operation and parameters), [`check`] (a value against its
//! schema, with the place of each fault), [`openapi`] (the document), [`problem`] (errors), [`merge`] (PATCH).
//! The servers dispatch on [`Operation::id`], the `obf` command builds its subcommands from [`Operation::cli`],
//! `/v1/openapi.json`, `docs/openapi.json` and `docs/openapi-auth.json` are [`openapi::document`].
//!
//! # To add a resource
//! 1. `src/resource/NAME.rs`: the record that comes in and the view that goes out, with serde and
//!    [`schemars::JsonSchema`]; each field's comment is its description, each limit an attribute, each pattern one of
//!    [`pattern`], `deny_unknown_fields` on what comes in. A PATCH needs no type: it is made from the record's.
//! 2. In the same file `OPERATIONS`, an [`Operation`] each: `Operation { id: "groups.show", …, ..Operation::GET }`.
//! 3. Name the slice in [`resource::RESOURCE_SERVER`] or [`resource::AUTHENTICATION_SERVER`]; `cli` makes it a command of
//!    `obf`.
//! 4. In `obf-resource/src/admin/handlers/` or `obf-auth/src/admin/`: a handler for each id, and its line in the table of
//!    handlers.
//! 5. `cargo xtask openapi` writes `docs/openapi.json` and `docs/openapi-auth.json`; tests say when one is stale, and when an
//!    id has no handler.
//!
//! Deliberately absent: sockets, time, storage. A path stands in the table only when its handler works.
#![forbid(unsafe_code)]

pub mod api;
pub mod check;
pub mod merge;
pub mod openapi;
pub mod operation;
pub mod parameter;
pub mod pattern;
pub mod problem;
pub mod resource;
pub mod role;
pub mod routing;
pub mod schema;
pub mod time;

pub use api::Api;
pub use check::Fault;
pub use operation::{Access, Answer, Body, CliCommand, Content, Method, Operation};
pub use parameter::{Parameter, Values};
pub use problem::{ProblemDocument, ProblemFault};
pub use role::{Role, Roles};
pub use routing::{NoRoute, Route};
pub use time::Timestamp;

/// Every operation of every server, once: those that several servers have are the same ones.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    let elsewhere = |operation: &&Operation| Api::Resource.operations().all(|known| known.id != operation.id);
    Api::Resource.operations().chain(Api::Auth.operations().filter(elsewhere))
}
