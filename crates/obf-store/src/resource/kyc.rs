//! Machine KYC (SPEC R6): what was verified of a custodian, until when. Evidence is a reference and a hash in the
//! record's text; documents never come here.

use super::{Change, Outcome, ResourceDb, State, custodians, devices};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::UnixTime;

/// A record of one verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KycRecord {
    /// Its number; 0 in one that is to be added.
    pub id: i64,
    /// Whom it is about.
    pub custodian: String,
    /// What was reached, 1 to 3.
    pub level: u8,
    /// Until when it is valid.
    pub valid_until: UnixTime,
    /// By when the custodian is to be verified again, if ever.
    pub reverify_by: Option<UnixTime>,
    /// Whether it was taken back.
    pub revoked: bool,
    /// The rest of it, JSON.
    pub document: String,
    /// Rises with every change.
    pub version: u64,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

/// What a record means to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KycStanding {
    /// Its number.
    pub record: i64,
    /// 1 to 3.
    pub level: u8,
    /// Until when it is valid.
    pub valid_until: UnixTime,
    /// By when the custodian is to be verified again, if ever.
    pub reverify_by: Option<UnixTime>,
}

impl KycStanding {
    /// Until when it is valid where a verification that is overdue stays so for that many seconds only; `None`: an overdue
    /// one is valid to its end.
    pub fn counts_until(&self, grace: Option<u64>) -> UnixTime {
        let overdue = self.reverify_by.zip(grace).map(|(by, grace)| UnixTime(by.0.saturating_add(grace)));
        overdue.map_or(self.valid_until, |end| end.min(self.valid_until))
    }
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KycFilter {
    /// Those of this custodian.
    pub custodian: Option<String>,
    /// Those to be seen to.
    pub due: Option<Due>,
}

/// Records that hold now, and by a time are due for re-verification or at their end, with none of the same custodian that
/// came after them, reaches their level and holds longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Now.
    pub now: UnixTime,
    /// The time.
    pub by: UnixTime,
}

/// A record whose re-verification has become due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BecameDue {
    /// Its number.
    pub record: i64,
    /// Whom it is about.
    pub custodian: String,
    /// Since when it is due.
    pub reverify_by: UnixTime,
}

const COLUMNS: &str =
    "id, custodian, level, valid_until, reverify_by, revoked, document, version, created_at, updated_at";

/// No other record of the custodian makes `k` superfluous beyond time `?2`.
const NOT_SUCCEEDED: &str = "NOT EXISTS (SELECT 1 FROM kyc_records n
    WHERE n.custodian = k.custodian AND n.id > k.id AND n.revoked = 0 AND n.level >= k.level
      AND n.valid_until > ?2 AND (n.reverify_by IS NULL OR n.reverify_by > ?2))";

