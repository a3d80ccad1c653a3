//! RPB at the real Authentication Server, with the real Resource Server behind it, over TLS (issue "The spine", sentence 3;
//! N3 P2 R11 R14 R15 W2): `obf serve` on ephemeral ports, everything stopped at the end.

mod identities;
mod limits;
mod once;
mod oracle;
mod relay;
mod wire;

use obf_aka::{Algorithm as Aka, SqnArray, SqnLayout, SqnLimits};
use obf_rpb::client::{AkaAnswer, ClientSettings};
use obf_rpb::{Bootstrap, BootstrapError, ClientStep, SecurityAssociation, http::ClientRequest};
use obf_testkit::{Deployment, Sim};
use obf_token::Algorithm;
use obf_types::{Domain, KeySchema, Secret, SecretBytes};
use wire::{Answer, Wire};

pub const DOMAIN: &str = "as.obf.example";

/// A device: a software USIM and the client's machine, one step at a time.
pub struct Device {
    pub aka: Aka,
    pub memory: SqnArray,
    pub settings: ClientSettings,
}

impl Device {
    pub fn new(sim: &Sim) -> Self {
        let key = |text: &str| Secret::<16>::from_slice(&hex(text)).unwrap();
        Self {
            aka: Aka::milenage(&key(&sim.k), &key(&sim.opc)),
            memory: SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT),
            settings: ClientSettings {
                username: sim.imsi.as_str().into(),
                domain: Domain::new(DOMAIN).unwrap(),
                minimum: Algorithm::AkaV2Sha256,
                strongest: Algorithm::AkaV2Sha256,
                schemas: vec![KeySchema::Obf1, KeySchema::GbaMe],
                product: "OBF-Test/1".into(),
            },
        }
    }

    /// Its secure element has accepted far higher numbers than the Resource Server knows.
    pub fn ahead(sim: &Sim) -> Self {
        let mut device = Self::new(sim);
        for place in 0..SqnLayout::DEFAULT.places() {
            assert!(device.memory.accept(SqnLayout::DEFAULT.sqn(5000, place as u8).unwrap()));
        }
        device
    }

    pub fn authenticate(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> AkaAnswer {
        match obf_aka::authenticate(&self.aka, &mut self.memory, rand, autn) {
            obf_aka::Authentication::Success(success) => AkaAnswer::HandedOut {
                res: SecretBytes::from(success.res.expose()),
                ck: Secret::from_slice(success.ck.expose()).unwrap(),
                ik: Secret::from_slice(success.ik.expose()).unwrap(),
            },
            obf_aka::Authentication::SynchronisationFailure(auts) => {
                AkaAnswer::SynchronisationFailure { auts }
            }
            obf_aka::Authentication::MacFailure => AkaAnswer::MacFailure,
        }
    }

    /// The first exchange; returns the machine and the second request.
    pub fn challenged(&mut self, wire: &mut Wire) -> Result<(Bootstrap, ClientRequest), BootstrapError> {
        let mut bootstrap = Bootstrap::new(self.settings.clone());
        let answer = wire.send(&bootstrap.first_request()?);
        let ClientStep::Authenticate { rand, autn, .. } = bootstrap.answer(&answer.response())? else {
            panic!("no challenge")
        };
        let answer = self.authenticate(&rand, &autn);
        let cnonce: [u8; 16] = std::array::from_fn(|i| rand[15 - i] ^ 0x5A);
        let request = bootstrap.authenticated(answer, cnonce)?;
        Ok((bootstrap, request))
    }

    pub fn bootstrap(&mut self, wire: &mut Wire) -> Result<SecurityAssociation, BootstrapError> {
        let (mut bootstrap, mut request) = self.challenged(wire)?;
        loop {
            let answer = wire.send(&request);
            match bootstrap.answer(&answer.response())? {
                ClientStep::Authenticate { rand, autn, .. } => {
                    request = bootstrap.authenticated(self.authenticate(&rand, &autn), rand)?;
                }
                ClientStep::Done(association) => return Ok(*association),
            }
        }
    }
}

/// Cards of these numbers, imported in one go.
pub fn import(deployment: &Deployment, numbers: std::ops::Range<u32>) -> Vec<Sim> {
    let sims: Vec<Sim> = numbers.map(Sim::number).collect();
    let lines: String = sims.iter().map(Sim::import_line).collect();
    deployment.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
    sims
}

pub fn first_request(username: &str) -> ClientRequest {
    let value =
        format!("Digest username=\"{username}\", realm=\"{DOMAIN}\", nonce=\"\", uri=\"/\", response=\"\"");
    ClientRequest { method: "GET", target: "/", headers: vec![("authorization", value.into_bytes())] }
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

pub fn challenges(answer: &Answer) -> Vec<obf_digest::Challenge<'_>> {
    let values = answer.headers.iter().filter(|(name, _)| name == "www-authenticate");
    obf_digest::Challenge::parse_all(values.map(|(_, value)| value.as_slice())).unwrap()
}
