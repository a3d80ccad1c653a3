//! Application providers that registered themselves and that nobody has approved yet (SPEC R1): few, and not for ever.

use super::{
    AdministratorAccount, Change, Outcome, ResourceDb, Stakeholder, StakeholderKind, State, administrators,
    stakeholders,
};
use crate::{StoreError, sql::values};
use obf_types::UnixTime;

/// What became of one that registered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It and its administrator are there.
    Done,
    /// There is one of that name, or an administrator of that one's.
    Exists,
    /// As many wait as may.
    Full,
}

const PROVIDER: u8 = StakeholderKind::ApplicationProvider as u8;
/// Of the stakeholders (table `entries`), with the kind as `?1` and the state as `?2`.
const WAITING: &str = "kind = ?1 AND state = ?2";
const REGISTERED: u8 = State::Registered as u8;

/// Those that wait.
impl ResourceDb {
    /// Adds an application provider in state registered and its administrator, both or none; none if `most` wait already.
    pub async fn register_provider(
        &self,
        provider: Stakeholder,
        administrator: AdministratorAccount,
        most: u64,
        change: Change,
    ) -> Result<Registered, StoreError> {
        let provider =
            Stakeholder { kind: StakeholderKind::ApplicationProvider, state: State::Registered, ..provider };
        self.engine
            .write(move |s| {
                let count = format!("SELECT count(*) FROM entries WHERE {WAITING}");
                let waiting = s.one(&count, values![PROVIDER, REGISTERED], |row| row.fitting::<u64>(0))?;
                let taken = "SELECT 1 FROM administrators WHERE id = ?1 OR application_provider = ?2 LIMIT 1";
                if s.exists(taken, values![&administrator.id, &provider.id])? {
                    return Ok(Registered::Exists);
                }
                // Whoever comes with a name that is taken is told that, full or not.
                if waiting.unwrap_or(0) >= most {
                    let there = "SELECT 1 FROM entries WHERE kind = ?1 AND id = ?2";
                    let there = s.exists(there, values![PROVIDER, &provider.id])?;
                    return Ok(if there { Registered::Exists } else { Registered::Full });
                }
                if !stakeholders::add(s, &provider, &change)? {
                    return Ok(Registered::Exists);
                }
                administrators::insert(s, &administrator, &change)?;
                Ok(Registered::Done)
            })
            .await
    }

    /// Takes an application provider into use, if it is at the version `expected`, and the administrator that came with it,
    /// if that waits still: both or none.
    pub async fn approve_provider(
        &self,
        provider: Stakeholder,
        expected: Option<u64>,
        administrator: &str,
        change: Change,
    ) -> Result<Outcome<Stakeholder>, StoreError> {
        let administrator = administrator.to_owned();
        self.engine
            .write(move |s| {
                let outcome = stakeholders::replace(s, &provider, expected, &change)?;
                if !matches!(outcome, Outcome::Done(_)) {
                    return Ok(outcome);
                }
                let waiting = administrators::find(s, &administrator)?;
                if let Some(account) = waiting.filter(|account| account.state == State::Registered) {
                    let account = AdministratorAccount { state: State::Active, ..account };
                    administrators::replace(s, &account, None, &change)?;
                }
                Ok(outcome)
            })
            .await
    }

    /// Forgets those that registered before that time, were never approved and have no applications, with their
    /// administrators, and says which.
    pub async fn expire_registrations(
        &self,
        before: UnixTime,
        change: Change,
    ) -> Result<Vec<String>, StoreError> {
        let old = format!(
            "SELECT id FROM entries WHERE {WAITING} AND created_at < ?3
             AND NOT EXISTS (SELECT 1 FROM applications a WHERE a.provider = entries.id) ORDER BY id"
        );
        let read = old.clone();
        if !self.engine.read(move |s| s.exists(&read, values![PROVIDER, REGISTERED, before.0])).await? {
            return Ok(Vec::new());
        }
        self.engine
            .write(move |s| {
                let old = format!("{old}{}", s.locking());
                let values = values![PROVIDER, REGISTERED, before.0];
                let expired = s.all(&old, values, |row| Ok(row.string(0)?.to_owned()))?;
                for id in &expired {
                    s.execute("DELETE FROM entries WHERE kind = ?1 AND id = ?2", values![PROVIDER, id])?;
                    s.execute("DELETE FROM administrators WHERE application_provider = ?1", values![id])?;
                    change.record(s, "application-provider.expire", id, "")?;
                }
                Ok(expired)
            })
            .await
    }
}
