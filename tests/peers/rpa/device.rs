//! Devices that are not ours: `openssl s_client` and `gnutls-cli`, with a key that `obf client bootstrap` showed.

use super::LONG;
use obf_testkit::deployment::{Deployment, Sim};
use obf_types::UaId;
use std::{net::SocketAddr, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// A token and its key for one application and one security protocol.
pub struct Bootstrapped {
    pub token: String,
    key: String,
}

impl Bootstrapped {
    /// Runs `obf client bootstrap`.
    pub fn new(deployment: &Deployment, sim: &Sim, app: &str, ua: UaId) -> Self {
        let se = deployment.file(&format!("{}.json", sim.imsi));
        if !se.exists() {
            std::fs::write(&se, sim.import_line()).unwrap();
        }
        let (se, ua) = (se.to_str().unwrap(), ua.to_string());
        let arguments = ["client", "bootstrap", "--json", "--se", se, "--show-key", app, "--ua", &ua];
        let ran = deployment.obf(&arguments);
        ran.expect_success();
        let said = ran.json_lines().remove(0);
        let text = |name: &str| said[name].as_str().unwrap_or_else(|| panic!("no {name}: {said}")).to_owned();
        Self { token: text("token"), key: text("key") }
    }
}

/// A program that is about to connect.
pub struct Device {
    command: Command,
    gnutls: bool,
}

impl Device {
    pub fn openssl(at: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-quiet", "-connect", &at.to_string()]).args(arguments);
        Self { command, gnutls: false }
    }

    pub fn gnutls(at: SocketAddr, priority: &str) -> Self {
        let mut command = Command::new("gnutls-cli");
        command.args(["--port", &at.port().to_string(), &at.ip().to_string(), "--priority", priority]);
        Self { command, gnutls: true }
    }

    /// Connects with the device's token and key.
    pub fn start(mut self, device: &Bootstrapped) -> Running {
        let identity = format!("3GPP-bootstrapping;{}", device.token);
        let (name, user, key) = match self.gnutls {
            false => ("-servername", "-psk_identity", "-psk"),
            true => ("--sni-hostname", "--pskusername", "--pskkey"),
        };
        self.command.args([name, "track.example", user, &identity, key, &device.key]);
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = self.command.spawn().unwrap_or_else(|error| {
            panic!("{:?}: {error}: apt-get install openssl gnutls-bin", self.command.as_std().get_program())
        });
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, input, output }
    }
}

/// A program that has connected, or tries to.
pub struct Running {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Sends a line and waits until it comes back.
    pub async fn expect_echo(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        let coming = async {
            let mut seen = Vec::new();
            while let Some(output) = self.output.next_line().await.unwrap() {
                if output.ends_with(line) {
                    return;
                }
                seen.push(output);
            }
            panic!("closed before {line:?} came back: {seen:?}");
        };
        tokio::time::timeout(LONG, coming).await.expect("an echo");
    }

    /// Waits until the connection has been closed by the other end.
    pub async fn expect_closed(&mut self) {
        let closed = async {
            while let Ok(Some(_)) = self.output.next_line().await {}
            self.child.wait().await.unwrap();
        };
        tokio::time::timeout(LONG, closed).await.expect("the connection to be closed");
    }

    /// Whether the program still runs.
    pub fn is_waiting(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}
