//! What goes wrong on purpose: arranged around the nodes, never in them.

use clap::ValueEnum;

/// One thing that is not as it should be. The story must end at the step that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sabotage {
    /// The vehicle's secure element holds another K than the operator.
    WrongKey,
    /// The vehicle is not granted the application.
    NoGrant,
    /// The network between Resource and Authentication Server loses every Disconnect-Request.
    DisconnectDropped,
    /// Somebody wipes the Authentication Server's memory of used challenges.
    ReplayAllowed,
    /// Somebody changes one bit between vehicle and tracking server.
    MessageAltered,
    /// The clock stands still.
    ClockFrozen,
}
