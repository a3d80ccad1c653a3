//! Read-only connections beside the writer: a few threads, each with its own.

use crate::error::{Failure, StoreError};
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// Reads that may wait; one more is refused as [`StoreError::Overloaded`].
const QUEUE: usize = 16_384;

type Read = Box<dyn FnOnce(&Connection) + Send>;

pub(crate) struct Readers {
    queue: SyncSender<Read>,
}

impl Readers {
    /// Starts a thread for each connection; they end when the last `Readers` is dropped.
    pub fn start(connections: Vec<Connection>) -> Result<(Self, Vec<JoinHandle<()>>), StoreError> {
        let (queue, reads) = sync_channel(QUEUE);
        let reads = Arc::new(Mutex::new(reads));
        let threads = connections.into_iter().map(|connection| {
            let reads = reads.clone();
            std::thread::Builder::new()
                .name("obf-store-read".into())
                .spawn(move || run(&connection, &reads))
                .map_err(|error| StoreError::Io(error.to_string()))
        });
        Ok((Self { queue }, threads.collect::<Result<_, _>>()?))
    }

    pub fn submit<T: Send + 'static, E: Failure>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, E>>, StoreError> {
        let (answer, receiver) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let result = catch_unwind(AssertUnwindSafe(|| work(connection)));
            let _ = answer.send(result.unwrap_or_else(|_| Err(StoreError::Closed.into())));
        });
        self.queue.try_send(read).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })?;
        Ok(receiver)
    }
}

fn run(connection: &Connection, reads: &Mutex<Receiver<Read>>) {
    loop {
        let next = reads.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(read) = next else { return };
        read(connection);
    }
}
