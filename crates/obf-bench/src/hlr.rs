//! osmo-hlr as the baseline of durable vectors: its own process, its own SQLite file, asked over GSUP.

use crate::{gsup, measure};
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, params};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// osmo-hlr takes fixed ports; an address of its own in 127/8 keeps it apart from any other.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 83, 121, 7);
const GSUP_PORT: u16 = 4222;

/// A running osmo-hlr with Milenage subscribers, killed on drop.
pub struct Hlr {
    process: Child,
    imsis: Vec<String>,
    /// The directory of its database, for counting what it writes.
    directory: PathBuf,
}

impl Hlr {
    /// Starts it in `directory` (the file system both write to) with that many subscribers.
    ///
    /// # Errors
    /// The package osmo-hlr is missing, or it does not start.
    pub fn start(directory: &Path, subscribers: usize) -> Result<Self> {
        let config = directory.join("osmo-hlr.cfg");
        fs::write(
            &config,
            format!(
                "log stderr\n logging level set-all error\nline vty\n bind {ADDRESS} 4258\nctrl\n bind {ADDRESS}\nhlr\n gsup\n  bind ip {ADDRESS}\n"
            ),
        )?;
        let database = directory.join("hlr.db");
        let command = |check: bool| {
            let mut command = measure::pinned(0, Path::new("osmo-hlr"));
            command.arg("-c").arg(&config).arg("-l").arg(&database).current_dir(directory);
            if check {
                command.arg("--db-check");
            }
            command
        };
        measure::output_of(&mut command(true), "osmo-hlr")?;
        let imsis = subscribe(&database, subscribers)?;
        let process = command(false).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let hlr = Self { process, imsis, directory: directory.to_owned() };
        hlr.await_port()?;
        Ok(hlr)
    }

    /// Vectors a second, one request a vector set, `window` in flight.
    ///
    /// # Errors
    /// It refuses or is silent.
    pub fn rate(&self, requests: usize, window: usize) -> Result<f64> {
        Ok(requests as f64 / gsup::load(Self::gsup(), &self.imsis, requests, window)?)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn gsup() -> SocketAddr {
        SocketAddr::from((ADDRESS, GSUP_PORT))
    }

    fn await_port(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(Self::gsup()).is_err() {
            if Instant::now() > deadline {
                bail!("osmo-hlr does not listen on {} ({})", Self::gsup(), self.directory.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Hlr {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Fills the HLR's own tables, as its operator would by CSV.
fn subscribe(database: &Path, count: usize) -> Result<Vec<String>> {
    let mut connection = Connection::open(database).context("the HLR's database")?;
    let transaction = connection.transaction()?;
    let mut imsis = Vec::with_capacity(count);
    for number in 1..=count {
        let imsi = format!("00101{number:010}");
        transaction.execute("INSERT INTO subscriber (id, imsi) VALUES (?1, ?2)", params![number, imsi])?;
        transaction.execute(
            "INSERT INTO auc_3g (subscriber_id, algo_id_3g, k, opc, sqn, ind_bitlen) VALUES (?1, 5, ?2, ?3, 0, 5)",
            params![number, format!("{number:032x}"), format!("{:032x}", number * 7)],
        )?;
        imsis.push(imsi);
    }
    transaction.commit()?;
    Ok(imsis)
}

/// fsync and fdatasync calls of a process while `work` runs, counted by strace.
///
/// # Errors
/// The package strace is missing, or may not attach.
pub fn count_fsyncs<T>(pid: u32, work: impl FnOnce() -> Result<T>) -> Result<(u64, T)> {
    let log = tempfile::NamedTempFile::new()?;
    let mut tracer = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o"])
        .arg(log.path())
        .args(["-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("strace cannot be started: apt-get install strace")?;
    await_tracer(pid)?;
    let result = work();
    let _ = Command::new("kill").args(["-INT", &tracer.id().to_string()]).status();
    let _ = tracer.wait();
    let calls = fs::read_to_string(log.path())?
        .lines()
        .filter(|line| line.contains("sync") && !line.contains("resumed"))
        .count();
    Ok((calls as u64, result?))
}

fn await_tracer(pid: u32) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap_or("0");
        if tracer.trim() != "0" {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("strace could not attach to process {pid}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}
