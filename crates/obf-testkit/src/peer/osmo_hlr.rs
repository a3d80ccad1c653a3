//! osmo-hlr: an HLR with GSUP, on an address of its own in 127/8 (its ports are fixed) with a database of its own.

use super::{Peer, program};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

const GSUP_PORT: u16 = 4222;
const VTY_PORT: u16 = 4258;
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A running osmo-hlr, ended when it is dropped.
pub struct OsmoHlr {
    peer: Option<Peer>,
    address: Ipv4Addr,
    directory: tempfile::TempDir,
}

/// A connection to its command line.
struct Vty {
    stream: TcpStream,
    prompt: &'static [u8],
}

impl OsmoHlr {
    /// Starts one that knows nobody.
    ///
    /// # Panics
    /// It is not installed or does not start.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let address = free_address();
        let config = format!(
            "log stderr\n logging color 0\n logging level set-all notice\nline vty\n bind {address} {VTY_PORT}\nctrl\n bind {address}\n\
             hlr\n gsup\n  bind ip {address}\n"
        );
        std::fs::write(directory.path().join("osmo-hlr.cfg"), config).expect("a writable directory");
        let mut hlr = Self { peer: None, address, directory };
        hlr.start_again();
        hlr
    }

    /// Its GSUP port.
    pub const fn gsup(&self) -> SocketAddr {
        SocketAddr::V4(std::net::SocketAddrV4::new(self.address, GSUP_PORT))
    }

    /// `kill -9`; its database stays.
    pub fn kill(&mut self) {
        self.peer = None;
    }

    /// Starts it again on its database, and waits until it listens.
    ///
    /// # Panics
    /// It does not start.
    pub fn start_again(&mut self) {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let arguments = ["-c".to_owned(), path("osmo-hlr.cfg"), "-l".to_owned(), path("hlr.db")];
        // CTRL is what it opens before GSUP.
        let peer = Peer::start(&program("osmo-hlr", "osmo-hlr"), &arguments, "CTRL at");
        let deadline = Instant::now() + ANSWER_WITHIN;
        while TcpStream::connect(self.gsup()).is_err() {
            assert!(
                Instant::now() < deadline,
                "osmo-hlr does not listen at {}:\n{}",
                self.gsup(),
                peer.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self.peer = Some(peer);
    }

    /// Stops it where it is (SIGSTOP): it holds its connections and says nothing.
    ///
    /// # Panics
    /// The signal cannot be sent.
    pub fn freeze(&self) {
        self.peer.as_ref().expect("running").signal("STOP");
    }

    /// A subscriber with a Milenage key, hex.
    ///
    /// # Panics
    /// The HLR refuses.
    pub fn add_milenage(&self, imsi: &str, k: &str, opc: &str) {
        self.commands(&[
            format!("subscriber imsi {imsi} create"),
            format!("subscriber imsi {imsi} update aud3g milenage k {k} opc {opc}"),
        ]);
    }

    /// A subscriber with a GSM key only.
    ///
    /// # Panics
    /// The HLR refuses.
    pub fn add_gsm(&self, imsi: &str, ki: &str) {
        self.commands(&[
            format!("subscriber imsi {imsi} create"),
            format!("subscriber imsi {imsi} update aud2g comp128v1 ki {ki}"),
        ]);
    }

    /// A subscriber without a key.
    ///
    /// # Panics
    /// The HLR refuses.
    pub fn add_keyless(&self, imsi: &str) {
        self.commands(&[format!("subscriber imsi {imsi} create")]);
    }

    /// Many subscribers with one Milenage key, over one connection.
    ///
    /// # Panics
    /// The HLR refuses.
    pub fn add_milenage_all<'a>(&self, imsis: impl IntoIterator<Item = &'a str>, k: &str, opc: &str) {
        let commands: Vec<String> = imsis
            .into_iter()
            .flat_map(|imsi| {
                [
                    format!("subscriber imsi {imsi} create"),
                    format!("subscriber imsi {imsi} update aud3g milenage k {k} opc {opc}"),
                ]
            })
            .collect();
        self.commands(&commands);
    }

    /// What it has logged since it was started.
    pub fn log(&self) -> String {
        self.peer.as_ref().map(Peer::log).unwrap_or_default()
    }

    fn commands(&self, commands: &[String]) {
        let mut vty = Vty::open(SocketAddr::from((self.address, VTY_PORT)));
        for command in commands {
            let answer = vty.command(command);
            let failed =
                ["% Unknown", "% Command", "% Cannot", "% Error", "% Invalid", "% No ", "% Ambiguous"];
            assert!(!failed.iter().any(|words| answer.contains(words)), "{command}: {answer}");
        }
    }
}

impl Vty {
    fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("osmo-hlr's VTY");
        stream.set_read_timeout(Some(ANSWER_WITHIN)).expect("a timeout");
        let mut vty = Self { stream, prompt: b"OsmoHLR> " };
        vty.until_prompt();
        vty.prompt = b"OsmoHLR# ";
        vty.command("enable");
        vty
    }

    fn command(&mut self, command: &str) -> String {
        self.stream.write_all(format!("{command}\r\n").as_bytes()).expect("osmo-hlr takes a command");
        self.until_prompt()
    }

    fn until_prompt(&mut self) -> String {
        let mut answer = Vec::new();
        let mut octets = [0; 4096];
        while !answer.ends_with(self.prompt) {
            let length = self.stream.read(&mut octets).expect("osmo-hlr's prompt");
            assert!(length > 0, "osmo-hlr closed its VTY: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(octets.get(..length).unwrap_or_default());
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// An address of this host that no other HLR uses.
fn free_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let free = |address: &Ipv4Addr| {
        [GSUP_PORT, VTY_PORT].iter().all(|port| TcpListener::bind((*address, *port)).is_ok())
    };
    (0..200)
        .map(|_| Ipv4Addr::new(127, 1 | high, low, NEXT.fetch_add(1, Ordering::Relaxed)))
        .find(free)
        .expect("an address in 127/8 with osmo-hlr's ports free")
}
