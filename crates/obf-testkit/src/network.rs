//! Hosts of a network of a test's own: network namespaces joined by pairs of virtual Ethernet. All of it goes with the
//! test's process, however that ends.

use crate::peer::program;
use std::{
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Set where a test runs in a network of its own.
const INSIDE: &str = "OBF_TEST_NETWORK";
/// Says that the namespace is there, and stays as long as standard input is open.
const HOLD: &str = "ip link set lo up && echo ready && exec cat";

/// Whether this process is alone in its network. If not, it runs its test of that name once more, where it is.
///
/// # Panics
/// That run fails; it does if the process is not root's: nobody else may join network namespaces.
pub fn in_own_network(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        ip(&["link", "set", "lo", "up"]);
        return true;
    }
    let run = Command::new(program("unshare", "util-linux"))
        .arg("--net")
        .arg(std::env::current_exe().expect("the test's own path"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "yes")
        .status();
    let status = run.expect("unshare");
    assert!(status.success(), "{test}, in a network of its own (it needs root): {status}");
    false
}

/// A host with two links to this process's: one for whatever it serves and asks, one for storage.
pub struct Host {
    holder: Child,
    number: u8,
}

impl Host {
    /// Host number 1 to 250.
    ///
    /// # Panics
    /// It cannot be made.
    pub fn new(number: u8) -> Self {
        let mut holder = Command::new(program("unshare", "util-linux"))
            .args(["--net", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut said = String::new();
        let output = holder.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut said).expect("what it says");
        assert_eq!(said, "ready\n");
        let host = Self { holder, number };
        for (link, net) in [("net", 18), ("san", 19)] {
            let (near, far) = (format!("{link}{number}"), format!("{link}0"));
            ip(&["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &host.pid()]);
            ip(&["address", "add", &format!("198.{net}.{number}.1/30"), "dev", &near]);
            ip(&["link", "set", &near, "up"]);
            host.ip(&["address", "add", &format!("198.{net}.{number}.2/30"), "dev", &far]);
            host.ip(&["link", "set", &far, "up"]);
        }
        host
    }

    /// Its own address.
    pub const fn address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 2)
    }

    /// Where it reaches what this process serves.
    pub const fn services(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, 1)
    }

    /// Where it reaches storage.
    pub const fn storage(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, self.number, 1)
    }

    /// A program that runs on it.
    pub fn command(&self, name: &std::path::Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg("--").arg(name);
        command
    }

    /// Cuts its link to storage: nothing comes through, and nobody is told.
    pub fn cut_storage(&self) {
        ip(&["link", "set", &format!("san{}", self.number), "down"]);
    }

    /// Mends it.
    pub fn mend_storage(&self) {
        ip(&["link", "set", &format!("san{}", self.number), "up"]);
    }

    fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    fn ip(&self, arguments: &[&str]) {
        run(self.command(&program("ip", "iproute2")).args(arguments));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new(program("ip", "iproute2")).args(arguments));
}

fn run(command: &mut Command) {
    let status = command.status();
    assert!(status.as_ref().is_ok_and(ExitStatus::success), "{command:?}: {status:?}");
}
