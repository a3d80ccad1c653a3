//! What stands in front of a backup: its key, wrapped under the key-encryption key.
//!
//! `OBF backup 1\n`, then length 2 ‖ name of the KEK, length 2 ‖ wrapped key.

const MAGIC: &[u8] = b"OBF backup 1\n";

/// What stands in front: the key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupHeader {
    /// The name of the key-encryption key.
    pub kek: String,
    /// The key that the frames are under, wrapped.
    pub wrapped: Vec<u8>,
}

/// Something else than a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no backup of OBF")]
pub struct NotABackup;

impl BackupHeader {
    /// As octets.
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = MAGIC.to_vec();
        for part in [self.kek.as_bytes(), &self.wrapped] {
            octets.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            octets.extend_from_slice(part);
        }
        octets
    }

    /// Takes the header off the front of `octets`; `None` if more of them are needed.
    ///
    /// # Errors
    /// What stands in front is not the header of a backup.
    pub fn take(octets: &mut Vec<u8>) -> Result<Option<Self>, NotABackup> {
        let start = octets.get(..MAGIC.len().min(octets.len())).unwrap_or_default();
        if !MAGIC.starts_with(start) {
            return Err(NotABackup);
        }
        let mut rest = octets.get(MAGIC.len()..).unwrap_or_default();
        let (Some(kek), Some(wrapped)) = (part(&mut rest), part(&mut rest)) else { return Ok(None) };
        let kek = String::from_utf8(kek.to_vec()).map_err(|_| NotABackup)?;
        let header = Self { kek, wrapped: wrapped.to_vec() };
        octets.drain(..octets.len() - rest.len());
        Ok(Some(header))
    }
}

fn part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (part, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
    *rest = after;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BackupHeader {
        BackupHeader { kek: "file:4b".into(), wrapped: vec![7; 60] }
    }

    #[test]
    fn a_header_is_read_as_it_comes() {
        let octets = [header().to_octets(), b"rest".to_vec()].concat();
        for length in 0..octets.len() - 4 {
            assert_eq!(BackupHeader::take(&mut octets[..length].to_vec()), Ok(None), "{length}");
        }
        let mut all = octets;
        assert_eq!(BackupHeader::take(&mut all), Ok(Some(header())));
        assert_eq!(all, b"rest");
        assert_eq!(BackupHeader::take(&mut b"OBF backup 2\n".to_vec()), Err(NotABackup));
        assert_eq!(BackupHeader::take(&mut b"SQLite format 3".to_vec()), Err(NotABackup));
    }
}
