//! `/.well-known/obf` (SPEC R1): what the Authentication Server offers, for anyone who reaches RPB.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use obf_net::http::Reply;
use obf_rpb::server::Settings;
use obf_types::{Domain, KeySchema, UaClass};
use serde_json::{Map, Value, json};
use std::{
    net::SocketAddr,
    sync::{PoisonError, RwLock},
};

const PATH: &str = "/.well-known/obf";

/// What is published; it changes with the Resource Servers.
#[derive(Debug, Default)]
pub(crate) struct Discovery(RwLock<Bytes>);

impl Discovery {
    /// The answer.
    pub(crate) fn answer(&self) -> Reply {
        let document = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut reply = Response::new(Full::new(document));
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply
    }

    /// From now on: what a server with these settings offers at those addresses, to devices of which Resource Servers.
    pub(crate) fn publish<'a>(
        &self,
        settings: &Settings,
        resource_servers: impl Iterator<Item = &'a Domain>,
        endpoints: &[(&'static str, SocketAddr, bool)],
    ) {
        let document = document(settings, resource_servers, endpoints);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = document;
    }
}

/// Whether that is what a request asks for.
pub(crate) fn asked<B>(request: &Request<B>) -> bool {
    request.uri().path() == PATH && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// What a server with these settings offers at those addresses, to devices of those Resource Servers. What the
/// configuration decides is asked of the one thing that acts on it, so that no claim outlives a change of either.
fn document<'a>(
    settings: &Settings,
    resource_servers: impl Iterator<Item = &'a Domain>,
    endpoints: &[(&'static str, SocketAddr, bool)],
) -> Bytes {
    let resource_servers: Vec<&str> = resource_servers.map(Domain::as_str).collect();
    let algorithms: Vec<&str> = settings.offered().iter().map(|algorithm| algorithm.name()).collect();
    let schemas = [KeySchema::GbaMe, KeySchema::Obf1].map(KeySchema::name);
    let addresses: Map<String, Value> =
        endpoints.iter().map(|(point, address, _)| ((*point).into(), address.to_string().into())).collect();
    let mut document = json!({
        "node": "authentication-server",
        "version": env!("CARGO_PKG_VERSION"),
        "domain": settings.domain.as_str(),
        "resource_servers": &resource_servers,
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
    if let ([only], Some(document)) = (resource_servers.as_slice(), document.as_object_mut()) {
        document.insert("resource_server".into(), (*only).into());
    }
    document.to_string().into()
}
