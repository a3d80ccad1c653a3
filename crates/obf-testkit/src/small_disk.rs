//! A disk that is soon full: a tmpfs in a mount namespace of its own. It goes with the process that started it, however
//! that ends.

use crate::peer::program;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Mounts, says so, and stays as long as standard input is open.
const HOLD: &str = r#"mount -t tmpfs -o "$1" obf "$2" && echo mounted && exec cat"#;
const FILLER: &str = "filler";

/// A disk of few octets, which only programs started through it see.
pub struct SmallDisk {
    holder: Child,
    place: PathBuf,
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// A disk of so many KiB.
    ///
    /// # Panics
    /// It cannot be mounted.
    pub fn new(kib: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        let place = directory.path().join("disk");
        fs::create_dir(&place).expect("a writable directory");
        let mut holder = Command::new(program("unshare", "util-linux"))
            .arg("--mount")
            .args((!is_root()).then_some("--map-root-user"))
            .args(["sh", "-c", HOLD, "sh", &format!("size={kib}k,mode=0777")])
            .arg(&place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare");
        let mut said = String::new();
        let output = holder.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut said).expect("what it says");
        let disk = Self { holder, place, directory };
        assert_eq!(said, "mounted\n", "a tmpfs in a mount namespace needs root, or user namespaces");
        disk
    }

    /// Where programs started through it find it.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The words before a program, that it may see the disk.
    pub fn words(&self) -> Vec<String> {
        let mut words =
            vec!["nsenter".to_owned(), format!("--target={}", self.holder.id()), "--mount".to_owned()];
        if !is_root() {
            words.extend(["--user".to_owned(), "--preserve-credentials".to_owned()]);
        }
        words.push("--".to_owned());
        words
    }

    /// A script that starts a program which sees the disk, for whatever takes the path of a program.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn script(&self, program: &Path) -> PathBuf {
        let script = self.directory.path().join("on-the-disk");
        let content = format!("#!/bin/sh\nexec {} {} \"$@\"\n", self.words().join(" "), program.display());
        fs::write(&script, content).expect("a writable directory");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("permissions");
        script
    }

    /// Fills it to the last octet.
    ///
    /// # Panics
    /// It cannot be written for another reason than that it is full.
    pub fn fill(&self) {
        let mut filler = File::create(self.outside(FILLER)).expect("a file on the disk");
        loop {
            match filler.write(&[0; 4096]) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
    }

    /// Gives the room back that [`SmallDisk::fill`] took.
    ///
    /// # Panics
    /// It was not filled.
    pub fn free(&self) {
        fs::remove_file(self.outside(FILLER)).expect("a disk that was filled");
    }

    /// A file of the disk as this process reaches it.
    fn outside(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.place.strip_prefix("/").expect("an absolute path")).join(name)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
