//! Small files that hold secrets: one writer at a time, replaced as a whole, on the disk before the call returns.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Longer files are not ours.
const MAX_LEN: u64 = 1024 * 1024;

/// Exclusive use of a file, across processes, for as long as the value lives. What is locked is `<name>.lock`
/// beside it, because the file itself is replaced.
pub struct Locked {
    path: PathBuf,
    _lock: File,
}

impl Locked {
    /// Waits until nobody else uses the file.
    pub fn wait(path: &Path) -> io::Result<Self> {
        let lock = private().truncate(false).open(beside(path, ".lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => lock.lock()?,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self { path: path.into(), _lock: lock })
    }

    /// Its content; `None` if there is no such file.
    pub fn read(&self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let length = file.metadata()?.len();
        if length > MAX_LEN {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
        }
        // Enough room at once: growing would leave copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(length as usize + 1));
        file.take(MAX_LEN).read_to_end(&mut content)?;
        Ok(Some(content))
    }

    /// Puts `content` in its place, for the owner only (0600). When this returns, it is on the disk; if the machine
    /// stops before, the former content is there.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        // A file left by a crash may have any permissions.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().create_new(true).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600);
    options
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.into();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_replaced_file_is_whole_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.json");
        fs::write(&path, "former").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(directory.path().join("secret.json.new"), "left by a crash").unwrap();

        let locked = Locked::wait(&path).unwrap();
        assert_eq!(locked.read().unwrap().unwrap().as_slice(), b"former");
        locked.replace(b"later").unwrap();
        assert_eq!(locked.read().unwrap().unwrap().as_slice(), b"later");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Locked::wait(&directory.path().join("none")).unwrap().read().unwrap().is_none());
    }

    #[test]
    fn writers_of_one_file_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("counter");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let locked = Locked::wait(&path).unwrap();
                        let before = locked.read().unwrap().map_or(0, |content| content.len());
                        locked.replace(&vec![b'x'; before + 1]).unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::metadata(&path).unwrap().len(), 100);
    }
}
