//! A deployment of a binary, this very one if nothing else is said, in processes of its own: `obf init`, `obf serve`, and what a measurement asks of it.

use crate::measure;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::{
    collections::HashMap,
    env::current_exe,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The core that the measured servers run on.
pub const SERVER_CORE: usize = 0;
/// The core that their load comes from.
pub const LOAD_CORE: usize = 1;

/// A directory made by `obf init` on ephemeral ports.
pub struct Deployment {
    directory: tempfile::TempDir,
    binary: PathBuf,
}

impl Deployment {
    /// A new one. `OBF_BENCH_DIR` chooses the file system it writes to.
    ///
    /// # Errors
    /// `obf init` failed.
    pub fn init(arguments: &[&str]) -> Result<Self> {
        Self::init_of(&current_exe()?, arguments)
    }

    /// One of another binary: its servers and commands are that one's too.
    ///
    /// # Errors
    /// Its `obf init` failed.
    pub fn init_of(binary: &Path, arguments: &[&str]) -> Result<Self> {
        let directory = match std::env::var_os("OBF_BENCH_DIR") {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        let mut command = Command::new(binary);
        command.arg("init").arg(directory.path()).args(["--ports", "ephemeral"]).args(arguments);
        measure::output_of(&mut command, "obf")?;
        Ok(Self { directory, binary: binary.to_owned() })
    }

    /// Its binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts `obf serve NODE` on the servers' core with `settings` (`section.key=value`) laid over the configuration.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn serve(&self, node: &str, settings: &[String]) -> Result<Server> {
        let mut command = measure::pinned(SERVER_CORE, &self.binary);
        command.args(["serve", node, "--json", "--config"]).arg(self.file("obf.toml"));
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        command.env("OBF_LOG", "error");
        Server::start(command)
    }

    /// The same on whatever cores there are.
    ///
    /// # Errors
    /// It does not become ready.
    pub fn serve_on_all_cores(&self, node: &str, settings: &[String]) -> Result<Server> {
        let mut command = measure::on_all_cores(&self.binary)?;
        command.args(["serve", node, "--json", "--config"]).arg(self.file("obf.toml"));
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        command.env("OBF_LOG", "error");
        Server::start(command)
    }

    /// `obf ARGUMENTS` against it, to be run on whatever cores there are.
    ///
    /// # Errors
    /// The kernel does not say which there are.
    pub fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = measure::on_all_cores(&self.binary)?;
        command.args(arguments).env("OBF_CONFIG", self.file("obf.toml"));
        Ok(command)
    }

    /// Runs `obf ARGUMENTS` against it on whatever cores there are, with `input` on standard input, and gives what it printed.
    ///
    /// # Errors
    /// It exits with anything but 0.
    pub fn obf(&self, arguments: &[&str], input: &[u8]) -> Result<String> {
        let mut child = self
            .command(arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("standard input")?.write_all(input)?;
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "obf {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// A running server process, killed on drop.
pub struct Server {
    process: Child,
    endpoints: HashMap<String, SocketAddr>,
}

impl Server {
    /// Starts a command that prints a `listening` line per listener and then `ready`, and waits for that.
    ///
    /// # Errors
    /// It ends before it is ready.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("taskset (util-linux)")?;
        let lines = BufReader::new(process.stdout.take().context("standard output")?).lines();
        let mut server = Self { process, endpoints: HashMap::new() };
        for line in lines {
            let event: Value = serde_json::from_str(&line?)?;
            let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
            match text("event") {
                "listening" => {
                    server.endpoints.insert(text("point").to_owned(), text("address").parse()?);
                }
                "ready" => return Ok(server),
                _ => {}
            }
        }
        bail!("a server ended before it was ready: {command:?}")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The address of one of its listeners.
    ///
    /// # Errors
    /// It has no such listener.
    pub fn endpoint(&self, point: &str) -> Result<SocketAddr> {
        self.endpoints.get(point).copied().with_context(|| format!("the server has no listener {point}"))
    }
}

impl Server {
    /// Ends it at once.
    pub fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// CPU seconds that processes use while `work` runs.
///
/// # Errors
/// One of them is gone, or the work failed.
pub async fn cpu_of<T>(pids: &[u32], work: impl Future<Output = Result<T>>) -> Result<(f64, T)> {
    let total = || pids.iter().map(|pid| measure::cpu_seconds(*pid)).sum::<Result<f64>>();
    let before = total()?;
    let result = work.await?;
    Ok((total()? - before, result))
}
