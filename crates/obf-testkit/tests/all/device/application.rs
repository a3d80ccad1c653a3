//! `obf app run`: the application of the deployment, in a process of its own.

use super::{APP, LONG, lines, stop};
use obf_testkit::deployment::{Deployment, binary};
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// A running one.
pub struct Application {
    child: Child,
    pub address: String,
}

impl Application {
    /// `service` is `--echo`, or `--to` and an address.
    pub fn run(deployment: &Deployment, service: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["app", "run", "--json", "--id", APP, "--listen", "127.0.0.1:0"])
            .args(["--rpo", &deployment.endpoint("auth", "rpo").to_string(), "--rpo-name", "as.obf.example"])
            .arg("--cert")
            .arg(deployment.file(&format!("apps/{APP}.pem")))
            .arg("--key")
            .arg(deployment.file(&format!("apps/{APP}.key")))
            .arg("--ca")
            .arg(deployment.file("ca.pem"))
            .args(service)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let mut address = String::new();
        loop {
            let line = lines.recv_timeout(LONG).expect("obf app run becomes ready");
            let event: Value = serde_json::from_str(&line).unwrap();
            match event["event"].as_str() {
                Some("listening") => address = event["address"].as_str().unwrap().to_owned(),
                Some("ready") => break,
                _ => {}
            }
        }
        Self { child, address }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}
