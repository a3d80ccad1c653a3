//! The import: JSON lines or a key file in, one JSON line out for each record, in bounded memory however many there are.
//!
//! A bad line is named and the good ones go in: `{"line":1,"device":"001…","result":"added"}` (or `"unchanged"`) and
//! `{"line":2,"code":"bad-record","error":"k: 16 octets are needed, as hex digits"}`. The report is streamed while the
//! lines come; a caller who does not read it is, after a few batches, read no further.
//!
//! Three steps work at once, each at another batch: lines are collected ([`Lines`]), they are read and their keys wrapped
//! (on threads for blocking work), and they are registered in their order, a transaction a batch.

use super::ingest::{Row, RowError};
use crate::registry::{DeviceRecord, Prepared, RecordError, Registration, Registry, RegistryError};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use obf_admin::resource::devices::ImportedLine;
use obf_kms::intake::{LineBatch, LineError, Lines};
use obf_net::Clock;
use obf_types::MncLength;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};

/// Batches that are read or wait for the store besides those that are registered and collected.
const AHEAD: usize = 1;
/// How long the other end may neither send nor take anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The other end went away or stopped; what was reported is in.
struct Gone;

/// Why a record did not go in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// It cannot be registered.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// An error as the report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainedError {
    /// A stable code.
    pub code: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// An import: where to, and to whom it reports.
pub struct Import {
    /// Where the records go.
    pub registry: Registry,
    /// How many digits the MNC has where a record does not say.
    pub mnc_length: MncLength,
    /// When they go in.
    pub clock: Arc<dyn Clock>,
    /// How the report says what was wrong: as administrators are told elsewhere too.
    pub explain: fn(ImportError) -> ExplainedError,
    /// Takes a piece of the report for each batch.
    pub report: mpsc::Sender<Bytes>,
}

/// A record with the number of its line.
type NumberedRecord = (u64, Result<DeviceRecord, RowError>);

/// A batch that is being read, and then waits for its turn.
type PendingBatch = JoinHandle<ReadBatch>;

/// A batch that was read.
struct ReadBatch {
    /// What there is to say of each record.
    lines: Vec<ImportedLine>,
    /// Which of them are to be registered.
    places: Vec<usize>,
    /// Those records, or why none of them can be registered.
    prepared: Result<Prepared, RegistryError>,
}

impl Import {
    /// Reads JSON lines to their end and reports every line; false if it did not come to that.
    pub async fn lines(self, body: Incoming) -> bool {
        let (reading, batches) = mpsc::channel(AHEAD);
        let (collected, registered) = tokio::join!(self.collect(body, reading), self.register(batches));
        let whole = collected.and(registered).is_ok();
        if !whole {
            tracing::info!("an import ended early: its caller went away or was silent for too long");
        }
        whole
    }

    /// Passes `body` to the reader of a key file and reports every record that comes out of it; false if it did not come
    /// to the end of either.
    pub async fn key_file(
        self,
        body: Incoming,
        (octets, rows): (mpsc::Sender<Bytes>, mpsc::Receiver<Vec<Row>>),
    ) -> bool {
        let (reading, batches) = mpsc::channel(AHEAD);
        let take = self.take_rows(rows, reading);
        let (fed, _, registered) = tokio::join!(feed(body, octets), take, self.register(batches));
        if registered.is_err() {
            tracing::info!("an import of a key file ended early: its caller went away");
        }
        fed && registered.is_ok()
    }

