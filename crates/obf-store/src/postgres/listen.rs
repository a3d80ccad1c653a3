//! What other nodes say through the database (LISTEN), heard on a connection of its own.

use super::{PostgresOptions, open};
use crate::StoreError;
use postgres::{Client, Config, fallible_iterator::FallibleIterator};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// How often the thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(500);
/// Between two attempts to connect: at first, and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Hears a channel until it is dropped, over as many connections as it takes.
pub(crate) struct Listener {
    heard: Arc<Notify>,
    over: Arc<AtomicBool>,
}

impl Listener {
    /// Starts to listen, on a thread.
    pub fn start(options: &PostgresOptions, channel: &'static str) -> Result<Self, StoreError> {
        let listener = Self { heard: Arc::default(), over: Arc::default() };
        let (heard, over) = (listener.heard.clone(), listener.over.clone());
        let config = options.config.clone();
        std::thread::Builder::new()
            .name("obf-store-listen".into())
            .spawn(move || run(&config, channel, &heard, &over))
            .map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(listener)
    }

    /// Waits until something is said, or may have been while nobody could hear it. Several sayings may be one.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The thread ends by itself, soon: it has nothing to hand over.
        self.over.store(true, Ordering::Relaxed);
    }
}

fn run(config: &Config, channel: &str, heard: &Notify, over: &AtomicBool) {
    let mut pause = AGAIN.0;
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut client) = open(config)
            && client.batch_execute(&format!("LISTEN {channel}")).is_ok()
        {
            pause = AGAIN.0;
            // What was said before this connection listened has been missed: look.
            heard.notify_one();
            listen(&mut client, heard, over);
        }
        // Whoever waits looks by itself meanwhile, and says what is wrong.
        std::thread::sleep(pause);
        pause = (2 * pause).min(AGAIN.1);
    }
}

/// Until the connection is lost.
fn listen(client: &mut Client, heard: &Notify, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) && !client.is_closed() {
        match client.notifications().timeout_iter(LOOK).next() {
            Ok(Some(_)) => heard.notify_one(),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}
