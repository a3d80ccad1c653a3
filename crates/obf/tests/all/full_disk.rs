//! Issue 4, bad input: the disk of the Authentication Server's store fills up while it serves (a real one: a small tmpfs,
//! filled to the last octet).

use obf_testkit::{Deployment, Sim, SmallDisk};
use std::{fs, path::Path};

/// A bootstrap that could not be remembered is refused as something to try again; with room again it works without a restart,
/// and what was given out before is there throughout.
#[test]
fn n3_an_authentication_server_on_a_full_disk_refuses_and_goes_on_with_room_again() {
    let disk = SmallDisk::new(4096);
    let mut deployment = Deployment::init_with(
        &disk.script(Path::new(env!("CARGO_BIN_EXE_obf"))),
        &["--app", "track.example"],
    );
    let config = fs::read_to_string(deployment.config()).unwrap();
    let place = disk.place().join("auth.db");
    fs::write(deployment.config(), config.replace("\"data/auth.db\"", &format!("{place:?}"))).unwrap();
    deployment.serve("resource", &[]);
    deployment.serve("auth", &[]);
    deployment.add_app("track.example");
    deployment.add_device(&Sim::number(1), &["track.example"]);
    let se = deployment.file("sim.json");
    fs::write(&se, Sim::number(1).import_line()).unwrap();
    let bootstrap = || deployment.obf(&["--json", "client", "bootstrap", "--se", se.to_str().unwrap()]);
    let token = |ran: &obf_testkit::Ran| ran.json_lines()[0]["token"].as_str().unwrap().to_owned();
    let live = || {
        let listed = deployment.obf(&["--json", "token", "list"]);
        listed.expect_success();
        listed.json_lines().iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let before = bootstrap();
    before.expect_success();
    disk.fill();
    let refused = bootstrap();
    assert!(refused.code() == 4 && refused.stderr.contains("503"), "the device may try again: {refused:?}");
    assert!(live().contains(&token(&before)));
    let kept = deployment.obf(&["token", "revoke", &token(&before)]);
    assert!(kept.code() != 0 && kept.stderr.contains("the disk is full"), "{kept:?}");
    assert!(live().contains(&token(&before)), "a revocation that was refused has not happened");
    disk.free();
    let after = bootstrap();
    after.expect_success();
    deployment.obf(&["token", "revoke", &token(&before)]).expect_success();
    assert!(live().contains(&token(&after)) && !live().contains(&token(&before)));
    let log = deployment.servers()[1].log();
    assert!(log.contains("the disk is full"), "{log}");
}
