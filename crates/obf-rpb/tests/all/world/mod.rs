//! Both ends in memory: an Authentication Server with a Resource Server and a store of real AKA and plain maps, devices
//! with a USIM each, and a clock that tests move.
#![allow(dead_code)]

use obf_aka::{
    AkaVector, Algorithm as Aka, Amf, Authentication, CounterScheme, Sqn, SqnArray, SqnLayout, SqnLimits,
    authenticate, generate_vector, verify_auts,
};
use obf_rpb::client::{AkaAnswer, ClientSettings};
use obf_rpb::http::{ClientRequest, HttpResponse};
use obf_rpb::server::{
    AuthenticationData, CommitAnswer, Context, NewToken, Settings, Spend, SpendAnswer, Vector, VectorAnswer,
    VectorQuery,
};
use obf_rpb::{
    Authenticator, Bootstrap, BootstrapError, ClientStep, Draw, HttpRequest, KeyRing, Reply,
    SecurityAssociation, Step,
};
use obf_token::{Algorithm, Method, SealingKey, Technology};
use obf_types::{Domain, Epoch, GlobalIdentity, KeySchema, Refusal, Secret, SecretBytes, UnixTime};
use std::collections::{HashMap, HashSet};

pub const START: UnixTime = UnixTime(1_800_000_000);

/// A small deterministic generator: the tests repeat.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    pub fn octets<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 32) as u8
        })
    }
}

/// What the Resource Server keeps of a device.
pub struct Subscriber {
    pub aka: Aka,
    pub sqn: Sqn,
    pub identity: GlobalIdentity,
    pub epoch: Epoch,
    pub minimum: Algorithm,
    pub technology: Technology,
    pub not_after: Option<UnixTime>,
    pub refused: Option<Refusal>,
}

pub struct World {
    pub server: Authenticator,
    pub keys: KeyRing,
    pub now: UnixTime,
    pub random: Random,
    pub subscribers: HashMap<String, Subscriber>,
    pub spent: HashSet<[u8; 16]>,
    pub tokens: Vec<(NewToken, u64)>,
    pub reachable: bool,
    pub store_works: bool,
    /// The AMF that the Resource Server makes vectors with.
    pub amf: [u8; 2],
    /// Everything asked of the Resource Server.
    pub asked: Vec<VectorQuery>,
}

pub fn aka(username: &str) -> Aka {
    let mut k = [0x5A; 16];
    k.iter_mut().zip(username.bytes()).for_each(|(k, b)| *k ^= b);
    Aka::milenage(&Secret::new(k), &Secret::new([0x33; 16]))
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            server: Authenticator::new(Settings::new(Domain::new("as.operator.example").unwrap())),
            keys: KeyRing::new(SealingKey::new(1, &Secret::new([7; 32])), vec![]),
            now: START,
            random: Random::new(seed),
            subscribers: HashMap::new(),
            spent: HashSet::new(),
            tokens: Vec::new(),
            reachable: true,
            store_works: true,
            amf: [0, 0],
            asked: Vec::new(),
        }
    }

    pub fn with_device(mut self, username: &str) -> Self {
        self.add(username);
        self
    }

    pub fn add(&mut self, username: &str) -> &mut Subscriber {
        let subscriber = Subscriber {
            aka: aka(username),
            sqn: SqnLayout::DEFAULT.sqn(100, 0).unwrap(),
            identity: GlobalIdentity::from_user_name(username).unwrap(),
            epoch: Epoch(3),
            minimum: Algorithm::AkaV1Md5,
            technology: Technology::ThreeGpp,
            not_after: None,
            refused: None,
        };
        self.subscribers.insert(username.into(), subscriber);
        self.subscribers.get_mut(username).unwrap()
    }

    /// One request through the server's machine to its reply.
    pub fn serve(&mut self, request: &HttpRequest<'_>) -> Reply {
        let draw = Draw::new(self.random.octets());
        let (server, keys, now) = (self.server.clone(), self.keys.clone(), self.now);
        let context = Context { server: &server, keys: &keys, now };
        let mut step = context.begin(request, draw);
        loop {
            step = match step {
                Step::Reply(reply) => return reply,
                Step::NeedVector(query, wait) => wait.resume(context, self.resource_server(query)),
                Step::Spend(spend, wait) => wait.resume(context, self.spend(&spend)),
                Step::Commit(commit, wait) => {
                    let answer = match self.spend(&commit.spend) {
                        SpendAnswer::Fresh => self.keep(commit.token),
                        SpendAnswer::Used => CommitAnswer::Used,
                        SpendAnswer::Revoked => CommitAnswer::Revoked,
                        SpendAnswer::Failed => CommitAnswer::Failed,
                    };
                    wait.resume(context, answer)
                }
            };
        }
    }

    pub fn serve_client(&mut self, request: &ClientRequest) -> Reply {
        let mut http = HttpRequest::new(request.method, request.target, b"");
        request.headers.iter().for_each(|(name, value)| http.header(name, value));
        self.serve(&http)
    }

    fn resource_server(&mut self, query: VectorQuery) -> VectorAnswer {
        self.asked.push(query.clone());
        if !self.reachable {
            return VectorAnswer::Unreachable;
        }
        let rand = self.random.octets();
        let Some(subscriber) = self.subscribers.get_mut(&*query.username) else {
            return VectorAnswer::Refused(Refusal::UnknownIdentity);
        };
        if let Some(refusal) = subscriber.refused {
            return VectorAnswer::Refused(refusal);
        }
        if let Some(resynchronise) = query.resynchronise {
            let Some(ms) = verify_auts(&subscriber.aka, &resynchronise.rand, &resynchronise.auts) else {
                return VectorAnswer::Refused(Refusal::BadResynchronisation);
            };
            subscriber.sqn = SqnLayout::DEFAULT.resynchronise(SqnLimits::DEFAULT, subscriber.sqn, ms);
        }
        subscriber.sqn = CounterScheme::default().next(subscriber.sqn, 1).unwrap();
        let vector = generate_vector(&subscriber.aka, &rand, subscriber.sqn, Amf::ZERO);
        // The octets of a Resource Server that does not clear the bit; MAC does not matter here.
        let mut autn = vector.autn;
        autn[6] |= self.amf[0];
        VectorAnswer::Vector(Box::new(Vector {
            data: AuthenticationData::Aka {
                vector: AkaVector { autn, ..vector },
                minimum: subscriber.minimum,
            },
            technology: subscriber.technology,
            identity: subscriber.identity.clone(),
            epoch: subscriber.epoch,
            not_after: subscriber.not_after,
            rs: "rs1".into(),
            carried: b"rights".to_vec(),
        }))
    }

    fn spend(&mut self, spend: &Spend) -> SpendAnswer {
        let current = spend.identity.as_ref().and_then(|identity| {
            self.subscribers.values().find(|subscriber| subscriber.identity == *identity)
        });
        if !self.store_works {
            SpendAnswer::Failed
        } else if current.is_some_and(|subscriber| subscriber.epoch != spend.epoch) {
            SpendAnswer::Revoked
        } else if self.spent.insert(spend.rand) {
            SpendAnswer::Fresh
        } else {
            SpendAnswer::Used
        }
    }

    fn keep(&mut self, token: NewToken) -> CommitAnswer {
        let subscriber = self.subscribers.values_mut().find(|s| s.identity == token.identity).unwrap();
        let Method::Aka(algorithm) = token.facts.method;
        subscriber.minimum = subscriber.minimum.max(algorithm);
        let counter =
            self.tokens.iter().filter(|(kept, _)| kept.identity == token.identity).count() as u64 + 1;
        self.tokens.push((token, counter));
        CommitAnswer::Committed { counter }
    }
}

