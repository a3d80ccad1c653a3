//! SoftHSM2: an HSM in software, with its tokens in a directory.

use super::{Peer, program};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Locks files as SoftHSM2 does before it reads or writes them, until it is ended.
const LOCK: &str = "import fcntl, sys, time
files = [open(path, 'r+b') for path in sys.argv[1:]]
for file in files: fcntl.lockf(file, fcntl.LOCK_EX)
print('locked', flush=True)
while True: time.sleep(3600)";

/// The user PIN of the tokens made here.
pub const PIN: &str = "271828";
/// Their security officer's PIN.
const SO_PIN: &str = "314159";
/// The label of the tokens made here.
pub const TOKEN: &str = "obf test";

const MODULES: [&str; 2] =
    ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];

/// A SoftHSM2 with one token, labelled [`TOKEN`].
pub struct SoftHsm {
    directory: tempfile::TempDir,
}

impl SoftHsm {
    /// Makes the token.
    ///
    /// # Panics
    /// SoftHSM2 is not installed, or does not do it.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let hsm = Self { directory };
        std::fs::create_dir(hsm.tokens()).expect("a writable directory");
        let config = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            hsm.tokens().display()
        );
        std::fs::write(hsm.config(), config).expect("a writable directory");
        let mut command = Command::new(program("softhsm2-util", "softhsm2"));
        command.args(["--init-token", "--free", "--label", TOKEN, "--so-pin", SO_PIN, "--pin", PIN]);
        hsm.run(&mut command);
        hsm
    }

    /// The PKCS#11 module.
    ///
    /// # Panics
    /// It is not installed.
    pub fn module() -> PathBuf {
        installed(&MODULES, "softhsm2")
    }

    /// Its configuration file, for `SOFTHSM2_CONF`.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("softhsm2.conf")
    }

    /// The directory that holds the token.
    pub fn tokens(&self) -> PathBuf {
        self.directory.path().join("tokens")
    }

    /// As if the HSM were unplugged.
    ///
    /// # Panics
    /// It was already.
    pub fn unplug(tokens: &Path) {
        std::fs::rename(tokens, tokens.with_extension("away")).expect("tokens that are there");
        std::fs::create_dir(tokens).expect("a writable directory");
    }

    /// As if the HSM were plugged in again.
    ///
    /// # Panics
    /// It was not unplugged.
    pub fn plug(tokens: &Path) {
        std::fs::remove_dir_all(tokens).expect("a writable directory");
        std::fs::rename(tokens.with_extension("away"), tokens).expect("tokens that were unplugged");
    }

    /// As if the HSM were there and did not answer any more: whatever it is asked waits until what this returns is dropped.
    ///
    /// # Panics
    /// Python is not installed, or its tokens are not there.
    pub fn hang(tokens: &Path) -> Peer {
        let mut arguments = vec!["-c".into(), LOCK.into()];
        for token in std::fs::read_dir(tokens).expect("tokens that are there") {
            let files = std::fs::read_dir(token.expect("a token").path()).expect("a directory a token");
            arguments.extend(files.map(|file| file.expect("a file").path().into_os_string()));
        }
        Peer::start(&program("python3", "python3"), &arguments, "locked")
    }

    /// Makes an AES-256 key with pkcs11-tool; `more` are further arguments.
    ///
    /// # Panics
    /// pkcs11-tool is not installed, or does not do it.
    pub fn make_key(&self, label: &str, more: &[&str]) {
        let mut command = Command::new(program("pkcs11-tool", "opensc"));
        command.arg("--module").arg(Self::module()).args(["--token-label", TOKEN, "--login", "--pin", PIN]);
        command.args(["--keygen", "--key-type", "AES:32", "--label", label]).args(more);
        self.run(&mut command);
    }

    /// What pkcs11-tool says of the keys.
    ///
    /// # Panics
    /// pkcs11-tool is not installed, or does not do it.
    pub fn list_keys(&self) -> String {
        let mut command = Command::new(program("pkcs11-tool", "opensc"));
        command.arg("--module").arg(Self::module()).args(["--token-label", TOKEN, "--login", "--pin", PIN]);
        self.run(command.args(["--list-objects", "--type", "secrkey"]))
    }

    fn run(&self, command: &mut Command) -> String {
        let ran = command.env("SOFTHSM2_CONF", self.config()).output().expect("it runs");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&ran.stderr));
        said
    }
}

impl Default for SoftHsm {
    fn default() -> Self {
        Self::new()
    }
}

fn installed(candidates: &[&str], package: &str) -> PathBuf {
    let found = candidates.iter().map(PathBuf::from).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{} is not installed: apt-get install {package}", candidates[0]))
}
