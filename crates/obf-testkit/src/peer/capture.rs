//! `dumpcap` on the loopback interface, and `tshark` to read what it caught.

use super::{Peer, program, radclient::DICTIONARY};
use std::{
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// Packets that are not there by then will not come.
const PACKETS_WITHIN: Duration = Duration::from_secs(60);

/// A running capture.
pub struct Capture {
    dumpcap: Peer,
    file: PathBuf,
    directory: tempfile::TempDir,
}

impl Capture {
    /// Captures what matches a filter (`udp port 1812`), once it is certain that packets are being seen.
    ///
    /// # Panics
    /// Capturing is not possible: it takes root, or the right to capture.
    pub fn start(filter: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("capture.pcapng");
        let (probe, target) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
        let (probe, target) = (probe.expect("a port"), target.expect("a port"));
        let address = target.local_addr().expect("a bound socket");
        let filter = format!("({filter}) or udp port {}", address.port());
        let path = file.to_str().expect("a path in UTF-8");
        let arguments = ["-q", "-i", "lo", "-f", &filter, "-w", path];
        let dumpcap = Peer::start(&program("dumpcap", "wireshark-common"), &arguments, "Capturing on");
        let capture = Self { dumpcap, file, directory };
        capture.until(|| {
            probe.send_to(b"probe", address).expect("loopback takes a datagram");
            capture.tshark(&["-Y", &format!("udp.port == {}", address.port())]).lines().count() > 0
        });
        capture
    }

    /// Runs tshark over what has been captured so far, again and again, until its output has at least `lines` lines.
    ///
    /// # Panics
    /// It never has.
    pub fn read(&self, arguments: &[&str], lines: usize) -> Vec<String> {
        let mut output = String::new();
        self.until(|| {
            output = self.tshark(arguments);
            output.lines().count() >= lines
        });
        output.lines().map(str::to_owned).collect()
    }

    /// The RADIUS packets at a UDP port once they are `enough`, each as tshark's fields in the order given. `secret` lets
    /// it check authenticators.
    ///
    /// # Panics
    /// They never are.
    pub fn radius(
        &self,
        port: u16,
        secret: &str,
        fields: &[&str],
        enough: impl Fn(&[Vec<String>]) -> bool,
    ) -> Vec<Vec<String>> {
        let mut packets = Vec::new();
        self.until(|| {
            packets = radius_of(&self.file, port, secret, fields);
            enough(&packets)
        });
        packets
    }

    /// A directory that lives as long as the capture.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The capture file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Ends the capture; what has been caught can still be read.
    pub fn stop(&mut self) {
        self.dumpcap.interrupt();
    }

    fn tshark(&self, arguments: &[&str]) -> String {
        tshark(&self.file, arguments)
    }

    fn until(&self, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + PACKETS_WITHIN;
        while !done() {
            assert!(Instant::now() < deadline, "not captured in time:\n{}", self.dumpcap.log());
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Runs tshark over a capture file, with `docs/dictionary.obf` beside its own dictionaries.
///
/// # Panics
/// tshark cannot be run, or refuses the arguments.
pub fn tshark(file: &Path, arguments: &[&str]) -> String {
    let profile = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(profile.path().join("radius")).expect("a writable directory");
    std::fs::write(profile.path().join("radius/dictionary"), DICTIONARY).expect("a writable directory");
    let mut command = Command::new(program("tshark", "tshark"));
    command.env("WIRESHARK_CONFIG_DIR", profile.path());
    let output = command.arg("-r").arg(file).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("tshark: {error}"));
    // A capture that is being written may end within a packet; tshark says so and shows what stands before.
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || errors.contains("cut short"), "tshark: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// RADIUS packets that came out of a TLS stream, as tshark's fields in the order given: they are put into UDP packets
/// of a new capture file first, because tshark decodes RADIUS only there.
///
/// # Panics
/// text2pcap or tshark cannot be run.
pub fn radius_in_stream(
    directory: &Path,
    packets: &[Vec<u8>],
    secret: &str,
    fields: &[&str],
) -> Vec<Vec<String>> {
    let (dump, file) = (directory.join("packets.txt"), directory.join("packets.pcapng"));
    let mut text = String::new();
    for packet in packets {
        // Requests go out, replies come in: tshark matches them by their addresses.
        let request = packet.first().is_some_and(|code| [1, 4, 12, 40, 43].contains(code));
        text.push_str(if request { "O\n" } else { "I\n" });
        for (row, octets) in packet.chunks(16).enumerate() {
            let hex: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
            text.push_str(&format!("{:06x} {}\n", row * 16, hex.join(" ")));
        }
        text.push('\n');
    }
    std::fs::write(&dump, text).expect("a writable directory");
    let mut command = Command::new(program("text2pcap", "wireshark-common"));
    let made = command.args(["-q", "-D", "-u", "40000,1812"]).arg(&dump).arg(&file).output();
    assert!(made.is_ok_and(|output| output.status.success()), "text2pcap failed");
    radius_of(&file, 1812, secret, fields)
}

fn radius_of(file: &Path, port: u16, secret: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let decode = format!("udp.port=={port},radius");
    let filter = format!("radius && udp.port == {port}");
    let secret = format!("radius.shared_secret:{secret}");
    let mut arguments = vec!["-d", &decode, "-Y", &filter, "-o", &secret];
    arguments.extend(["-o", "radius.validate_authenticator:TRUE", "-T", "fields", "-E", "occurrence=a"]);
    for field in fields {
        arguments.extend(["-e", field]);
    }
    tshark(file, &arguments).lines().map(|row| row.split('\t').map(str::to_owned).collect()).collect()
}
