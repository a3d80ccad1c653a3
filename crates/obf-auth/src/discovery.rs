//! `/.well-known/obf` (SPEC R1): what the Authentication Server offers, for anyone who reaches RPB.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use obf_net::http::Reply;
use obf_rpb::server::Settings;
use obf_types::{KeySchema, UaClass};
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

const PATH: &str = "/.well-known/obf";

/// Whether that is what a request asks for.
pub(crate) fn asked<B>(request: &Request<B>) -> bool {
    request.uri().path() == PATH && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The answer.
pub(crate) fn answer(offer: Option<&Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(offer.cloned().unwrap_or_default()));
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// What a server with these settings offers at those addresses. What the configuration decides is asked of the one thing that
/// acts on it, so that no claim outlives a change of either.
pub(crate) fn offer(
    settings: &Settings,
    resource_server: &str,
    endpoints: &[(&'static str, SocketAddr, bool)],
) -> Bytes {
    let algorithms: Vec<&str> = settings.offered().iter().map(|algorithm| algorithm.name()).collect();
    let schemas = [KeySchema::GbaMe, KeySchema::Obf1].map(KeySchema::name);
    let addresses: Map<String, Value> =
        endpoints.iter().map(|(point, address, _)| ((*point).into(), address.to_string().into())).collect();
    let offer = json!({
        "node": "authentication-server",
        "version": env!("CARGO_PKG_VERSION"),
        "domain": settings.domain.as_str(),
        "resource_server": resource_server,
        "addresses": addresses,
        "bootstrap_algorithms": algorithms,
        "key_schemas": schemas,
        "ua": UaClass::NAMES,
        "registration": {
            "devices": "by an operator, at the Resource Server",
            "applications": "by their provider or an operator, at the Resource Server",
            "application_providers": "at the Resource Server, which says how at its own /.well-known/obf",
        },
    });
    offer.to_string().into()
}
