//! A node whose HSM is gone, and is there again.

use crate::common::{Site, Usim, record};
use obf_testkit::{
    in_own_process,
    peer::softhsm::{PIN, SoftHsm, TOKEN},
};
use serde_json::json;
use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

fn imsi(number: usize) -> String {
    format!("{:015}", 1_010_000_000_000 + number)
}

/// The node serves without its HSM while the leases last, fails closed when they have run out, and recovers by itself.
#[test]
fn r8_a_node_whose_hsm_is_gone_fails_closed_after_the_lease_and_recovers_by_itself() {
    const NAME: &str =
        "hsm_gone::r8_a_node_whose_hsm_is_gone_fails_closed_after_the_lease_and_recovers_by_itself";
    const TOKENS: &str = "OBF_TEST_TOKENS";
    if std::env::var_os(TOKENS).is_none() {
        let hsm = SoftHsm::new();
        hsm.make_key("obf-kek", &["--sensitive"]);
        assert!(!in_own_process(NAME, &[("SOFTHSM2_CONF", &hsm.config()), (TOKENS, &hsm.tokens())]));
        return;
    }
    let tokens = PathBuf::from(std::env::var_os(TOKENS).unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let site = Site::new();
        std::fs::write(site.path("pin"), PIN).unwrap();
        std::fs::set_permissions(site.path("pin"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut config = site.config(None);
        config.as_object_mut().unwrap().remove("kek_file");
        config["kms"] = json!({
            "kek": {
                "source": "pkcs11", "module_file": SoftHsm::module(), "token": TOKEN, "key": "obf-kek",
                "pin_file": site.path("pin"),
            },
            "lease": 2,
        });
        let rs = site.start(config).await;
        let mut admin = rs.admin().await;
        admin.provision(&imsi(1), "track.example").await;
        let (client, mut card) = (rs.client().await, Usim::new());
        card.accepts(&client.vector(&imsi(1)).await.unwrap());
        SoftHsm::unplug(&tokens);
        let unplugged = Instant::now();
        while unplugged.elapsed() < Duration::from_millis(1000) {
            card.accepts(&client.vector(&imsi(1)).await.unwrap());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(2500).saturating_sub(unplugged.elapsed())).await;
        for _ in 0..3 {
            assert!(client.vector(&imsi(1)).await.is_err(), "served without a lease");
        }
        let refused = admin.import(record(&imsi(2)).to_string()).await;
        assert!(refused[0]["error"].as_str().unwrap().contains("connect or start the HSM"), "{refused:?}");
        SoftHsm::plug(&tokens);
        let plugged = Instant::now();
        let answer = loop {
            match client.vector(&imsi(1)).await {
                Ok(answer) => break answer,
                Err(_) if plugged.elapsed() < Duration::from_secs(20) => {}
                Err(error) => panic!("{error:?}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        card.accepts(&answer);
        let added = admin.import(record(&imsi(2)).to_string()).await;
        assert_eq!(added[0]["result"], "added", "{added:?}");
        rs.handle.shutdown().await;
    });
}
