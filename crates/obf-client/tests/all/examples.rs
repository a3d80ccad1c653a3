//! The crate's example, against a deployment of the real binary.

#[allow(dead_code, reason = "main, which reads the command line")]
#[path = "../../examples/connect.rs"]
mod connect;

use crate::device::{APP, deployment};
use obf_testkit::Sim;

#[tokio::test(flavor = "multi_thread")]
async fn the_example_bootstraps_connects_and_exchanges_a_line() {
    let (deployment, application) = tokio::task::spawn_blocking(deployment).await.unwrap();
    let sim = Sim::number(1);
    deployment.add_device(&sim, &[APP]);
    let (se, ca) = (deployment.file("sim.json"), deployment.file("ca.pem"));
    std::fs::write(&se, sim.import_line()).unwrap();
    let server = format!("https://{}", deployment.endpoint("auth", "rpb"));
    let [se, ca] = [&se, &ca].map(|path| path.to_str().unwrap());
    let answer = connect::exchange(&[se, &server, ca, APP, &application.address, "hello"]).await;
    assert_eq!(answer.unwrap(), "hello\n");
}
