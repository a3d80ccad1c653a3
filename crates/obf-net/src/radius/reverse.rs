//! What a server asks in reverse on its clients' connections, handed on over a channel: for clients whose handler needs
//! the link itself, and so can only come to be after it.

use super::{Handler, LinkEvents, Origin};
use obf_radius::Request;
use tokio::sync::{mpsc, oneshot};

/// Requests waiting to be taken from the channel. A connection has 256 in flight at most; beyond this they wait there.
const WAITING: usize = 256;

/// A request of a server, and the way back for its answer.
#[derive(Debug)]
pub struct ReverseRequest<T> {
    /// Whose it is: what its client's [`Forward`] was made with.
    pub from: T,
    /// The request.
    pub request: Request,
    /// The connection that it came on.
    pub origin: Origin,
    answer: oneshot::Sender<Vec<u8>>,
}

impl<T> ReverseRequest<T> {
    /// Sends the reply packet, made with [`Request::reply`]. Dropping the request instead stays silent.
    pub fn answer(self, reply: Vec<u8>) {
        // An error: the connection has ended, and the server will ask again on the next one.
        drop(self.answer.send(reply));
    }
}

/// The channel's other end. `None` from it: every client is gone.
pub type ReverseRequests<T> = mpsc::Receiver<ReverseRequest<T>>;

/// Hands every request on. One for each client, all into one channel: `from` says whose a request is.
#[derive(Clone, Debug)]
pub struct Forward<T> {
    from: T,
    requests: mpsc::Sender<ReverseRequest<T>>,
}

/// A channel for what servers ask in reverse; [`Forwarder::of`] for each client.
pub fn reverse_requests<T>() -> (Forwarder<T>, ReverseRequests<T>) {
    let (requests, receiver) = mpsc::channel(WAITING);
    (Forwarder { requests }, receiver)
}

/// Makes a [`Forward`] for each client.
#[derive(Debug)]
pub struct Forwarder<T> {
    requests: mpsc::Sender<ReverseRequest<T>>,
}

impl<T> Forwarder<T> {
    /// For the client of that server.
    pub fn of(&self, from: T) -> Forward<T> {
        Forward { from, requests: self.requests.clone() }
    }
}

impl<T: Clone + Send + Sync + 'static> Handler for Forward<T> {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        let request = ReverseRequest { from: self.from.clone(), request, origin, answer };
        // Either end of the channel gone, or the request dropped: silence, and the server will ask again.
        self.requests.send(request).await.ok()?;
        answered.await.ok()
    }
}

impl<T: Clone + Send + Sync + 'static> LinkEvents for Forward<T> {}
