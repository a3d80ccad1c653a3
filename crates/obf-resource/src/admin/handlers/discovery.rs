//! What anyone may know (SPEC R1).

use super::{Reply, object};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::{
    Api,
    resource::discovery::{Discovery, Registration},
};
use obf_admin_http::AdminRequest;
use obf_types::{IdentityKind, UaClass};
use std::sync::LazyLock;

pub async fn show(work: &Administration, _: AdminRequest) -> Reply {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    object(
        StatusCode::OK,
        &Discovery {
            node: "resource-server".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            addresses: work.discovery.addresses.clone(),
            authentication_servers: work.discovery.authentication_servers.clone(),
            algorithms: words(&["milenage", "tuak"]),
            ua: words(&UaClass::NAMES),
            identities: IdentityKind::ALL.iter().map(|kind| kind.name().to_owned()).collect(),
            registration: Registration {
                devices: "POST /v1/devices, or many to /v1/devices:import, by an operator".into(),
                applications: "POST /v1/apps, by an operator or an approved application provider".into(),
                application_providers: match work.most_registrations {
                    0 => "by an operator",
                    _ => "POST /v1/application-providers:register, approved by an operator",
                }
                .into(),
            },
            openapi: "/v1/openapi.json".into(),
        },
    )
}

pub async fn openapi(_: &Administration, _: AdminRequest) -> Reply {
    static DOCUMENT: LazyLock<serde_json::Value> =
        LazyLock::new(|| obf_admin::openapi::document(Api::Resource));
    object(StatusCode::OK, &*DOCUMENT)
}
