//! Several Resource Servers behind one Authentication Server (SPEC R21): each has its own devices and says nothing about
//! another's.

use crate::{
    application::Application,
    deployment::{DOMAIN, Deployment, OTHER, Rpr, TRACK},
    device::{Sim, Ue, borrowed},
    revocation::escaped,
};
use obf_rpb::{
    BootstrapError, ClientStep, SecurityAssociation,
    client::{AkaAnswer, ClientSettings},
};
use obf_token::{Algorithm, TokenId};
use obf_types::{Domain, Refusal, UaId};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

const NORTH: &str = "00101";
const SOUTH: &str = "00102";
const LONG: Duration = Duration::from_secs(60);

/// A bootstrap that a busy machine may make wait: after a 503 it is tried again.
async fn bootstrap(ue: &mut Ue, sim: &Sim) -> SecurityAssociation {
    let deadline = Instant::now() + LONG;
    loop {
        match ue.bootstrap(sim).await {
            Err(BootstrapError::Unavailable { .. }) if Instant::now() < deadline => {}
            outcome => return outcome.unwrap(),
        }
    }
}

/// An Authentication Server with two Resource Servers: `rs` has the devices of one network, `south` those of another.
/// `track.example` is registered at both, `other.example` at `rs`.
pub struct Two {
    pub deployment: Deployment,
    rpr: [Rpr; 2],
    pub south: Option<obf_resource::Handle>,
    south_address: SocketAddr,
}

impl Two {
    pub async fn start(rpr: [Rpr; 2], extra: &str) -> Self {
        let deployment = Deployment::start_with(rpr[0], 1, extra).await;
        let (south, south_address) = deployment.start_another("south", rpr[1]).await;
        let record = json!({ "app": TRACK, "cert_names": [TRACK], "ua": ["tls-psk"] });
        deployment.admin_of(&south, "POST", "/v1/apps", &record).await;
        let mut two = Self { deployment, rpr, south: Some(south), south_address };
        two.deployment.stop_auth(0).await;
        two.deployment.servers = Some(two.both());
        two.deployment.start_auth(0).await;
        two
    }

    fn both(&self) -> String {
        self.north(self.deployment.resource_address()) + &self.south()
    }

    fn north(&self, address: SocketAddr) -> String {
        let link = self.deployment.link(self.rpr[0], address, "radius");
        format!("[[resource_servers]]\nname = \"rs\"\nprefixes = [\"imsi:{NORTH}\"]\n{link}")
    }

    fn south(&self) -> String {
        let link = self.deployment.link(self.rpr[1], self.south_address, "south");
        format!("[[resource_servers]]\nname = \"south\"\nprefixes = [\"imsi:{SOUTH}\"]\n{link}")
    }

    pub async fn south_admin(&self, method: &str, path: &str, body: &Value) -> Value {
        self.deployment.admin_of(self.south.as_ref().unwrap(), method, path, body).await
    }

    async fn add_south(&self, sim: &Sim) {
        self.south_admin("POST", "/v1/devices", &serde_json::from_str(&sim.record()).unwrap()).await;
        self.south_admin("POST", "/v1/grants", &json!({ "device": sim.imsi, "app": TRACK })).await;
    }

    /// A device of each, with a token.
    pub async fn bootstrapped(&self) -> ([Sim; 2], [TokenId; 2]) {
        let sims = [Sim::of(NORTH, 1), Sim::of(SOUTH, 1)];
        self.deployment.add_device(&sims[0], &[TRACK, OTHER]).await;
        self.add_south(&sims[1]).await;
        let mut ue = Ue::connect(&self.deployment, 0).await;
        let tokens = [bootstrap(&mut ue, &sims[0]).await.id, bootstrap(&mut ue, &sims[1]).await.id];
        (sims, tokens)
    }

    fn auth(&self) -> &obf_auth::Handle {
        self.deployment.auth[0].as_ref().unwrap()
    }

    /// Replaces the Resource Servers' sections while serving.
    async fn replace(&mut self, servers: String) -> Result<(), obf_auth::ConfigError> {
        self.deployment.servers = Some(servers);
        let config: obf_auth::Config = toml::from_str(&self.deployment.auth_config(0)).unwrap();
        self.auth().replace_resource_servers(&config).await
    }

