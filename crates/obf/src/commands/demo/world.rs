//! Everything the story needs: a deployment in a directory of its own, its nodes, and administration over HTTPS.

use super::{sabotage::Sabotage, wire::LossyWire};
use crate::{
    admin::{Admin, Node},
    commands::init::Init,
    configuration::{Configuration, FILE_NAME},
    failure::Failure,
    nodes::Nodes,
};
use obf_net::{Clock, OffsetClock, SystemClock};
use obf_types::{AppId, Domain, UnixTime, hex};
use serde_json::json;
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Tokens live this long in the story, seconds: the clock is moved by it once.
pub const LIFETIME: u64 = 300;
/// The application that the vehicle may use.
pub const TRACK: &str = "track.example";
/// One that it may not.
pub const FLEET: &str = "fleet.example";
/// The vehicle's SIM.
pub const VEHICLE: &str = "001010000000001";
/// Another device's SIM, whose bootstrap is replayed.
pub const OTHER: &str = "001010000000002";

/// The surroundings of the story.
pub struct World {
    /// The clock that every node, the application and the device look at.
    pub clock: Arc<dyn Clock>,
    /// Moves it forward; without effect if it is frozen.
    pub hand: Arc<OffsetClock>,
    /// The deployment's configuration.
    pub configuration: Configuration,
    // Absent only while they are started again.
    nodes: Option<Nodes>,
    _wire: Option<LossyWire>,
    dir: tempfile::TempDir,
}

/// A card's keys, drawn for this run.
pub struct CardKeys {
    imsi: &'static str,
    iccid: &'static str,
    k: [u8; 16],
    opc: [u8; 16],
}

/// A clock that does not move.
#[derive(Debug)]
struct FrozenClock(UnixTime);

impl Clock for FrozenClock {
    fn now(&self) -> UnixTime {
        self.0
    }
}

impl World {
    /// `obf init` and the nodes of `obf serve all`, in this process.
    ///
    /// # Errors
    /// Whatever kept them from starting.
    pub async fn start(sabotage: Option<Sabotage>) -> Result<Self, Failure> {
        let dir = tempfile::Builder::new()
            .prefix("obf-demo-")
            .tempdir()
            .map_err(|error| Failure::file(&std::env::temp_dir(), &error))?;
        Init::ephemeral(dir.path(), vec![app(TRACK)?, app(FLEET)?])?.write()?;
        let config = dir.path().join(FILE_NAME);
        let wire = match sabotage {
            Some(Sabotage::DisconnectDropped) => Some(lose_disconnects(&config).await?),
            _ => None,
        };
        let lifetime = format!("auth.limits.max_lifetime=\"{LIFETIME}s\"");
        let configuration = Configuration::load(&config, &[lifetime])?;
        let hand = Arc::new(OffsetClock::new());
        let clock: Arc<dyn Clock> = match sabotage {
            Some(Sabotage::ClockFrozen) => Arc::new(FrozenClock(SystemClock.now())),
            _ => Arc::clone(&hand) as Arc<dyn Clock>,
        };
        let nodes = Nodes::start(&configuration, &[Node::Resource, Node::Auth], Arc::clone(&clock)).await?;
        Ok(Self { clock, hand, configuration, nodes: Some(nodes), _wire: wire, dir })
    }

    /// A file of the deployment.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The listeners, in words.
    pub fn listeners(&self) -> Vec<String> {
        let all = self.nodes.iter().flat_map(Nodes::endpoints).flat_map(|endpoints| endpoints.listeners());
        all.map(|listener| format!("{} {} at {}", listener.node, listener.point, listener.address)).collect()
    }

    /// Where a node listens.
    ///
    /// # Errors
    /// It does not.
    pub fn address(&self, node: Node, point: &str) -> Result<SocketAddr, Failure> {
        self.configuration.endpoint(node, point)
    }

    /// The Authentication Server's domain.
    ///
    /// # Errors
    /// The configuration has none.
    pub fn domain(&self) -> Result<Domain, Failure> {
        Domain::new(&self.configuration.auth()?.domain).map_err(Failure::usage)
    }

    /// A node's admin API, as the administrator that `obf init` wrote.
    ///
    /// # Errors
    /// The token or CA cannot be read.
    pub fn admin(&self, node: Node) -> Result<Admin, Failure> {
        Admin::of(&self.configuration, node)
    }

