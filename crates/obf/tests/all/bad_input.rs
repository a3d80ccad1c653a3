//! Issue 4, bad input, by the real binary: what is wrong with a file is said line by line, a full disk refuses and is
//! got over without a restart, and nothing that a whole deployment wrote has a key in clear.

use obf_testkit::{Deployment, Sim};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

fn running() -> Deployment {
    let mut deployment = Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[]);
    deployment.serve("all", &[]);
    deployment
}

fn import(deployment: &Deployment, file: &[u8]) -> (i32, Vec<String>, String) {
    let ran = deployment.obf_with_input(&["device", "import", "-"], file);
    // What the fields are called is the description's.
    let line = |line: &str| line.split(", expected one of").next().unwrap().to_owned();
    (ran.code(), ran.stdout.lines().map(line).collect(), ran.stderr)
}

/// Malformed, cut off, huge, wrong charset, duplicate: each line with its number and reason, the good ones in, no key
/// repeated, and the exit code of bad data.
#[test]
fn c2_every_bad_line_of_an_import_is_named_and_the_good_ones_go_in() {
    let deployment = running();
    let line = |number| Sim::number(number).import_line().into_bytes();
    let (k, opc) = (Sim::number(1).k, Sim::number(1).opc);
    let conflicting = Sim::number(2).import_line().replace(&k, "00000000000000000000000000000000");
    let in_a_wrong_field = Sim::number(4).import_line().replace("milenage", &k);
    let no_number = format!("{{\"imsi\":\"001010000000005\",\"mnc_digits\":\"{k}\"}}\n");
    let as_a_name = format!("{{\"imsi\":\"001010000000005\",\"{k}\":1}}\n");
    let cut = line(6)[..60].to_vec();
    let parts: [Vec<u8>; 13] = [
        [b"\xEF\xBB\xBF".to_vec(), line(1)].concat(),
        line(2),
        line(2),
        conflicting.into_bytes(),
        b"imsi;k;opc\r\n".to_vec(),
        in_a_wrong_field.into_bytes(),
        no_number.into_bytes(),
        as_a_name.into_bytes(),
        b"{\"imsi\":\"001010000000007\",\"name\":\"M\xFCller\"}\n".to_vec(),
        b"\0{\0}\0\r\0\n".to_vec(),
        [vec![b' '; 20_000], line(8)].concat(),
        Sim::number(3).import_line().replace('\n', "\r\n").into_bytes(),
        cut,
    ];
    let (code, said, stderr) = import(&deployment, &parts.concat());
    assert_eq!(
        said,
        [
            "line 4: 001010000000002 is registered already, with another key",
            "line 5: no JSON object: expected value, at column 1",
            "line 6: unknown variant `…`, expected `milenage` or `tuak`, at column 72",
            "line 7: invalid type: string \"…\", expected u8, at column 73",
            "line 8: unknown field `…`",
            "line 9: octet 36 is no UTF-8: save the file as UTF-8",
            "line 10: the file is no UTF-8 but looks like UTF-16: save it as UTF-8",
            "line 11: longer than 16384 octets",
            "line 13: the JSON object is cut off at column 60",
            "4 imported, 9 refused",
        ]
        .map(str::to_owned)
    );
    assert_eq!(code, 6);
    assert!(stderr.contains("9 of 13 lines were refused; the others went in"), "{stderr}");
    for secret in [&k, &opc] {
        assert!(!said.concat().contains(secret.as_str()) && !stderr.contains(secret.as_str()));
    }
    for number in 1..=3 {
        deployment.obf(&["device", "show", &Sim::number(number).imsi]).expect_success();
    }
    assert_eq!(deployment.obf(&["device", "show", &Sim::number(8).imsi]).code(), 6);
    // The whole file again: what went in stays, and the same is said.
    let again = import(&deployment, &parts.concat());
    assert_eq!((again.0, again.1), (code, said));

    // UTF-16 as an editor writes it: a byte order mark, and every second octet 0.
    let wide: Vec<u8> = [0xFF, 0xFE].into_iter().chain(line(9).into_iter().flat_map(|c| [c, 0])).collect();
    let (code, said, _) = import(&deployment, &wide);
    assert_eq!(
        (code, said[0].as_str()),
        (6, "line 1: the file is no UTF-8 but looks like UTF-16: save it as UTF-8")
    );
}

