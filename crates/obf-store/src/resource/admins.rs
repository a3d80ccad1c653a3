//! Administrators: only the SHA-256 of a bearer token is kept, never the token.

use super::ResourceDb;
use crate::StoreError;
use obf_types::UnixTime;
use rusqlite::params;
use std::future::Future;

/// An administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Its name, for the log.
    pub name: String,
    /// SHA-256 of its bearer token.
    pub token_sha256: [u8; 32],
}

/// Who may administer.
pub trait Administrators {
    /// Adds an administrator, or gives the one of that name a new token.
    fn put_admin(&self, admin: Admin, now: UnixTime) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All of them.
    fn admins(&self) -> impl Future<Output = Result<Vec<Admin>, StoreError>> + Send;
}

impl Administrators for ResourceDb {
    async fn put_admin(&self, admin: Admin, now: UnixTime) -> Result<(), StoreError> {
        self.database
            .write_statement(move |c| {
                c.prepare_cached(
                    "INSERT INTO admins (name, token_sha256, created_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET token_sha256 = excluded.token_sha256",
                )?
                .execute(params![admin.name, admin.token_sha256, now.0])?;
                Ok(())
            })
            .await
    }

    async fn admins(&self) -> Result<Vec<Admin>, StoreError> {
        self.database
            .read(|c| {
                let mut statement =
                    c.prepare_cached("SELECT name, token_sha256 FROM admins ORDER BY name")?;
                let admins = statement
                    .query_map([], |row| Ok(Admin { name: row.get(0)?, token_sha256: row.get(1)? }))?;
                Ok(admins.collect::<Result<_, _>>()?)
            })
            .await
    }
}
