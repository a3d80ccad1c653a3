//! The audit of any server: read, exported, verified.

use crate::{
    AdminRequest, Problem, Reply, body,
    reply::{object, page, streamed},
};
use bytes::Bytes;
use hyper::StatusCode;
use obf_admin::resource::audit::{AuditRow as View, AuditVerified};
use obf_net::Running;
use obf_store::{
    StoreError,
    audit::{AuditFilter, AuditRow, Fault, Verified},
};
use obf_types::hex;
use std::{future::Future, time::Duration};
use tokio::{sync::mpsc, time::timeout};

/// Where a server's audit is read.
pub trait AuditLog: Clone + Send + Sync + 'static {
    /// Up to `limit` rows behind that number, oldest first.
    fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AuditRow>, StoreError>> + Send;

    /// Verifies the whole chain, and that the `noted` hash is in it.
    fn verify_audit(
        &self,
        noted: Option<[u8; 32]>,
    ) -> impl Future<Output = Result<Verified, StoreError>> + Send;
}

/// Rows read at once by an export.
const ROWS: u32 = 1000;
/// How long the other end may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// A page of it.
///
/// # Errors
/// The store's.
pub async fn list(log: &impl AuditLog, asked: AdminRequest) -> Reply {
    let after = asked.query_as("after")?.unwrap_or(0);
    let rows = log.audit_rows(filter(&asked), after, asked.limit() + 1).await?;
    page("audit", rows, asked.limit(), |row| row.seq.to_string(), shown)
}

/// All of it, a line a row, written in the group of `running`.
///
/// # Errors
/// A parameter is wrong.
pub fn export(log: &impl AuditLog, running: &Running, asked: &AdminRequest) -> Reply {
    let after = asked.query_as("after")?.unwrap_or(0);
    let (lines, ending, answer) = body::stream(body::WAITING_LINES);
    let (log, filter) = (log.clone(), filter(asked));
    running.spawn(async move {
        match write(&log, filter, after, &lines).await {
            Ok(()) => ending.whole(),
            Err(problem) => tracing::warn!(detail = problem.detail, "an export of the audit broke off"),
        }
    });
    Ok(streamed("application/jsonl", answer))
}

async fn write(
    log: &impl AuditLog,
    filter: AuditFilter,
    mut after: i64,
    lines: &mpsc::Sender<Bytes>,
) -> Result<(), Problem> {
    loop {
        let rows = log.audit_rows(filter.clone(), after, ROWS).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.seq;
        for row in &rows {
            let mut line = serde_json::to_vec(&shown(row)).map_err(|error| Problem::internal(&error))?;
            line.push(b'\n');
            match timeout(PATIENCE, lines.send(line.into())).await {
                Ok(Ok(())) => {}
                _ => return Err(Problem::internal(&"its reader went away")),
            }
        }
    }
}

/// Whether nothing of it was altered.
///
/// # Errors
/// The store's.
pub async fn verify(log: &impl AuditLog, asked: AdminRequest) -> Reply {
    let noted = asked.query("head").and_then(hex::array);
    let verified = log.verify_audit(noted).await?;
    let said = AuditVerified {
        intact: verified.faults.is_empty(),
        records: verified.rows,
        unsealed: verified.unsealed,
        head: verified.head.map(|hash| hex::encode(&hash)),
        faults: verified.faults.iter().map(words).collect(),
    };
    object(StatusCode::OK, &said)
}

fn words(fault: &Fault) -> String {
    match fault {
        Fault::Altered { seq } => format!("record {seq} is not as it was written"),
        Fault::Removed { seq } => format!("record {seq} was removed"),
        Fault::Inserted { seq } => format!("record {seq} was put in afterwards"),
        Fault::HeadMissing => {
            "no seal has the head that was noted: the end was cut off, or all of it was made anew".to_owned()
        }
        Fault::SealBroken { last_seq } => {
            format!("the seal up to record {last_seq} does not follow from the one before it")
        }
    }
}

fn filter(asked: &AdminRequest) -> AuditFilter {
    let text = |name| asked.query(name).map(str::to_owned);
    AuditFilter { actor: text("actor"), action: text("action"), object: text("object") }
}

fn shown(row: &AuditRow) -> View {
    View {
        seq: u64::try_from(row.seq).unwrap_or_default(),
        at: row.at.into(),
        actor: row.act.actor.clone(),
        action: row.act.action.clone(),
        object: row.act.object.clone(),
        reason: row.act.reason.clone(),
        detail: row.act.detail.clone(),
    }
}
