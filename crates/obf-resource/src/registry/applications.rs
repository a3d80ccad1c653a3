//! Applications and grants: what comes in and what is shown.

use super::{Registration, Registry, RegistryError};
use obf_store::resource::{
    Application, ApplicationFilter, Applications, DeviceId, Grant, Grantee, Grants, Outcome, State, Terms,
};
use obf_types::{AppId, GlobalIdentity, Lifetime, UaId, UnixTime};
use serde::{Deserialize, Serialize};

/// The most certificate names or Ua classes of one application.
pub const MAX_NAMES: usize = 64;
/// The most security settings of one user at one application, octets (WIRES: ≤ 2 KiB).
pub const MAX_SETTINGS: usize = 2048;

/// An application as it is registered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationRecord {
    app: String,
    cert_names: Vec<String>,
    ua: Vec<String>,
    #[serde(default)]
    settings: String,
    #[serde(default)]
    disclose_identity: bool,
}

/// A grant as it is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRecord {
    device: String,
    app: String,
    lifetime: Option<u32>,
    expires: Option<String>,
    settings: Option<String>,
}

/// A field of an application or a grant that is not as it must be: the field and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {wanted}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What is allowed.
    pub wanted: String,
}

impl ApplicationRecord {
    /// Checked.
    ///
    /// # Errors
    /// [`FieldError`].
    pub fn check(&self, now: UnixTime) -> Result<Application, FieldError> {
        let id = AppId::new(&self.app).map_err(|error| field("app", error))?;
        let mut cert_names = Vec::new();
        for name in &self.cert_names {
            cert_names.push(AppId::new(name).map_err(|error| field("cert_names", error))?.to_string());
        }
        if cert_names.is_empty() || cert_names.len() > MAX_NAMES {
            return Err(field("cert_names", format_args!("1 to {MAX_NAMES} names")));
        }
        if self.ua.is_empty() || self.ua.len() > MAX_NAMES {
            return Err(field("ua", format_args!("1 to {MAX_NAMES} protocols")));
        }
        let known =
            |ua: &String| matches!(ua.as_str(), "tls-psk" | "http-digest") || UaId::from_hex(ua).is_some();
        if let Some(unknown) = self.ua.iter().find(|ua| !known(ua)) {
            let wanted = format_args!("tls-psk, http-digest or 10 hex digits, not {unknown:?}");
            return Err(field("ua", wanted));
        }
        Ok(Application {
            id,
            provider: String::new(),
            cert_names,
            protocols: Vec::new(),
            ua_classes: self.ua.iter().map(|ua| ua.to_ascii_lowercase()).collect(),
            max_lifetime: None,
            kyc_level: 0,
            settings: settings(&self.settings)?,
            discloses_identity: self.disclose_identity,
            state: State::Active,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }
}

impl Registry {
    /// Registers an application.
    ///
    /// # Errors
    /// [`RegistryError::ApplicationConflict`] if it is there with other content.
    pub async fn register_application(
        &self,
        application: Application,
    ) -> Result<Registration, RegistryError> {
        let id = application.id.clone();
        let change = self.change(application.created_at);
        if self.store.add_application(application.clone(), change).await? {
            return Ok(Registration::Added);
        }
        let there = self.application(id.clone()).await?;
        let same = Application {
            state: there.state,
            version: there.version,
            created_at: there.created_at,
            updated_at: there.updated_at,
            ..application
        } == there;
        same.then_some(Registration::Unchanged)
            .ok_or_else(|| RegistryError::ApplicationConflict(id.to_string()))
    }

    /// The application of that id.
    ///
    /// # Errors
    /// [`RegistryError::UnknownApplication`].
    pub async fn application(&self, id: AppId) -> Result<Application, RegistryError> {
        let found = self.store.application(id.clone()).await?;
        found.ok_or_else(|| RegistryError::UnknownApplication(id.to_string()))
    }

    /// Up to `limit` applications after that one.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_applications(
        &self,
        after: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<Application>, RegistryError> {
        Ok(self.store.list_applications(ApplicationFilter::default(), after, limit).await?)
    }

    /// Up to `limit` grants of that device or all, for that application or all, after that pair.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_grants(
        &self,
        device: Option<DeviceId>,
        app: Option<AppId>,
        after: Option<(DeviceId, AppId)>,
        limit: u32,
    ) -> Result<Vec<(GlobalIdentity, Grant)>, RegistryError> {
        Ok(self.store.list_grants(device, app, after, limit).await?)
    }

    /// Suspends or resumes an application.
    ///
    /// # Errors
    /// [`RegistryError::UnknownApplication`].
    pub async fn set_application_state(
        &self,
        id: AppId,
        state: State,
        now: UnixTime,
    ) -> Result<(), RegistryError> {
        let application = Application { state, ..self.application(id.clone()).await? };
        let replaced = self.store.replace_application(application, None, self.change(now)).await?;
        self.announce();
        done(replaced.map(|_| ()), &id)
    }

    /// Removes an application and its grants.
    ///
    /// # Errors
    /// [`RegistryError::UnknownApplication`].
    pub async fn remove_application(&self, id: AppId, now: UnixTime) -> Result<(), RegistryError> {
        let removed = self.store.remove_application(id.clone(), None, self.change(now)).await?;
        self.announce();
        done(removed, &id)
    }

    /// Makes or replaces a grant.
    ///
    /// # Errors
    /// [`GrantError`].
    pub async fn grant(&self, record: &GrantRecord, now: UnixTime) -> Result<GrantView, GrantError> {
        let app = AppId::new(&record.app).map_err(|error| field("app", error))?;
        let lifetime = match record.lifetime {
            None => None,
            Some(seconds) => {
                Some(Lifetime::from_seconds(seconds).ok_or_else(|| field("lifetime", "1 to 86400 seconds"))?)
            }
        };
        let expires_at = match &record.expires {
            None => None,
            Some(date) => Some(
                UnixTime::from_xs_date_time(date)
                    .ok_or_else(|| field("expires", "a date like 2027-01-31T00:00:00Z"))?,
            ),
        };
        let settings = record.settings.as_deref().map(settings).transpose()?;
        let terms = Terms { lifetime, expires_at, settings, local_validity: None };
        let device = self.device(&record.device).await?;
        let grant = Grant { grantee: Grantee::Device(device.id), app: app.clone(), terms, created_at: now };
        let known = self.store.put_grant(grant.clone(), self.change(now)).await;
        self.announce();
        if !known.map_err(RegistryError::from)? {
            return Err(RegistryError::UnknownApplication(app.to_string()).into());
        }
        let primary = device.primary().map(ToString::to_string).unwrap_or_default();
        Ok(GrantView::new(&primary, &grant))
    }

    /// Takes a grant back.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn remove_grant(&self, identity: &str, app: AppId, now: UnixTime) -> Result<(), RegistryError> {
        let device = self.device(identity).await?;
        let found =
            self.store.remove_grant(Grantee::Device(device.id), app.clone(), self.change(now)).await?;
        self.announce();
        let unknown = || RegistryError::UnknownGrant { device: identity.into(), app: app.to_string() };
        found.then_some(()).ok_or_else(unknown)
    }
}

