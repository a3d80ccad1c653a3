//! A device: a SIM in memory and the client half of RPB over HTTPS.

use super::deployment::{DOMAIN, Deployment};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use obf_aka::{Algorithm, Authentication, SqnArray, SqnLayout, SqnLimits, authenticate};
use obf_net::{certificates, http::HttpClient};
use obf_rpb::{
    Bootstrap, BootstrapError, ClientStep, SecurityAssociation,
    client::{AkaAnswer, ClientSettings},
    http::{ClientRequest, HttpResponse},
};
use obf_types::{Domain, KeySchema, Secret, SecretBytes};
use std::{sync::Mutex, time::Duration};

const K: [u8; 16] = [0x46; 16];
const OPC: [u8; 16] = [0xCD; 16];

pub struct Sim {
    pub imsi: String,
    algorithm: Algorithm,
    memory: Mutex<SqnArray>,
}

impl Sim {
    pub fn new(number: u32) -> Self {
        Self::of("00101", number)
    }

    /// Of that network: MCC and MNC.
    pub fn of(network: &str, number: u32) -> Self {
        Self {
            imsi: format!("{network}{number:010}"),
            algorithm: Algorithm::milenage(&Secret::new(K), &Secret::new(OPC)),
            memory: Mutex::new(SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT)),
        }
    }

    /// As it is imported.
    pub fn record(&self) -> String {
        let hex = |octets: [u8; 16]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        format!(r#"{{"imsi":"{}","algorithm":"milenage","k":"{}","opc":"{}"}}"#, self.imsi, hex(K), hex(OPC))
    }

    /// Forgets nothing, but demands a jump: what a SIM says that has been in use elsewhere.
    pub fn raise_sqn(&self, to: u64) {
        let highest = vec![to; SqnLayout::DEFAULT.places()];
        *self.memory.lock().unwrap() =
            SqnArray::restore(SqnLayout::DEFAULT, SqnLimits::DEFAULT, &highest).unwrap();
    }

    /// What the card says to a challenge.
    pub fn answer(&self, rand: &[u8; 16], autn: &[u8; 16]) -> AkaAnswer {
        match authenticate(&self.algorithm, &mut self.memory.lock().unwrap(), rand, autn) {
            Authentication::Success(keys) => AkaAnswer::HandedOut {
                res: SecretBytes::from(keys.res.expose()),
                ck: Secret::from_slice(keys.ck.expose()).unwrap(),
                ik: Secret::from_slice(keys.ik.expose()).unwrap(),
            },
            Authentication::SynchronisationFailure(auts) => AkaAnswer::SynchronisationFailure { auts },
            Authentication::MacFailure => AkaAnswer::MacFailure,
        }
    }
}

/// One connection of a device to an Authentication Server node.
pub struct Ue {
    client: HttpClient,
}

/// A bootstrap before its last request.
pub struct Halfway {
    pub machine: Bootstrap,
    pub request: ClientRequest,
}

impl Ue {
    pub async fn connect(deployment: &Deployment, node: usize) -> Self {
        Self::try_connect(deployment, node).await.expect("a connection")
    }

    /// As [`Ue::connect`] where the node may be gone.
    pub async fn try_connect(deployment: &Deployment, node: usize) -> Option<Self> {
        let tls = certificates::client(&deployment.file("ca.pem")).unwrap();
        let address = deployment.auth_address(node, "rpb");
        Some(Self {
            client: HttpClient::connect(address, DOMAIN, Some(tls), Duration::from_secs(20)).await.ok()?,
        })
    }

    /// `GET` of a path.
    pub async fn get(&mut self, path: &str) -> Response<Bytes> {
        let request = Request::builder().uri(path).header("host", DOMAIN).body(Full::default()).unwrap();
        self.client.send(request).await.unwrap()
    }

    /// As [`Ue::bootstrap`] where the node may be gone.
    pub async fn try_bootstrap(&mut self, sim: &Sim) -> Option<Result<SecurityAssociation, BootstrapError>> {
        let mut machine = machine(&sim.imsi, &[KeySchema::Obf1]);
        let mut request = machine.first_request().unwrap();
        loop {
            let answer = self.try_exchange(&request).await?;
            match machine.answer(&borrowed(&answer)) {
                Ok(ClientStep::Done(association)) => return Some(Ok(*association)),
                Ok(ClientStep::Authenticate { rand, autn, .. }) => {
                    request = machine.authenticated(sim.answer(&rand, &autn), [7; 16]).unwrap();
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    async fn try_exchange(&mut self, request: &ClientRequest) -> Option<Response<Bytes>> {
        let mut message =
            Request::builder().method(request.method).uri(request.target).header("host", DOMAIN);
        for (name, value) in &request.headers {
            message = message.header(*name, value.as_slice());
        }
        self.client.send(message.body(Full::default()).unwrap()).await.ok()
    }

    pub async fn exchange(&mut self, request: &ClientRequest) -> Response<Bytes> {
        self.try_exchange(request).await.expect("an answer")
    }

    pub async fn bootstrap(&mut self, sim: &Sim) -> Result<SecurityAssociation, BootstrapError> {
        self.bootstrap_as(sim, &sim.imsi, &[KeySchema::Obf1, KeySchema::GbaMe]).await
    }

    pub async fn bootstrap_as(
        &mut self,
        sim: &Sim,
        username: &str,
        schemas: &[KeySchema],
    ) -> Result<SecurityAssociation, BootstrapError> {
        let mut machine = machine(username, schemas);
        let mut request = machine.first_request()?;
        loop {
            let answer = self.exchange(&request).await;
            match machine.answer(&borrowed(&answer))? {
                ClientStep::Done(association) => return Ok(*association),
                ClientStep::Authenticate { rand, autn, .. } => {
                    request = machine.authenticated(sim.answer(&rand, &autn), [7; 16])?;
                }
            }
        }
    }

    /// Up to the request that would be answered by a `200`.
    pub async fn halfway(&mut self, sim: &Sim) -> Halfway {
        let mut machine = machine(&sim.imsi, &[KeySchema::Obf1]);
        let answer = self.exchange(&machine.first_request().unwrap()).await;
        let ClientStep::Authenticate { rand, autn, .. } = machine.answer(&borrowed(&answer)).unwrap() else {
            panic!("no challenge")
        };
        let request = machine.authenticated(sim.answer(&rand, &autn), [7; 16]).unwrap();
        Halfway { machine, request }
    }
}

pub fn borrowed(answer: &Response<Bytes>) -> HttpResponse<'_> {
    answer
        .headers()
        .iter()
        .fold(HttpResponse::new(answer.status().as_u16(), answer.body()), |response, (name, value)| {
            response.with_header(name.as_str(), value.as_bytes())
        })
}

fn machine(username: &str, schemas: &[KeySchema]) -> Bootstrap {
    Bootstrap::new(ClientSettings {
        username: username.into(),
        domain: Domain::new(DOMAIN).unwrap(),
        minimum: obf_token::Algorithm::AkaV1Md5,
        strongest: obf_token::Algorithm::AkaV2Sha256,
        schemas: schemas.to_vec(),
        product: "test/1".into(),
    })
}
