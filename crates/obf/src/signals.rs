//! SIGTERM and SIGINT.

use crate::failure::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What ends a server.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Past a limit on the size of files, the write that fails says so, as on a full disk; nobody dies of it.
    _file_too_large: Signal,
}

impl Signals {
    /// From now on they no longer kill the process.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::other("signals", error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            _file_too_large: listen(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// The next of either.
    pub async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
