//! Application Server SDK (SPEC A1–A3, N2's counterpart of a 3GPP NAF): devices come in over TLS-PSK (RPA), their keys
//! are fetched from the Authentication Server (RPO), and what ends there ends here within a second.
//!
//! Reading order: [`directory`] (the Authentication Servers that a process knows; one link to each, shared by all its
//! applications), [`application`] (its keys and sessions under each of them), [`listener`] (devices come in:
//! [`Listener::accept`] gives a [`Session`]), [`http`] (plain hyper on a listener). Inside: `link` and `members` (what is
//! asked and told on a link), `app_keys`, `keys`, `sessions` (what one application has from one Authentication Server).
//!
//! Two operators, two applications, one listener:
//!
//! ```no_run
//! use obf_app::{AppId, Application, ApplicationSettings, AsDirectory, AsSettings, Domain, Listener, ListenerSettings};
//! use obf_net::{Clock, Stopper, SystemClock, radius::TlsClientSettings};
//! use std::sync::Arc;
//!
//! # async fn example(one: TlsClientSettings, two: TlsClientSettings) -> Result<(), Box<dyn std::error::Error>> {
//! let stopper = Stopper::new();
//! let clock: Arc<dyn Clock> = Arc::new(SystemClock);
//! let servers = vec![
//!     AsSettings::new(Domain::new("as.one.example")?, one),
//!     AsSettings::new(Domain::new("as.two.example")?, two),
//! ];
//! let servers = AsDirectory::start(servers, &clock, &stopper.running())?;
//! let applications = ["track.example", "fleet.example"]
//!     .map(|id| Ok::<_, obf_app::NameError>(Application::new(ApplicationSettings::new(AppId::new(id)?), &servers)))
//!     .into_iter()
//!     .collect::<Result<Vec<_>, _>>()?;
//! let settings = ListenerSettings::new("0.0.0.0:4433".parse()?);
//! let mut listener = Listener::bind(applications, settings, &stopper.running()).await?;
//! while let Some(mut session) = listener.accept().await {
//!     tokio::spawn(async move {
//!         let (mut reader, mut writer) = tokio::io::split(&mut session.stream);
//!         tokio::io::copy(&mut reader, &mut writer).await
//!     });
//! }
//! # Ok(())
//! # }
//! ```

pub mod application;
pub mod directory;
pub mod http;
pub mod listener;

mod app_keys;
mod keys;
mod link;
mod members;
mod pace;
mod sessions;

pub use app_keys::NoKey;
pub use application::{Application, ApplicationSettings, Grant, Refused, ServerState};
pub use directory::{AsDirectory, AsSettings, DirectoryError};
pub use listener::{ListenError, Listener, ListenerSettings, Session, SessionStream};
pub use obf_radius::Vendor;
pub use obf_rpa::LocalPolicy;
pub use obf_types::{AppId, Domain, NameError};
