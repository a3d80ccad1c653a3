//! Administrators: their accounts, and whose a credential is.

use super::Registry;
use obf_store::{
    StoreError,
    resource::{AdministratorAccount, Outcome, ResourceDb, StakeholderKind, State},
};
use obf_types::UnixTime;
use subtle::ConstantTimeEq;

/// An administrator found by a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its account.
    pub account: AdministratorAccount,
    /// The state that keeps it from administering: its own, or that of its application provider.
    pub out_of_use: Option<State>,
}

/// What an administrator shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The SHA-256 of a token.
    Token([u8; 32]),
    /// The names in a certificate that was verified.
    Certificate(Vec<String>),
}

/// The administrator who shows that.
///
/// # Errors
/// The store's.
pub async fn find(store: &ResourceDb, shown: Shown) -> Result<Option<Found>, StoreError> {
    let account = match shown {
        Shown::Token(hash) => {
            let found = store.administrator_of_token(hash).await?;
            found.filter(|account| bool::from(account.token_sha256.ct_eq(&hash)))
        }
        Shown::Certificate(names) => store.administrator_of_certificate(names).await?,
    };
    let Some(account) = account else { return Ok(None) };
    let mut out_of_use = Some(account.state).filter(|state| *state != State::Active);
    if let (None, Some(provider)) = (out_of_use, &account.application_provider) {
        let stakeholder = store.stakeholder(StakeholderKind::ApplicationProvider, provider).await?;
        let state = stakeholder.map_or(State::Retired, |stakeholder| stakeholder.state);
        out_of_use = Some(state).filter(|state| *state != State::Active);
    }
    Ok(Some(Found { account, out_of_use }))
}

impl Registry {
    /// The administrator who shows that.
    ///
    /// # Errors
    /// The store's.
    pub async fn find_administrator(&self, shown: Shown) -> Result<Option<Found>, StoreError> {
        find(&self.store, shown).await
    }

    /// Up to `limit` administrators in order of their names behind `after`.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_administrators(
        &self,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AdministratorAccount>, StoreError> {
        self.store.list_administrators(after, limit).await
    }

    /// The administrator of that name.
    ///
    /// # Errors
    /// The store's.
    pub async fn administrator(&self, id: &str) -> Result<Option<AdministratorAccount>, StoreError> {
        self.store.administrator(id).await
    }

    /// Adds it, at version 1; false, and nothing changed, if its name or its certificate's is taken.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_administrator(
        &self,
        account: AdministratorAccount,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.store.add_administrator(account, self.change(now)).await
    }

    /// Puts everything of `account` but its name in place of what stands there, if that is at the version `expected`;
    /// [`Outcome::InUse`] if another has its certificate's name.
    ///
    /// # Errors
    /// The store's.
    pub async fn replace_administrator(
        &self,
        account: AdministratorAccount,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome<AdministratorAccount>, StoreError> {
        self.store.replace_administrator(account, expected, self.change(now)).await
    }

    /// Removes it.
    ///
    /// # Errors
    /// The store's.
    pub async fn remove_administrator(
        &self,
        id: &str,
        expected: Option<u64>,
        now: UnixTime,
    ) -> Result<Outcome, StoreError> {
        self.store.remove_administrator(id, expected, self.change(now)).await
    }
}
