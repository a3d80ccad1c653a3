//! A stock 3GPP UE that shares nothing with us (`tests/peers/ue.py`: Python's standard library, its USIM is
//! `osmo-auc-gen`) bootstraps, and an application of ours that never heard of it accepts the keys that it derived:
//! on TLS 1.3 and on two TLS 1.2 suites, each with its own key and no other (R3, R9, R11, R13, P2, W1, W2).
use crate::device::{APP, LONG, application::Application, deployment, lines, stop};
use obf_testkit::deployment::{Deployment, Sim};
use serde_json::Value;
use std::{
    io::{Read, Write},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::mpsc::Receiver,
};

const TLS13: &str = "0100000007";
/// PSK-AES128-GCM-SHA256.
const PLAIN: &str = "01000100a8";
/// ECDHE-PSK-CHACHA20-POLY1305.
const ECDHE: &str = "010001ccac";

#[test]
fn stock_ue_and_application_derive_the_same_keys_on_1_3_and_two_1_2_suites() {
    let (deployment, application) = deployment();
    for (number, algorithm) in [(1, "AKAv2-SHA-256"), (2, "AKAv1-MD5")] {
        let sim = Sim::number(number);
        deployment.add_device(&sim, &[APP]);
        let ue = Ue::bootstrap(&deployment, &sim, &["--algorithm", algorithm]);
        assert_eq!(ue.answer["algorithm"], algorithm);
        assert_eq!(ue.answer["realm"], "as.obf.example");
        for (ua, arguments) in handshakes() {
            let said = handshake(&application, &ue, ua, &arguments).line(&format!("{algorithm} {ua}"));
            assert_eq!(said.as_deref(), Ok(format!("{algorithm} {ua}").as_str()), "{ua}");
        }
        // The key of one security protocol opens no other (WIRES "Ua ids").
        let (_, arguments) = &handshakes()[1];
        let said = handshake(&application, &ue, ECDHE, arguments).line("no");
        assert!(said.as_ref().is_err_and(|log| log.contains("alert decrypt error")), "{said:?}");
    }
}

/// The identities that a UE may write: what is sent is P1 of the key derivation, octet for octet (R9).
#[test]
fn stock_ue_may_write_its_derived_impi() {
    let (deployment, application) = deployment();
    let sim = Sim::number(3);
    deployment.add_device(&sim, &[APP]);
    let impi = format!("{}@ims.mnc001.mcc001.3gppnetwork.org", sim.imsi);
    let ue = Ue::bootstrap(&deployment, &sim, &["--username", &impi]);
    let (ua, arguments) = &handshakes()[0];
    assert_eq!(handshake(&application, &ue, ua, arguments).line("impi").as_deref(), Ok("impi"));
}

/// An identity that nobody has, and a card with another K: the UE finds the network not authentic, exit code 5.
#[test]
fn stock_ue_of_nobody_sees_no_difference_to_a_network_that_lacks_its_key() {
    let (deployment, _application) = deployment();
    let known = Sim::number(4);
    deployment.add_device(&known, &[APP]);
    let other_key = Sim { k: "00".repeat(16), ..known };
    for sim in [Sim::number(5), other_key] {
        let output = ue(&deployment, &sim, &[]);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{log}");
        assert_eq!(log.trim(), "ue.py: AUTN does not verify: the network is not authentic");
    }
}

/// Each security protocol and how `openssl s_client` speaks it.
fn handshakes() -> [(&'static str, [&'static str; 3]); 3] {
    [
        (TLS13, ["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"]),
        (PLAIN, ["-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256"]),
        (ECDHE, ["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"]),
    ]
}

/// What `ue.py` printed.
pub struct Ue {
    answer: Value,
}

impl Ue {
    pub fn bootstrap(deployment: &Deployment, sim: &Sim, more: &[&str]) -> Self {
        let output = ue(deployment, sim, more);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ue.py: {}\n{log}", output.status);
        Self { answer: serde_json::from_slice(&output.stdout).unwrap() }
    }

    fn key(&self, ua: &str) -> &str {
        self.answer["keys"][APP][ua].as_str().unwrap()
    }
}

fn ue(deployment: &Deployment, sim: &Sim, more: &[&str]) -> Output {
    let se = deployment.file(&format!("ue-{}-{}.json", sim.imsi, &sim.k[..4]));
    std::fs::write(&se, sim.import_line()).unwrap();
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/ue.py"));
    command.args(["--url", "https://as.obf.example", "--ca"]).arg(deployment.file("ca.pem"));
    command.args(["--connect", &deployment.endpoint("auth", "rpb").to_string(), "--se"]).arg(se);
    for ua in [TLS13, PLAIN, ECDHE] {
        command.args(["--naf", &format!("{APP}/{ua}")]);
    }
    let output = command.args(more).output();
    output.unwrap_or_else(|error| panic!("python3 does not run ({error}): apt-get install python3"))
}

/// What comes back for `text` on TLS 1.3 with the UE's own key.
pub fn echoed(application: &Application, ue: &Ue, text: &str) -> Result<String, String> {
    let [(ua, arguments), ..] = handshakes();
    handshake(application, ue, ua, &arguments).line(text)
}

/// `openssl s_client` with the UE's token and its key for `ua`.
fn handshake(application: &Application, ue: &Ue, ua: &str, arguments: &[&str]) -> Client {
    let identity = format!("3GPP-bootstrapping;{}", ue.answer["btid"].as_str().unwrap());
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &application.address, "-servername", APP])
        .args(["-psk_identity", &identity, "-psk", ue.key(ua)])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("openssl does not run ({error}): apt-get install openssl"));
    let (input, output) = (child.stdin.take().unwrap(), lines(child.stdout.take().unwrap()));
    Client { child, input, output }
}

struct Client {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
}

impl Client {
    /// Sends a line and says the one that comes back, or what the program logged if none does.
    fn line(mut self, text: &str) -> Result<String, String> {
        // A refused handshake may have ended the program already.
        let _ = writeln!(self.input, "{text}");
        match self.output.recv_timeout(LONG) {
            Ok(line) => {
                stop(&mut self.child);
                Ok(line)
            }
            Err(_) => {
                stop(&mut self.child);
                let mut log = String::new();
                let _ = self.child.stderr.take().unwrap().read_to_string(&mut log);
                Err(log)
            }
        }
    }
}
