//! Other people's programs, as peers of ours: found or named by their package, started, waited for, ended on drop.

pub mod capture;
pub mod freeradius;
pub mod osmo_hlr;
pub mod pyrad;
pub mod radclient;
pub mod radsecproxy;
pub mod schemathesis;
pub mod softhsm;

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader, Read},
    net::UdpSocket,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// A peer that is not ready by then never will be.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The path of a peer's program.
///
/// # Panics
/// It is not installed; the message names the package.
pub fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let found =
        std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: apt-get install {package}"))
}

/// A directory of this build that outlives the test, for what is costly to make (`target/peers/NAME`).
///
/// # Panics
/// It cannot be made.
fn lasting_directory(name: &str) -> PathBuf {
    // Tests run in target/<profile>/deps.
    let test = std::env::current_exe().expect("the test's own path");
    let target = test.ancestors().nth(3).expect("target/<profile>/deps");
    let directory = target.join("peers").join(name);
    std::fs::create_dir_all(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    directory
}

/// The programs of a Python environment of this build that has `requirement`, made by `/usr/bin/python3` if `works` says
/// that it is not there yet.
///
/// # Panics
/// It cannot be made; the message says what is missing.
fn python_environment(name: &str, requirement: &str, works: impl Fn(&Path) -> bool) -> PathBuf {
    let directory = lasting_directory(name);
    let programs = directory.join("bin");
    let lock = File::create(directory.join("lock")).expect("a writable directory");
    lock.lock().expect("a file that can be locked");
    if works(&programs) {
        return programs;
    }
    let made = Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(&directory).output();
    let made = made.unwrap_or_else(|error| panic!("/usr/bin/python3: {error}: apt-get install python3-venv"));
    assert!(
        made.status.success(),
        "apt-get install python3-venv:\n{}",
        String::from_utf8_lossy(&made.stdout)
    );
    let mut pip = Command::new(programs.join("python3"));
    let installed = pip.args(["-m", "pip", "install", "--quiet", requirement]).output().expect("pip");
    assert!(works(&programs), "{requirement}: {}", String::from_utf8_lossy(&installed.stderr));
    programs
}

/// A UDP port of 127.0.0.1 that was free just now, for a peer that cannot take one itself.
///
/// # Panics
/// None is free.
pub fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("a bound socket").port()
}

/// A peer that runs until it is dropped.
pub struct Peer {
    name: String,
    child: Child,
    output: Arc<Output>,
}

/// What a peer has written, to either stream.
#[derive(Default)]
struct Output {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    text: String,
    ended: u8,
}

impl Peer {
    /// Starts a program and waits until it writes a line that contains `ready`.
    ///
    /// # Panics
    /// It does not; the message has what it wrote.
    pub fn start<A: AsRef<OsStr>>(program: &Path, arguments: &[A], ready: &str) -> Self {
        let name = program.display().to_string();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let output = Arc::new(Output::default());
        read_into(&output, child.stdout.take().expect("piped"));
        read_into(&output, child.stderr.take().expect("piped"));
        let peer = Self { name, child, output };
        peer.wait_for(ready);
        peer
    }

    /// Waits until it has written that text.
    ///
    /// # Panics
    /// It ends before, or takes too long.
    pub fn wait_for(&self, text: &str) {
        let deadline = Instant::now() + READY_WITHIN;
        let mut lines = self.output.lines.lock().unwrap_or_else(PoisonError::into_inner);
        while !lines.text.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.ended == 2 {
                let text_so_far = lines.text.clone();
                drop(lines);
                panic!("{} did not say {text:?}:\n{text_so_far}", self.name);
            }
            lines = self.output.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.output.lines.lock().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// Sends it SIGINT and waits for its end.
    ///
    /// # Panics
    /// The signal cannot be sent.
    pub fn interrupt(&mut self) {
        self.signal("INT");
        let _ = self.child.wait();
    }

    /// Sends it a signal, by its name without `SIG`.
    ///
    /// # Panics
    /// It cannot be sent.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIG{signal} could not be sent to {}", self.name);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_into(output: &Arc<Output>, stream: impl Read + Send + 'static) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let mut lines = output.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.text.push_str(&String::from_utf8_lossy(&line));
            line.clear();
            output.more.notify_all();
        }
        output.lines.lock().unwrap_or_else(PoisonError::into_inner).ended += 1;
        output.more.notify_all();
    });
}
