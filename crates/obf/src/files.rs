//! Files of a deployment: secrets written for their owner only, certificates and tokens read back.

use crate::failure::Failure;
use obf_files::SecretFileError;
use obf_types::SecretBytes;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Writes a new file that only its owner reads (0600) and fsyncs it.
///
/// # Errors
/// It exists already, or cannot be written.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_new(path, content, 0o600)
}

/// Writes a new file that everybody may read (0644) and fsyncs it.
///
/// # Errors
/// It exists already, or cannot be written.
pub fn write_public(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_new(path, content, 0o644)
}

/// Replaces a file in one step: a reader sees the old content or the new.
///
/// # Errors
/// It cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let beside = path.with_extension(format!("new{}", std::process::id()));
    fs::write(&beside, content)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| Failure::file(path, &error))
}

/// A new file that only its owner reads (0600). It has its name when all of it is there; until then it is `NAME.part`, which
/// is gone if it does not come to that.
pub struct NewFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl NewFile {
    /// Begins it.
    ///
    /// # Errors
    /// There is such a file already, or it cannot be written.
    pub fn begin(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::file(path, &error);
        if path.symlink_metadata().is_ok() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part);
        Ok(Self { path: path.to_owned(), file: file.map_err(failed)?, part })
    }

    /// Appends.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, octets: &[u8]) -> Result<(), Failure> {
        self.file.write_all(octets).map_err(|error| Failure::file(&self.path, &error))
    }

    /// All of it was written: it is fsynced and gets its name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> Result<(), Failure> {
        let named = self.file.sync_all().and_then(|()| fs::rename(&self.part, &self.path));
        named.map_err(|error| Failure::file(&self.path, &error))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Not there any more if it was finished.
        let _ = fs::remove_file(&self.part);
    }
}

/// A whole file.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::file(path, &error))
}

/// The secret that is written in a file.
///
/// # Errors
/// The file cannot be read or is empty.
pub fn secret_line(path: &Path) -> Result<SecretBytes, Failure> {
    obf_files::secret_line(path).map_err(secret_failure)
}

/// What is wrong with a file that holds a secret.
pub fn secret_failure(error: SecretFileError) -> Failure {
    match error {
        SecretFileError::Unreadable { path, error } => Failure::file(&path, &error),
        SecretFileError::Empty { .. } => Failure::bad_data("empty-secret", error),
        other => Failure::bad_data("bad-secret", other),
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(|error| Failure::file(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn secrets_are_for_their_owner_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kek");
        write_secret(&path, b"x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(write_secret(&path, b"y").unwrap_err().code, "file");
        assert_eq!(secret_line(&path).unwrap().expose(), b"x");
    }
}
