//! Devices whose keys are in osmo-hlr: they bootstrap through Authentication and Resource Server, which have none, and
//! an application accepts them (R3, R9, R15; TS 33.220 Zh towards an existing HLR).

use crate::{
    device::{APP, LONG, application::Application, device::Device},
    device_python_ue::{self, Ue},
};
use obf_testkit::{
    deployment::{Deployment, Sim},
    peer::osmo_hlr::OsmoHlr,
};
use serde_json::Value;
use std::time::Instant;

/// Nodes and an application, with the first two cards in that HLR and granted the application.
fn deployment(hlr: &OsmoHlr) -> (Deployment, Application) {
    let mut deployment = Deployment::init(&["--app", APP]);
    let config = deployment.config();
    let text = std::fs::read_to_string(&config).unwrap();
    let more = format!("\n[resource.hlr]\naddress = \"{}\"\nipa_name = \"rs1.obf.example\"\n", hlr.gsup());
    std::fs::write(&config, text + &more).unwrap();
    let sims = [Sim::number(1), Sim::number(2)];
    deployment.serve("all", &[]);
    deployment.add_app(APP);
    for sim in &sims {
        hlr.add_milenage(&sim.imsi, &sim.k, &sim.opc);
        let line = format!("{{\"imsi\":\"{}\",\"source\":\"hlr\"}}\n", sim.imsi);
        deployment.obf_with_input(&["device", "import", "-"], line.as_bytes()).expect_success();
        deployment.obf(&["grant", "add", "--device", &sim.imsi, "--app", APP]).expect_success();
    }
    let application = Application::run(&deployment, &["--echo"]);
    (deployment, application)
}

#[test]
fn r9_cards_in_osmo_hlr_bootstrap_and_are_accepted_by_the_application() {
    let hlr = OsmoHlr::start();
    let (deployment, application) = deployment(&hlr);
    let sim = Sim::number(1);
    let device = Device::with_record(&deployment, &sim.imsi, &sim.import_line());
    assert_eq!(device.connect(&application, &[], "$NRM\n").expect_success(), "$NRM\n");

    // A stock UE with its own USIM, by either of its identities; the keys are the ones that it derived itself.
    let sim = Sim::number(2);
    let impi = format!("{}@ims.mnc001.mcc001.3gppnetwork.org", sim.imsi);
    for username in [sim.imsi.as_str(), &impi] {
        let ue = Ue::bootstrap(&deployment, &sim, &["--username", username]);
        assert_eq!(device_python_ue::echoed(&application, &ue, username).as_deref(), Ok(username));
    }

    // The Resource Server has never had the key.
    for file in ["data/resource.db", "data/resource.db-wal"] {
        let octets = std::fs::read(deployment.file(file)).unwrap_or_default();
        let k: Vec<u8> = (0..16).map(|i| u8::from_str_radix(&sim.k[2 * i..2 * i + 2], 16).unwrap()).collect();
        assert!(!octets.windows(16).any(|window| window == k), "{file} has a key");
    }
}

#[test]
fn r15_a_card_ahead_of_osmo_hlr_is_resynchronised_over_all_wires() {
    let hlr = OsmoHlr::start();
    let (deployment, application) = deployment(&hlr);
    let sim = Sim::number(1);
    let device = Device::with_record(&deployment, &sim.imsi, &sim.import_line());
    let mut record: Value = serde_json::from_str(&sim.import_line()).unwrap();
    record["accepted"] = vec![1_000_000; 32].into();
    std::fs::write(&device.se, record.to_string()).unwrap();
    assert_eq!(device.connect(&application, &[], "ahead\n").expect_success(), "ahead\n");
    let record: Value = serde_json::from_slice(&std::fs::read(&device.se).unwrap()).unwrap();
    let highest = record["accepted"].as_array().unwrap().iter().map(|seq| seq.as_u64().unwrap()).max();
    assert_eq!(highest, Some(1_000_001), "osmo-hlr went on from the card's");
}

#[test]
fn a_device_whose_hlr_is_away_is_told_to_come_again_and_does() {
    let mut hlr = OsmoHlr::start();
    let (mut deployment, application) = deployment(&hlr);
    let sim = Sim::number(1);
    let device = Device::with_record(&deployment, &sim.imsi, &sim.import_line());
    device.bootstrap(&[]).expect_success();
    hlr.kill();
    let deadline = Instant::now() + LONG;
    let ran = loop {
        let ran = device.bootstrap(&[]);
        if !ran.status.success() {
            break ran;
        }
        assert!(Instant::now() < deadline, "a killed HLR goes on answering");
    };
    assert_eq!(ran.code(), 4, "{ran:?}");
    hlr.start_again();
    while !device.bootstrap(&[]).status.success() {
        assert!(Instant::now() < deadline, "{:?}", device.bootstrap(&[]));
    }
    assert_eq!(device.connect(&application, &[], "back\n").expect_success(), "back\n");
    let log = deployment.servers()[0].log();
    assert!(log.contains("the HLR is away"), "{log}");
    assert!(!log.contains(&sim.k), "no key in the log");
}
