//! A device that keeps what went over RPB, so that it can be sent once more.

use crate::failure::{Exit, Failure};
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes};
use obf_aka::{Algorithm, Authentication, SqnArray, SqnLayout, SqnLimits, authenticate};
use obf_net::http::HttpClient;
use obf_rpb::{
    Bootstrap, ClientStep, SecurityAssociation,
    client::{AkaAnswer, ClientSettings},
    http::{ClientRequest, HttpResponse},
};
use obf_types::{Domain, KeySchema, Secret, SecretBytes};

/// A card: its algorithm keyed, and its SQN memory.
pub struct Card {
    algorithm: Algorithm,
    memory: SqnArray,
}

/// What went over the wire in a bootstrap.
pub struct Traffic {
    /// Every request, in order.
    pub requests: Vec<ClientRequest>,
    /// What the device has then.
    pub association: SecurityAssociation,
}

impl Card {
    /// A Milenage card that has seen no challenge yet.
    pub fn milenage(k: &Secret<16>, opc: &Secret<16>) -> Self {
        let memory = SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT);
        Self { algorithm: Algorithm::milenage(k, opc), memory }
    }

    /// AUTHENTICATE.
    fn answer(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> Result<AkaAnswer, Failure> {
        let short = || Failure::other("card", "CK and IK do not have 128 bits");
        Ok(match authenticate(&self.algorithm, &mut self.memory, rand, autn) {
            Authentication::Success(success) => AkaAnswer::HandedOut {
                res: SecretBytes::from(success.res.expose()),
                ck: Secret::from_slice(success.ck.expose()).ok_or_else(short)?,
                ik: Secret::from_slice(success.ik.expose()).ok_or_else(short)?,
            },
            Authentication::SynchronisationFailure(auts) => AkaAnswer::SynchronisationFailure { auts },
            Authentication::MacFailure => AkaAnswer::MacFailure,
        })
    }
}

/// One bootstrap over an open connection.
///
/// # Errors
/// The server refused, or did not prove itself.
pub async fn bootstrap(
    http: &mut HttpClient,
    username: &str,
    domain: &Domain,
    card: &mut Card,
) -> Result<Traffic, Failure> {
    let settings = ClientSettings {
        username: username.into(),
        domain: domain.clone(),
        minimum: obf_token::Algorithm::AkaV1Md5,
        strongest: obf_token::Algorithm::AkaV2Sha256,
        schemas: vec![KeySchema::Obf1, KeySchema::GbaMe],
        product: concat!("obf/", env!("CARGO_PKG_VERSION")).into(),
    };
    let mut machine = Bootstrap::new(settings);
    let mut request = machine.first_request().map_err(failed)?;
    let mut requests = Vec::new();
    loop {
        let answer = send(http, domain, &request).await?;
        requests.push(request);
        match machine.answer(&as_rpb(&answer)).map_err(failed)? {
            ClientStep::Done(association) => {
                return Ok(Traffic { requests, association: *association });
            }
            ClientStep::Authenticate { rand, autn, .. } => {
                let mut cnonce = [0; 16];
                getrandom::fill(&mut cnonce).map_err(|error| Failure::other("randomness", error))?;
                request = machine.authenticated(card.answer(&rand, &autn)?, cnonce).map_err(failed)?;
            }
        }
    }
}

/// Sends one request as it stands.
///
/// # Errors
/// No answer.
pub async fn send(
    http: &mut HttpClient,
    domain: &Domain,
    request: &ClientRequest,
) -> Result<Response<Bytes>, Failure> {
    let mut builder =
        Request::builder().method(request.method).uri(request.target).header("host", domain.as_str());
    for (name, value) in &request.headers {
        builder = builder.header(*name, value.as_slice());
    }
    let request = builder.body(Full::default()).map_err(Failure::usage)?;
    http.send(request).await.map_err(|error| Failure::unreachable("RPB", domain, error))
}

fn as_rpb(answer: &Response<Bytes>) -> HttpResponse<'_> {
    let empty = HttpResponse::new(answer.status().as_u16(), answer.body());
    answer
        .headers()
        .iter()
        .fold(empty, |response, (name, value)| response.with_header(name.as_str(), value.as_bytes()))
}

fn failed(error: obf_rpb::BootstrapError) -> Failure {
    Failure::new(Exit::NotAuthenticated, "bootstrap", error)
}
