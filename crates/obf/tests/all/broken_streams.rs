//! A stream that breaks off is not taken for a whole one, by the real binary. The server is killed while it answers: the
//! command says so, exits non-zero and leaves nothing that looks complete. The command is killed while it sends: the server
//! takes what came for broken, keeps what an import has reported, and changes nothing for half a restore.

use crate::relay::Relay;
use obf_testkit::{Deployment, Sim};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(120);
/// Octets of an answer, TLS and all, that its reader gets before the server is killed.
const BEGUN: usize = 100_000;
/// Devices whose backup, audit and key file are far longer than what the sockets between two processes hold.
const MANY: u32 = 40_000;

fn init() -> Deployment {
    Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[])
}

fn import_lines(count: u32) -> String {
    (0..count).map(|number| Sim::number(number).import_line()).collect()
}

/// A command that is going on.
struct Running(Child);

impl Running {
    fn start(deployment: &Deployment, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_obf"));
        command.args(arguments).env("OBF_CONFIG", deployment.config());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// Its exit code and what it said to standard error.
    fn end(mut self) -> (i32, String) {
        let child = &mut self.0;
        drop(child.stdin.take());
        let mut output = child.stdout.take().unwrap();
        let drained = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
        drained.join().unwrap().unwrap();
        (child.wait().unwrap().code().unwrap(), said)
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The commands of this deployment reach its Resource Server through a relay.
fn through_relay(deployment: &Deployment, config: &str) -> Relay {
    let relay = Relay::start(deployment.endpoint("resource", "admin"), BEGUN);
    let admin = format!("[admin]\nresource = \"{}\"", relay.address());
    fs::write(deployment.config(), config.replacen("[admin]", &admin, 1)).unwrap();
    relay
}

#[test]
fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let mut deployment = init();
    let config = fs::read_to_string(deployment.config()).unwrap();
    let file = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
    let (backup, keys) = (file("rs.backup"), file("maker.csv"));
    fs::write(file("maker.key"), "000102030405060708090a0b0c0d0e0f\n").unwrap();
    let (key, many) = (file("maker.key"), MANY.to_string());
    let commands: [&[&str]; 3] = [
        &["backup", &backup],
        &["audit", "export"],
        &[
            "kms",
            "create",
            "--imsi",
            "001019000000000",
            "--count",
            &many,
            "--format",
            "csv",
            "--out",
            &keys,
            "--transport-key",
            &key,
        ],
    ];
    deployment.serve("resource", &[]);
    // Twice: each comparison with what is there already is a row of the audit.
    for _ in 0..2 {
        let ran = deployment.obf_with_input(&["device", "import", "-"], import_lines(MANY).as_bytes());
        ran.expect_success();
    }
    for arguments in commands {
        let relay = through_relay(&deployment, &config);
        let command = Running::start(&deployment, arguments);
        relay.wait_until_begun();
        deployment.servers()[0].kill();
        relay.go_on();
        let (code, said) = command.end();
        assert_eq!(code, 4, "{arguments:?}: {said}");
        assert!(said.contains("broke off, only a part came") && said.contains("[broken-off]"), "{said}");
        let left: Vec<_> = fs::read_dir(deployment.dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
        let of_ours = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            name.starts_with("rs.backup") || name.starts_with("maker.csv")
        };
        assert!(!left.iter().any(of_ours), "{arguments:?} left {left:?}");
        fs::write(deployment.config(), &config).unwrap();
        deployment.servers().clear();
        deployment.serve("resource", &[]);
    }
    // Whole ones are whole.
    deployment.obf(&["backup", &backup]).expect_success();
    assert!(fs::metadata(&backup).unwrap().len() > 4_000_000, "too short to have broken off within");
    let acts = deployment.obf(&["audit", "export"]);
    acts.expect_success();
    assert!(acts.stdout.len() > 4_000_000, "too short to have broken off within");
}

fn devices(deployment: &Deployment) -> usize {
    let listed = deployment.obf(&["--json", "device", "list"]);
    listed.expect_success();
    listed.json_lines().len()
}

/// What the report has named is in, nothing else; the rest goes in from the line behind it.
#[test]
fn an_import_whose_sender_is_gone_is_broken_and_keeps_what_it_has_reported() {
    const LINES: u32 = 10_000;
    let mut deployment = init();
    deployment.serve("resource", &[]);
    let lines = import_lines(LINES);
    let mut import = Running::start(&deployment, &["--json", "device", "import", "-"]);
    let mut stdin = import.0.stdin.take().unwrap();
    let mut report = BufReader::new(import.0.stdout.take().unwrap()).lines();
    // Half a line at the end: whoever took the end of the connection for the end of the file would refuse that line.
    let cut = lines.len() - 50;
    stdin.write_all(&lines.as_bytes()[..cut]).unwrap();
    stdin.flush().unwrap();
    let first: Value = serde_json::from_str(&report.next().unwrap().unwrap()).unwrap();
    assert_eq!((&first["line"], &first["result"]), (&1.into(), &"added".into()));
    import.kill();
    until("the server says that the import was broken", || {
        deployment.servers()[0].log().contains("an import ended early")
    });
    let reported = 1 + report.map_while(Result::ok).filter(|line| line.contains("\"added\"")).count();
    let kept = devices(&deployment);
    assert!(kept >= reported && kept < LINES as usize, "{reported} were reported, {kept} are there");
    let ran = deployment.obf_with_input(&["--json", "device", "import", "-"], lines.as_bytes());
    ran.expect_success();
    let unchanged = ran.json_lines().iter().filter(|line| line["result"] == "unchanged").count();
    assert_eq!((unchanged, devices(&deployment)), (kept, LINES as usize));
}

/// Half a backup changes nothing.
#[test]
fn a_restore_whose_sender_is_gone_changes_nothing() {
    let mut old = init();
    old.serve("resource", &[]);
    old.obf_with_input(&["device", "import", "-"], import_lines(20_000).as_bytes()).expect_success();
    let backup = old.file("rs.backup");
    old.obf(&["backup", backup.to_str().unwrap()]).expect_success();
    let octets = fs::read(&backup).unwrap();
    let mut new = init();
    fs::copy(old.file("kek.hex"), new.file("kek.hex")).unwrap();
    new.serve("resource", &[]);
    let pipe = new.file("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut restore = Running::start(&new, &["restore", pipe.to_str().unwrap()]);
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    // Returns when the command has taken all but what the pipe holds.
    writer.write_all(&octets[..octets.len() / 2]).unwrap();
    restore.kill();
    until("the server says that the restore was broken", || {
        new.servers()[0].log().contains("a backup was not restored, nothing was changed")
    });
    assert_eq!(devices(&new), 0);
    drop(writer);
    new.obf(&["restore", backup.to_str().unwrap()]).expect_success();
    assert_eq!(devices(&new), 20_000);
}
