//! Backup and restore while the node serves: the store's blocks ([`obf_store::resource::ResourceDb::backup`]), encrypted
//! ([`envelope`]). What opens a backup is the key-encryption key of the deployment, and nothing else.

pub mod envelope;

use bytes::Bytes;
use envelope::{EnvelopeError, Frames};
use http_body_util::BodyExt;
use hyper::body::Body;
use obf_kms::{BackupHeader, Kms, KmsError};
use obf_store::{
    StoreError,
    resource::{Change, ResourceDb, RestoreError},
};
use std::time::Duration;
use tokio::{sync::mpsc, time::timeout};

/// Blocks that may wait for a slow end.
const WAITING: usize = 4;
/// How long the other end may neither send nor take anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no backup, or it was not restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The backup itself.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Its content, or the database.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The key-encryption key.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The other end went away, or was silent for a minute.
    #[error("the other end went away or was silent for a minute")]
    Gone,
}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Restore(error.into())
    }
}

/// Writes a backup into `out`, all of it or without its end.
///
/// # Errors
/// [`BackupError`].
pub async fn write(store: &ResourceDb, kms: &Kms, out: &mpsc::Sender<Bytes>) -> Result<u64, BackupError> {
    let (header, key) = kms.new_backup_key().await?;
    send(out, header.to_octets()).await?;
    let mut frames = Frames::new(&header, key);
    let (blocks, mut received) = mpsc::channel::<Vec<u8>>(WAITING);
    let sealing = async {
        while let Some(block) = received.recv().await {
            send(out, frames.seal(&obf_kms::drawn()?, &block, false)).await?;
        }
        Ok::<_, BackupError>(frames)
    };
    let (rows, frames) = tokio::join!(store.backup(blocks), sealing);
    let (mut frames, rows) = (frames?, rows?);
    send(out, frames.seal(&obf_kms::drawn()?, b"", true)).await?;
    Ok(rows)
}

async fn send(out: &mpsc::Sender<Bytes>, octets: Vec<u8>) -> Result<(), BackupError> {
    let sent = timeout(PATIENCE, out.send(octets.into())).await;
    sent.ok().and_then(Result::ok).ok_or(BackupError::Gone)
}

/// Restores the backup that comes as `body` into an empty database; says how many rows it had.
///
/// # Errors
/// [`BackupError`].
pub async fn restore<B>(store: &ResourceDb, kms: &Kms, change: Change, body: B) -> Result<u64, BackupError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let (blocks, received) = mpsc::channel(WAITING);
    let restoring = store.restore(received, change);
    let (restored, opened) = tokio::join!(restoring, open(kms, body, blocks));
    // If the store stopped taking blocks, its reason is the better one.
    match (restored, opened) {
        (Ok(rows), Ok(())) => Ok(rows),
        (Err(RestoreError::Malformed(_)), Err(error)) if !matches!(error, BackupError::Gone) => Err(error),
        (Err(error), _) => Err(error.into()),
        (Ok(_), Err(error)) => Err(error),
    }
}

/// Opens frame after frame. The store commits with the last block, so that one goes only when all was right.
async fn open<B>(kms: &Kms, mut body: B, blocks: mpsc::Sender<Vec<u8>>) -> Result<(), BackupError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut buffer = Vec::new();
    let header = loop {
        if let Some(header) = BackupHeader::take(&mut buffer).map_err(EnvelopeError::from)? {
            break header;
        }
        if !receive(&mut body, &mut buffer).await? {
            return Err(EnvelopeError::CutShort.into());
        }
    };
    let mut frames = Frames::new(&header, kms.backup_key(&header).await?);
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        while let Some(block) = frames.open(&mut buffer)? {
            if frames.finish().is_err() {
                for ready in held.drain(..) {
                    blocks.send(ready).await.map_err(|_| BackupError::Gone)?;
                }
            }
            held.push(block.to_vec());
        }
        if !receive(&mut body, &mut buffer).await? {
            break;
        }
    }
    frames.finish()?;
    for last in held {
        blocks.send(last).await.map_err(|_| BackupError::Gone)?;
    }
    Ok(())
}

/// Appends what comes next; false at the end.
async fn receive<B>(body: &mut B, buffer: &mut Vec<u8>) -> Result<bool, BackupError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let frame = timeout(PATIENCE, body.frame()).await.map_err(|_| BackupError::Gone)?;
    let Some(frame) = frame else { return Ok(false) };
    if let Ok(data) = frame.map_err(|_| BackupError::Gone)?.into_data() {
        buffer.extend_from_slice(&data);
    }
    Ok(true)
}
