//! A Resource Server and Authentication Servers in this process, on ephemeral ports, with certificates of their own.
#![allow(dead_code, reason = "tests/peers uses it too")]

use super::device::Sim;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use obf_net::{OffsetClock, certificates, http::HttpClient};
use obf_store::{
    Options,
    resource::{Lane, ResourceDb},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub const DOMAIN: &str = "as.obf.example";
pub const TRACK: &str = "track.example";
pub const OTHER: &str = "other.example";
pub const TOKEN: &str = "the-administrator";

/// How Authentication and Resource Server talk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rpr {
    Udp,
    Tls,
}

pub struct Deployment {
    pub clock: Arc<OffsetClock>,
    pub resource: Option<obf_resource::Handle>,
    pub auth: Vec<Option<obf_auth::Handle>>,
    rpr: Rpr,
    resource_address: SocketAddr,
    das: Vec<SocketAddr>,
    directory: tempfile::TempDir,
    extra: String,
    /// In place of the one Resource Server's section.
    pub servers: Option<String>,
    /// In place of the key of the administrator of the configuration, in each node's `[admin]`.
    pub admin_keys: Option<String>,
    /// Listeners of nodes in other processes, by node and point.
    pub elsewhere: HashMap<(usize, String), SocketAddr>,
    /// Where RADIUS/TLS listens.
    listen: &'static str,
}

impl Deployment {
    /// One Resource Server, one Authentication Server, `track.example` and `other.example` registered.
    pub async fn start(rpr: Rpr) -> Self {
        Self::start_with(rpr, 1, "").await
    }

    /// So many Authentication Server nodes on one store; `extra` is appended to the configuration of each, behind its `[rpb]`.
    pub async fn start_with(rpr: Rpr, nodes: usize, extra: &str) -> Self {
        let mut deployment = Self::new(rpr, nodes, extra);
        deployment.start_resource().await;
        for node in 0..nodes {
            deployment.auth.push(None);
            deployment.start_auth(node).await;
        }
        deployment.register_applications().await;
        deployment
    }

