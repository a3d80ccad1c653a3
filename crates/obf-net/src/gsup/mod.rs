//! GSUP towards an HLR: one connection, kept up in the background, with many requests in flight.
//!
//! [`GsupClient`] is what is asked; the connection's task is in `link`. While no connection can be had requests fail
//! at once, with the reason, so that nobody waits for an HLR that is away. What may be in flight is bounded
//! ([`Limits::requests`]): an HLR that is slow holds up only so many.

mod link;

use crate::Running;
use obf_gsup::{Failure, Limits, PeerName, SendAuthInfoRequest, SendAuthInfoResult};
use std::{net::SocketAddr, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// Requests that wait for the connection's task to take them.
const QUEUE: usize = 64;
/// How often a request is asked again where its connection ended.
const TRIES: u32 = 3;

/// How to reach the HLR.
#[derive(Clone, Debug)]
pub struct GsupClientSettings {
    /// Its GSUP port; 4222 is osmo-hlr's.
    pub address: SocketAddr,
    /// What we call ourselves. The HLR keeps an IND for each name, so each node has its own.
    pub name: PeerName,
    /// For connecting, until the HLR has asked who is there.
    pub connect_time: Duration,
    /// The longest pause between attempts; the first is 50 ms, doubling.
    pub backoff: Duration,
    /// Signs of life, and how much at once.
    pub limits: Limits,
}

impl GsupClientSettings {
    /// 2 s to connect, at most 1 s between attempts, [`Limits::default`].
    pub fn new(address: SocketAddr, name: PeerName) -> Self {
        let (connect_time, backoff) = (Duration::from_secs(2), Duration::from_secs(1));
        Self { address, name, connect_time, backoff, limits: Limits::default() }
    }
}

/// Why an HLR gave no vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GsupError {
    /// There is no connection and none can be had.
    #[error("the HLR at {address} is away: {reason}")]
    Away {
        /// Where it should be.
        address: SocketAddr,
        /// Why it is not.
        reason: String,
    },
    /// The connection ended before the answer.
    #[error("the connection to the HLR ended before its answer")]
    Ended,
    /// No answer in time.
    #[error("the HLR did not answer in time")]
    NoAnswer,
    /// As many requests as may be are in flight.
    #[error("too many requests wait for the HLR")]
    Overloaded,
    /// It answered, but not with vectors.
    #[error(transparent)]
    Answered(#[from] Failure),
}

/// A client of one HLR. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GsupClient {
    address: SocketAddr,
    state: watch::Receiver<State>,
    requests: mpsc::Sender<QueuedRequest>,
}

/// Whether the HLR can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Soon, perhaps: the first attempt, or the first one after a connection was lost.
    Connecting,
    Connected,
    /// Attempts go on, but fail.
    Away(String),
}

/// A request and who waits for its answer.
struct QueuedRequest {
    request: SendAuthInfoRequest,
    answer: oneshot::Sender<Result<SendAuthInfoResult, GsupError>>,
}

impl GsupClient {
    /// Connects in the background and stays connected until the group of `running` is told to finish and nothing is
    /// in flight.
    pub fn start(settings: GsupClientSettings, running: &Running) -> Self {
        let (sender, state) = watch::channel(State::Connecting);
        let (requests, asked) = mpsc::channel(QUEUE);
        let address = settings.address;
        let group = running.clone();
        running.spawn(async move { link::Keeper::new(settings, sender, asked).run(&group).await });
        Self { address, state, requests }
    }

    /// Asks for vectors, within `time` in all. A request whose connection ended is asked again on the next one; not so
    /// a resynchronisation, which the HLR may have acted on already.
    ///
    /// # Errors
    /// [`GsupError`].
    pub async fn send_auth_info(
        &self,
        request: SendAuthInfoRequest,
        time: Duration,
    ) -> Result<SendAuthInfoResult, GsupError> {
        tokio::time::timeout(time, self.ask(request)).await.unwrap_or(Err(GsupError::NoAnswer))
    }

    /// Resolves when the HLR can be asked; not at all if it never can.
    pub async fn connected(&self) {
        let mut state = self.state.clone();
        if state.wait_for(|state| *state == State::Connected).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the HLR can be asked now.
    pub fn is_connected(&self) -> bool {
        *self.state.borrow() == State::Connected
    }

    async fn ask(&self, request: SendAuthInfoRequest) -> Result<SendAuthInfoResult, GsupError> {
        let tries = if request.resynchronisation.is_some() { 1 } else { TRIES };
        for _ in 0..tries {
            self.settled().await?;
            let (answer, answered) = oneshot::channel();
            let asked = QueuedRequest { request: request.clone(), answer };
            self.requests.send(asked).await.map_err(|_| self.stopped())?;
            if let Ok(outcome) = answered.await {
                return outcome;
            }
        }
        Err(GsupError::Ended)
    }

    /// Waits out a first attempt to connect.
    async fn settled(&self) -> Result<(), GsupError> {
        let mut state = self.state.clone();
        let settled = state.wait_for(|state| *state != State::Connecting).await;
        match settled.as_deref() {
            Ok(State::Away(reason)) => Err(GsupError::Away { address: self.address, reason: reason.clone() }),
            Ok(_) => Ok(()),
            Err(_) => Err(self.stopped()),
        }
    }

    fn stopped(&self) -> GsupError {
        GsupError::Away { address: self.address, reason: "this node is stopping".to_owned() }
    }
}
