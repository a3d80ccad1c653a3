//! `/.well-known/obf` (SPEC R1): what the Authentication Server offers, for anyone who reaches RPB.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use obf_net::http::Reply;
use obf_token::Algorithm;
use obf_types::{Domain, UaClass};
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
        let offer = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut reply = Response::new(Full::new(offer));
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply
    }

    /// From now on: what a server of that domain offers at those addresses, to devices of which Resource Servers.
    pub(crate) fn publish<'a>(
        &self,
        domain: &Domain,
        resource_servers: impl Iterator<Item = &'a Domain>,
        endpoints: &[(&'static str, SocketAddr, bool)],
    ) {
        let offer = offer(domain.as_str(), resource_servers, endpoints);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = offer;
    }
}

/// Whether that is what a request asks for.
pub(crate) fn asked<B>(request: &Request<B>) -> bool {
    request.uri().path() == PATH && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// What a server of that domain offers.
fn offer<'a>(
    domain: &str,
    resource_servers: impl Iterator<Item = &'a Domain>,
    endpoints: &[(&'static str, SocketAddr, bool)],
) -> Bytes {
    let resource_servers: Vec<&str> = resource_servers.map(Domain::as_str).collect();
    let addresses: Map<String, Value> =
        endpoints.iter().map(|(point, address, _)| ((*point).into(), address.to_string().into())).collect();
    let mut offer = json!({
        "node": "authentication-server",
        "version": env!("CARGO_PKG_VERSION"),
        "domain": domain,
        "resource_servers": &resource_servers,
        "addresses": addresses,
        "bootstrap_algorithms": Algorithm::ALL.map(Algorithm::name),
        "key_schemas": ["gba-me", "obf-1"],
        "ua": UaClass::NAMES,
        "registration": {
            "devices": "by an operator, at the Resource Server",
            "applications": "by their provider or an operator, at the Resource Server",
            "application_providers": "POST /v1/application-providers:register at the Resource Server; an operator approves",
        },
    });
    if let ([only], Some(offer)) = (resource_servers.as_slice(), offer.as_object_mut()) {
        offer.insert("resource_server".into(), (*only).into());
    }
    offer.to_string().into()
}