/// The secure element and the settings of a device.
pub struct Device {
    pub aka: Aka,
    pub memory: SqnArray,
    pub settings: ClientSettings,
}

impl Device {
    pub fn new(username: &str) -> Self {
        Self {
            aka: aka(username),
            memory: SqnArray::new(SqnLayout::DEFAULT, SqnLimits::DEFAULT),
            settings: ClientSettings {
                username: username.into(),
                domain: Domain::new("as.operator.example").unwrap(),
                minimum: Algorithm::AkaV1Md5,
                strongest: Algorithm::AkaV2Sha256,
                schemas: vec![KeySchema::Obf1, KeySchema::GbaMe],
                product: "OBF-Client/0.1".into(),
            },
        }
    }

    /// A device whose SE has seen a far higher SQN than the Resource Server knows of.
    pub fn ahead(username: &str) -> Self {
        let mut device = Self::new(username);
        for place in 0..SqnLayout::DEFAULT.places() {
            assert!(device.memory.accept(SqnLayout::DEFAULT.sqn(5000, place as u8).unwrap()));
        }
        device
    }

    pub fn authenticate(&mut self, rand: &[u8; 16], autn: &[u8; 16]) -> AkaAnswer {
        match authenticate(&self.aka, &mut self.memory, rand, autn) {
            Authentication::Success(success) => AkaAnswer::HandedOut {
                res: SecretBytes::from(success.res.expose()),
                ck: Secret::from_slice(success.ck.expose()).unwrap(),
                ik: Secret::from_slice(success.ik.expose()).unwrap(),
            },
            Authentication::SynchronisationFailure(auts) => AkaAnswer::SynchronisationFailure { auts },
            Authentication::MacFailure => AkaAnswer::MacFailure,
        }
    }

    /// A whole bootstrap over a wire that `meddle` may change: it sees each request and each reply on its way.
    pub fn bootstrap(
        &mut self,
        world: &mut World,
        mut meddle: impl FnMut(&mut World, &mut ClientRequest, &mut Option<Reply>),
    ) -> Result<SecurityAssociation, BootstrapError> {
        let mut bootstrap = Bootstrap::new(self.settings.clone());
        let mut request = bootstrap.first_request()?;
        loop {
            let mut reply = None;
            meddle(world, &mut request, &mut reply);
            let mut reply = Some(match reply {
                Some(reply) => reply,
                None => world.serve_client(&request),
            });
            meddle(world, &mut request, &mut reply);
            let reply = reply.unwrap();
            match bootstrap.answer(&response(&reply))? {
                ClientStep::Authenticate { rand, autn, .. } => {
                    let cnonce = world.random.octets();
                    request = bootstrap.authenticated(self.authenticate(&rand, &autn), cnonce)?;
                }
                ClientStep::Done(association) => return Ok(*association),
            }
        }
    }

    pub fn plainly(&mut self, world: &mut World) -> Result<SecurityAssociation, BootstrapError> {
        self.bootstrap(world, |_, _, _| {})
    }
}

pub fn response(reply: &Reply) -> HttpResponse<'_> {
    reply.headers.iter().fold(HttpResponse::new(reply.status(), &reply.body), |response, (name, value)| {
        response.with_header(name, value)
    })
}

/// A header's value, replaced in place.
pub fn header<'a>(request: &'a mut ClientRequest, name: &str) -> &'a mut Vec<u8> {
    &mut request.headers.iter_mut().find(|(n, _)| *n == name).unwrap().1
}

pub fn replace(value: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(value.clone()).unwrap();
    assert!(text.contains(from), "{from} not in {text}");
    *value = text.replace(from, to).into_bytes();
}