    /// Registers two devices and two applications, and grants the vehicle the first application.
    ///
    /// # Errors
    /// The admin API refused.
    pub async fn provision(&self, cards: &[&CardKeys], grant: bool) -> Result<(), Failure> {
        let admin = self.admin(Node::Resource)?;
        for card in cards {
            admin.post("/v1/devices", &card.record(&card.k)).await?;
        }
        for name in [TRACK, FLEET] {
            admin.post("/v1/apps", &json!({"app": name, "cert_names": [name], "ua": ["tls-psk"]})).await?;
        }
        if grant {
            let grant = json!({"device": VEHICLE, "app": TRACK});
            admin.post("/v1/grants", &grant).await?;
        }
        Ok(())
    }

    /// What is live of a device.
    ///
    /// # Errors
    /// The admin API refused.
    pub async fn live_tokens(&self, device: &str) -> Result<Vec<String>, Failure> {
        let listing = self.admin(Node::Auth)?.get(&format!("/v1/tokens?device={device}")).await?;
        let rows = listing.get("tokens").and_then(|rows| rows.as_array()).cloned().unwrap_or_default();
        Ok(rows.iter().filter_map(|row| Some(row.get("id")?.as_str()?.to_owned())).collect())
    }

    /// What somebody with access to the Authentication Server's disk could do: stop it, wipe what it remembers of
    /// used challenges, and start it again.
    ///
    /// # Errors
    /// It does not start again.
    pub async fn forget_challenges(&mut self) -> Result<(), Failure> {
        if let Some(nodes) = self.nodes.take() {
            nodes.shutdown().await;
        }
        let obf_store::Location::File(path) = self.configuration.auth()?.database else {
            return Err(Failure::other("sabotage", "the demonstration keeps tokens in a file"));
        };
        obf_store::tampering::forget_challenges(&path).map_err(|error| Failure::other("sabotage", error))?;
        let nodes = [Node::Resource, Node::Auth];
        self.nodes = Some(Nodes::start(&self.configuration, &nodes, Arc::clone(&self.clock)).await?);
        Ok(())
    }

    /// Drains the nodes; the directory goes.
    pub async fn end(self) {
        if let Some(nodes) = self.nodes {
            nodes.shutdown().await;
        }
    }
}

impl CardKeys {
    /// Fresh keys for a SIM.
    ///
    /// # Errors
    /// The system draws no random octets.
    pub fn draw(imsi: &'static str, iccid: &'static str) -> Result<Self, Failure> {
        let (mut k, mut opc) = ([0; 16], [0; 16]);
        for octets in [&mut k, &mut opc] {
            getrandom::fill(octets).map_err(|error| Failure::other("randomness", error))?;
        }
        Ok(Self { imsi, iccid, k, opc })
    }

    /// K and OPc.
    pub const fn octets(&self) -> (&[u8; 16], &[u8; 16]) {
        (&self.k, &self.opc)
    }

    /// Writes the secure element's file; `spoilt` with another K than the operator's.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_se(&self, path: &Path, spoilt: bool) -> Result<(), Failure> {
        let k = if spoilt { self.k.map(|octet| !octet) } else { self.k };
        crate::files::write_secret(path, self.record(&k).to_string().as_bytes())
    }

    fn record(&self, k: &[u8; 16]) -> serde_json::Value {
        json!({
            "imsi": self.imsi, "iccid": self.iccid, "algorithm": "milenage", "k": hex::encode(k), "opc": hex::encode(&self.opc),
        })
    }
}

/// Puts a lossy wire where the Resource Server sends its Disconnect-Requests.
async fn lose_disconnects(config: &Path) -> Result<LossyWire, Failure> {
    let configuration = Configuration::load(config, &[])?;
    let das = configuration.auth()?.das.ok_or_else(|| Failure::other("demo", "no das listener"))?.listen;
    let wire = LossyWire::to(das).await?;
    let text = fs::read_to_string(config).map_err(|error| Failure::file(config, &error))?;
    let changed = text.replace(&format!("das = \"{das}\""), &format!("das = \"{}\"", wire.address));
    crate::files::replace(config, changed.as_bytes())?;
    Ok(wire)
}

/// An application's id.
///
/// # Errors
/// The name is not a valid application id.
pub fn app(name: &str) -> Result<AppId, Failure> {
    AppId::new(name).map_err(Failure::usage)
}
