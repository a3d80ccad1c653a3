//! What each operation does: a file each resource, and the table of all.

mod applications;
mod devices;
mod discovery;
mod grants;

pub use discovery::Offer;

use super::{
    Problem,
    api::AdminApi,
    body::{self, Answer},
    request::Asked,
};
use hyper::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use std::{future::Future, pin::Pin};

type Reply = Result<Response<Answer>, Problem>;
type Handler = fn(AdminApi, Asked) -> Pin<Box<dyn Future<Output = Reply> + Send>>;

macro_rules! handlers {
    ($($id:literal => $handler:path,)*) => {
        /// The handler of each operation.
        const HANDLERS: &[(&str, Handler)] =
            &[$(($id, |api, asked| Box::pin(async move { $handler(&api, asked).await })),)*];
    };
}

handlers! {
    "devices.list" => devices::list,
    "devices.add" => devices::add,
    "devices.import" => devices::import,
    "devices.show" => devices::show,
    "devices.remove" => devices::remove,
    "devices.suspend" => devices::suspend,
    "devices.resume" => devices::resume,
    "devices.revoke" => devices::revoke,
    "apps.list" => applications::list,
    "apps.add" => applications::add,
    "apps.show" => applications::show,
    "apps.remove" => applications::remove,
    "apps.suspend" => applications::suspend,
    "apps.resume" => applications::resume,
    "grants.list" => grants::list,
    "grants.add" => grants::add,
    "grants.remove" => grants::remove,
    "discovery.openapi" => discovery::openapi,
    "discovery.show" => discovery::show,
}

/// Does what is asked.
pub async fn answer(api: &AdminApi, asked: Asked) -> Reply {
    match HANDLERS.iter().find(|(id, _)| *id == asked.operation.id) {
        Some((_, handler)) => handler(api.clone(), asked).await,
        None => Err(Problem::internal(&"this operation has no handler")),
    }
}

/// An object.
fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let octets = serde_json::to_vec(value).map_err(|error| Problem::internal(&error))?;
    Ok(body::whole(status, "application/json", octets))
}

/// 204.
fn done() -> Response<Answer> {
    body::empty(StatusCode::NO_CONTENT)
}

/// A page of at most `limit` of those rows, of which one more was asked for; `cursor` says where to go on.
fn page<R, T: Serialize>(
    name: &str,
    mut rows: Vec<R>,
    limit: u32,
    cursor: impl Fn(&R) -> String,
    view: impl Fn(&R) -> T,
) -> Reply {
    let limit = limit as usize;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    let rows: Vec<T> = rows.iter().map(view).collect();
    json(StatusCode::OK, &json!({ name: rows, "next": next }))
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is described is served, and what is served is described.
    #[test]
    fn every_operation_has_one_handler() {
        let mut described: Vec<&str> = obf_admin::operations().map(|operation| operation.id).collect();
        let mut served: Vec<&str> = HANDLERS.iter().map(|(id, _)| *id).collect();
        described.sort_unstable();
        served.sort_unstable();
        assert_eq!(described, served);
    }
}
