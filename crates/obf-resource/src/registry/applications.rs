//! Applications and the terms of grants: from what is described to what is kept, and back.

use super::{Registration, Registry, RegistryError};
use obf_admin::resource::{
    applications::{ApplicationRecord, Protocol},
    grants::GrantRecord,
};
use obf_store::resource::{Application, State, Terms};
use obf_types::{AppId, Lifetime, MAX_SETTINGS, UaClass, UnixTime, hex};

/// The most certificate names or Ua classes of one application.
pub const MAX_NAMES: usize = 64;

/// A field of an application or a grant that is not as it must be: the field and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {wanted}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What is allowed.
    pub wanted: String,
}

/// The application that a record describes.
///
/// # Errors
/// [`FieldError`].
pub fn application(
    record: &ApplicationRecord,
    state: State,
    now: UnixTime,
) -> Result<Application, FieldError> {
    let id = AppId::new(&record.app).map_err(|error| field("app", error))?;
    let mut cert_names = Vec::new();
    for name in &record.cert_names {
        cert_names.push(AppId::new(name).map_err(|error| field("cert_names", error))?.to_string());
    }
    if cert_names.is_empty() || cert_names.len() > MAX_NAMES {
        return Err(field("cert_names", format_args!("1 to {MAX_NAMES} names")));
    }
    if record.ua.is_empty() || record.ua.len() > MAX_NAMES {
        return Err(field("ua", format_args!("1 to {MAX_NAMES} protocols")));
    }
    let mut ua_classes = Vec::with_capacity(record.ua.len());
    for ua in &record.ua {
        let class: UaClass = ua.parse().map_err(|error| field("ua", format_args!("{error}, not {ua:?}")))?;
        ua_classes.push(class.to_string());
    }
    Ok(Application {
        id,
        provider: record.provider.clone().unwrap_or_default(),
        cert_names,
        protocols: record.protocols.iter().map(|protocol| name(*protocol).to_owned()).collect(),
        ua_classes,
        max_lifetime: seconds("max_lifetime", record.max_lifetime)?,
        kyc_level: record.kyc_level.unwrap_or(0),
        settings: settings(&record.settings)?,
        discloses_identity: record.disclose_identity,
        state,
        withheld: false,
        version: 1,
        created_at: now,
        updated_at: now,
    })
}

/// The record that describes an application.
pub fn described(application: &Application) -> ApplicationRecord {
    ApplicationRecord {
        app: application.id.to_string(),
        provider: Some(application.provider.clone()).filter(|provider| !provider.is_empty()),
        cert_names: application.cert_names.clone(),
        protocols: application.protocols.iter().filter_map(|name| protocol(name)).collect(),
        ua: application.ua_classes.clone(),
        max_lifetime: application.max_lifetime.map(Lifetime::seconds),
        kyc_level: Some(application.kyc_level),
        settings: hex::encode(&application.settings),
        disclose_identity: application.discloses_identity,
    }
}

/// The terms of a grant that a record describes.
///
/// # Errors
/// [`FieldError`].
pub fn terms(record: &GrantRecord) -> Result<Terms, FieldError> {
    Ok(Terms {
        lifetime: seconds("lifetime", record.lifetime)?,
        expires_at: record.expires.map(|expires| expires.0),
        settings: record.settings.as_deref().map(settings).transpose()?,
        local_validity: seconds("local_validity", record.local_validity)?,
        kyc_level: record.kyc_level.unwrap_or(0),
    })
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
            withheld: there.withheld,
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
}

const PROTOCOLS: [(Protocol, &str); 5] = [
    (Protocol::Http, "http"),
    (Protocol::Websocket, "websocket"),
    (Protocol::Mqtt, "mqtt"),
    (Protocol::Coap, "coap"),
    (Protocol::Tcp, "tcp"),
];

fn name(protocol: Protocol) -> &'static str {
    PROTOCOLS.iter().find(|(known, _)| *known == protocol).map_or("", |(_, name)| name)
}

fn protocol(name: &str) -> Option<Protocol> {
    PROTOCOLS.iter().find(|(_, known)| *known == name).map(|(protocol, _)| *protocol)
}

fn field(field: &'static str, wanted: impl ToString) -> FieldError {
    FieldError { field, wanted: wanted.to_string() }
}

fn seconds(name: &'static str, seconds: Option<u32>) -> Result<Option<Lifetime>, FieldError> {
    let lifetime = |seconds| Lifetime::from_seconds(seconds).ok_or_else(|| field(name, "1 to 86400 seconds"));
    seconds.map(lifetime).transpose()
}

fn settings(text: &str) -> Result<Vec<u8>, FieldError> {
    let wrong = || field("settings", format_args!("at most {MAX_SETTINGS} octets, as hex digits"));
    let octets = hex::decode(text).map(|octets| octets.expose().to_vec());
    octets.filter(|octets| octets.len() <= MAX_SETTINGS).ok_or_else(wrong)
}
