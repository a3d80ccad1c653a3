//! The tracking server: an application on the SDK, and the AIS-140 codec. It knows nothing of AKA, SIMs or operators.

use crate::failure::Failure;
use obf_ais140::{Command, Dialect, Message, Receiver, Refused};
use obf_app::{Application, Listener, ListenerSettings, Session};
use obf_net::Running;
use obf_token::TokenId;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

/// A device that sends nothing for so long has paused: a frame without an end mark is complete then.
const PAUSE: Duration = Duration::from_millis(50);
/// What does not happen within this does not happen.
const PATIENCE: Duration = Duration::from_secs(5);

/// A device that has proved its token, as the server has it.
pub struct Conversation {
    /// The token.
    pub token: TokenId,
    /// Commands to the device.
    pub commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
}

/// What the server sees of a device.
#[derive(Debug)]
pub enum Event {
    /// A frame was decoded, or refused by a field.
    Report(Result<Message, Refused>),
    /// The connection is over, and how many packets were ignored for their checksum.
    Closed {
        /// Ignored packets (U12).
        ignored: u64,
    },
}

/// A listener for one device type: its frames have one dialect.
pub struct DeviceType {
    /// The registration.
    pub dialect: Dialect,
    /// Where such devices connect.
    pub address: SocketAddr,
    conversations: mpsc::Receiver<Conversation>,
}

impl DeviceType {
    /// Listens for devices of this type.
    ///
    /// # Errors
    /// No socket, or OpenSSL lacks PSK.
    pub async fn listen(
        application: &Application,
        dialect: Dialect,
        running: &Running,
    ) -> Result<Self, Failure> {
        let settings = ListenerSettings::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener =
            application.listen(settings, running).await.map_err(|error| Failure::other("listen", error))?;
        let address = listener.address();
        let (sender, conversations) = mpsc::channel(64);
        running.spawn(serve(listener, dialect.clone(), sender, running.clone()));
        Ok(Self { dialect, address, conversations })
    }

    /// The next device that has proved its token.
    ///
    /// # Errors
    /// None within 5 s.
    pub async fn accept(&mut self) -> Result<Conversation, Failure> {
        within(self.conversations.recv(), "the tracking server saw no device").await
    }

    /// Whether every device that came has been accepted.
    pub fn is_quiet(&self) -> bool {
        self.conversations.is_empty()
    }
}

impl Conversation {
    /// What happens next.
    ///
    /// # Errors
    /// Nothing within 5 s.
    pub async fn event(&mut self) -> Result<Event, Failure> {
        within(self.events.recv(), "the tracking server heard nothing").await
    }
}

async fn within<T>(next: impl Future<Output = Option<T>>, otherwise: &str) -> Result<T, Failure> {
    let next = tokio::time::timeout(PATIENCE, next).await.ok().flatten();
    next.ok_or_else(|| Failure::other("silence", format_args!("{otherwise} within {} s", PATIENCE.as_secs())))
}

async fn serve(
    mut listener: Listener,
    dialect: Dialect,
    conversations: mpsc::Sender<Conversation>,
    running: Running,
) {
    while let Some(session) = listener.accept().await {
        let (commands, to_send) = mpsc::channel(16);
        let (sender, events) = mpsc::channel(1024);
        let conversation = Conversation { token: session.token.clone(), commands, events };
        running.spawn(converse(session, dialect.clone(), sender, to_send));
        let _ = conversations.send(conversation).await;
    }
}

async fn converse(
    session: Session,
    dialect: Dialect,
    events: mpsc::Sender<Event>,
    mut to_send: mpsc::Receiver<Command>,
) {
    let (mut from_device, mut to_device) = tokio::io::split(session.stream);
    let mut receiver = Receiver::new(dialect);
    let mut buffer = vec![0; 4096];
    loop {
        tokio::select! {
            read = tokio::time::timeout(PAUSE, from_device.read(&mut buffer)) => match read {
                Err(_) => {
                    if let Some(report) = receiver.flush() {
                        let _ = events.send(Event::Report(report)).await;
                    }
                }
                Ok(Ok(count @ 1..)) => {
                    for report in receiver.push(buffer.get(..count).unwrap_or_default()) {
                        let _ = events.send(Event::Report(report)).await;
                    }
                }
                Ok(_) => break,
            },
            Some(command) = to_send.recv() => {
                if to_device.write_all(command.to_line().as_bytes()).await.is_err() || to_device.flush().await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = events.send(Event::Closed { ignored: receiver.ignored() }).await;
}