/// Limits how large a file that the process writes may become: past it, a write fails as on a full disk.
fn limit_files(server: u32, octets: &str) {
    let limit = format!("--fsize={octets}:");
    let set = Command::new("prlimit").args(["--pid", &server.to_string(), &limit]).status().unwrap();
    assert!(set.success(), "prlimit (util-linux) sets {limit}");
}

/// Nothing can be written while the Resource Server serves: every change is refused with its reason, what only reads is
/// answered, nothing is half done; with room again everything goes on without a restart.
#[test]
fn a_resource_server_that_cannot_write_refuses_says_why_and_goes_on_by_itself() {
    let mut deployment = Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[]);
    deployment.serve("resource", &[]);
    deployment.serve("auth", &[]);
    let pid = deployment.servers()[0].id();
    deployment.add_app("track.example");
    deployment.add_app("fleet.example");
    deployment.add_device(&Sim::number(1), &["track.example"]);
    let se = deployment.file("sim.json");
    fs::write(&se, Sim::number(1).import_line()).unwrap();
    let bootstrap =
        |deployment: &Deployment| deployment.obf(&["client", "bootstrap", "--se", se.to_str().unwrap()]);
    bootstrap(&deployment).expect_success();
    let imsi = Sim::number(1).imsi;
    let grant = ["grant", "add", "--device", &imsi, "--app", "fleet.example"];
    let grants = |deployment: &Deployment| deployment.obf(&["--json", "grant", "list"]).json_lines().len();
    let backup = deployment.file("rs.backup").to_str().unwrap().to_owned();

    limit_files(pid, "0");
    let refused =
        deployment.obf_with_input(&["device", "import", "-"], Sim::number(2).import_line().as_bytes());
    assert_eq!(refused.code(), 6);
    let reason = "the database cannot be written (disk I/O error): look for a full disk, a quota or a limit";
    assert!(refused.stdout.contains(&format!("line 1: {reason}")), "{refused:?}");
    let refused = deployment.obf(&grant);
    assert!(refused.code() != 0 && refused.stderr.contains(reason), "{refused:?}");
    assert!(refused.stderr.contains("nothing was changed"), "{refused:?}");
    let refused = bootstrap(&deployment);
    assert!(refused.code() == 4 && refused.stderr.contains("503"), "the device may try again: {refused:?}");
    let refused = deployment.obf(&["backup", &backup]);
    assert!(refused.code() != 0 && refused.stderr.contains(reason), "an unaudited backup: {refused:?}");
    assert!(!Path::new(&backup).exists());
    assert_eq!(grants(&deployment), 1);
    assert_eq!(deployment.obf(&["device", "show", &Sim::number(2).imsi]).code(), 6);

    let logs: Vec<String> = deployment.servers().iter().map(obf_testkit::Server::log).collect();
    assert!(logs[0].contains(reason), "{}", logs[0]);
    assert!(logs[1].contains("OBF-304"), "{}", logs[1]);

    limit_files(pid, "unlimited");
    bootstrap(&deployment).expect_success();
    deployment.obf(&grant).expect_success();
    assert_eq!(grants(&deployment), 2);
    deployment.add_device(&Sim::number(2), &["track.example"]);
    deployment.obf(&["backup", &backup]).expect_success();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let verified = deployment.obf(&["--json", "audit", "verify"]);
        verified.expect_success();
        if verified.json_lines()[0]["unsealed"] == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "the audit is sealed again: {verified:?}");
    }
    assert!(deployment.servers()[0].terminate().success());
}

/// A disk that is full where the backup is to go: half a backup is none.
#[test]
fn a_backup_that_finds_its_disk_full_leaves_nothing_behind() {
    let deployment = running();
    let lines: String = (0..500).map(|number| Sim::number(number).import_line()).collect();
    deployment.obf_with_input(&["device", "import", "-"], lines.as_bytes()).expect_success();
    let backup = deployment.file("rs.backup");
    let ran = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 8; exec "$0" backup "$1""#, env!("CARGO_BIN_EXE_obf")])
        .arg(&backup)
        .env("OBF_CONFIG", deployment.config())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && said.contains("rs.backup: File too large"), "{said}");
    assert!(!backup.exists());
}
