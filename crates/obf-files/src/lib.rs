//! Files that hold one secret: RADIUS secrets, key-encryption keys, PINs, passwords, administrators' tokens.
//!
//! One reader, because both ends of a wire read the same file: what one trims and the other keeps is a deployment that
//! does not start, and nobody sees why. The rule is [`line()`] for what is written as text, and [`SecretFile::key`] for keys,
//! which may be raw octets. [`SecretFile::open_private`] refuses a file that others may read.
//!
//! Deliberately absent: what a secret is for, and how long it must be.
#![forbid(unsafe_code)]

use obf_types::{Secret, SecretBytes, hex};
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Longer files hold no secret of ours, octets.
pub const MAX_LEN: usize = 4096;

/// Why a file gives no secret. Names the file; never says anything of its content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It cannot be opened or read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Others than its owner may read it.
    #[error(
        "{path}: others may read it (permissions {mode:04o}): chmod 600 {path}, and if they could have read it, make another",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It has more than [`MAX_LEN`] octets.
    #[error("{}: longer than {MAX_LEN} octets", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing in it, or whitespace only.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is to be text and is not UTF-8.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// It is to be a key and is not one.
    #[error("{}: neither {octets} octets nor {} hex digits", path.display(), 2 * octets)]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// How long the key must be.
        octets: usize,
    },
}

impl SecretFileError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Exposed { path, .. }
            | Self::TooLong { path }
            | Self::Empty { path }
            | Self::NotText { path }
            | Self::NotAKey { path, .. } => path,
        }
    }
}

/// What stands in a file, read once; erased on drop.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    content: SecretBytes,
}

impl SecretFile {
    /// Reads it.
    ///
    /// # Errors
    /// [`SecretFileError::Unreadable`], [`SecretFileError::TooLong`].
    pub fn open(path: &Path) -> Result<Self, SecretFileError> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        Self::read(path, file)
    }

    /// Reads it if nobody but its owner may.
    ///
    /// # Errors
    /// As [`SecretFile::open`], and [`SecretFileError::Exposed`].
    pub fn open_private(path: &Path) -> Result<Self, SecretFileError> {
        // The permissions are those of the file that is read, whatever its name stands for by then.
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let metadata = file.metadata().map_err(|error| unreadable(path, error))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretFileError::Exposed { path: path.into(), mode });
        }
        Self::read(path, file)
    }

    fn read(path: &Path, file: File) -> Result<Self, SecretFileError> {
        // Room for all of it at once: growing would leave copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
        let limit = MAX_LEN as u64 + 1;
        file.take(limit).read_to_end(&mut content).map_err(|error| unreadable(path, error))?;
        if content.len() > MAX_LEN {
            return Err(SecretFileError::TooLong { path: path.into() });
        }
        Ok(Self { path: path.into(), content: SecretBytes::new(std::mem::take(&mut *content)) })
    }

    /// The secret that is written in it, by the rule of [`line()`].
    ///
    /// # Errors
    /// [`SecretFileError::Empty`].
    pub fn line(&self) -> Result<SecretBytes, SecretFileError> {
        match line(self.content.expose()) {
            [] => Err(SecretFileError::Empty { path: self.path.clone() }),
            line => Ok(SecretBytes::from(line)),
        }
    }

    /// The same as text.
    ///
    /// # Errors
    /// [`SecretFileError::Empty`], [`SecretFileError::NotText`].
    pub fn text(&self) -> Result<Zeroizing<String>, SecretFileError> {
        let line = self.line()?;
        let text = std::str::from_utf8(line.expose());
        text.map(|text| Zeroizing::new(text.to_owned()))
            .map_err(|_| SecretFileError::NotText { path: self.path.clone() })
    }

    /// The key of `N` octets in it, by the rule of [`key`].
    ///
    /// # Errors
    /// [`SecretFileError::NotAKey`].
    pub fn key<const N: usize>(&self) -> Result<Secret<N>, SecretFileError> {
        key(self.content.expose())
            .ok_or_else(|| SecretFileError::NotAKey { path: self.path.clone(), octets: N })
    }
}

