//! The examples of the two libraries, each with the other, against a deployment of the real binary.

#[allow(dead_code, reason = "main, which reads the command line")]
#[path = "../../../obf-client/examples/connect.rs"]
mod connect;
#[allow(dead_code, reason = "main, which reads the command line")]
#[path = "../../../obf-app/examples/greet.rs"]
mod greet;

use crate::device::APP;
use obf_net::Stopper;
use obf_testkit::deployment::{Deployment, Sim};

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_connect_to_each_other_and_the_device_is_known() {
    let deployment = tokio::task::spawn_blocking(|| {
        let mut deployment = Deployment::init(&["--app", APP]);
        deployment.serve("all", &[]);
        let add = ["app", "add", APP, "--cert-name", APP, "--ua", "tls-psk", "--disclose-identity"];
        deployment.obf(&add).expect_success();
        deployment.add_device(&Sim::number(1), &[APP]);
        deployment
    });
    let deployment = deployment.await.unwrap();
    let rpo = deployment.endpoint("auth", "rpo").to_string();
    let text = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
    let arguments = [text(""), APP.into(), "as.obf.example".into(), rpo, "127.0.0.1:0".into()];
    let stopper = Stopper::new();
    let mut listener = greet::listener(&arguments, &stopper.running()).await.unwrap();
    let address = listener.address().to_string();
    let greeting = tokio::spawn(async move { greet::greet(listener.accept().await.unwrap()).await });

    std::fs::write(text("sim.json"), Sim::number(1).import_line()).unwrap();
    let server = format!("https://{}", deployment.endpoint("auth", "rpb"));
    let arguments = [&text("sim.json"), &server, &text("ca.pem"), APP, &address, "hello"];
    let answer = connect::exchange(&arguments).await.unwrap();
    assert_eq!(answer, "imsi:001010000000001 says hello\n");
    greeting.await.unwrap().unwrap();
}
