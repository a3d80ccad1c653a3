//! `obf backup` and `obf restore`: everything that the Resource Server keeps, into an encrypted file and back.

use super::kms::{bar, write_file};
use crate::{
    admin::{Admin, Node},
    cli::Context,
    failure::{Failure, Outcome},
};
use clap::Args;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    thread,
};
use tokio::sync::mpsc;

/// Octets of a piece that is sent.
const PIECE: usize = 64 * 1024;

/// Write a backup while the Resource Server goes on.
#[derive(Args)]
#[command(
    after_help = "Example:\n  obf backup /backup/rs-2026-11-25.obf\n\nIt is encrypted under a key that the key-encryption key wraps: keep that one elsewhere, \
                  without it no backup opens."
)]
pub struct Backup {
    /// The file, which must not be there yet.
    file: PathBuf,
}

/// Restore a backup into a new, empty deployment that has the same key-encryption key.
#[derive(Args)]
#[command(
    after_help = "Example:\n  obf restore /backup/rs-2026-11-25.obf\n\nAll of it or nothing. Sequence numbers jump, and every device bootstraps anew."
)]
pub struct Restore {
    /// The file.
    file: PathBuf,
}

impl Backup {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        let admin = Admin::of(&context.configuration()?, Node::Resource)?;
        write_file(context, &self.file, admin.lines("/v1/backup")).await?;
        super::done(context, "backup", &self.file.display().to_string(), "written");
        Ok(())
    }
}

impl Restore {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        let failed = |error: &io::Error| Failure::file(&self.file, error);
        let file = File::open(&self.file).map_err(|error| failed(&error))?;
        let length = file.metadata().map_err(|error| failed(&error))?.len();
        let admin = Admin::of(&context.configuration()?, Node::Resource)?.patient();
        let (sender, pieces) = mpsc::channel(4);
        let bar = bar(context, Some(length), "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}");
        let progress = bar.clone();
        let reader = thread::spawn(move || send(file, &sender, &progress));
        let restored = async {
            let mut report = admin.stream("/v1/restore", "application/octet-stream", None, pieces).await?;
            let mut answer = Vec::new();
            while let Some(piece) = report.piece().await? {
                answer.extend_from_slice(&piece);
            }
            let answer: Value =
                serde_json::from_slice(&answer).map_err(|error| Failure::other("admin", error))?;
            Ok::<_, Failure>(answer.get("rows").and_then(Value::as_u64).unwrap_or_default())
        };
        let restored = restored.await;
        bar.finish_and_clear();
        if let Ok(Err(error)) = reader.join() {
            return Err(failed(&error));
        }
        let rows = restored?;
        let name = self.file.display().to_string();
        context.out.say(&json!({ "backup": name, "done": "restored", "rows": rows }), || {
            format!("backup {name} restored: {rows} rows")
        });
        Ok(())
    }
}

/// Sends a file piece by piece; an error while reading ends the request without its end.
fn send(mut file: File, to: &mpsc::Sender<Bytes>, bar: &indicatif::ProgressBar) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        let Some(octets) = piece.get(..length).filter(|octets| !octets.is_empty()) else { return Ok(()) };
        if to.blocking_send(Bytes::copy_from_slice(octets)).is_err() {
            return Ok(());
        }
        bar.inc(length as u64);
    }
}
