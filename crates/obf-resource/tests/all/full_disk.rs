//! Issue 4, bad input: the disk fills up while the Resource Server serves, (a real one: a small tmpfs, filled to
//! the last octet); the same under PostgreSQL is in `tests/peers`. What was acknowledged stays, no SQN comes twice, what is refused is refused with
//! its reason, what only reads is answered, and with room again serving goes on by itself.

use crate::common::full_disk::*;
use crate::common::{
    Admin, RprUdpClient,
    load::{DEVICES, Load, imsi},
};
use obf_rpr::RprClient;
use obf_testkit::{Deployment, Sim, SmallDisk, deployment::binary};
use obf_types::{Domain, NodeNumber};

/// By the real binary, which is then killed and started again.
#[tokio::test(flavor = "multi_thread")]
async fn r5_a_full_disk_loses_and_repeats_no_sqn_and_serving_goes_on_with_room_again() {
    let disk = SmallDisk::new(4096);
    let mut deployment = Deployment::init_with(&disk.script(&binary()), &[]);
    let config = std::fs::read_to_string(deployment.config()).unwrap();
    let place = disk.place().join("resource.db");
    let config = config.replace("\"data/resource.db\"", &format!("{place:?}"));
    std::fs::write(deployment.config(), config).unwrap();
    deployment.serve("resource", &[]);
    let pid = deployment.servers()[0].id();
    let lines: String = (0..DEVICES as u32).map(|number| Sim::number(number).import_line()).collect();
    deployment.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
    let mut load = Load::default();
    load.ask(client(&deployment).await, 8);
    load.answered(50).await;
    disk.fill();
    load.refused(50).await;
    let mut admin = admin(&deployment).await;
    let refused = refuses_changes_and_answers_the_rest(&mut admin).await;
    let ran = deployment.obf(&["device", "suspend", &imsi(1)]);
    assert!(ran.code() != 0 && ran.stderr.contains(FULL), "{ran:?}");
    disk.free();
    load.answered(100).await;
    works_again(&mut admin, refused).await;
    let (highest, _) = load.stop().await;
    assert_eq!(deployment.servers()[0].id(), pid);
    assert!(deployment.servers()[0].log().contains(FULL), "the log says it too");
    check(&mut admin, &highest).await;
    deployment.servers()[0].kill();
    deployment.serve("resource", &[]);
    check(&mut self::admin(&deployment).await, &highest).await;
}

async fn client(deployment: &Deployment) -> RprUdpClient {
    let secret = std::fs::read_to_string(deployment.file("radius.secret")).unwrap();
    let client =
        RprClient { domain: Domain::new("as.obf.example").unwrap(), node: NodeNumber::new(0).unwrap() };
    RprUdpClient::with(&[deployment.endpoint("resource", "rpr")], secret.trim().as_bytes(), client).await
}

async fn admin(deployment: &Deployment) -> Admin {
    let token = std::fs::read_to_string(deployment.file("admin.token")).unwrap();
    let address = deployment.endpoint("resource", "admin");
    Admin::connect(address, "rs.as.obf.example", &deployment.file("ca.pem"), token.trim()).await.unwrap()
}
