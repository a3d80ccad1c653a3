//! The commands against a running deployment, by the real binary.

use obf_testkit::{Deployment, Sim};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

fn init() -> Deployment {
    Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[])
}

fn running() -> Deployment {
    let mut deployment = init();
    deployment.serve("all", &[]);
    deployment
}

#[test]
fn secret_files_of_a_deployment_are_for_their_owner() {
    let deployment = init();
    let secret =
        ["kek.hex", "radius.secret", "admin.token", "ca.key", "as.key", "rs.key", "apps/track.example.key"];
    for name in secret {
        let mode = fs::metadata(deployment.file(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    let token = fs::read_to_string(deployment.file("admin.token")).unwrap();
    let config = fs::read_to_string(deployment.config()).unwrap();
    assert!(!config.contains(token.trim()), "only the hash of the token is registered");
    assert!(fs::read_to_string(deployment.file("radius.secret")).unwrap().trim().len() >= 32);
}

#[test]
fn servers_drain_on_sigterm_withdraw_their_endpoints_and_exit_0() {
    let mut deployment = running();
    assert!(deployment.file("run/auth.json").exists());
    let status = deployment.servers()[0].terminate();
    assert_eq!(status.code(), Some(0));
    assert!(!deployment.file("run/auth.json").exists() && !deployment.file("run/resource.json").exists());
}

#[test]
fn threads_of_a_server_do_not_preempt_each_other() {
    const SCHED_BATCH: &str = "3";
    let mut deployment = running();
    let threads = fs::read_dir(format!("/proc/{}/task", deployment.servers()[0].id())).unwrap();
    let stats: Vec<String> =
        threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")).unwrap()).collect();
    assert!(stats.iter().any(|stat| stat.contains("(obf-store-write)")));
    for stat in &stats {
        // proc_pid_stat(5): the policy is field 41; the third is the first behind the name.
        let (_, behind_name) = stat.rsplit_once(") ").unwrap();
        assert_eq!(behind_name.split(' ').nth(41 - 3), Some(SCHED_BATCH), "{stat}");
    }
}

#[test]
fn nodes_run_as_processes_of_their_own() {
    let mut deployment = init();
    deployment.serve("resource", &[]);
    deployment.serve("auth", &[]);
    deployment.add_app("track.example");
    deployment.add_device(&Sim::number(1), &["track.example"]);
    let se = deployment.file("sim.json");
    fs::write(&se, Sim::number(1).import_line()).unwrap();
    let ran = deployment.obf(&["--json", "client", "bootstrap", "--se", se.to_str().unwrap()]);
    ran.expect_success();
    assert!(ran.json_lines()[0]["token"].as_str().unwrap().ends_with("@rs.as.obf.example"));
}

#[test]
fn systemd_is_told_when_the_servers_are_ready() {
    let deployment = init();
    let path = deployment.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_obf"))
        .args(["serve", "all", "--config"])
        .arg(deployment.config())
        .env("NOTIFY_SOCKET", &path)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let child = Killed(child);
    let mut octets = [0; 64];
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let count = socket.recv(&mut octets).unwrap();
    assert_eq!(&octets[..count], b"READY=1");
    drop(child);
}

/// Issue sentence 10: what is imported is there, bad lines are named, and good ones go in.
#[test]
fn devices_applications_and_grants_come_and_go() {
    let deployment = running();
    let lines = format!("{}not json\n{}", Sim::number(1).import_line(), Sim::number(2).import_line());
    let ran = deployment.obf_with_input(&["--json", "device", "import", "-"], lines.as_bytes());
    assert_eq!(ran.code(), 6);
    let report = ran.json_lines();
    assert_eq!(report.len(), 3);
    assert_eq!((&report[1]["line"], &report[1]["code"]), (&2.into(), &"bad-record".into()));
    assert_eq!(deployment.obf(&["--json", "device", "list"]).json_lines().len(), 2);

    deployment.add_app("track.example");
    let grant =
        ["grant", "add", "--device", &Sim::number(1).imsi, "--app", "track.example", "--lifetime", "15m"];
    deployment.obf(&grant).expect_success();
    let grants = deployment.obf(&["--json", "grant", "list", "--app", "track.example"]).json_lines();
    assert_eq!(grants[0]["lifetime"], 900);

    let device = deployment.obf(&["device", "show", &Sim::number(1).imsi]).expect_success().to_owned();
    let Sim { k, opc, .. } = Sim::number(1);
    assert!(!device.contains(&k) && !device.contains(&opc), "keys are never shown");
    for (action, state) in [("suspend", "suspended"), ("resume", "active")] {
        deployment.obf(&["device", action, &Sim::number(1).imsi]).expect_success();
        let shown = deployment.obf(&["--json", "device", "show", &Sim::number(1).imsi]).json_lines();
        assert_eq!(shown[0]["state"], state);
    }
    deployment
        .obf(&["grant", "remove", "--device", &Sim::number(1).imsi, "--app", "track.example"])
        .expect_success();
    assert!(deployment.obf(&["--json", "grant", "list"]).json_lines().is_empty());
    deployment.obf(&["app", "suspend", "track.example"]).expect_success();
    deployment.obf(&["app", "remove", "track.example"]).expect_success();
    deployment.obf(&["device", "remove", &Sim::number(2).imsi]).expect_success();
    assert_eq!(deployment.obf(&["--json", "device", "list"]).json_lines().len(), 1);
}

/// Issue 4 sentences 3, 4, 8 and 11: each operation of the admin API is a command with the flags of its fields.
#[test]
fn every_resource_is_administered_by_its_commands() {
    let deployment = running();
    let lines: Vec<String> = (1..=3).map(|number| Sim::number(number).import_line()).collect();
    let file = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
    fs::write(file("sims.jsonl"), lines.concat()).unwrap();
    deployment.obf(&["device", "import", &file("sims.jsonl")]).expect_success();
    let ran = deployment.obf(&["--json", "device", "import", &file("sims.jsonl"), "--from-line", "3"]);
    assert_eq!((ran.json_lines().len(), &ran.json_lines()[0]["line"]), (1, &3.into()));
    let members: Vec<String> = (1..=3).map(|number| Sim::number(number).imsi).collect();
    fs::write(file("members.txt"), members.join("\n")).unwrap();
    deployment.add_app("track.example");
    let members = format!("@{}", file("members.txt"));
    let first = Sim::number(1).imsi;
    for arguments in [
        &["custodian", "add", "acme", "--name", "Acme Ltd", "--kind", "organisation"][..],
        &["device", "set", &first, "--custodian", "acme", "--reason", "sold"],
        &[
            "kyc",
            "add",
            "--custodian",
            "acme",
            "--level",
            "2",
            "--method",
            "physical",
            "--verifier",
            "branch 12",
            "--verified-at",
            "2026-01-31T00:00:00Z",
            "--valid-until",
            "2099-01-31T00:00:00Z",
            "--reverify-by",
            "2026-02-01T00:00:00Z",
            "--evidence",
            r#"{"reference":"dms:4711","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}"#,
        ],
        &["group", "add", "fleet", "--name", "Northern depot"],
        &["group", "join", "fleet", "--device", &members],
        &[
            "grant",
            "add",
            "--group",
            "fleet",
            "--app",
            "track.example",
            "--lifetime",
            "15m",
            "--kyc-level",
            "2",
        ],
        &["app", "set", "track.example", "--max-lifetime", "10m", "--protocol", "mqtt", "--protocol", "tcp"],
        &["app", "set", "track.example", "--unset", "max-lifetime", "--if-version", "2"],
        &["provider", "add", "mno", "--name", "Example Mobile", "--kind", "mno"],
        &["resource-server", "add", "rs.example", "--provider", "mno"],
        &["application-provider", "add", "tracking", "--name", "Tracking", "--contact", "ops@track.example"],
        &["administrator", "add", "auditor-1", "--role", "auditor"],
        &["audit", "verify"],
    ] {
        deployment.obf(arguments).expect_success();
    }
    let json = |arguments: &[&str]| {
        let ran = deployment.obf(&[&["--json"], arguments].concat());
        ran.expect_success();
        ran.json_lines()
    };
    assert_eq!(json(&["group", "members", "fleet"]).len(), 3);
    let granted = &json(&["grant", "list", "--group", "fleet"])[0];
    assert_eq!((granted["lifetime"].as_u64(), granted["kyc_level"].as_u64()), (Some(900), Some(2)));
    assert_eq!(json(&["kyc", "list", "--due"])[0]["due"], true);
    assert_eq!(json(&["kyc", "list", "--due=false", "--within", "1", "--custodian", "acme"]).len(), 1);
    assert_eq!(json(&["custodian", "show", "acme"])[0]["kyc"]["level"], 2);
    let denied =
        &json(&["denial", "add", "--group", "fleet", "--app", "track.example", "--reason", "recalled"])[0];
    let number = denied["denial"].to_string();
    deployment
        .obf(&[
            "denial",
            "add",
            "--device",
            &first,
            "--app",
            "track.example",
            "--until",
            "2099-01-31T00:00:00Z",
        ])
        .expect_success();
    let listed = json(&["denial", "list", "--group", "fleet"]);
    assert_eq!(
        (listed.len(), &listed[0]["reason"], &listed[0]["over"]),
        (1, &"recalled".into(), &false.into())
    );
    assert_eq!(json(&["denial", "list", "--app", "track.example"]).len(), 2);
    let stale = deployment.obf(&["denial", "remove", &number, "--if-version", "7"]);
    assert!(stale.code() == 6 && stale.stderr.contains("precondition-failed"), "{stale:?}");
    deployment.obf(&["denial", "remove", &number]).expect_success();
    assert_eq!(json(&["denial", "list"])[0]["device"], first.as_str());
    assert!(deployment.obf(&["denial", "show", &number]).stderr.contains("unknown-denial"));
    let app = &json(&["app", "show", "track.example"])[0];
    assert!(app["max_lifetime"].is_null() && app["protocols"].as_array().unwrap().len() == 2);
    let stale =
        deployment.obf(&["--json", "app", "set", "track.example", "--kyc-level", "1", "--if-version", "1"]);
    assert!(stale.code() == 6 && stale.stderr.contains("precondition-failed"), "{stale:?}");
    let acts = json(&["audit", "export"]);
    assert!(acts.iter().any(|act| act["action"] == "device.update" && act["reason"] == "sold"), "{acts:?}");
    assert_eq!(acts.len(), json(&["audit", "list"]).len());
    deployment.obf(&["device", "retire", &first]).expect_success();
    assert_eq!(json(&["device", "list", "--state", "retired"]).len(), 1);
    for wrong in [
        &["app", "set", "track.example", "--kyc-level", "4"][..],
        &["custodian", "add", "A", "--name", "a", "--kind", "person"],
    ] {
        assert_eq!(deployment.obf(wrong).code(), 2);
    }
}

/// Issue 4 sentences 1 and 2: keys are made for a maker, taken in from a maker, and rotated, by commands.
#[test]
fn key_files_and_rotations_are_made_by_commands() {
    let deployment = running();
    let file = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
    fs::write(file("maker.key"), "000102030405060708090a0b0c0d0e0f\n").unwrap();
    let transport = ["--transport-key", &file("maker.key")];
    for (format, imsi) in [("pskc", "001010000500000"), ("csv", "001010000600000")] {
        let out = file(&format!("maker.{format}"));
        let create = ["kms", "create", "--imsi", imsi, "--count", "300", "--format", format, "--out", &out];
        deployment.obf(&[&create[..], &transport[..]].concat()).expect_success();
        // What was made is registered already: taken in again, it changes nothing.
        let import = ["--json", "device", "import", &out];
        let report = deployment.obf(&[&import[..], &transport[..]].concat());
        report.expect_success();
        let report = report.json_lines();
        assert_eq!(report.len(), 300);
        assert!(report.iter().all(|line| line["result"] == "unchanged"), "{format}: {:?}", report[0]);
        // A card made from the file is the one that the operator knows.
        let (se, third) = (file(&format!("{format}.se.json")), format!("{}3", &imsi[..14]));
        let personalise = ["client", "personalise", &out, "--identity", &third, "--se", &se];
        deployment.obf(&[&personalise[..], &transport[..]].concat()).expect_success();
        deployment.obf(&["client", "bootstrap", "--se", &se]).expect_success();
        let again = deployment.obf(&[&personalise[..], &transport[..]].concat());
        assert!(again.code() != 0 && again.stderr.contains("there is an element already"), "{again:?}");
    }
    fs::write(file("other.key"), "ff".repeat(16)).unwrap();
    let import = [
        "device",
        "import",
        &file("maker.csv"),
        "--transport-key",
        &file("other.key"),
        "--transport-key-name",
        "maker",
    ];
    let refused = deployment.obf(&import);
    assert_eq!(refused.code(), 6, "{refused:?}");
    let status = deployment.obf(&["--json", "kms", "status"]).json_lines();
    let before = status[0]["data_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["records"].as_u64().unwrap())
        .sum::<u64>();
    assert_eq!(before, 600);
    let rotated = deployment.obf(&["--json", "kms", "rotate", "--full"]);
    rotated.expect_success();
    assert_eq!(
        (&rotated.json_lines()[0]["running"], &rotated.json_lines()[0]["total"]),
        (&false.into(), &600.into())
    );
}

/// Issue 4 sentence 9: a backup while serving, restored into a new deployment that has the same KEK, and nowhere else.
#[test]
fn a_backup_is_restored_where_the_kek_is_the_same_and_nowhere_else() {
    let old = running();
    let sims: Vec<Sim> = (0..300).map(Sim::number).collect();
    let lines: String = sims.iter().map(Sim::import_line).collect();
    old.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
    old.add_app("backup.example");
    old.obf(&["grant", "add", "--device", &sims[0].imsi, "--app", "backup.example"]).expect_success();
    let backup = old.file("rs.obf").to_str().unwrap().to_owned();
    old.obf(&["backup", &backup]).expect_success();
    assert_eq!(old.obf(&["backup", &backup]).code(), 6, "a file that is there is not overwritten");
    let octets = fs::read(&backup).unwrap();
    for clear in [sims[0].imsi.as_bytes(), b"backup.example"] {
        assert!(!octets.windows(clear.len()).any(|window| window == clear), "the backup is encrypted");
    }

    let mut new = init();
    new.serve("all", &[]);
    let refused = new.obf(&["restore", &backup]);
    assert_eq!(refused.code(), 6, "another KEK: {refused:?}");
    assert!(refused.stderr.contains("key-encryption key"), "{refused:?}");

    let mut new = init();
    fs::copy(old.file("kek.hex"), new.file("kek.hex")).unwrap();
    new.serve("all", &[]);
    let cut = new.file("cut.obf");
    fs::write(&cut, &octets[..octets.len() - 10]).unwrap();
    let refused = new.obf(&["restore", cut.to_str().unwrap()]);
    assert!(refused.stderr.contains("cut short") && refused.code() != 0, "{refused:?}");
    assert_eq!(new.obf(&["device", "show", &sims[0].imsi]).code(), 6, "nothing was changed");
    new.obf(&["restore", &backup]).expect_success();
    let shown = new.obf(&["--json", "device", "show", &sims[7].imsi]).json_lines();
    assert!(shown[0]["epoch"].as_u64().unwrap() > 1 << 20);
    let again = new.obf(&["restore", &backup]);
    assert!(again.stderr.contains("not empty") && again.code() != 0, "{again:?}");
    let verified = new.obf(&["--json", "audit", "verify"]);
    verified.expect_success();
    let count = |name: &str| verified.json_lines()[0][name].as_u64().unwrap();
    assert!(count("records") + count("unsealed") > 2);
    // The keys open: a device bootstraps, and gets a vector far beyond any that was given before.
    let sim = new.file("sim.json");
    fs::write(&sim, sims[0].import_line()).unwrap();
    new.obf(&["client", "bootstrap", "--se", sim.to_str().unwrap()]).expect_success();
}

/// The main job by commands alone: bootstrap, a byte echoed over TLS-PSK, revocation.
#[test]
fn a_device_reaches_an_application_until_it_is_revoked() {
    let deployment = running();
    let sim = Sim::number(1);
    deployment.add_app("track.example");
    deployment.add_device(&sim, &["track.example"]);
    let se = deployment.file("sim.json");
    fs::write(&se, sim.import_line()).unwrap();
    let se = se.to_str().unwrap();
    let (application, address) = application(&deployment);

    let plain = deployment.obf(&["client", "bootstrap", "--se", se]).expect_success().to_owned();
    assert!(!plain.contains("key "), "no key unless asked for: {plain}");
    let shown = deployment.obf(&["--json", "client", "bootstrap", "--se", se, "--show-key", "track.example"]);
    assert_eq!(shown.json_lines()[0]["key"].as_str().unwrap().len(), 64);

    let connect = ["client", "connect", "track.example", &address, "--se", se];
    let echoed = deployment.obf_with_input(&connect, b"hello\n");
    assert_eq!(echoed.expect_success(), "hello\n");
    let tokens = deployment.obf(&["--json", "token", "list", "--device", &sim.imsi]).json_lines();
    let token = tokens.last().unwrap()["id"].as_str().unwrap().to_owned();
    deployment.obf(&["token", "show", &token]).expect_success();
    deployment.obf(&["token", "revoke", &token]).expect_success();
    deployment.obf(&["device", "revoke", &sim.imsi]).expect_success();
    // The Resource Server has it on disk when the command returns; the Authentication Server is told a moment later.
    let listed = || deployment.obf(&["--json", "token", "list", "--device", &sim.imsi]).json_lines();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !listed().is_empty() {
        assert!(Instant::now() < deadline, "the device's tokens are still live");
    }

    let refused =
        deployment.obf_with_input(&["client", "connect", "fleet.example", &address, "--se", se], b"x");
    assert_ne!(refused.code(), 0, "{refused:?}");
    drop(application);
}

/// Issue 11 sentence 7: what is done at the Authentication Server is in an audit of its own, and `obf audit` reads both.
#[test]
fn the_audits_of_both_servers_are_listed_exported_and_verified() {
    let mut deployment = running();
    let sim = Sim::number(1);
    deployment.add_app("track.example");
    deployment.add_device(&sim, &["track.example"]);
    let se = deployment.file("sim.json");
    fs::write(&se, sim.import_line()).unwrap();
    deployment.obf(&["client", "bootstrap", "--se", se.to_str().unwrap()]).expect_success();
    let json = |deployment: &Deployment, arguments: &[&str]| {
        let ran = deployment.obf(&[&["--json"], arguments].concat());
        ran.expect_success();
        ran.json_lines()
    };
    let token = json(&deployment, &["token", "list"])[0]["id"].as_str().unwrap().to_owned();
    let said = json(&deployment, &["token", "revoke", &token, "--reason", "stolen vehicle"]);
    assert_eq!(said, [serde_json::json!({ "token": token, "done": "revoked" })]);

    let (all, auth) = (["audit", "list"], ["audit", "list", "--server", "auth"]);
    let row = &json(&deployment, &auth)[0];
    assert_eq!((&row["server"], &row["actor"], &row["seq"]), (&"auth".into(), &"admin".into(), &1.into()));
    assert_eq!((&row["action"], &row["reason"]), (&"token.revoke".into(), &"stolen vehicle".into()));
    assert_eq!(row["object"], format!("token:{token}"));
    assert_eq!(row["detail"], format!("of imsi:{}", sim.imsi));
    let listed = json(&deployment, &all);
    let of = |server: &str| listed.iter().filter(|row| row["server"] == server).count();
    assert!(of("resource") > 2 && of("auth") == 1, "{listed:?}");
    assert_eq!(listed.last(), Some(row), "in order of time");
    assert_eq!(json(&deployment, &["audit", "export"]).len(), listed.len());
    assert_eq!(json(&deployment, &["audit", "export", "--server", "auth"]), std::slice::from_ref(row));
    assert_eq!(json(&deployment, &["audit", "list", "--action", "token.revoke"]), std::slice::from_ref(row));

    let deadline = Instant::now() + Duration::from_secs(30);
    let verified = loop {
        let verified = json(&deployment, &["audit", "verify"]);
        if verified.iter().all(|verified| verified["unsealed"] == 0) {
            break verified;
        }
        assert!(Instant::now() < deadline, "both are sealed: {verified:?}");
    };
    let of = |name: &str| verified.iter().map(|verified| verified[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("server"), ["resource", "auth"]);
    assert_eq!(of("intact"), [true, true]);
    // A head that was noted is in one of the chains; it need not be said in which.
    let heads: Vec<String> = of("head").iter().map(|head| head.as_str().unwrap().to_owned()).collect();
    for head in &heads {
        deployment.obf(&["audit", "verify", "--head", head]).expect_success();
    }
    deployment.obf(&["audit", "verify", "--server", "auth", "--head", &heads[1]]).expect_success();
    for wrong in [&["--head", &"07".repeat(32)][..], &["--server", "resource", "--head", &heads[1]]] {
        let refused = deployment.obf(&[&["audit", "verify"], wrong].concat());
        assert!(refused.code() == 6 && refused.stderr.contains("[audit-altered]"), "{wrong:?}: {refused:?}");
    }

    // Whoever writes to the database makes the reason another.
    assert!(deployment.servers()[0].terminate().success());
    let database = deployment.file("data/auth.db");
    let mut octets = fs::read(&database).unwrap();
    let reason = b"stolen vehicle";
    let at =
        octets.windows(reason.len()).position(|window| window == reason).expect("the reason on the disk");
    octets[at..at + reason.len()].copy_from_slice(b"a mere mistake");
    fs::write(&database, octets).unwrap();
    deployment.servers().clear();
    deployment.serve("all", &[]);
    let altered = deployment.obf(&["audit", "verify"]);
    assert!(altered.code() == 6 && altered.stderr.contains("the audit of the auth server"), "{altered:?}");
    assert!(altered.stdout.contains("record 1 is not as it was written"), "{altered:?}");
    deployment.obf(&["audit", "verify", "--server", "resource"]).expect_success();

    // One that does not run is said to be left out; one that cannot be reached makes it fail.
    assert!(deployment.servers()[0].terminate().success());
    deployment.servers().clear();
    deployment.serve("resource", &[]);
    let verified = deployment.obf(&["audit", "verify"]);
    assert!(verified.expect_success().contains("the auth server does not run here"), "{verified:?}");
    let config = fs::read_to_string(deployment.config()).unwrap();
    let nowhere = config.replacen("[admin]", "[admin]\nauth = \"127.0.0.1:1\"", 1);
    fs::write(deployment.config(), nowhere).unwrap();
    let half = deployment.obf(&["--json", "audit", "list"]);
    assert_eq!((half.code(), half.json_lines().is_empty()), (4, false), "{half:?}");
}

/// Issue 11 sentence 7: an administrator of the Resource Server is one of the Authentication Server, with the same role.
#[test]
fn an_administrator_that_the_resource_server_registered_administers_the_authentication_server() {
    let deployment = running();
    let config = fs::read_to_string(deployment.config()).unwrap();
    let as_administrator = |name: &str, role: &str, arguments: &[&str]| {
        let added = deployment.obf(&["--json", "administrator", "add", name, "--role", role]);
        added.expect_success();
        let token = added.json_lines()[0]["token"].as_str().unwrap().to_owned();
        fs::write(deployment.file("other.token"), token).unwrap();
        let other = deployment.file("other.toml");
        fs::write(&other, config.replacen("\"admin.token\"", "\"other.token\"", 1)).unwrap();
        deployment.obf(&[&["--config", other.to_str().unwrap()], arguments].concat())
    };
    let token = format!("{}==@rs.as.obf.example", "IyMjIyMjIyMjIyMjIyMjIw");
    as_administrator("auditor-1", "auditor", &["token", "list"]).expect_success();
    as_administrator("auditor-2", "auditor", &["audit", "verify"]).expect_success();
    let refused = as_administrator("auditor-3", "auditor", &["token", "revoke", &token]);
    assert!(refused.code() == 3 && refused.stderr.contains("[not-permitted]"), "{refused:?}");
    let unknown = as_administrator("operator-1", "operator", &["token", "revoke", &token]);
    assert!(unknown.stderr.contains("[OBF-101]"), "{unknown:?}");
    as_administrator("operator-2", "operator", &["sealing-key", "list"]).expect_success();
    as_administrator("reader", "read-only", &["app", "seen"]).expect_success();
}

#[test]
fn help_teaches_and_completions_are_written() {
    let deployment = init();
    for command in
        ["demo", "init", "serve", "client", "app", "device", "grant", "token", "bench", "completions"]
    {
        assert!(deployment.obf(&[command, "--help"]).expect_success().contains("Usage: obf"), "{command}");
    }
    for command in
        [&["serve", "--help"][..], &["client", "connect", "--help"], &["device", "import", "--help"]]
    {
        assert!(deployment.obf(command).expect_success().contains("obf "), "{command:?}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(deployment.obf(&["completions", shell]).expect_success().contains("obf"));
    }
    assert_eq!(deployment.obf(&["no-such-command"]).code(), 2);
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `obf app run … --echo`, ready, and its address.
fn application(deployment: &Deployment) -> (Killed, String) {
    let file = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
    let rpo = deployment.endpoint("auth", "rpo").to_string();
    let child = Command::new(env!("CARGO_BIN_EXE_obf"))
        .args([
            "--json",
            "app",
            "run",
            "--id",
            "track.example",
            "--listen",
            "127.0.0.1:0",
            "--rpo",
            &rpo,
            "--echo",
        ])
        .args(["--cert", &file("apps/track.example.pem"), "--key", &file("apps/track.example.key")])
        .args(["--ca", &file("ca.pem")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let listening: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(listening["point"], "rpa");
    assert!(lines.next().unwrap().unwrap().contains("ready"));
    (child, listening["address"].as_str().unwrap().to_owned())
}