    async fn offered(&self) -> Value {
        let answer = Ue::connect(&self.deployment, 0).await.get("/.well-known/obf").await;
        serde_json::from_slice::<Value>(answer.body()).unwrap()["resource_servers"].clone()
    }
}

#[tokio::test]
async fn r21_a_token_names_the_resource_server_of_its_device_and_applications_are_asked_for_there() {
    for rpr in [[Rpr::Udp, Rpr::Udp], [Rpr::Tls, Rpr::Tls], [Rpr::Udp, Rpr::Tls]] {
        let two = Two::start(rpr, "").await;
        let (sims, tokens) = two.bootstrapped().await;
        assert_eq!(tokens[0].domain().as_str(), "rs.as.obf.example");
        assert_eq!(tokens[1].domain().as_str(), "south.as.obf.example");
        assert_eq!(two.offered().await, json!(["rs.as.obf.example", "south.as.obf.example"]));
        let mut track = Application::connect(&two.deployment, 0, TRACK, TRACK).await;
        let other = Application::connect(&two.deployment, 0, OTHER, OTHER).await;
        let tls = UaId::TLS13_PSK;
        for token in &tokens {
            track.key(token, tls).await.unwrap();
        }
        assert!(other.key(&tokens[0], tls).await.is_ok());
        assert_eq!(other.key(&tokens[1], tls).await, Err(Refusal::ApplicationNotRegistered));

        two.deployment
            .resource_admin("POST", &format!("/v1/devices/{}:revoke", sims[0].imsi), &json!({}))
            .await;
        assert_eq!(track.told().await.token, tokens[0]);
        assert_eq!(track.key(&tokens[0], tls).await, Err(Refusal::TokenRevoked));
        assert!(track.key(&tokens[1], tls).await.is_ok());
        two.south_admin("POST", &format!("/v1/devices/{}:revoke", sims[1].imsi), &json!({})).await;
        assert_eq!(track.told().await.token, tokens[1]);
        assert_eq!(track.key(&tokens[1], tls).await, Err(Refusal::TokenRevoked));
    }
}

#[tokio::test]
async fn what_a_resource_server_says_of_anothers_device_ends_nothing() {
    for rpr in [[Rpr::Udp, Rpr::Udp], [Rpr::Tls, Rpr::Tls]] {
        let two = Two::start(rpr, "").await;
        let (sims, tokens) = two.bootstrapped().await;
        let mut track = Application::connect(&two.deployment, 0, TRACK, TRACK).await;
        // The south claims the north's device, and changes all there is to it.
        two.add_south(&sims[0]).await;
        for path in
            [format!("/v1/devices/{}:revoke", sims[0].imsi), format!("/v1/devices/{}:suspend", sims[0].imsi)]
        {
            two.south_admin("POST", &path, &json!({})).await;
        }
        two.south_admin("DELETE", &format!("/v1/devices/{}", sims[0].imsi), &Value::Null).await;
        two.deployment.all_told_by("south").await;
        assert!(track.key(&tokens[0], UaId::TLS13_PSK).await.is_ok());
        assert!(track.notices.try_recv().is_err());
        // Its own bootstraps go on under the north's epoch.
        let again = bootstrap(&mut Ue::connect(&two.deployment, 0).await, &sims[0]).await;
        assert_eq!(again.id.domain(), tokens[0].domain());
        assert!(track.key(&tokens[1], UaId::TLS13_PSK).await.is_ok());
    }
}

