//! The audit of a server, the same for each kind: append-only rows, each written in the transaction of the act it tells of,
//! chained by seals.
//!
//! A seal covers up to [`SEALED`] rows: their numbers, a digest of each, and a hash over those and the seal before it.
//! So a row that was altered is found by its digest, one that was removed by its number, and a seal that was altered or
//! removed by the hash of the next. The server seals rows within a second; until then they are only as safe as the database.

use crate::{
    Engine, StoreError,
    sql::{Row, Session, values},
};
use obf_types::UnixTime;
use sha2::{Digest, Sha256};
use std::future::Future;

/// The most rows of one seal.
const SEALED: u32 = 1024;
/// Octets of a row's digest in its seal: a second preimage of 96 bits, within a chain of whole hashes.
const DIGEST: usize = 12;
const ROWS: &str = "SELECT seq, at, actor, action, object, reason, detail FROM audit";
const SEAL: &str = "SELECT last_seq, at, seqs, digests, hash FROM audit_seals";

/// One act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who did it.
    pub actor: String,
    /// What, for example `device.suspend` or `key.use`.
    pub action: String,
    /// To what, for example `imsi:001010000000001`.
    pub object: String,
    /// Why, as it was said.
    pub reason: String,
    /// What else there is to say; never a secret.
    pub detail: String,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Rises with time.
    pub seq: i64,
    /// When.
    pub at: UnixTime,
    /// What happened.
    pub act: Act,
}

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// About this object.
    pub object: Option<String>,
}

/// What is wrong with the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A row is not as it was when it was sealed.
    Altered {
        /// Its number.
        seq: i64,
    },
    /// A row that was sealed is not there.
    Removed {
        /// Its number.
        seq: i64,
    },
    /// A row stands among sealed ones that was not there when they were sealed.
    Inserted {
        /// Its number.
        seq: i64,
    },
    /// No seal has the hash that was noted down elsewhere: the end of the chain was cut off, or all of it was made anew.
    HeadMissing,
    /// A seal does not follow from the one before it: it was altered, or the one before it was altered or removed.
    SealBroken {
        /// The last row that it covers.
        last_seq: i64,
    },
}

/// The result of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Rows that are as they were sealed.
    pub rows: u64,
    /// Rows that wait for their seal.
    pub unsealed: u64,
    /// The hash of the last seal: whoever notes it down elsewhere also finds out if the end of the chain is cut off.
    pub head: Option<[u8; 32]>,
    /// What is wrong, in order; at most 1000.
    pub faults: Vec<Fault>,
}

/// Where transactions are run: an engine, or one that tells who delivers notices of its commits.
pub(crate) trait Transactions: Sync {
    /// Runs `work` in a transaction and returns its result after what it did is durable.
    fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;

    /// Runs `work` on one snapshot.
    fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send;
}

impl Transactions for Engine {
    async fn writing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(work).await
    }

    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.read(work).await
    }
}

/// The audit in the tables `audit` and `audit_seals` of that database.
pub(crate) struct Chain<'a, E>(pub &'a E);

impl<E: Transactions> Chain<'_, E> {
    /// Writes a row for each of these acts, which change nothing else here; all or none.
    pub(crate) async fn record_acts(&self, acts: Vec<Act>, at: UnixTime) -> Result<(), StoreError> {
        self.0.writing(move |s| acts.iter().try_for_each(|act| append_act(s, at, act))).await
    }

    /// Up to `limit` rows behind that number, oldest first.
    pub(crate) async fn audit_rows(
        &self,
        filter: AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let sql = format!(
            "{ROWS} WHERE seq > ?1 AND (CAST(?3 AS TEXT) IS NULL OR actor = ?3)
             AND (CAST(?4 AS TEXT) IS NULL OR action = ?4) AND (CAST(?5 AS TEXT) IS NULL OR object = ?5)
             ORDER BY seq LIMIT ?2"
        );
        self.0
            .reading(move |s| {
                let filters = values![
                    after,
                    limit,
                    filter.actor.as_deref(),
                    filter.action.as_deref(),
                    filter.object.as_deref()
                ];
                s.all(&sql, filters, read)
            })
            .await
    }

    /// Seals what waits; says how many rows it sealed.
    pub(crate) async fn seal_audit(&self, now: UnixTime) -> Result<u64, StoreError> {
        let mut sealed = 0;
        loop {
            let count = self.0.writing(move |s| seal(s, now)).await?;
            sealed += count;
            if count < u64::from(SEALED) {
                return Ok(sealed);
            }
        }
    }

    /// Verifies the whole chain, and that the `noted` hash is in it.
    pub(crate) async fn verify_audit(&self, noted: Option<[u8; 32]>) -> Result<Verified, StoreError> {
        let mut verified = Verified { rows: 0, unsealed: 0, head: None, faults: Vec::new() };
        let (mut last, mut missing) = (0, noted);
        loop {
            let Some((seal, rows)) = self.0.reading(move |s| sealed_rows(s, last)).await? else { break };
            let before = verified.head;
            last = seal.last_seq;
            verified.head = Some(seal.hash);
            missing = missing.filter(|noted| *noted != seal.hash);
            if seal.hash != seal.computed(before) {
                verified.fault(Fault::SealBroken { last_seq: seal.last_seq });
            }
            seal.compare(&rows, &mut verified);
        }
        if missing.is_some() {
            verified.fault(Fault::HeadMissing);
        }
        let unsealed = self.0.reading(move |s| {
            s.one("SELECT count(*) FROM audit WHERE seq > ?1", values![last], |row| row.fitting(0))
        });
        verified.unsealed = unsealed.await?.unwrap_or(0);
        Ok(verified)
    }
}