/// The secret that is written as text in a file: a RADIUS secret, a database's password, an administrator's token.
///
/// # Errors
/// As [`SecretFile::open`] and [`SecretFile::line`].
pub fn secret_line(path: &Path) -> Result<SecretBytes, SecretFileError> {
    SecretFile::open(path)?.line()
}

/// **The rule**: a secret that is written as text is what stands between the whitespace around it. A line end or a space that an
/// editor left behind it is none of it.
pub const fn line(octets: &[u8]) -> &[u8] {
    octets.trim_ascii()
}

/// A key of `N` octets: as many hex digits as it takes with whitespace around them, or exactly the octets themselves, from which
/// nothing is trimmed.
pub fn key<const N: usize>(octets: &[u8]) -> Option<Secret<N>> {
    let digits = std::str::from_utf8(line(octets)).ok();
    digits.and_then(hex::secret).or_else(|| Secret::from_slice(octets))
}

fn unreadable(path: &Path, error: io::Error) -> SecretFileError {
    SecretFileError::Unreadable { path: path.into(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    struct Written {
        _directory: tempfile::TempDir,
        path: PathBuf,
    }

    fn written(content: &[u8]) -> Written {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        Written { _directory: directory, path }
    }

    #[test]
    fn whitespace_around_a_secret_is_none_of_it_and_that_inside_is() {
        for content in ["a b", "a b\n", "a b \r\n", " \ta b\n\n", "a b "] {
            let written = written(content.as_bytes());
            let file = SecretFile::open(&written.path).unwrap();
            assert_eq!(file.line().unwrap().expose(), b"a b", "{content:?}");
            assert_eq!(file.text().unwrap().as_str(), "a b", "{content:?}");
        }
    }

    #[test]
    fn a_key_is_read_as_octets_or_as_digits_with_whitespace_around_them() {
        let octets: Vec<u8> = (0..32).collect();
        for content in
            [&octets[..], HEX.as_bytes(), HEX.to_uppercase().as_bytes(), format!(" {HEX} \n").as_bytes()]
        {
            let written = written(content);
            let key = SecretFile::open_private(&written.path).unwrap().key::<32>().unwrap();
            assert_eq!(key.expose()[..], octets);
        }
        // Octets that happen to be whitespace belong to a key.
        assert_eq!(key(&[b'\n'; 32]).unwrap(), Secret::new([b'\n'; 32]));
        for bad in [&HEX.as_bytes()[1..], b"", &[0; 33], &[0; 31]] {
            let written = written(bad);
            let error = SecretFile::open(&written.path).unwrap().key::<32>().unwrap_err().to_string();
            assert!(error.ends_with("neither 32 octets nor 64 hex digits"), "{error}");
        }
    }

    #[test]
    fn what_gives_no_secret_is_named_and_not_quoted() {
        let fault = |content: &[u8]| {
            let written = written(content);
            SecretFile::open(&written.path).and_then(|file| file.text().map(|_| ())).unwrap_err()
        };
        assert!(matches!(fault(b""), SecretFileError::Empty { .. }));
        assert!(matches!(fault(b" \n"), SecretFileError::Empty { .. }));
        assert!(matches!(fault(b"\xFFsecret"), SecretFileError::NotText { .. }));
        assert!(matches!(fault(&[b'x'; MAX_LEN + 1]), SecretFileError::TooLong { .. }));
        let missing = SecretFile::open(Path::new("/nowhere/secret")).unwrap_err();
        assert!(missing.to_string().starts_with("/nowhere/secret cannot be read: "), "{missing}");
        let file = written(b"hidden");
        assert!(!format!("{:?}", SecretFile::open(&file.path).unwrap()).contains("hidden"));
    }

    #[test]
    fn a_private_file_is_read_only_if_nobody_else_may() {
        let written = written(HEX.as_bytes());
        for (mode, read) in [(0o640, false), (0o604, false), (0o660, false), (0o600, true), (0o400, true)] {
            fs::set_permissions(&written.path, Permissions::from_mode(mode)).unwrap();
            let opened = SecretFile::open_private(&written.path);
            assert_eq!(opened.is_ok(), read, "{mode:o}");
            if let Err(error) = opened {
                let error = error.to_string();
                assert!(error.contains("chmod 600") && error.contains(&format!("{mode:04o}")), "{error}");
            }
            assert!(SecretFile::open(&written.path).is_ok());
        }
    }
}
