//! A device: `obf client` with a card in a file.

use super::{APP, application::Application};
use obf_testkit::deployment::{Deployment, Ran, Sim};
use std::path::PathBuf;

pub struct Device<'a> {
    deployment: &'a Deployment,
    imsi: String,
    pub se: PathBuf,
}

impl<'a> Device<'a> {
    pub fn new(deployment: &'a Deployment, sim: &Sim, apps: &[&str]) -> Self {
        deployment.add_device(sim, apps);
        Self::with_record(deployment, &sim.imsi, &sim.import_line())
    }

    pub fn with_record(deployment: &'a Deployment, imsi: &str, record: &str) -> Self {
        let se = deployment.file(&format!("card-{imsi}.json"));
        std::fs::write(&se, record).unwrap();
        Self { deployment, imsi: imsi.to_owned(), se }
    }

    pub fn bootstrap(&self, more: &[&str]) -> Ran {
        let se = self.se.to_str().unwrap();
        self.deployment.obf(&[&["--json", "client", "bootstrap", "--se", se], more].concat())
    }

    pub fn connect(&self, application: &Application, more: &[&str], input: &str) -> Ran {
        let se = self.se.to_str().unwrap();
        let arguments = [&["client", "connect", APP, &application.address, "--se", se], more].concat();
        self.deployment.obf_with_input(&arguments, input.as_bytes())
    }

    /// How many live tokens the Authentication Server has of it.
    pub fn tokens(&self) -> usize {
        let ran = self.deployment.obf(&["--json", "token", "list", "--device", &self.imsi]);
        ran.expect_success().lines().count()
    }
}