/// Writes an act's row into the transaction of the act itself. Before any other lock is taken: whoever seals keeps those
/// out who write to the audit until it has the whole table (`Session::lock_table`), so one that came to its row last could
/// hold what another waits for who has its row already.
pub(crate) fn append_act(s: &mut dyn Session, at: UnixTime, act: &Act) -> Result<(), StoreError> {
    append(s, at, &act.actor, &act.action, &act.object, &act.reason, &act.detail)
}

pub(crate) fn append(
    s: &mut dyn Session,
    at: UnixTime,
    actor: &str,
    action: &str,
    object: &str,
    reason: &str,
    detail: &str,
) -> Result<(), StoreError> {
    s.execute(
        "INSERT INTO audit (at, actor, action, object, reason, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values![at.0, actor, action, object, reason, detail],
    )?;
    Ok(())
}

fn read(row: &dyn Row) -> Result<AuditRow, StoreError> {
    let text = |column| row.string(column).map(str::to_owned);
    Ok(AuditRow {
        seq: row.number(0)?,
        at: UnixTime(row.fitting(1)?),
        act: Act { actor: text(2)?, action: text(3)?, object: text(4)?, reason: text(5)?, detail: text(6)? },
    })
}

impl AuditRow {
    fn digest(&self) -> [u8; DIGEST] {
        let Act { actor, action, object, reason, detail } = &self.act;
        let mut hash = Sha256::new();
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.0.to_be_bytes());
        for text in [actor, action, object, reason, detail] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text.as_bytes());
        }
        let whole: [u8; 32] = hash.finalize().into();
        whole.first_chunk().copied().unwrap_or_default()
    }
}

struct Seal {
    last_seq: i64,
    at: u64,
    seqs: Vec<u8>,
    digests: Vec<u8>,
    hash: [u8; 32],
}

impl Seal {
    fn computed(&self, before: Option<[u8; 32]>) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"obf audit seal\0");
        hash.update(before.unwrap_or_default());
        hash.update(self.at.to_be_bytes());
        hash.update((self.seqs.len() as u64).to_be_bytes());
        hash.update(&self.seqs);
        hash.update(&self.digests);
        hash.finalize().into()
    }

    /// What was sealed against what is there; both in order.
    fn compare(&self, rows: &[AuditRow], verified: &mut Verified) {
        let (seqs, _) = self.seqs.as_chunks::<8>();
        let (digests, _) = self.digests.as_chunks::<DIGEST>();
        let mut rows = rows.iter().peekable();
        for (seq, digest) in seqs.iter().map(|seq| i64::from_be_bytes(*seq)).zip(digests) {
            while let Some(row) = rows.next_if(|row| row.seq < seq) {
                verified.fault(Fault::Inserted { seq: row.seq });
            }
            match rows.next_if(|row| row.seq == seq) {
                None => verified.fault(Fault::Removed { seq }),
                Some(row) if row.digest() != *digest => verified.fault(Fault::Altered { seq }),
                Some(_) => verified.rows += 1,
            }
        }
        rows.for_each(|row| verified.fault(Fault::Inserted { seq: row.seq }));
    }
}

impl Verified {
    fn fault(&mut self, fault: Fault) {
        if self.faults.len() < 1000 {
            self.faults.push(fault);
        }
    }
}

fn read_seal(row: &dyn Row) -> Result<Seal, StoreError> {
    let hash = row.blob(4)?.try_into();
    Ok(Seal {
        last_seq: row.number(0)?,
        at: row.fitting(1)?,
        seqs: row.blob(2)?.to_vec(),
        digests: row.blob(3)?.to_vec(),
        hash: hash.map_err(|_| StoreError::Corrupt("a seal's hash has not 32 octets".into()))?,
    })
}

fn seal(s: &mut dyn Session, now: UnixTime) -> Result<u64, StoreError> {
    // Whoever got a number but has not committed yet would else come to stand before a seal that does not know it.
    s.lock_table("audit")?;
    let before = s.one(&format!("{SEAL} ORDER BY last_seq DESC LIMIT 1"), &[], read_seal)?;
    let after = before.as_ref().map_or(0, |seal| seal.last_seq);
    let rows =
        s.all(&format!("{ROWS} WHERE seq > ?1 ORDER BY seq LIMIT ?2"), values![after, SEALED], read)?;
    let Some(last) = rows.last() else { return Ok(0) };
    let mut seal = Seal {
        last_seq: last.seq,
        at: now.0,
        seqs: rows.iter().flat_map(|row| row.seq.to_be_bytes()).collect(),
        digests: rows.iter().flat_map(AuditRow::digest).collect(),
        hash: [0; 32],
    };
    seal.hash = seal.computed(before.map(|seal| seal.hash));
    s.execute(
        "INSERT INTO audit_seals (last_seq, seqs, digests, hash, at) VALUES (?1, ?2, ?3, ?4, ?5)",
        values![seal.last_seq, &seal.seqs, &seal.digests, &seal.hash, seal.at],
    )?;
    Ok(rows.len() as u64)
}

/// The first seal behind that row, and the rows that stand up to its end.
fn sealed_rows(s: &mut dyn Session, after: i64) -> Result<Option<(Seal, Vec<AuditRow>)>, StoreError> {
    let sql = format!("{SEAL} WHERE last_seq > ?1 ORDER BY last_seq LIMIT 1");
    let Some(seal) = s.one(&sql, values![after], read_seal)? else { return Ok(None) };
    let sql = format!("{ROWS} WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
    let rows = s.all(&sql, values![after, seal.last_seq], read)?;
    Ok(Some((seal, rows)))
}
