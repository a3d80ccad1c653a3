//! The real binary with one device and one application, and what the peers need to reach it.

use obf_testkit::{
    Deployment, Sim,
    peer::{Peer, radsecproxy::Credentials},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

pub const APP: &str = "track.example";
pub const TLS_1_3: &str = "0100000007";
pub const TLS_1_2_PSK_AES128_GCM: &str = "01000100a8";

/// Both nodes, a device that is granted [`APP`], one that is granted nothing.
pub struct Live {
    pub deployment: Deployment,
    pub sim: Sim,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

/// What the device knows after a bootstrap.
pub struct Bootstrapped {
    pub token: String,
    keys: Value,
}

impl Live {
    pub fn start() -> Self {
        let deployment = Deployment::start();
        deployment.add_app(APP);
        let sim = Sim::number(1);
        deployment.add_device(&sim, &[APP]);
        deployment.add_device(&Sim::number(2), &[]);
        let [certificate, key] = [".pem", ".key"].map(|kind| deployment.file(&format!("apps/{APP}{kind}")));
        let ca = deployment.file("ca.pem");
        Self { deployment, sim, certificate, key, ca }
    }

    /// What RADIUS/TLS clients show: the application's own certificate.
    pub fn credentials(&self) -> Credentials<'_> {
        let Self { certificate, key, ca, .. } = self;
        Credentials { certificate, key, ca, server_name: "as.obf.example" }
    }

    /// `obf app run --echo` for [`APP`], and where devices reach it.
    pub fn echo(&self) -> (Peer, SocketAddr) {
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let rpo = self.deployment.endpoint("auth", "rpo").to_string();
        let arguments = [
            "--json",
            "app",
            "run",
            "--echo",
            "--id",
            APP,
            "--listen",
            "127.0.0.1:0",
            "--rpo",
            &rpo,
            "--rpo-name",
            "as.obf.example",
            "--cert",
            &path(&self.certificate),
            "--key",
            &path(&self.key),
            "--ca",
            &path(&self.ca),
        ];
        let peer = Peer::start(&obf_testkit::deployment::binary(), &arguments, r#""ready""#);
        let log = peer.log();
        let said = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let listening = said.into_iter().find(|event| event["event"] == "listening").unwrap();
        (peer, listening["address"].as_str().unwrap().parse().unwrap())
    }

    /// The secret of RPR over UDP.
    pub fn rpr_secret(&self) -> String {
        std::fs::read_to_string(self.deployment.file("radius.secret")).unwrap()
    }

    /// The Python UE of `tests/peers` bootstraps with a card and derives its keys for [`APP`], all without our code. It
    /// logs its TLS secrets in `key_log`.
    pub fn python_ue(&self, sim: &Sim, key_log: &Path) -> Bootstrapped {
        let se = self.se(sim);
        let output = Command::new("/usr/bin/python3")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/ue.py"))
            .args(["--url", "https://as.obf.example"])
            .args(["--connect", &self.deployment.endpoint("auth", "rpb").to_string()])
            .arg("--ca")
            .arg(&self.ca)
            .arg("--se")
            .arg(&se)
            .args(["--naf", &format!("{APP}/{TLS_1_3}"), "--naf", &format!("{APP}/{TLS_1_2_PSK_AES128_GCM}")])
            .env("SSLKEYLOGFILE", key_log)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        Bootstrapped { token: said["btid"].as_str().unwrap().to_owned(), keys: said["keys"][APP].clone() }
    }

    /// A device of ours bootstraps, and derives its key for [`APP`] and TLS 1.3.
    pub fn bootstrap(&self, sim: &Sim) -> Bootstrapped {
        let (se, address) = (self.se(sim), self.deployment.endpoint("auth", "rpb"));
        let (se, server) = (se.to_str().unwrap(), format!("https://{address}"));
        let ca = self.ca.to_str().unwrap();
        let asked =
            ["--json", "client", "bootstrap", "--se", se, "--as", &server, "--ca", ca, "--show-key", APP];
        let ran = self.deployment.obf(&asked);
        ran.expect_success();
        let said = ran.json_lines().remove(0);
        let keys = json!({ TLS_1_3: said["key"] });
        Bootstrapped { token: said["token"].as_str().unwrap().to_owned(), keys }
    }

    /// A software secure element's file with that card.
    fn se(&self, sim: &Sim) -> PathBuf {
        let se = self.deployment.file(&format!("{}.json", sim.imsi));
        if !se.exists() {
            let Sim { imsi, k, opc } = sim;
            let record = format!(r#"{{"imsi":"{imsi}","algorithm":"milenage","k":"{k}","opc":"{opc}"}}"#);
            std::fs::write(&se, record).unwrap();
        }
        se
    }
}

impl Bootstrapped {
    /// The device's key for [`APP`] and one security protocol, hex.
    pub fn key(&self, ua: &str) -> &str {
        self.keys[ua].as_str().unwrap_or_else(|| panic!("no key for {ua} in {}", self.keys))
    }
}
