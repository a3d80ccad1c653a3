//! Issue 4, bad input: an HSM that is there and does not answer any more (SoftHSM2 waits for locks that another process
//! holds). Whatever needs a key fails closed within a bounded time and says why, the rest is answered, and serving goes on by
//! itself when the HSM does, or is there again.

use crate::common::{LONG, RprUdpClient, Usim};
use obf_rpr::RprClient;
use obf_testkit::{
    Deployment, Ran, Sim,
    deployment::binary,
    peer::softhsm::{PIN, SoftHsm, TOKEN},
};
use obf_types::{Domain, NodeNumber};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::Command,
    time::{Duration, Instant},
};

/// Longer than the 10 s that the server has patience with an HSM, for what waits behind another who waits, on a loaded
/// machine.
const BOUNDED: Duration = Duration::from_secs(45);
/// How long data keys may be used without the HSM, seconds.
const LEASE: u64 = 3;

fn private(path: &std::path::Path, content: &str, mode: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A deployment whose key-encryption key is in that HSM.
fn deployment(hsm: &SoftHsm, directory: &std::path::Path) -> Deployment {
    let (config, script) = (hsm.config(), directory.join("obf"));
    let content =
        format!("#!/bin/sh\nSOFTHSM2_CONF={} exec {} \"$@\"\n", config.display(), binary().display());
    private(&script, &content, 0o700);
    let deployment = Deployment::init_with(&script, &[]);
    private(&deployment.file("hsm.pin"), PIN, 0o600);
    let module = SoftHsm::module();
    let kms = format!(
        "kms = {{ lease = {LEASE}, kek = {{ source = \"pkcs11\", module_file = {module:?}, token = {TOKEN:?}, \
         key = \"obf-kek\", pin_file = \"hsm.pin\" }} }}"
    );
    let config = fs::read_to_string(deployment.config()).unwrap();
    let (before, resource) = config.split_once("[resource]").unwrap();
    let resource = resource.replacen("kek_file = \"kek.hex\"", &kms, 1);
    fs::write(deployment.config(), format!("{before}[resource]{resource}")).unwrap();
    deployment
}

async fn client(deployment: &Deployment) -> RprUdpClient {
    let secret = fs::read_to_string(deployment.file("radius.secret")).unwrap();
    let client =
        RprClient { domain: Domain::new("as.obf.example").unwrap(), node: NodeNumber::new(0).unwrap() };
    RprUdpClient::with(&[deployment.endpoint("resource", "rpr")], secret.trim().as_bytes(), client).await
}

fn import(deployment: &Deployment, number: u32) -> Ran {
    deployment.obf_with_input(&["device", "import", "-"], Sim::number(number).import_line().as_bytes())
}

/// Asks until it is answered.
async fn served_again(client: &RprUdpClient, card: &mut Usim, imsi: &str) {
    let deadline = Instant::now() + LONG;
    loop {
        // Where nothing comes in time, the client gives up earlier than the server.
        if let Ok(reply) = client.send(&crate::common::vector_for(imsi)).await
            && let Ok(answer) = obf_rpr::VectorAnswer::decode(&reply, crate::common::VENDOR)
        {
            return card.accepts(&answer);
        }
        assert!(Instant::now() < deadline, "no vector though the HSM works again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What needs a key is refused with the reason, within a bounded time; what needs none is answered.
async fn fails_closed(deployment: &Deployment, client: &RprUdpClient, imsi: &str) {
    // The lease runs out: from then on there is no vector.
    let deadline = Instant::now() + LONG;
    while client
        .send(&crate::common::vector_for(imsi))
        .await
        .is_ok_and(|reply| obf_rpr::VectorAnswer::decode(&reply, crate::common::VENDOR).is_ok())
    {
        assert!(Instant::now() < deadline, "served without a lease");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let begun = Instant::now();
    let refused = import(deployment, 9);
    assert!(begun.elapsed() < BOUNDED, "{:?}", begun.elapsed());
    assert_eq!(refused.code(), 6, "{refused:?}");
    let words = "HSM token \"pkcs11:obf test/obf-kek\" does not work at present (no answer within 10 s): see to the HSM and its connection; \
                 it is tried again by itself";
    assert!(refused.stdout.contains(words), "{refused:?}");
    let begun = Instant::now();
    for command in
        [&["device", "list"][..], &["device", "show", imsi], &["kms", "status"], &["audit", "verify"]]
    {
        deployment.obf(command).expect_success();
    }
    deployment.obf(&["device", "suspend", imsi]).expect_success();
    deployment.obf(&["device", "resume", imsi]).expect_success();
    assert!(begun.elapsed() < BOUNDED, "what needs no key waits for the HSM: {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_an_hsm_that_hangs_is_waited_for_a_bounded_time_and_serving_goes_on_by_itself() {
    let hsm = SoftHsm::new();
    hsm.make_key("obf-kek", &["--sensitive"]);
    let directory = tempfile::tempdir().unwrap();
    let mut deployment = deployment(&hsm, directory.path());
    deployment.serve("resource", &[]);
    let imsi = Sim::number(1).imsi;
    import(&deployment, 1).expect_success();
    let (client, mut card) = (client(&deployment).await, Usim::new());
    card.accepts(&client.vector(&imsi).await.unwrap());

    let hanging = SoftHsm::hang(&hsm.tokens());
    fails_closed(&deployment, &client, &imsi).await;
    drop(hanging);
    served_again(&client, &mut card, &imsi).await;
    import(&deployment, 2).expect_success();

    // It hangs, is gone altogether, and comes back.
    let hanging = SoftHsm::hang(&hsm.tokens());
    fails_closed(&deployment, &client, &imsi).await;
    SoftHsm::unplug(&hsm.tokens());
    drop(hanging);
    let refused = import(&deployment, 3);
    assert_eq!(refused.code(), 6, "{refused:?}");
    SoftHsm::plug(&hsm.tokens());
    served_again(&client, &mut card, &imsi).await;
    import(&deployment, 3).expect_success();

    // It neither keeps a server from ending nor lets one start as if all were well.
    let _hanging = SoftHsm::hang(&hsm.tokens());
    fails_closed(&deployment, &client, &imsi).await;
    let begun = Instant::now();
    assert!(deployment.servers()[0].terminate().success());
    assert!(begun.elapsed() < BOUNDED, "{:?}", begun.elapsed());
    let mut starting = Command::new(directory.path().join("obf"));
    let ran = starting.args(["serve", "resource", "--config"]).arg(deployment.config()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success() && said.contains("no answer within 30 s"), "{said}");
}
