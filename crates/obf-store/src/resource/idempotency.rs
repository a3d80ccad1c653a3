//! Answers kept for requests that may come again (`Idempotency-Key`): the second gets what the first got.

use super::ResourceDb;
use crate::{StoreError, sql::values};
use obf_types::UnixTime;

/// How long an answer is kept, seconds.
const KEPT: u64 = 86_400;
/// After so long a request without an answer has died with its server, seconds.
const ABANDONED: u64 = 60;

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    /// Its ETag.
    pub etag: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing so far: the request is the caller's to carry out, then to keep or to release.
    Fresh,
    /// This very request, carried out before.
    Answered(KeptAnswer),
    /// This very request, under way elsewhere.
    UnderWay,
    /// Another request: the key was used twice.
    OtherRequest,
}

/// The answers kept.
impl ResourceDb {
    /// Claims `key` of `actor` for the request with that digest.
    pub async fn claim(
        &self,
        actor: &str,
        key: &str,
        request: [u8; 32],
        now: UnixTime,
    ) -> Result<Claim, StoreError> {
        let (actor, key) = (actor.to_owned(), key.to_owned());
        self.engine
            .write(move |s| {
                // A claim from the future was made before the clock went back: it would stay under way until then.
                s.execute(
                    "DELETE FROM idempotency WHERE at < ?1 OR (status IS NULL AND (at < ?2 OR at > ?3))",
                    values![
                        now.0.saturating_sub(KEPT),
                        now.0.saturating_sub(ABANDONED),
                        now.0.saturating_add(ABANDONED)
                    ],
                )?;
                let fresh = s.execute(
                    "INSERT INTO idempotency (actor, key, request, at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (actor, key) DO NOTHING",
                    values![&actor, &key, &request, now.0],
                )?;
                if fresh > 0 {
                    return Ok(Claim::Fresh);
                }
                let kept = s.one(
                    "SELECT request, status, etag, body FROM idempotency WHERE actor = ?1 AND key = ?2",
                    values![&actor, &key],
                    |row| {
                        if row.blob(0)? != request {
                            return Ok(Claim::OtherRequest);
                        }
                        let Some(status) = row.maybe(1)? else { return Ok(Claim::UnderWay) };
                        let etag = row.text(2)?.map(str::to_owned);
                        let body = row.octets(3)?.unwrap_or_default().to_vec();
                        Ok(Claim::Answered(KeptAnswer { status, etag, body }))
                    },
                )?;
                Ok(kept.unwrap_or(Claim::UnderWay))
            })
            .await
    }

    /// Keeps the answer to the request that claimed `key`.
    pub async fn keep_answer(
        &self,
        actor: &str,
        key: &str,
        request: [u8; 32],
        answer: KeptAnswer,
    ) -> Result<(), StoreError> {
        let (actor, key) = (actor.to_owned(), key.to_owned());
        self.engine
            .write_statement(move |s| {
                s.execute(
                    "UPDATE idempotency SET status = ?3, etag = ?4, body = ?5
                     WHERE actor = ?1 AND key = ?2 AND request = ?6",
                    values![&actor, &key, answer.status, answer.etag.as_deref(), &answer.body, &request],
                )?;
                Ok(())
            })
            .await
    }

    /// Gives `key` back: the request came to nothing and may be tried again.
    pub async fn release_claim(&self, actor: &str, key: &str, request: [u8; 32]) -> Result<(), StoreError> {
        let (actor, key) = (actor.to_owned(), key.to_owned());
        self.engine
            .write_statement(move |s| {
                let sql = "DELETE FROM idempotency WHERE actor = ?1 AND key = ?2 AND request = ?3 AND status IS NULL";
                s.execute(sql, values![&actor, &key, &request])?;
                Ok(())
            })
            .await
    }
}