/// What became of a change to an application.
fn done(outcome: Outcome, id: &AppId) -> Result<(), RegistryError> {
    match outcome {
        Outcome::Done(()) => Ok(()),
        Outcome::Forbidden { state } => {
            Err(RegistryError::State { what: id.to_string(), state: state.name() })
        }
        _ => Err(RegistryError::UnknownApplication(id.to_string())),
    }
}

/// Why a grant was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// A field is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The registry's reason.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// An application as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApplicationView {
    /// Its id.
    pub app: String,
    /// Certificates that may ask for its keys.
    pub cert_names: Vec<String>,
    /// Security protocols.
    pub ua: Vec<String>,
    /// `registered`, `active`, `suspended` or `retired`.
    pub state: &'static str,
    /// Security settings, hex digits.
    pub settings: String,
    /// Whether it is told the device's identity.
    pub disclose_identity: bool,
    /// When it was registered.
    pub created_at: String,
}

impl From<&Application> for ApplicationView {
    fn from(application: &Application) -> Self {
        Self {
            app: application.id.to_string(),
            cert_names: application.cert_names.clone(),
            ua: application.ua_classes.clone(),
            state: application.state.name(),
            settings: hex(&application.settings),
            disclose_identity: application.discloses_identity,
            created_at: application.created_at.to_xs_date_time(),
        }
    }
}

/// A grant as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GrantView {
    /// The device's primary identity.
    pub device: String,
    /// The application.
    pub app: String,
    /// Seconds, if the grant limits it.
    pub lifetime: Option<u32>,
    /// When the grant ends.
    pub expires: Option<String>,
    /// Security settings of its own, hex digits.
    pub settings: Option<String>,
}

impl GrantView {
    /// Of a device's grant.
    pub fn of(device: &GlobalIdentity, grant: &Grant) -> Self {
        Self::new(device.value(), grant)
    }

    fn new(device: &str, grant: &Grant) -> Self {
        Self {
            device: device.into(),
            app: grant.app.to_string(),
            lifetime: grant.terms.lifetime.map(Lifetime::seconds),
            expires: grant.terms.expires_at.map(UnixTime::to_xs_date_time),
            settings: grant.terms.settings.as_deref().map(hex),
        }
    }
}

fn field(field: &'static str, wanted: impl ToString) -> FieldError {
    FieldError { field, wanted: wanted.to_string() }
}

fn settings(text: &str) -> Result<Vec<u8>, FieldError> {
    let wrong = || field("settings", format_args!("at most {MAX_SETTINGS} octets, as hex digits"));
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() > MAX_SETTINGS {
        return Err(wrong());
    }
    let octets = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    octets.collect::<Option<_>>().ok_or_else(wrong)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
