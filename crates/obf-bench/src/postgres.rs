//! A PostgreSQL cluster for a measurement: as a distribution sets it up, on the same file system as what it is compared with.

use crate::measure;
use anyhow::{Context, Result, bail};
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const DATABASE: &str = "auth";

/// A running cluster, ended on drop.
pub struct Postgres {
    process: Child,
    binaries: PathBuf,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Postgres {
    /// Starts one, durable, on the file system that `OBF_BENCH_DIR` chooses, with an empty database.
    ///
    /// # Errors
    /// The package postgresql is missing, or it does not start.
    pub fn start() -> Result<Self> {
        let directory = match std::env::var_os("OBF_BENCH_DIR") {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        // The server does not run as root; its user comes with the package.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let data = directory.path().join("data");
        fs::create_dir(&data)?;
        let root = fs::metadata("/proc/self")?.uid() == 0;
        if root {
            measure::output_of(Command::new("chown").arg("postgres").arg(&data), "postgresql")?;
        }
        let binaries = binaries()?;
        let command = |name: &str| -> Result<Command> {
            let program = binaries.join(name);
            let mut command = measure::on_all_cores(if root { Path::new("setpriv") } else { &program })?;
            if root {
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(&program);
            }
            command.current_dir("/").stdin(Stdio::null());
            Ok(command)
        };
        let mut initdb = command("initdb")?;
        initdb.args(["--username=obf", "--auth=trust", "--encoding=UTF8", "--no-locale", "-D"]).arg(&data);
        measure::output_of(&mut initdb, "postgresql")?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut server = command("postgres")?;
        server.args(["-h", "127.0.0.1", "-k", "", "-p", &port.to_string(), "-D"]).arg(&data);
        let process = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let postgres = Self { process, binaries, port, _directory: directory };
        let deadline = Instant::now() + Duration::from_secs(60);
        while postgres.sql("postgres", "SELECT 1").is_err() {
            if Instant::now() > deadline {
                bail!("PostgreSQL does not start");
            }
            thread::sleep(Duration::from_millis(50));
        }
        postgres.sql("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
        Ok(postgres)
    }

    /// The connection string to the database.
    pub fn location(&self) -> String {
        self.connection(DATABASE)
    }

    fn connection(&self, database: &str) -> String {
        format!("postgresql://obf@127.0.0.1:{}/{database}", self.port)
    }

    fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.binaries.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.connection(database));
        measure::output_of(&mut psql, "postgresql")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once, with all its sessions: the data are thrown away.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// Where Debian puts the server's programs, newest version last.
fn binaries() -> Result<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is missing: package postgresql")?;
    let mut found: Vec<PathBuf> =
        versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().context("PostgreSQL is missing: package postgresql")
}
