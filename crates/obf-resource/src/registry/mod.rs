//! The registry (SPEC R5–R7, C4, C6): what a device, an application and a grant are when they come in, and what is
//! said of them when asked. The storage itself is [`obf_store::resource`].

pub mod administrators;
mod applications;
mod audit;
mod changes;
mod custodians;
mod denials;
mod devices;
mod grants;
mod groups;
mod kyc;
mod record;
mod stakeholders;

pub use applications::{FieldError, application, described, terms};
pub(crate) use devices::envelope;
pub use devices::{Prepared, Registration, Registry, RegistryError};
pub use record::{DeviceRecord, RecordError, RecordSource, technology};
