//! Files of a deployment: secrets written for their owner only, certificates and tokens read back.

use crate::failure::Failure;
use obf_types::SecretBytes;
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

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

/// A whole file.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::file(path, &error))
}

/// The secret that is a file's only line.
///
/// # Errors
/// The file cannot be read or is empty.
pub fn secret_line(path: &Path) -> Result<SecretBytes, Failure> {
    let content = SecretBytes::new(read(path)?);
    let line = content.expose().trim_ascii();
    if line.is_empty() {
        return Err(Failure::bad_data("empty-secret", format_args!("{} is empty", path.display())));
    }
    Ok(SecretBytes::from(line))
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    fs::OpenOptions::new()
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