#[tokio::test]
async fn a_resource_server_that_is_away_stops_only_its_own_devices() {
    let mut two = Two::start([Rpr::Tls, Rpr::Tls], "[limits]\nstale_after = 10\n").await;
    let (sims, tokens) = two.bootstrapped().await;
    let track = Application::connect(&two.deployment, 0, TRACK, TRACK).await;
    track.key(&tokens[1], UaId::TLS13_PSK).await.unwrap();
    two.south.take().unwrap().shutdown().await;
    // While a device of the south waits for its 503, those of the north are served.
    let deadline = Instant::now() + LONG;
    loop {
        let mut north = Ue::connect(&two.deployment, 0).await;
        let mut south = Ue::connect(&two.deployment, 0).await;
        let mut waiting = Box::pin(south.bootstrap(&sims[1]));
        let first = tokio::select! {
            biased;
            answer = &mut waiting => Err(answer),
            served = north.bootstrap(&sims[0]) => Ok(served),
        };
        let refused = match first {
            // A machine this busy may serve nobody in those five seconds.
            Err(refused) if Instant::now() < deadline => refused,
            Err(refused) => panic!("the north waited for the south's {refused:?}"),
            Ok(served) => {
                served.unwrap();
                assert_eq!(waiting.await.unwrap_err(), BootstrapError::Unavailable { status: 503 });
                break;
            }
        };
        assert_eq!(refused.unwrap_err(), BootstrapError::Unavailable { status: 503 });
    }

    let deadline = Instant::now() + LONG;
    loop {
        match track.key(&tokens[1], UaId::TLS13_PSK).await {
            Err(Refusal::ResourceServerUnreachable) => break,
            Ok(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(100)).await,
            other => panic!("{other:?}"),
        }
    }
    let fresh: Vec<_> = two.auth().resource_servers().into_iter().map(|one| (one.name, one.fresh)).collect();
    assert_eq!(fresh, [("rs".to_owned(), true), ("south".to_owned(), false)]);
    bootstrap(&mut Ue::connect(&two.deployment, 0).await, &sims[0]).await;
    // An application resumes, too, and is told of both.
    let mut late = Application::connect_as(&two.deployment, 0, TRACK, TRACK, "late", true).await;
    let path = format!("/v1/tokens/{}:revoke", escaped(&tokens[1]));
    two.deployment.auth_administer(0, "POST", &path).await;
    assert_eq!(late.told().await.token, tokens[1]);
}

#[tokio::test]
async fn an_identity_of_no_resource_server_is_answered_like_an_unknown_one() {
    let two = Two::start([Rpr::Tls, Rpr::Tls], "").await;
    let known = Sim::of(SOUTH, 1);
    two.add_south(&known).await;
    let shape = async |user_name: &str| {
        let machine = obf_rpb::Bootstrap::new(ClientSettings {
            username: user_name.into(),
            domain: Domain::new(DOMAIN).unwrap(),
            minimum: Algorithm::AkaV1Md5,
            strongest: Algorithm::AkaV2Sha256,
            schemas: vec![],
            product: "test/1".into(),
        });
        let (mut ue, request) = (Ue::connect(&two.deployment, 0).await, machine.first_request().unwrap());
        let mut answer = ue.exchange(&request).await;
        while answer.status() == 503 {
            answer = ue.exchange(&request).await;
        }
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), value.len()));
        (answer.status(), headers.collect::<Vec<_>>(), answer.body().len())
    };
    let nobodys = Sim::of("00103", 1);
    assert_eq!(shape(&known.imsi).await, shape(&nobodys.imsi).await);
    let error = Ue::connect(&two.deployment, 0).await.bootstrap(&nobodys).await.unwrap_err();
    assert_eq!(error, BootstrapError::NetworkNotAuthentic);
    // Even where a server would know it: it is not that server's.
    two.add_south(&nobodys).await;
    let error = Ue::connect(&two.deployment, 0).await.bootstrap(&nobodys).await.unwrap_err();
    assert_eq!(error, BootstrapError::NetworkNotAuthentic);
}

