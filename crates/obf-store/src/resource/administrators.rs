//! Administrators: who may do what, and the hash of the token or the name in the certificate that says who it is.

use super::{Change, Outcome, ResourceDb, State, change_of_state, check, standing, state_of};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::UnixTime;

/// An administrator as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdministratorAccount {
    /// Its name.
    pub id: String,
    /// Its role.
    pub role: String,
    /// Whose applications it sees, if it sees no others.
    pub application_provider: Option<String>,
    /// SHA-256 of its token. A token is 256 random bits: there is nothing to guess, and nothing to salt.
    pub token_sha256: [u8; 32],
    /// A dNSName of its client certificate.
    pub cert_name: Option<String>,
    /// Its state.
    pub state: State,
    /// Rises with every change.
    pub version: u64,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

const COLUMNS: &str =
    "id, role, application_provider, token_sha256, cert_name, state, version, created_at, updated_at";
const STANDING: &str = "SELECT version, state FROM administrators WHERE id = ?1";

/// The administrators.
impl ResourceDb {
    /// Adds it, at version 1; false, and nothing changed, if its name or its certificate's is taken.
    pub async fn add_administrator(
        &self,
        account: AdministratorAccount,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.engine
            .write(move |s| {
                let taken = "SELECT 1 FROM administrators WHERE id = ?1 OR cert_name = ?2 LIMIT 1";
                if s.exists(taken, values![&account.id, account.cert_name.as_deref()])? {
                    return Ok(false);
                }
                insert(s, &account, &change)?;
                Ok(true)
            })
            .await
    }

    /// The administrator of that name.
    pub async fn administrator(&self, id: &str) -> Result<Option<AdministratorAccount>, StoreError> {
        let id = id.to_owned();
        self.engine.read(move |s| find(s, &id)).await
    }

    /// The administrator whose token has that hash.
    pub async fn administrator_of_token(
        &self,
        token_sha256: [u8; 32],
    ) -> Result<Option<AdministratorAccount>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM administrators WHERE token_sha256 = ?1");
        self.engine.read(move |s| s.one(&sql, values![&token_sha256], read)).await
    }

    /// The administrator whose certificate has one of those names.
    pub async fn administrator_of_certificate(
        &self,
        names: Vec<String>,
    ) -> Result<Option<AdministratorAccount>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM administrators WHERE cert_name = ?1");
        self.engine
            .read(move |s| {
                for name in &names {
                    if let Some(found) = s.one(&sql, values![name], read)? {
                        return Ok(Some(found));
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Up to `limit` administrators in order of their names behind `after`.
    pub async fn list_administrators(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AdministratorAccount>, StoreError> {
        let after = after.to_owned();
        let sql = format!("SELECT {COLUMNS} FROM administrators WHERE id > ?1 ORDER BY id LIMIT ?2");
        self.engine.read(move |s| s.all(&sql, values![&after, limit], read)).await
    }

    /// Puts everything of `account` but its name in place of what stands there, if that is at the version `expected`;
    /// [`Outcome::InUse`] if another has its certificate's name.
    pub async fn replace_administrator(
        &self,
        account: AdministratorAccount,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<AdministratorAccount>, StoreError> {
        self.engine.write(move |s| replace(s, &account, expected, &change)).await
    }

    /// Removes it.
    pub async fn remove_administrator(
        &self,
        id: &str,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome, StoreError> {
        let id = id.to_owned();
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![&id])?;
                if let Err(outcome) = check::<()>(found, expected, None) {
                    return Ok(outcome);
                }
                s.execute("DELETE FROM administrators WHERE id = ?1", values![&id])?;
                change.record(s, "administrator.remove", &id, "")?;
                Ok(Outcome::Done(()))
            })
            .await
    }
}

/// The administrator of that name.
pub(super) fn find(s: &mut dyn Session, id: &str) -> Result<Option<AdministratorAccount>, StoreError> {
    s.one(&format!("SELECT {COLUMNS} FROM administrators WHERE id = ?1"), values![id], read)
}

/// As [`ResourceDb::replace_administrator`], in a transaction of others.
pub(super) fn replace(
    s: &mut dyn Session,
    account: &AdministratorAccount,
    expected: Option<u64>,
    change: &Change,
) -> Result<Outcome<AdministratorAccount>, StoreError> {
    let replace = format!(
        "UPDATE administrators SET role = ?2, application_provider = ?3, token_sha256 = ?4, cert_name = ?5,
                                   state = ?6, updated_at = ?7, version = version + 1
         WHERE id = ?1 RETURNING {COLUMNS}"
    );
    let found = standing(s, STANDING, values![&account.id])?;
    let was = match check(found, expected, Some(account.state)) {
        Ok(was) => was,
        Err(outcome) => return Ok(outcome),
    };
    let taken = "SELECT 1 FROM administrators WHERE cert_name = ?1 AND id <> ?2";
    if s.exists(taken, values![account.cert_name.as_deref(), &account.id])? {
        return Ok(Outcome::InUse);
    }
    let replaced = s.one(
        &replace,
        values![
            &account.id,
            &account.role,
            account.application_provider.as_deref(),
            &account.token_sha256,
            account.cert_name.as_deref(),
            account.state as u8,
            change.at.0
        ],
        read,
    )?;
    let action = format!("administrator.{}", change_of_state(was, account.state));
    change.record(s, &action, &account.id, &account.role)?;
    Ok(replaced.map_or(Outcome::Unknown, Outcome::Done))
}

/// Adds one whose names are free.
pub(super) fn insert(
    s: &mut dyn Session,
    account: &AdministratorAccount,
    change: &Change,
) -> Result<(), StoreError> {
    s.execute(
        "INSERT INTO administrators (id, role, application_provider, token_sha256, cert_name, state,
                                     version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7)",
        values![
            &account.id,
            &account.role,
            account.application_provider.as_deref(),
            &account.token_sha256,
            account.cert_name.as_deref(),
            account.state as u8,
            change.at.0
        ],
    )?;
    change.record(s, "administrator.add", &account.id, &account.role)
}

fn read(row: &dyn Row) -> Result<AdministratorAccount, StoreError> {
    let hash = row.blob(3)?.try_into();
    Ok(AdministratorAccount {
        id: row.string(0)?.to_owned(),
        role: row.string(1)?.to_owned(),
        application_provider: row.text(2)?.map(str::to_owned),
        token_sha256: hash.map_err(|_| StoreError::Corrupt("a token's hash has not 32 octets".into()))?,
        cert_name: row.text(4)?.map(str::to_owned),
        state: state_of(row.number(5)?)?,
        version: row.fitting(6)?,
        created_at: UnixTime(row.fitting(7)?),
        updated_at: UnixTime(row.fitting(8)?),
    })
}