    async fn collect(&self, mut body: Incoming, reading: mpsc::Sender<PendingBatch>) -> Result<(), Gone> {
        let mut lines = Lines::default();
        let mnc_length = self.mnc_length;
        while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| Gone)? {
            let Ok(data) = frame.map_err(|_| Gone)?.into_data() else { continue };
            let mut rest = data.as_ref();
            while !rest.is_empty() {
                let (batch, left) = lines.take(rest);
                rest = left;
                if let Some(batch) = batch {
                    let read = self.read(batch.count(), move || records(batch, mnc_length)).await;
                    reading.send(read).await.map_err(|_| Gone)?;
                }
            }
        }
        if let Some(batch) = lines.rest() {
            let read = self.read(batch.count(), move || records(batch, mnc_length)).await;
            reading.send(read).await.map_err(|_| Gone)?;
        }
        Ok(())
    }

    async fn take_rows(&self, mut rows: mpsc::Receiver<Vec<Row>>, reading: mpsc::Sender<PendingBatch>) {
        while let Some(batch) = rows.recv().await {
            let count = batch.len();
            let records = move || batch.into_iter().map(|row| (row.line, row.record)).collect();
            if reading.send(self.read(count, records).await).await.is_err() {
                return;
            }
        }
    }

    /// Reads a batch on a thread of its own and wraps its keys.
    async fn read(
        &self,
        count: usize,
        records: impl FnOnce() -> Vec<NumberedRecord> + Send + 'static,
    ) -> PendingBatch {
        let sealer = self.registry.sealer(count).await;
        let explain = self.explain;
        spawn_blocking(move || {
            let (mut lines, mut places, mut good) =
                (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
            for (number, record) in records() {
                let line = ImportedLine { line: number, device: None, result: None, code: None, error: None };
                match record {
                    Ok(record) => {
                        let device = record.primary().map(|identity| identity.value().to_owned());
                        places.push(lines.len());
                        lines.push(ImportedLine { device, ..line });
                        good.push(record);
                    }
                    Err(error) => lines.push(failed(line, explain(error.into()))),
                }
            }
            let prepared = sealer.and_then(|sealer| Prepared::new(good, &sealer));
            ReadBatch { lines, places, prepared }
        })
    }

    /// Registers batch after batch and reports each.
    async fn register(&self, mut batches: mpsc::Receiver<PendingBatch>) -> Result<(), Gone> {
        while let Some(reading) = batches.recv().await {
            let ReadBatch { mut lines, places, prepared } = reading.await.map_err(|_| Gone)?;
            let outcomes = match prepared {
                Ok(prepared) => self.registry.register_prepared(prepared, self.clock.now()).await,
                Err(error) => Err(error),
            };
            let outcomes = outcomes.unwrap_or_else(|error| vec![Err(error); places.len()]);
            for (place, outcome) in places.into_iter().zip(outcomes) {
                let Some(said) = lines.get_mut(place) else { continue };
                match outcome {
                    Ok(Registration::Added) => said.result = Some("added".into()),
                    Ok(Registration::Unchanged) => said.result = Some("unchanged".into()),
                    Err(error) => *said = failed(said.clone(), (self.explain)(error.into())),
                }
            }
            let mut report = Vec::with_capacity(lines.len() * 64);
            for line in &lines {
                serde_json::to_writer(&mut report, line).map_err(|_| Gone)?;
                report.push(b'\n');
            }
            timeout(PATIENCE, self.report.send(report.into())).await.map_err(|_| Gone)?.map_err(|_| Gone)?;
        }
        Ok(())
    }
}

fn records(batch: LineBatch, mnc_length: MncLength) -> Vec<NumberedRecord> {
    let record = |line: Result<_, LineError>| {
        let record = line.map_err(RecordError::from).and_then(|line| DeviceRecord::read(&line, mnc_length));
        record.map_err(RowError::from)
    };
    batch.records().map(|(number, line)| (number, record(line))).collect()
}

/// Whether all of the body was there.
async fn feed(mut body: Incoming, octets: mpsc::Sender<Bytes>) -> bool {
    loop {
        match timeout(PATIENCE, body.frame()).await {
            Ok(None) => return true,
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                // A reader that takes no more has said why.
                if octets.send(data).await.is_err() {
                    return true;
                }
            }
            _ => return false,
        }
    }
}

fn failed(line: ImportedLine, ExplainedError { code, detail }: ExplainedError) -> ImportedLine {
    ImportedLine { code: Some(code.into()), error: Some(detail), ..line }
}
