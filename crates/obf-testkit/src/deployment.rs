//! A deployment of the real binary on ephemeral ports: `obf init`, `obf serve`, and commands against it. Everything
//! it starts is stopped when it is dropped.

use serde_json::Value;
use std::{
    collections::HashMap,
    fmt,
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

/// A server that has not said `ready` by then never will.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The binary under test: `OBF_BINARY`, or the `obf` beside the test's own build, built if it is not there.
///
/// # Panics
/// It cannot be built.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(find_or_build).clone()
}

/// A directory made by `obf init --ports ephemeral`, and the servers started from it.
pub struct Deployment {
    // Dropped first: servers end before their directory goes.
    servers: Vec<Server>,
    dir: tempfile::TempDir,
    binary: PathBuf,
}

impl Deployment {
    /// A new deployment with both nodes running in one process.
    pub fn start() -> Self {
        let mut deployment = Self::init(&[]);
        deployment.serve("all", &[]);
        deployment
    }

    /// A new deployment with nothing running; `arguments` are further ones for `obf init`.
    ///
    /// # Panics
    /// `obf init` fails.
    pub fn init(arguments: &[&str]) -> Self {
        Self::init_with(&binary(), arguments)
    }

    /// The same with that binary.
    ///
    /// # Panics
    /// `obf init` fails.
    pub fn init_with(binary: &Path, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let deployment = Self { servers: Vec::new(), dir, binary: binary.to_owned() };
        let path = deployment.dir().to_str().expect("a path in UTF-8").to_owned();
        let mut all = vec!["init", path.as_str(), "--ports", "ephemeral"];
        all.extend(arguments);
        deployment.obf(&all).expect_success();
        deployment
    }

    /// The deployment's directory: `obf.toml`, `ca.pem`, `admin.token`, `apps/track.example.pem` …
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A file of the deployment, by its path in the directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// `obf.toml`.
    pub fn config(&self) -> PathBuf {
        self.file("obf.toml")
    }

    /// Starts `obf serve WHAT` (`auth`, `resource`, `all`) with further arguments, and waits until it is ready.
    ///
    /// # Panics
    /// It does not become ready.
    pub fn serve(&mut self, what: &str, arguments: &[&str]) -> &mut Server {
        let server = Server::start(&self.binary, &self.config(), what, arguments);
        self.servers.push(server);
        self.servers.last_mut().expect("just pushed")
    }

    /// The servers in the order in which they were started.
    pub fn servers(&mut self) -> &mut Vec<Server> {
        &mut self.servers
    }

    /// The address of a listener (`rpb`, `rpo`, `admin` …) of a node (`auth`, `resource`), of the server started last.
    ///
    /// # Panics
    /// No such listener.
    pub fn endpoint(&self, node: &str, point: &str) -> SocketAddr {
        let found = self.servers.iter().rev().find_map(|server| server.endpoint(node, point));
        found.unwrap_or_else(|| panic!("no {node} server listens at {point}"))
    }

    /// Runs `obf ARGUMENTS` against this deployment to its end.
    pub fn obf(&self, arguments: &[&str]) -> Ran {
        self.obf_with_input(arguments, b"")
    }

    /// The same with something on standard input.
    ///
    /// # Panics
    /// The binary cannot be run.
    pub fn obf_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = Command::new(&self.binary)
            .args(arguments)
            .env("OBF_CONFIG", self.config())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.binary.display()));
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        // A command that ends without reading its input is no fault of the harness.
        let writer = thread::spawn(move || stdin.write_all(&input).is_ok());
        let output = child.wait_with_output().expect("the child was spawned");
        let _ = writer.join();
        Ran {
            command: arguments.join(" "),
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Imports a Milenage device with [`Sim`]'s keys, and grants it applications that are registered already.
    ///
    /// # Panics
    /// A command fails.
    pub fn add_device(&self, sim: &Sim, apps: &[&str]) {
        self.obf_with_input(&["device", "import", "-"], sim.import_line().as_bytes()).expect_success();
        for app in apps {
            self.obf(&["grant", "add", "--device", &sim.imsi, "--app", app]).expect_success();
        }
    }

    /// Registers an application under the certificate of the same name.
    ///
    /// # Panics
    /// The command fails.
    pub fn add_app(&self, app: &str) {
        self.obf(&["app", "add", app, "--cert-name", app, "--ua", "tls-psk"]).expect_success();
    }
}

