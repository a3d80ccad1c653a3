//! The crate's example as a reader would run it, against a deployment of the real binary.

use crate::device::{APP, deployment};
use obf_testkit::{Sim, deployment::example};
use std::process::Command;

#[test]
fn the_example_bootstraps_connects_and_exchanges_a_line() {
    let (deployment, application) = deployment();
    let sim = Sim::number(1);
    deployment.add_device(&sim, &[APP]);
    std::fs::write(deployment.file("sim.json"), sim.import_line()).unwrap();
    let server = format!("https://{}", deployment.endpoint("auth", "rpb"));
    let ran = Command::new(example("connect"))
        .args(["sim.json", &server, "ca.pem", APP, &application.address, "hello"])
        .current_dir(deployment.dir())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "hello\n");
}
