//! A PostgreSQL cluster of the tests' own: one battery of tests runs on it as on SQLite.

use crate::SmallDisk;
use std::{
    fmt, fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A running cluster on a free port of this host, reachable over TCP by its superuser `obf` without a password.
/// It ends with the process that started it, however that ends.
pub struct PostgresCluster {
    directory: PathBuf,
    /// Words before each program that uses the directory.
    words: Vec<String>,
    port: u16,
    /// How it listens.
    options: Vec<String>,
    guard: Child,
    stdin: Option<ChildStdin>,
    databases: AtomicU32,
}

impl PostgresCluster {
    /// Starts one.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("obf-pg-").tempdir().expect("a directory").keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("permissions");
        Self::start_in(directory, Vec::new(), None)
    }

    /// Starts one that other hosts reach as well, over TLS with that certificate and key (PEM).
    pub fn start_encrypted(chain: &str, key: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("obf-pg-").tempdir().expect("a directory").keep();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("permissions");
        Self::start_in(directory, Vec::new(), Some((chain, key)))
    }

    /// Starts one whose data are on that disk, which must outlive it; it takes about 60 MiB.
    pub fn start_on(disk: &SmallDisk) -> Self {
        Self::start_in(disk.place().join("postgres"), disk.words(), None)
    }

    fn start_in(directory: PathBuf, words: Vec<String>, encrypted: Option<(&str, &str)>) -> Self {
        let bin = binaries();
        let data = directory.join("data");
        run(command(&words, Path::new("mkdir")).arg("-p").arg(&data));
        if let Some(user) = other_user() {
            run(command(&words, Path::new("chown")).args([user, "--"]).arg(&data));
        }
        run(as_user(&words, &bin.join("initdb"))
            .args(["--username=obf", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(&data));
        let port =
            TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("its number").port();
        let mut options: Vec<String> =
            ["-h", "127.0.0.1", "-k", "", "-p", &port.to_string()].map(str::to_owned).into();
        if let Some((chain, key)) = encrypted {
            encrypt(&data, chain, key);
            options.extend(["-h", "*", "-c", "ssl=on"].map(str::to_owned));
        }
        // The shell ends the server when its standard input closes, which it does however this process ends.
        let (postgres, own) = (bin.join("postgres"), directory.display().to_string());
        let mut guard = command(&words, Path::new("sh"))
            .args(["-c", GUARD, "sh"])
            .arg(&own)
            .args(as_user_words())
            .arg(&postgres)
            .args(&options)
            .arg("-D")
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        let stdin = guard.stdin.take();
        let cluster = Self { directory, words, port, options, guard, stdin, databases: AtomicU32::new(0) };
        cluster.wait_until_ready(&bin);
        cluster
    }

    /// The one that the tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresCluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Creates a database and gives the connection string to it.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.connection_string(&name)
    }

    /// The connection string to a database.
    pub fn connection_string(&self, database: &str) -> String {
        format!("postgres://obf@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL in a database through psql and gives what that prints: values alone, `|` between columns.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let mut psql = Command::new(binaries().join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        run(psql.arg(self.connection_string(database)))
    }

    /// Runs SQL in a session of its own, which stays open, with whatever it locked, until what this returns is dropped.
    ///
    /// # Panics
    /// The SQL fails.
    pub fn hold(&self, database: &str, sql: &str) -> OpenSession {
        let mut psql = Command::new(binaries().join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]).arg(self.connection_string(database));
        psql.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().expect("psql");
        let stdin = psql.stdin.as_mut().expect("piped");
        writeln!(stdin, "{sql};\n\\echo held").expect("psql reads");
        let output = BufReader::new(psql.stdout.take().expect("piped"));
        let mut held = OpenSession { psql, output };
        held.wait_for("held", sql);
        held
    }

    /// Kills it as a crash would, without a goodbye to anybody.
    pub fn crash(&mut self) {
        let data = self.directory.join("data");
        run(as_user(&self.words, &binaries().join("pg_ctl"))
            .args(["stop", "-m", "immediate", "-w", "-D"])
            .arg(data));
    }

    /// `kill -9`: its sessions find out by themselves.
    ///
    /// # Panics
    /// It does not run.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.directory.join("data/postmaster.pid")).expect("it runs");
        run(Command::new("kill").args(["-KILL", pid.lines().next().expect("a process id")]));
    }

    /// Starts it again after a crash, on the same data and port.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        let data = self.directory.join("data");
        let options: Vec<_> = self.options.iter().map(|option| format!("'{option}'")).collect();
        let mut start = as_user(&self.words, &binaries().join("pg_ctl"));
        start
            .args(["start", "-w", "-o", &options.join(" "), "-l"])
            .arg(data.join("log"))
            .arg("-D")
            .arg(&data);
        // Sessions of one that was killed hold its memory until they have found out.
        for _ in 0..100 {
            if start.stdin(Stdio::null()).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
            {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("PostgreSQL did not start again: {start:?}");
    }

    fn wait_until_ready(&self, bin: &Path) {
        for _ in 0..600 {
            let ready = Command::new(bin.join("pg_isready"))
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status();
            if ready.expect("pg_isready").success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("PostgreSQL did not start in 30 s");
    }
}

/// Lets other hosts in, encrypted.
fn encrypt(data: &Path, chain: &str, key: &str) {
    let access = data.join("pg_hba.conf");
    let mut rules = fs::read_to_string(&access).expect("what initdb wrote");
    rules.push_str("hostssl all obf all trust\n");
    for (name, content) in [("pg_hba.conf", rules.as_str()), ("server.crt", chain), ("server.key", key)] {
        let path = data.join(name);
        fs::write(&path, content).expect("a writable directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        if let Some(user) = other_user() {
            run(Command::new("chown").args([user, "--"]).arg(&path));
        }
    }
}

/// Waits for the server, so that one that was killed is gone altogether, and beside it for the end of standard input.
const GUARD: &str = r#"directory=$1; shift; exec 3<&0; "$@" <&- 3<&- &
{ read -r _ <&3; pid=$(head -n 1 "$directory/data/postmaster.pid") && kill -QUIT "$pid"
while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; rm -rf "$directory"; } & wait"#;

/// A session that was left open.
pub struct OpenSession {
    psql: Child,
    output: BufReader<ChildStdout>,
}

impl OpenSession {
    /// Runs SQL that answers with no rows in the session.
    ///
    /// # Panics
    /// The SQL fails.
    pub fn run(&mut self, sql: &str) {
        let stdin = self.psql.stdin.as_mut().expect("piped");
        writeln!(stdin, "{sql};\n\\echo done").expect("psql reads");
        self.wait_for("done", sql);
    }

    fn wait_for(&mut self, word: &str, sql: &str) {
        let mut said = String::new();
        self.output.read_line(&mut said).expect("what it says");
        assert_eq!(said.trim_end(), word, "{sql}");
    }
}

impl fmt::Debug for OpenSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenSession")
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

impl fmt::Debug for PostgresCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresCluster(port {})", self.port)
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Where Debian puts the server's programs, newest version first.
fn binaries() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let versions = versions.expect("PostgreSQL is not installed: apt-get install postgresql");
    let mut found: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().expect("PostgreSQL is not installed: apt-get install postgresql")
}

/// The server refuses to run as root; Debian's package brings a user for it.
fn other_user() -> Option<&'static str> {
    let own = fs::metadata("/proc/self").expect("/proc");
    (std::os::unix::fs::MetadataExt::uid(&own) == 0).then_some("postgres")
}

fn as_user_words() -> Vec<String> {
    let user = other_user();
    let words = user.map(|user| {
        ["setpriv".into(), format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into()]
    });
    words.into_iter().flatten().collect()
}

fn as_user(words: &[String], program: &Path) -> Command {
    let mut command = command(&[words, &as_user_words()].concat(), program);
    command.current_dir("/");
    command
}

/// A program, with words before it.
fn command(words: &[String], program: &Path) -> Command {
    match words.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    }
}

fn run(command: &mut Command) -> String {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().map(|mut stdout| stdout.read_to_string(&mut out));
    let status = child.wait().expect("it was started");
    child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut err));
    assert!(status.success(), "{command:?}: {status}\n{out}{err}");
    out
}
