//! Application Server SDK (SPEC A1–A3, N2's counterpart of a 3GPP NAF): devices come in over TLS-PSK (RPA), their keys
//! are fetched from the Authentication Server (RPO), and what ends there ends here within a second.
//!
//! Reading order: [`application`] (one application and its link to the Authentication Server), [`listener`] (devices
//! come in: [`Listener::accept`] gives a [`Session`]), [`http`] (plain hyper on a listener), [`config`] and [`node`]
//! (a small application server of its own: `obf app run`).
//!
//! ```no_run
//! # async fn example(application: obf_app::Application, running: obf_net::Running) -> std::io::Result<()> {
//! let settings = obf_app::ListenerSettings::new("0.0.0.0:4433".parse().unwrap());
//! let mut listener = application.listen(settings, &running).await.map_err(std::io::Error::other)?;
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
pub mod config;
pub mod http;
pub mod listener;
pub mod node;

mod keys;
mod link;
mod sessions;

pub use application::{Application, ApplicationSettings, Refused};
pub use config::{Config, ConfigError, Service};
pub use listener::{ListenError, Listener, ListenerSettings, Session, SessionStream};
pub use node::{Handle, StartError, start};
pub use obf_net::Environment;
pub use obf_radius::Vendor;
pub use obf_rpa::LocalPolicy;
