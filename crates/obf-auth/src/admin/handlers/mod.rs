//! What each operation does: a file each resource, and the table of all.

mod audit;
mod sealing_keys;
mod seen_apps;
mod tokens;

use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::{Api, openapi};
use obf_admin_http::{AdminRequest, Problem, Reply, reply::object};
use std::{future::Future, pin::Pin, sync::LazyLock};

type Handler = fn(Administration, AdminRequest) -> Pin<Box<dyn Future<Output = Reply> + Send>>;

macro_rules! handlers {
    ($($id:literal => $handler:path,)*) => {
        /// The handler of each operation.
        const HANDLERS: &[(&str, Handler)] =
            &[$(($id, |work, asked| Box::pin(async move { $handler(&work, asked).await })),)*];
    };
}

handlers! {
    "tokens.list" => tokens::list,
    "tokens.show" => tokens::show,
    "tokens.revoke" => tokens::revoke,
    "sealing-keys.list" => sealing_keys::list,
    "seen-apps.list" => seen_apps::list,
    "audit.list" => audit::list,
    "audit.export" => audit::export,
    "audit.verify" => audit::verify,
    "discovery.openapi" => document,
}

/// Does what is asked.
pub(super) async fn answer(work: &Administration, asked: AdminRequest) -> Reply {
    match HANDLERS.iter().find(|(id, _)| *id == asked.operation.id) {
        Some((_, handler)) => handler(work.clone(), asked).await,
        None => Err(Problem::internal(&"this operation has no handler")),
    }
}

async fn document(_: &Administration, _: AdminRequest) -> Reply {
    static DOCUMENT: LazyLock<serde_json::Value> = LazyLock::new(|| openapi::document(Api::Auth));
    object(StatusCode::OK, &*DOCUMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_has_a_handler_and_every_handler_an_operation() {
        let mut served: Vec<&str> = HANDLERS.iter().map(|(id, _)| *id).collect();
        let mut described: Vec<&str> = Api::Auth.operations().map(|operation| operation.id).collect();
        served.sort_unstable();
        described.sort_unstable();
        assert_eq!(served, described);
    }
}
