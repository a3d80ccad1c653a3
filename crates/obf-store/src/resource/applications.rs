//! Registered third-party applications (SPEC C4, C11).

use super::{
    Change, NoticeKind, Outcome, ResourceDb, State, change_of_state, check, lines, standing, state_of,
};
use crate::{
    StoreError,
    sql::{Row, Session, values},
};
use obf_types::{AppId, Lifetime, UnixTime};

/// An application as registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its FQDN.
    pub id: AppId,
    /// The application provider that it belongs to; empty if to none.
    pub provider: String,
    /// dNSNames of the certificates that may ask for its keys: its own servers' and its proxies'.
    pub cert_names: Vec<String>,
    /// What it speaks over the secured connection, for example `mqtt`.
    pub protocols: Vec<String>,
    /// Security protocols it speaks: `tls-psk`, `http-digest`, or a Ua id of 10 hex digits.
    pub ua_classes: Vec<String>,
    /// The longest that a key of it may live.
    pub max_lifetime: Option<Lifetime>,
    /// The level of KYC that a device's custodian must have, 0 to 3.
    pub kyc_level: u8,
    /// Security settings for users whose grant has none of its own, octets as registered.
    pub settings: Vec<u8>,
    /// Whether it is told the device's identity.
    pub discloses_identity: bool,
    /// Its state: only an active application gets keys.
    pub state: State,
    /// Its application provider is out of use, so it gets none either. Written by the store alone.
    pub withheld: bool,
    /// Rises with every change.
    pub version: u64,
    /// When it was registered.
    pub created_at: UnixTime,
    /// When it was changed last.
    pub updated_at: UnixTime,
}

/// Which applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Of that application provider.
    pub provider: Option<String>,
    /// In that state.
    pub state: Option<State>,
}

const STANDING: &str = "SELECT version, state FROM applications WHERE id = ?1";

/// The registry of applications.
impl ResourceDb {
    /// Adds it, at version 1; false, and nothing changed, if one of that id is there.
    pub async fn add_application(
        &self,
        application: Application,
        change: Change,
    ) -> Result<bool, StoreError> {
        self.engine
            .write(move |s| {
                let withheld = out_of_use(s, &application.provider)?;
                let added = s.execute(
                    "INSERT INTO applications (id, provider, cert_names, protocols, ua_classes, max_lifetime,
                         kyc_level, settings, discloses_identity, state, withheld, version, created_at, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 1, ?12, ?12)
                     ON CONFLICT (id) DO NOTHING",
                    values![
                        application.id.as_str(),
                        &application.provider,
                        &application.cert_names.join("\n"),
                        &application.protocols.join("\n"),
                        &application.ua_classes.join("\n"),
                        application.max_lifetime.map(Lifetime::seconds),
                        application.kyc_level,
                        &application.settings,
                        application.discloses_identity,
                        application.state as u8,
                        withheld,
                        change.at.0
                    ],
                )?;
                if added > 0 {
                    change.record(s, "app.add", application.id.as_str(), "")?;
                }
                Ok(added > 0)
            })
            .await
    }

    /// The application of that id.
    pub async fn application(&self, id: AppId) -> Result<Option<Application>, StoreError> {
        self.engine.read(move |s| load(s, &id)).await
    }

    /// Up to `limit` applications in order of their ids, after that one.
    pub async fn list_applications(
        &self,
        filter: ApplicationFilter,
        after: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<Application>, StoreError> {
        let sql = select(
            "WHERE id > ?1 AND (CAST(?2 AS TEXT) IS NULL OR provider = ?2)
             AND (CAST(?3 AS BIGINT) IS NULL OR state = ?3) ORDER BY id LIMIT ?4",
        );
        self.engine
            .read(move |s| {
                let after = after.as_ref().map_or("", AppId::as_str);
                let state = filter.state.map(|state| state as u8);
                s.all(&sql, values![after, filter.provider.as_deref(), state, limit], |row| read(row, 0))
            })
            .await
    }

    /// Puts everything of `application` but its id in place of what stands there, if that is at the version
    /// `expected`, and tells the Authentication Servers.
    pub async fn replace_application(
        &self,
        application: Application,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome<Application>, StoreError> {
        self.engine
            .write(move |s| {
                let id = application.id.as_str();
                // Whoever changes the provider takes it first, too.
                let withheld = out_of_use(s, &application.provider)?;
                let found = standing(s, STANDING, values![id])?;
                let was = match check(found, expected, Some(application.state)) {
                    Ok(was) => was,
                    Err(outcome) => return Ok(outcome),
                };
                let before = load(s, &application.id)?;
                s.execute(
                    "UPDATE applications SET provider = ?2, cert_names = ?3, protocols = ?4, ua_classes = ?5,
                         max_lifetime = ?6, kyc_level = ?7, settings = ?8, discloses_identity = ?9, state = ?10,
                         withheld = ?11, updated_at = ?12, version = version + 1 WHERE id = ?1",
                    values![
                        id,
                        &application.provider,
                        &application.cert_names.join("\n"),
                        &application.protocols.join("\n"),
                        &application.ua_classes.join("\n"),
                        application.max_lifetime.map(Lifetime::seconds),
                        application.kyc_level,
                        &application.settings,
                        application.discloses_identity,
                        application.state as u8,
                        withheld,
                        change.at.0
                    ],
                )?;
                change.announce(s, NoticeKind::Changed, None, Some(&application.id))?;
                let narrower = before.is_some_and(|before| {
                    (was == State::Active && application.state != State::Active)
                        || (withheld && !before.withheld)
                        || before.kyc_level < application.kyc_level
                        || before.max_lifetime != application.max_lifetime
                        || before.settings != application.settings
                });
                if narrower {
                    change.announce_devices(s, NoticeKind::Changed, USERS, id)?;
                }
                change.record(s, &format!("app.{}", change_of_state(was, application.state)), id, "")?;
                Ok(load(s, &application.id)?.map_or(Outcome::Unknown, Outcome::Done))
            })
            .await
    }

    /// Removes it with its grants and tells the Authentication Servers.
    pub async fn remove_application(
        &self,
        id: AppId,
        expected: Option<u64>,
        change: Change,
    ) -> Result<Outcome, StoreError> {
        self.engine
            .write(move |s| {
                let found = standing(s, STANDING, values![id.as_str()])?;
                if let Err(outcome) = check::<()>(found, expected, None) {
                    return Ok(outcome);
                }
                change.announce_devices(s, NoticeKind::Changed, USERS, id.as_str())?;
                s.execute("DELETE FROM applications WHERE id = ?1", values![id.as_str()])?;
                change.announce(s, NoticeKind::Changed, None, Some(&id))?;
                change.record(s, "app.remove", id.as_str(), "")?;
                Ok(Outcome::Done(()))
            })
            .await
    }
}

/// The devices that are granted the application, by themselves or in a group.
const USERS: &str = "d.id IN (SELECT g.device FROM grants g WHERE g.app = ?4
    UNION SELECT m.device FROM group_grants g JOIN group_members m ON m.group_id = g.group_id WHERE g.app = ?4)";

