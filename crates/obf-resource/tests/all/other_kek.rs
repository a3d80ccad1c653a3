//! Issue 4 sentence 1: two nodes on one database while the key-encryption key is changed. The node that still has the old one
//! neither undoes the rotation nor does it anything of its own, and says so.

use obf_kms::{Kek, Kms, LocalKek, Settings};
use obf_net::{Clock as _, SystemClock};
use obf_store::{
    Options,
    resource::{Change, DataKey, ResourceDb},
};
use obf_testkit::{Deployment, Sim};
use obf_types::Secret;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const WITHIN: Duration = Duration::from_secs(60);

/// What a node that does nothing leaves as it was.
async fn state(store: &ResourceDb) -> (Vec<DataKey>, Option<String>) {
    (store.data_keys().await.unwrap(), store.rotation().await.unwrap())
}

fn waits_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_a_node_that_has_another_kek_leaves_a_rotation_alone_and_says_so() {
    let mut deployment = Deployment::init(&[]);
    deployment.serve("resource", &[]);
    let lines: String = (0..50).map(|number| Sim::number(number).import_line()).collect();
    deployment.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
    let old = LocalKek::from_file(&deployment.file("kek.hex")).unwrap();
    let new = LocalKek::new(&Secret::new([9; 32]));
    let (old_name, new_name) = (old.name().to_owned(), new.name().to_owned());

    // Another node, which has the new key and knows the old one, begins a rotation and is gone.
    let store = ResourceDb::open(&Options::new(deployment.file("data/resource.db"))).unwrap();
    let settings = Settings { lease: Duration::from_secs(60), records_per_key: 1000 };
    let keks: Vec<Arc<dyn Kek>> = vec![Arc::new(new), Arc::new(old)];
    let other = Kms::open(store.clone(), Arc::new(SystemClock), keks, settings).await.unwrap();
    let change =
        Change { actor: "test".into(), reason: "".into(), addressees: Arc::new([]), at: SystemClock.now() };
    other.rotate(false, change).await.unwrap();
    let begun = state(&store).await;
    for full in [&["kms", "rotate"][..], &["kms", "rotate", "--full"]] {
        let refused = deployment.obf(full);
        assert!(refused.code() != 0 && refused.stderr.contains("other-kek"), "{refused:?}");
        let words = format!(
            "a rotation to the key-encryption key {new_name} is under way, and this server's is {old_name}: it does nothing"
        );
        assert!(refused.stderr.contains(&words), "{refused:?}");
    }
    // A node that starts goes on at once with a rotation that nobody works at; not with this one.
    assert!(deployment.servers()[0].terminate().success());
    deployment.servers().clear();
    deployment.serve("resource", &[]);
    waits_until("the log says that it is left alone", || {
        deployment.servers()[0].log().contains("a rotation is left to the servers whose key-encryption key")
    });
    assert_eq!(state(&store).await, begun);

    // The same configuration with the new key first goes on with it.
    std::fs::write(deployment.file("new.hex"), "09".repeat(32)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(deployment.file("new.hex"), mode).unwrap();
    let config = std::fs::read_to_string(deployment.config()).unwrap();
    let (before, resource) = config.split_once("[resource]").unwrap();
    let kms = "kms = { kek = { source = \"file\", kek_file = \"new.hex\" }, \
               former = [{ source = \"file\", kek_file = \"kek.hex\" }] }";
    let changed = format!("{before}[resource]{}", resource.replacen("kek_file = \"kek.hex\"", kms, 1));
    std::fs::write(deployment.config(), changed).unwrap();
    let rpr =
        ["--set", "resource.rpr.listen=127.0.0.1:0", "--set", "resource.nodes=2", "--set", "resource.node=1"];
    deployment.serve("resource", &rpr);
    waits_until("the node that has the key finishes it", || {
        let rotation = deployment.obf(&["--json", "kms", "rotation"]);
        rotation.json_lines().first().is_some_and(|rotation| rotation["running"] == false)
    });
    let done = state(&store).await;
    assert!(done.0.iter().all(|key| key.kek == new_name), "{done:?}");

    // The first node is still there, without the key that everything is under now.
    let address = deployment.servers()[0].endpoint("resource", "admin").unwrap();
    let first = format!("{config}\n");
    let first = first.replacen("[admin]", &format!("[admin]\nresource = \"{address}\""), 1);
    std::fs::write(deployment.config(), first).unwrap();
    let refused = deployment.obf(&["kms", "rotate", "--full"]);
    let words = format!("is wrapped under {new_name}, which the configuration does not name");
    assert!(refused.code() != 0 && refused.stderr.contains(&words), "{refused:?}");
    assert_eq!(state(&store).await, done);
}
