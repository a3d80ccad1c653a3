//! Machine KYC (SPEC R6): what was verified of a custodian, until when. Evidence is a reference and a hash in the
//! record's text; documents never come here.

use super::{Change, Outcome, ResourceDb, State, custodians, devices};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::UnixTime;
use std::future::Future;

/// A record of one verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KycRecord {
    /// Its number; 0 in one that is to be added.
    pub id: i64,
    /// Whom it is about.
    pub custodian: String,
    /// What was reached, 1 to 3.
    pub level: u8,
    /// Until when it counts.
    pub valid_until: UnixTime,
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
    /// Until when it counts.
    pub valid_until: UnixTime,
}

/// The records.
pub trait KycRecords {
    /// Adds it, at version 1, and tells the Authentication Servers of the custodian's devices;
    /// [`Outcome::NoParent`] if there is no such custodian.
    fn add_kyc_record(
        &self,
        record: KycRecord,
        change: Change,
    ) -> impl Future<Output = Result<Outcome<KycRecord>, StoreError>> + Send;

    /// The record of that number.
    fn kyc_record(&self, id: i64) -> impl Future<Output = Result<Option<KycRecord>, StoreError>> + Send;

    /// Up to `limit` records, of that custodian or of any, in order of their numbers behind `after`.
    fn list_kyc_records(
        &self,
        custodian: Option<String>,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<KycRecord>, StoreError>> + Send;

    /// Takes it back and tells the Authentication Servers of the custodian's devices.
    fn revoke_kyc_record(
        &self,
        id: i64,
        expected: Option<u64>,
        change: Change,
    ) -> impl Future<Output = Result<Outcome<KycRecord>, StoreError>> + Send;

    /// What stands of a custodian: its records, expired ones included; those that were taken back expired in 1970.
    fn kyc_standing(
        &self,
        custodian: &str,
    ) -> impl Future<Output = Result<Vec<KycStanding>, StoreError>> + Send;
}

const COLUMNS: &str = "id, custodian, level, valid_until, revoked, document, version, created_at, updated_at";

impl KycRecords for ResourceDb {
    async fn add_kyc_record(
        &self,
        record: KycRecord,
        change: Change,
    ) -> Result<Outcome<KycRecord>, StoreError> {
        let sql = format!(
            "INSERT INTO kyc_records (custodian, level, valid_until, revoked, document, version, created_at,
                                      updated_at)
             VALUES (?1, ?2, ?3, 0, ?4, 1, ?5, ?5) RETURNING {COLUMNS}"
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

    async fn kyc_record(&self, id: i64) -> Result<Option<KycRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM kyc_records WHERE id = ?1");
        self.engine.read(move |s| s.one(&sql, values![id], read)).await
    }

    async fn list_kyc_records(
        &self,
        custodian: Option<String>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<KycRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM kyc_records WHERE id > ?1 AND (CAST(?2 AS TEXT) IS NULL OR custodian = ?2)
             ORDER BY id LIMIT ?3"
        );
        self.engine.read(move |s| s.all(&sql, values![after, custodian.as_deref(), limit], read)).await
    }

    async fn revoke_kyc_record(
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

    async fn kyc_standing(&self, custodian: &str) -> Result<Vec<KycStanding>, StoreError> {
        let custodian = custodian.to_owned();
        self.engine.read(move |s| of_custodian(s, &custodian)).await
    }
}

/// What stands of a custodian. A record that was taken back counts until the beginning of time: whoever lost a
/// verification is not taken for one who never had any.
pub(super) fn of_custodian(s: &mut dyn Session, custodian: &str) -> Result<Vec<KycStanding>, StoreError> {
    s.all(
        "SELECT id, level, CASE revoked WHEN 0 THEN valid_until ELSE 0 END FROM kyc_records WHERE custodian = ?1
         ORDER BY id",
        values![custodian],
        |row| {
            Ok(KycStanding {
                record: row.number(0)?,
                level: row.fitting(1)?,
                valid_until: UnixTime(row.fitting(2)?),
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
        revoked: row.number(4)? != 0,
        document: row.string(5)?.to_owned(),
        version: row.fitting(6)?,
        created_at: UnixTime(row.fitting(7)?),
        updated_at: UnixTime(row.fitting(8)?),
    })
}