    fn new(rpr: Rpr, nodes: usize, extra: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_certificates(directory.path());
        let kek = directory.path().join("kek.hex");
        std::fs::write(&kek, "5a".repeat(32)).unwrap();
        std::fs::set_permissions(&kek, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::write(directory.path().join("radius.secret"), "s".repeat(40)).unwrap();
        Self {
            clock: Arc::new(OffsetClock::new()),
            resource: None,
            auth: Vec::new(),
            rpr,
            resource_address: free_udp(),
            das: (0..nodes).map(|_| free_udp()).collect(),
            directory,
            extra: extra.into(),
            servers: None,
            admin_keys: None,
            elsewhere: HashMap::new(),
            listen: "127.0.0.1:0",
        }
    }

    /// A Resource Server for so many nodes on other hosts, which are started elsewhere.
    pub async fn for_hosts(nodes: usize, extra: &str) -> Self {
        let mut deployment = Self::new(Rpr::Tls, nodes, extra);
        deployment.listen = "0.0.0.0:0";
        deployment.auth.extend((0..nodes).map(|_| None));
        deployment.start_resource().await;
        deployment.register_applications().await;
        deployment
    }

    async fn register_applications(&self) {
        for app in [TRACK, OTHER] {
            self.resource_admin("POST", "/v1/apps", &application(app)).await;
        }
    }

    /// Another Resource Server for the same nodes, with a database and, over UDP, a secret of its own; no application is
    /// registered there. Returns where it answers on RPR, too.
    pub async fn start_another(&self, name: &str, rpr: Rpr) -> (obf_resource::Handle, SocketAddr) {
        std::fs::write(self.file(&format!("{name}.secret")), name.repeat(40)).unwrap();
        self.start_another_at(name, rpr, free_udp()).await
    }

    /// As before, with its files as they are.
    pub async fn start_another_at(
        &self,
        name: &str,
        rpr: Rpr,
        address: SocketAddr,
    ) -> (obf_resource::Handle, SocketAddr) {
        let config = self.resource_config_of(rpr, address, name, name);
        let environment = obf_resource::Environment { clock: self.clock.clone() };
        let handle = obf_resource::start(toml::from_str(&config).unwrap(), environment).await.unwrap();
        let tls = handle.endpoints().into_iter().find(|(point, ..)| *point == "rpr-tls");
        (handle, tls.map_or(address, |(_, address, _)| address))
    }

    /// Where the Resource Server answers on RPR.
    pub const fn resource_address(&self) -> SocketAddr {
        self.resource_address
    }

    /// The keys of a Resource Server's section but its name and rules.
    pub fn link(&self, rpr: Rpr, address: SocketAddr, secret: &str) -> String {
        let dir = self.directory.path().display();
        match rpr {
            Rpr::Udp => {
                format!(
                    "transport = \"udp\"\nservers = [\"{address}\"]\nsecret_file = \"{dir}/{secret}.secret\"\n"
                )
            }
            Rpr::Tls => format!(
                "transport = \"tls\"\nservers = [\"{address}\"]\nca_file = \"{dir}/ca.pem\"\n\
                 cert_file = \"{dir}/as.pem\"\nkey_file = \"{dir}/as.key\"\nserver_name = \"localhost\"\n"
            ),
        }
    }

    /// The Resource Server on a database that never heard of anything, the applications apart.
    pub async fn restart_resource_empty(&mut self) {
        self.resource.take().unwrap().shutdown().await;
        for file in ["resource.db", "resource.db-wal", "resource.db-shm"] {
            let _ = std::fs::remove_file(self.file(file));
        }
        self.start_resource().await;
        self.register_applications().await;
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub async fn start_resource(&mut self) {
        let config: obf_resource::Config = toml::from_str(&self.resource_config()).unwrap();
        let environment = obf_resource::Environment { clock: self.clock.clone() };
        let handle = obf_resource::start(config, environment).await.unwrap();
        let tls = handle.endpoints().into_iter().find(|(point, ..)| *point == "rpr-tls");
        if let Some((_, address, _)) = tls {
            self.resource_address = address;
        }
        self.resource = Some(handle);
    }

    pub async fn start_auth(&mut self, node: usize) {
        let config: obf_auth::Config = toml::from_str(&self.auth_config(node)).unwrap();
        let environment = obf_auth::Environment { clock: self.clock.clone() };
        self.auth[node] = Some(obf_auth::start(config, environment).await.unwrap());
    }

    /// Stops a node as SIGTERM does.
    pub async fn stop_auth(&mut self, node: usize) {
        self.auth[node].take().unwrap().shutdown().await;
    }

    pub fn auth_address(&self, node: usize, point: &str) -> SocketAddr {
        if let Some(address) = self.elsewhere.get(&(node, point.to_owned())) {
            return *address;
        }
        let endpoints = self.auth[node].as_ref().unwrap().endpoints();
        endpoints.into_iter().find(|(known, ..)| *known == point).unwrap().1
    }

    /// Registers a device and grants it applications.
    pub async fn add_device(&self, sim: &Sim, apps: &[&str]) {
        let record: Value = serde_json::from_str(&sim.record()).unwrap();
        self.resource_admin("POST", "/v1/devices", &record).await;
        for app in apps {
            self.grant(sim, app, json!({})).await;
        }
    }

    pub async fn grant(&self, sim: &Sim, app: &str, more: Value) {
        let mut record = json!({ "device": sim.imsi, "app": app });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.resource_admin("POST", "/v1/grants", &record).await;
    }

    /// Calls the Resource Server's admin API; it must succeed.
    pub async fn resource_admin(&self, method: &str, path: &str, body: &Value) -> Value {
        self.admin_of(self.resource.as_ref().unwrap(), method, path, body).await
    }

    /// Calls a Resource Server's admin API; it must succeed.
    pub async fn admin_of(
        &self,
        resource: &obf_resource::Handle,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Value {
        let endpoints = resource.endpoints();
        let address = endpoints.into_iter().find(|(point, ..)| *point == "admin").unwrap().1;
        let (status, answer) = self.admin(address, TOKEN, method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    /// Registers a fleet from JSON lines.
    pub async fn resource_import(&self, lines: &str) {
        let endpoints = self.resource.as_ref().unwrap().endpoints();
        let address = endpoints.into_iter().find(|(point, ..)| *point == "admin").unwrap().1;
        let tls = certificates::client(&self.file("ca.pem")).unwrap();
        let time = Duration::from_secs(60);
        let mut client = HttpClient::connect(address, "localhost", Some(tls), time).await.unwrap();
        let request = Request::builder()
            .method("POST")
            .uri("/v1/devices:import")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {TOKEN}"))
            .body(Full::new(Bytes::from(lines.to_owned())))
            .unwrap();
        let answer = client.send(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        let outcomes = String::from_utf8(answer.body().to_vec()).unwrap();
        assert!(!outcomes.contains("\"error\""), "{outcomes}");
    }

    /// Waits until every node has acknowledged every notice of the Resource Server.
    pub async fn all_told(&self) {
        self.all_told_by("resource").await;
    }

    /// The same of the Resource Server with that database.
    pub async fn all_told_by(&self, database: &str) {
        let store = ResourceDb::open(&Options::new(self.file(&format!("{database}.db")))).unwrap();
        let told = async {
            for node in 0..self.auth.len() {
                while waits(&store, &format!("{DOMAIN}#{node}")).await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(120), told).await.expect("the outbox empties");
    }

    /// Calls an Authentication Server's admin API.
    pub async fn auth_admin(&self, node: usize, token: &str, method: &str, path: &str) -> (u16, Value) {
        self.admin(self.auth_address(node, "admin"), token, method, path, &Value::Null).await
    }

    /// The same as the administrator; it must succeed.
    pub async fn auth_administer(&self, node: usize, method: &str, path: &str) -> Value {
        let (status, answer) = self.auth_admin(node, TOKEN, method, path).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// The status of a POST to an Authentication Server that may be gone.
    pub async fn try_end(&self, node: usize, path: &str) -> Option<u16> {
        let address = self.auth_address(node, "admin");
        self.try_admin(address, TOKEN, "POST", path, &Value::Null).await.map(|(status, _)| status)
    }

    async fn admin(
        &self,
        address: SocketAddr,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        self.try_admin(address, token, method, path, body).await.expect("an answer of the admin API")
    }

    async fn try_admin(
        &self,
        address: SocketAddr,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<(u16, Value)> {
        let tls = certificates::client(&self.file("ca.pem")).unwrap();
        let time = Duration::from_secs(10);
        let mut client = HttpClient::connect(address, "localhost", Some(tls), time).await.ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let answer = client.send(request).await.ok()?;
        let status = answer.status().as_u16();
        Some((status, serde_json::from_slice(answer.body()).unwrap_or(Value::Null)))
    }

    fn resource_config(&self) -> String {
        self.resource_config_of(self.rpr, self.resource_address, "resource", "radius")
    }

    fn resource_config_of(&self, rpr: Rpr, address: SocketAddr, database: &str, secret: &str) -> String {
        let dir = self.directory.path().display();
        let hash: String = Sha256::digest(TOKEN).iter().map(|octet| format!("{octet:02x}")).collect();
        let listener = match rpr {
            Rpr::Udp => format!("[rpr]\nlisten = \"{address}\"\n"),
            Rpr::Tls => format!(
                "[rpr_tls]\nlisten = \"{}\"\ncert_file = \"{dir}/rs.pem\"\nkey_file = \"{dir}/rs.key\"\n\
                 client_ca_file = \"{dir}/ca.pem\"\n",
                self.listen
            ),
        };
        let mut servers = String::new();
        for (node, das) in self.das.iter().enumerate() {
            servers += &format!("[[auth_servers]]\ndomain = \"{DOMAIN}\"\nnode = {node}\n");
            servers += &match rpr {
                Rpr::Udp => format!(
                    "address = \"127.0.0.1\"\nsecret_file = \"{dir}/{secret}.secret\"\ndas = \"{das}\"\n"
                ),
                Rpr::Tls => format!("cert_name = \"{DOMAIN}\"\n"),
            };
        }
        format!(
            "database = \"{dir}/{database}.db\"\nkek_file = \"{dir}/kek.hex\"\n{listener}\
             [admin]\nlisten = \"127.0.0.1:0\"\ncert_file = \"{dir}/rs.pem\"\nkey_file = \"{dir}/rs.key\"\n\
             token_sha256 = \"{hash}\"\n{servers}"
        )
    }

    /// A node's configuration, also for a process of its own.
    pub fn auth_config(&self, node: usize) -> String {
        let dir = self.directory.path().display();
        let hash: String = Sha256::digest(TOKEN).iter().map(|octet| format!("{octet:02x}")).collect();
        let server = self.servers.clone().unwrap_or_else(|| {
            let link = self.link(self.rpr, self.resource_address, "radius");
            format!("[resource_server]\nname = \"rs\"\n{link}")
        });
        let admin = self.admin_keys.clone().unwrap_or_else(|| format!("token_sha256 = \"{hash}\"\n"));
        let das = match self.rpr {
            Rpr::Udp => format!("[das]\nlisten = \"{}\"\n", self.das[node]),
            Rpr::Tls => String::new(),
        };
        format!(
            "domain = \"{DOMAIN}\"\nnode = {node}\ndatabase = \"{dir}/auth.db\"\nkek_file = \"{dir}/kek.hex\"\n\
             [rpo]\nlisten = \"127.0.0.1:0\"\ncert_file = \"{dir}/as.pem\"\nkey_file = \"{dir}/as.key\"\n\
             client_ca_file = \"{dir}/ca.pem\"\n{das}\
             [admin]\nlisten = \"127.0.0.1:0\"\ncert_file = \"{dir}/as.pem\"\nkey_file = \"{dir}/as.key\"\n\
             {admin}{server}\
             [rpb]\nlisten = \"127.0.0.1:0\"\ncert_file = \"{dir}/as.pem\"\nkey_file = \"{dir}/as.key\"\n{}",
            self.extra
        )
    }
}

fn application(app: &str) -> Value {
    json!({ "app": app, "cert_names": [app], "ua": ["tls-psk"] })
}

fn free_udp() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn write_certificates(directory: &Path) {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&ca_key).unwrap();
    std::fs::write(directory.join("ca.pem"), ca.pem()).unwrap();
    let issuer = Issuer::new(params, ca_key);
    for (file, names) in [
        ("as", vec![DOMAIN, "rs.as.obf.example", "localhost"]),
        ("rs", vec!["rs.as.obf.example", "localhost"]),
        (TRACK, vec![TRACK]),
        (OTHER, vec![OTHER]),
        ("proxy", vec!["proxy.example"]),
    ] {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(directory.join(format!("{file}.pem")), certificate.pem()).unwrap();
        std::fs::write(directory.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    }
}

/// Whether notices wait for that node.
async fn waits(store: &ResourceDb, node: &str) -> bool {
    for lane in [Lane::Single, Lane::Bulk] {
        if !store.notices_in(node, lane, 1).await.unwrap().is_empty() {
            return true;
        }
    }
    false
}