/// A running `obf serve`.
pub struct Server {
    child: Child,
    endpoints: HashMap<(String, String), SocketAddr>,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts one from a configuration file and waits until it says `ready`.
    ///
    /// # Panics
    /// It does not become ready; the message has its log.
    pub fn start(binary: &Path, config: &Path, what: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(binary)
            .args(["serve", what, "--json", "--config"])
            .arg(config)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let lines = lines_of(child.stdout.take().expect("piped"));
        let log = collect(child.stderr.take().expect("piped"));
        let mut server = Self { child, endpoints: HashMap::new(), log };
        let deadline = Instant::now() + READY_WITHIN;
        while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            match event["event"].as_str() {
                Some("listening") => server.note(&event),
                Some("ready") => return server,
                _ => {}
            }
        }
        // Ended, or silent: what it logged says why.
        let _ = server.child.kill();
        let _ = server.child.wait();
        panic!("obf serve {what} did not become ready:\n{}", server.log());
    }

    /// The address of a listener of a node.
    pub fn endpoint(&self, node: &str, point: &str) -> Option<SocketAddr> {
        self.endpoints.get(&(node.to_owned(), point.to_owned())).copied()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Panics
    /// The signal cannot be sent.
    pub fn terminate(&mut self) -> ExitStatus {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "SIGTERM could not be sent");
        self.child.wait().expect("a child that was spawned")
    }

    fn note(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let address = text("address").parse().unwrap_or_else(|error| panic!("{event}: {error}"));
        self.endpoints.insert((text("node"), text("point")), address);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that ran to its end.
#[derive(Clone)]
pub struct Ran {
    command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    /// The exit code; -1 if a signal ended it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }

    /// Standard output, if it exited 0.
    ///
    /// # Panics
    /// It did not.
    pub fn expect_success(&self) -> &str {
        assert!(self.status.success(), "{self:?}");
        &self.stdout
    }

    /// Each line of standard output as JSON.
    ///
    /// # Panics
    /// A line is not JSON.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        self.stdout.lines().map(parse).collect()
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "obf {} → {}\n{}\n{}", self.command, self.status, self.stdout, self.stderr)
    }
}

/// A subscriber's card, Milenage with the keys of TS 35.208 test set 1.
#[derive(Clone, Debug)]
pub struct Sim {
    /// 15 digits.
    pub imsi: String,
    /// K, hex.
    pub k: String,
    /// OPc, hex.
    pub opc: String,
}

impl Sim {
    /// The card of that number in the test network 001 01.
    pub fn number(number: u32) -> Self {
        Self {
            imsi: format!("00101{number:010}"),
            k: "465b5ce8b199b49faa5f0a2ee238a6bc".to_owned(),
            opc: "cd63cb71954a9f4e48a5994e37a02baf".to_owned(),
        }
    }

    /// The line for `obf device import`.
    pub fn import_line(&self) -> String {
        let Self { imsi, k, opc } = self;
        format!(
            r#"{{"imsi":"{imsi}","algorithm":"milenage","k":"{k}","opc":"{opc}","amf":"0000","sqn":"000000000000"}}"#
        ) + "\n"
    }
}

fn find_or_build() -> PathBuf {
    if let Some(given) = std::env::var_os("OBF_BINARY") {
        return PathBuf::from(given);
    }
    // Tests run in target/<profile>/deps.
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.parent().and_then(Path::parent).expect("target/<profile>/deps").to_owned();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "-p", "obf"]);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    if let Some(target) = profile.parent() {
        build.arg("--target-dir").arg(target);
    }
    let built = build.status().is_ok_and(|status| status.success());
    assert!(built, "cargo build -p obf failed");
    profile.join("obf")
}

fn lines_of(stdout: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens after `ready`; the pipe is still drained so that the server never blocks on it.
            let _ = sender.send(line);
        }
    });
    receiver
}

fn collect(stderr: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&log);
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Ok(mut log) = sink.lock() {
                log.push_str(&line);
                log.push('\n');
            }
        }
    });
    log
}
