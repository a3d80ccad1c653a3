//! The import: JSON lines or a key file in, one JSON line out for each record, in bounded memory however many there are.
//!
//! A bad line is named and the good ones go in: `{"line":1,"device":"001…","result":"added"}` (or `"unchanged"`) and
//! `{"line":2,"code":"bad-record","error":"k: 16 octets are needed, as hex digits"}`. The report is streamed while the
//! lines come; a caller who does not read it is, after a few thousand lines, read no further.

use super::Problem;
use crate::{
    kms::ingest::{Row, RowError},
    registry::{DeviceRecord, MAX_RECORD, RecordError, Registration, Registry},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use obf_net::Clock;
use obf_types::HomeNetwork;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};
use zeroize::Zeroizing;

/// Lines registered in one transaction.
const BATCH: usize = 256;
/// How long the other end may neither send nor take anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// The other end went away or stopped; what was reported is in.
struct Gone;

/// Reads `body` to its end and reports every line; false if it did not come to that.
pub async fn run(
    registry: Registry,
    home_network: HomeNetwork,
    clock: Arc<dyn Clock>,
    body: Incoming,
    report: mpsc::Sender<Bytes>,
) -> bool {
    let mut import = Import { registry, home_network, clock, report, batch: Vec::new() };
    let whole = import.read(body).await.is_ok();
    if !whole {
        tracing::info!("an import ended early: its caller went away or was silent for too long");
    }
    whole
}

/// Passes `body` to the reader of a key file and reports every record that comes out of it; false if it did not come to
/// the end of either.
pub async fn key_file(
    registry: Registry,
    home_network: HomeNetwork,
    clock: Arc<dyn Clock>,
    mut body: Incoming,
    (octets, mut rows): (mpsc::Sender<Bytes>, mpsc::Receiver<Vec<Row>>),
    report: mpsc::Sender<Bytes>,
) -> bool {
    let feed = async move {
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
    };
    let mut import = Import { registry, home_network, clock, report, batch: Vec::new() };
    let take = async move {
        while let Some(batch) = rows.recv().await {
            import.batch = batch.into_iter().map(|row| (row.line, row.record)).collect();
            if import.register().await.is_err() {
                tracing::info!("an import of a key file ended early: its caller went away");
                return false;
            }
        }
        true
    };
    let (fed, taken) = tokio::join!(feed, take);
    fed && taken
}

struct Import {
    registry: Registry,
    home_network: HomeNetwork,
    clock: Arc<dyn Clock>,
    report: mpsc::Sender<Bytes>,
    batch: Vec<(u64, Result<DeviceRecord, RowError>)>,
}

impl Import {
    async fn read(&mut self, mut body: Incoming) -> Result<(), Gone> {
        let mut lines = Lines::default();
        while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(|_| Gone)? {
            let Ok(data) = frame.map_err(|_| Gone)?.into_data() else { continue };
            let mut rest = data.as_ref();
            while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
                let (line, after) = rest.split_at(end);
                lines.extend(line);
                self.take(&mut lines).await?;
                rest = after.get(1..).unwrap_or_default();
            }
            lines.extend(rest);
        }
        self.take(&mut lines).await?;
        self.register().await
    }

    /// Takes the line that has ended.
    async fn take(&mut self, lines: &mut Lines) -> Result<(), Gone> {
        let (number, line) = lines.end();
        match line {
            Some(line) if line.iter().all(u8::is_ascii_whitespace) => return Ok(()),
            Some(line) => {
                let record = DeviceRecord::parse(&line, self.home_network);
                self.batch.push((number, record.map_err(RowError::from)));
            }
            None => self.batch.push((number, Err(RecordError::TooLong.into()))),
        }
        if self.batch.len() >= BATCH { self.register().await } else { Ok(()) }
    }

    async fn register(&mut self) -> Result<(), Gone> {
        let (mut places, mut records) = (Vec::new(), Vec::new());
        let mut lines: Vec<Value> = Vec::with_capacity(self.batch.len());
        for (number, record) in self.batch.drain(..) {
            match record {
                Ok(record) => {
                    let device = record.primary().map(ToString::to_string);
                    places.push(lines.len());
                    lines.push(json!({ "line": number, "device": device }));
                    records.push(record);
                }
                Err(error) => lines.push(failed(json!({ "line": number }), error.into())),
            }
        }
        let count = records.len();
        let outcomes = match self.registry.register(records, self.clock.now()).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error); count],
        };
        for (place, outcome) in places.into_iter().zip(outcomes) {
            let Some(line) = lines.get_mut(place) else { continue };
            let said = line.take();
            *line = match outcome {
                Ok(registration) => result(said, registration),
                Err(error) => failed(said, error.into()),
            };
        }
        for line in lines {
            let line = Bytes::from(format!("{line}\n"));
            timeout(PATIENCE, self.report.send(line)).await.map_err(|_| Gone)?.map_err(|_| Gone)?;
        }
        Ok(())
    }
}

fn result(mut line: Value, registration: Registration) -> Value {
    let result = match registration {
        Registration::Added => "added",
        Registration::Unchanged => "unchanged",
    };
    if let Some(line) = line.as_object_mut() {
        line.insert("result".into(), result.into());
    }
    line
}

fn failed(mut line: Value, problem: Problem) -> Value {
    if let Some(line) = line.as_object_mut() {
        line.insert("code".into(), problem.code.into());
        line.insert("error".into(), problem.detail.into());
    }
    line
}

/// The line under way: at most [`MAX_RECORD`] octets of it are kept.
#[derive(Default)]
struct Lines {
    ended: u64,
    line: Zeroizing<Vec<u8>>,
    too_long: bool,
}

impl Lines {
    fn extend(&mut self, part: &[u8]) {
        if self.too_long || self.line.len() + part.len() > MAX_RECORD {
            self.too_long = true;
        } else {
            self.line.extend_from_slice(part);
        }
    }

    /// Its number, from 1, and the line unless it was too long.
    fn end(&mut self) -> (u64, Option<Zeroizing<Vec<u8>>>) {
        self.ended += 1;
        let line = std::mem::take(&mut self.line);
        (self.ended, (!std::mem::take(&mut self.too_long)).then_some(line))
    }
}