/// The records.
impl ResourceDb {
    /// Adds it, at version 1, and tells the Authentication Servers of the custodian's devices;
    /// [`Outcome::NoParent`] if there is no such custodian.
    pub async fn add_kyc_record(
        &self,
        record: KycRecord,
        change: Change,
    ) -> Result<Outcome<KycRecord>, StoreError> {
        let sql = format!(
            "INSERT INTO kyc_records (custodian, level, valid_until, reverify_by, due_noted, revoked, document,
                                      version, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, 0, 0, ?5, 1, ?6, ?6) RETURNING {COLUMNS}"
        );
        self.engine
            .write(move |s| {
                if !custodians::exists(s, &record.custodian)? {
                    return Ok(Outcome::NoParent);
                }
                let values = values![
                    &record.custodian,
                    record.level,
                    record.valid_until.0,
                    record.reverify_by.map(|by| by.0),
                    &record.document,
                    change.at.0
                ];
                let Some(added) = s.one(&sql, values, read)? else { return Ok(Outcome::Unknown) };
                devices::announce_custodian(s, &record.custodian, &change)?;
                change.record(s, "kyc.add", &record.custodian, &format!("record {}", added.id))?;
                Ok(Outcome::Done(added))
            })
            .await
    }

    /// The record of that number.
    pub async fn kyc_record(&self, id: i64) -> Result<Option<KycRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM kyc_records WHERE id = ?1");
        self.engine.read(move |s| s.one(&sql, values![id], read)).await
    }

    /// Up to `limit` records that pass the filter, in order of their numbers behind `after`.
    pub async fn list_kyc_records(
        &self,
        filter: KycFilter,
        after: i64,
        limit: u32,
    ) -> Result<Vec<KycRecord>, StoreError> {
        let KycFilter { custodian, due } = filter;
        let of_custodian = "(CAST(?1 AS TEXT) IS NULL OR k.custodian = ?1)";
        let page = "k.id > ?3 ORDER BY k.id LIMIT ?4";
        self.engine
            .read(move |s| match due {
                None => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM kyc_records k
                         WHERE {of_custodian} AND CAST(?2 AS BIGINT) IS NULL AND {page}"
                    );
                    s.all(&sql, values![custodian.as_deref(), None::<u64>, after, limit], read)
                }
                Some(Due { now, by }) => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM kyc_records k
                         WHERE {of_custodian} AND k.revoked = 0 AND k.valid_until > ?5
                           AND (k.reverify_by <= ?2 OR k.valid_until <= ?2) AND {NOT_SUCCEEDED} AND {page}"
                    );
                    s.all(&sql, values![custodian.as_deref(), by.0, after, limit, now.0], read)
                }
            })
            .await
    }

    /// The records whose re-verification has become due since this was last asked for, by whichever node: each once, with
    /// an audit row `kyc.due`.
    pub async fn note_due_kyc(&self, change: Change) -> Result<Vec<BecameDue>, StoreError> {
        let now = change.at;
        let waiting = "due_noted = 0 AND reverify_by IS NOT NULL AND reverify_by <= ?1";
        let some = format!("SELECT 1 FROM kyc_records WHERE {waiting} LIMIT 1");
        if self.engine.read(move |s| s.one(&some, values![now.0], |_| Ok(()))).await?.is_none() {
            return Ok(Vec::new());
        }
        let note = format!("UPDATE kyc_records SET due_noted = 1 WHERE {waiting} RETURNING id");
        let due = format!(
            "SELECT k.custodian, k.reverify_by FROM kyc_records k
             WHERE k.id = ?1 AND k.revoked = 0 AND k.valid_until > ?2 AND {NOT_SUCCEEDED}"
        );
        self.engine
            .write(move |s| {
                let mut noted = s.all(&note, values![now.0], |row| row.number(0))?;
                noted.sort_unstable();
                let mut became = Vec::new();
                for record in noted {
                    let read = |row: &dyn Row| {
                        let reverify_by = UnixTime(row.fitting(1)?);
                        Ok::<_, StoreError>(BecameDue {
                            record,
                            custodian: row.string(0)?.to_owned(),
                            reverify_by,
                        })
                    };
                    if let Some(due) = s.one(&due, values![record, now.0], read)? {
                        change.record(s, "kyc.due", &due.custodian, &format!("record {record}"))?;
                        became.push(due);
                    }
                }
                Ok(became)
            })
            .await
    }

    /// Takes it back and tells the Authentication Servers of the custodian's devices.
    pub async fn revoke_kyc_record(
        &self,
        id: i64,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<KycRecord>, StoreError> {
        let find = format!("SELECT {COLUMNS} FROM kyc_records WHERE id = ?1");
        let revoke = format!(
            "UPDATE kyc_records SET revoked = 1, version = version + 1, updated_at = ?2 WHERE id = ?1
             RETURNING {COLUMNS}"
        );
        self.engine
            .write(move |s| {
                let find = format!("{find}{}", s.locking());
                let Some(found) = s.one(&find, values![id], read)? else { return Ok(Outcome::Unknown) };
                if expected.is_some_and(|expected| expected != found.version) {
                    return Ok(Outcome::Stale { version: found.version });
                }
                if found.revoked {
                    return Ok(Outcome::Forbidden { state: State::Retired });
                }
                let revoked = s.one(&revoke, values![id, change.at.0], read)?;
                devices::announce_custodian(s, &found.custodian, &change)?;
                change.record(s, "kyc.revoke", &found.custodian, &format!("record {id}"))?;
                Ok(revoked.map_or(Outcome::Unknown, Outcome::Done))
            })
            .await
    }

    /// What is verified of a custodian: its records, expired ones included; those that were taken back expired in 1970.
    pub async fn kyc_standing(&self, custodian: &str) -> Result<Vec<KycStanding>, StoreError> {
        let custodian = custodian.to_owned();
        self.engine.read(move |s| of_custodian(s, &custodian)).await
    }
}

/// What is verified of a custodian. A record that was taken back is valid until the beginning of time: whoever lost a
/// verification is not taken for one who never had any.
pub(super) fn of_custodian(s: &mut dyn Session, custodian: &str) -> Result<Vec<KycStanding>, StoreError> {
    s.all(
        "SELECT id, level, CASE revoked WHEN 0 THEN valid_until ELSE 0 END, reverify_by
         FROM kyc_records WHERE custodian = ?1 ORDER BY id",
        values![custodian],
        |row| {
            Ok(KycStanding {
                record: row.number(0)?,
                level: row.fitting(1)?,
                valid_until: UnixTime(row.fitting(2)?),
                reverify_by: row.maybe(3)?.map(UnixTime),
            })
        },
    )
}

fn read(row: &dyn Row) -> Result<KycRecord, StoreError> {
    Ok(KycRecord {
        id: row.number(0)?,
        custodian: row.string(1)?.to_owned(),
        level: row.fitting(2)?,
        valid_until: UnixTime(row.fitting(3)?),
        reverify_by: row.maybe(4)?.map(UnixTime),
        revoked: row.number(5)? != 0,
        document: row.string(6)?.to_owned(),
        version: row.fitting(7)?,
        created_at: UnixTime(row.fitting(8)?),
        updated_at: UnixTime(row.fitting(9)?),
    })
}