#[tokio::test]
async fn the_resource_servers_are_replaced_while_serving() {
    let mut two = Two::start([Rpr::Tls, Rpr::Tls], "").await;
    let (sims, tokens) = two.bootstrapped().await;
    let gate = Gate::before(two.deployment.resource_address()).await;
    let track = Application::connect(&two.deployment, 0, TRACK, TRACK).await;

    // A configuration that is wrong changes nothing.
    let overlap = two.both().replace(SOUTH, NORTH);
    let refused = two.replace(overlap).await.unwrap_err();
    assert_eq!(refused.key, "resource_servers[1].prefixes");
    assert!(track.key(&tokens[1], UaId::TLS13_PSK).await.is_ok());

    // Without the south: its devices are nobody's, its tokens unknown; a bootstrap of the north's goes on over it.
    let mut ue = Ue::connect(&two.deployment, 0).await;
    let halfway = ue.halfway(&sims[0]).await;
    let north = two.north(two.deployment.resource_address());
    two.replace(north).await.unwrap();
    let (mut machine, answer) = (halfway.machine, ue.exchange(&halfway.request).await);
    assert!(matches!(machine.answer(&borrowed(&answer)), Ok(ClientStep::Done(_))));
    assert_eq!(two.offered().await, json!(["rs.as.obf.example"]));
    assert_eq!(track.key(&tokens[1], UaId::TLS13_PSK).await, Err(Refusal::UnknownToken));
    assert_eq!(ue.bootstrap(&sims[1]).await.unwrap_err(), BootstrapError::NetworkNotAuthentic);

    // It comes back, and the north is reached another way.
    let both = two.north(gate.address) + &two.south();
    two.replace(both).await.unwrap();
    bootstrap(&mut ue, &sims[1]).await;
    bootstrap(&mut ue, &sims[0]).await;
    let deadline = Instant::now() + LONG;
    while track.key(&tokens[1], UaId::TLS13_PSK).await.is_err() {
        assert!(Instant::now() < deadline, "the south's tokens are known again");
    }

    // What is under way at a server finishes there after it is gone from the table.
    gate.close();
    let mut slow = Ue::connect(&two.deployment, 0).await;
    let first = obf_rpb::Bootstrap::new(ClientSettings {
        username: sims[0].imsi.as_str().into(),
        domain: Domain::new(DOMAIN).unwrap(),
        minimum: Algorithm::AkaV1Md5,
        strongest: Algorithm::AkaV2Sha256,
        schemas: vec![],
        product: "test/1".into(),
    });
    let request = first.first_request().unwrap();
    let asked = tokio::spawn(async move { slow.exchange(&request).await });
    gate.held().await;
    let south = two.south();
    two.replace(south).await.unwrap();
    assert_eq!(ue.bootstrap(&sims[0]).await.unwrap_err(), BootstrapError::NetworkNotAuthentic);
    gate.open();
    let answer = asked.await.unwrap();
    let mut machine = first;
    let Ok(ClientStep::Authenticate { rand, autn, .. }) = machine.answer(&borrowed(&answer)) else {
        panic!("{answer:?}")
    };
    assert!(matches!(sims[0].answer(&rand, &autn), AkaAnswer::HandedOut { .. }), "the north's own challenge");
}

/// A sign of life is asked for in fewer octets, TLS included; a vector in more.
const STATUS_SERVER: usize = 90;

/// Stands before a server and lets its answers through or holds them.
struct Gate {
    address: SocketAddr,
    open: watch::Sender<bool>,
    /// The longest run of octets that came from the client while it was closed.
    held: watch::Receiver<usize>,
}

impl Gate {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, opened) = watch::channel(true);
        let (holds, held) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = TcpStream::connect(server).await.unwrap().into_split();
                let (mut opened, holds) = (opened.clone(), holds.clone());
                let state = opened.clone();
                tokio::spawn(async move {
                    let mut octets = [0; 4096];
                    while let Ok(n @ 1..) = from_client.read(&mut octets).await {
                        to_server.write_all(&octets[..n]).await.unwrap();
                        if !*state.borrow() {
                            holds.send_modify(|held| *held = n.max(*held));
                        }
                    }
                });
                tokio::spawn(async move {
                    let mut octets = [0; 4096];
                    while let Ok(n @ 1..) = from_server.read(&mut octets).await {
                        if opened.wait_for(|open| *open).await.is_err()
                            || to_client.write_all(&octets[..n]).await.is_err()
                        {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, open, held }
    }

    fn close(&self) {
        self.open.send_replace(false);
    }

    fn open(&self) {
        self.open.send_replace(true);
    }

    async fn held(&self) {
        self.held.clone().wait_for(|octets| *octets > STATUS_SERVER).await.unwrap();
    }
}