/// Columns of `applications`, as [`read`] takes them.
pub(super) const COLUMNS: &str = "a.id, a.provider, a.cert_names, a.protocols, a.ua_classes, a.max_lifetime, \
    a.kyc_level, a.settings, a.discloses_identity, a.state, a.withheld, a.version, a.created_at, a.updated_at";
/// How many those are.
pub(super) const COLUMNS_LEN: usize = 14;

fn select(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM applications a {condition}")
}

pub(super) fn load(s: &mut dyn Session, id: &AppId) -> Result<Option<Application>, StoreError> {
    s.one(&select("WHERE id = ?1"), values![id.as_str()], |row| read(row, 0))
}

/// An application from a row whose columns begin at `first`.
pub(super) fn read(row: &dyn Row, first: usize) -> Result<Application, StoreError> {
    let id = row.string(first)?;
    Ok(Application {
        id: AppId::new(id).map_err(|error| StoreError::Corrupt(format!("application {id}: {error}")))?,
        provider: row.string(first + 1)?.to_owned(),
        cert_names: lines(row.string(first + 2)?),
        protocols: lines(row.string(first + 3)?),
        ua_classes: lines(row.string(first + 4)?),
        max_lifetime: row.maybe(first + 5)?.and_then(Lifetime::from_seconds),
        kyc_level: row.fitting(first + 6)?,
        settings: row.blob(first + 7)?.to_vec(),
        discloses_identity: row.number(first + 8)? != 0,
        state: state_of(row.number(first + 9)?)?,
        withheld: row.number(first + 10)? != 0,
        version: row.fitting(first + 11)?,
        created_at: UnixTime(row.fitting(first + 12)?),
        updated_at: UnixTime(row.fitting(first + 13)?),
    })
}

/// Whether that application provider is there and not active: its applications are then withheld, too.
fn out_of_use(s: &mut dyn Session, provider: &str) -> Result<bool, StoreError> {
    if provider.is_empty() {
        return Ok(false);
    }
    let sql = format!("SELECT state FROM entries WHERE kind = 3 AND id = ?1{}", s.locking());
    let state = s.one(&sql, values![provider], |row| state_of(row.number(0)?))?;
    Ok(state.is_some_and(|state| state != State::Active))
}

/// The applications of a provider go out of use with it, or come back. Those that are not active by themselves stay as
/// they are.
pub(super) fn follow_provider(
    s: &mut dyn Session,
    provider: &str,
    withheld: bool,
    change: &Change,
) -> Result<(), StoreError> {
    let concerned = s.all(
        "UPDATE applications SET withheld = ?2, version = version + 1, updated_at = ?3
         WHERE provider = ?1 AND withheld <> ?2 RETURNING id, state",
        values![provider, withheld, change.at.0],
        |row| {
            let id = AppId::new(row.string(0)?).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            Ok((id, state_of(row.number(1)?)?))
        },
    )?;
    for (id, _) in concerned.iter().filter(|(_, state)| *state == State::Active) {
        change.announce(s, NoticeKind::Changed, None, Some(id))?;
        if withheld {
            change.announce_devices(s, NoticeKind::Changed, USERS, id.as_str())?;
        }
        let action = if withheld { "app.suspend" } else { "app.resume" };
        change.record(s, action, id.as_str(), &format!("with its application provider {provider}"))?;
    }
    Ok(())
}
