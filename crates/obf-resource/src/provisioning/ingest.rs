//! Key files in (SPEC C2): a stream of octets becomes a stream of device records, however long it is.

use crate::registry::{DeviceRecord, RecordError};
use bytes::Bytes;
use obf_kms::{Fault, Format, KeyFile, KeyFileError, KeyedDevice, TransportKey};
use obf_types::MncLength;
use std::io::{self, BufReader, Read};
use tokio::sync::mpsc;

/// Pieces of the file that wait to be read, and batches that wait to be taken: what is under way at once.
const WAITING: usize = 4;
/// Records handed over at once.
const BATCH: usize = 2048;

/// What a record of the file became.
#[derive(Debug)]
pub struct Row {
    /// The line where it begins, from 1.
    pub line: u64,
    /// The device, or what is wrong.
    pub record: Result<DeviceRecord, RowError>,
}

/// What is wrong with a record of a key file, or with the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The key file's reader says.
    #[error(transparent)]
    File(#[from] Fault),
    /// The registry's rules say.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl RowError {
    /// Whether nothing behind it was read.
    pub const fn ends_the_file(&self) -> bool {
        matches!(self, Self::File(Fault::File { .. }))
    }
}

/// Reads a key file on a thread of its own: its octets go into the one end, batches of rows come out of the other. The
/// file ends when the sender is dropped; nothing more is read when the receiver is.
pub fn read_key_file(
    format: Format,
    key: TransportKey,
    mnc_length: MncLength,
) -> (mpsc::Sender<Bytes>, mpsc::Receiver<Vec<Row>>) {
    let (octets, input) = mpsc::channel(WAITING);
    let (output, rows) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let input = BufReader::new(Input { pieces: input, piece: Bytes::new() });
        let mut batch = Vec::with_capacity(BATCH);
        let file = match KeyFile::open(format, input, key) {
            Ok(file) => file,
            Err(fault) => {
                let (Fault::Record { line, .. } | Fault::File { line, .. }) = &fault;
                let _ = output.blocking_send(vec![Row { line: *line, record: Err(fault.into()) }]);
                return;
            }
        };
        for (line, device) in file {
            batch.push(Row { line, record: registrable(device, mnc_length) });
            if batch.len() >= BATCH {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                if output.blocking_send(full).is_err() {
                    return;
                }
            }
        }
        let _ = output.blocking_send(batch);
    });
    (octets, rows)
}

fn registrable(
    device: Result<KeyedDevice, KeyFileError>,
    mnc_length: MncLength,
) -> Result<DeviceRecord, RowError> {
    match device {
        Ok(device) => Ok(DeviceRecord::of_keyed(device, mnc_length)?),
        Err(KeyFileError::File(fault)) => Err(fault.into()),
        Err(KeyFileError::Key(error)) => Err(RecordError::from(error).into()),
    }
}

/// The pieces as one input.
struct Input {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        let taken = self.piece.split_to(length);
        buffer.get_mut(..length).unwrap_or_default().copy_from_slice(&taken);
        Ok(length)
    }
}
