//! Where sockets are opened: ports that listen, connections out, and the one accept loop.

use crate::{ConnectionLimits, Gate, Permit, Running};
use std::{future::Future, io, net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};

/// A TCP port that listens; port 0 takes a free one.
///
/// # Errors
/// The system's: the address is taken, or not this machine's.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// A UDP port; port 0 takes a free one.
///
/// # Errors
/// The system's, as for [`listen`].
pub async fn listen_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    UdpSocket::bind(address).await
}

/// A TCP connection within `time`, looking the host up included; each of its addresses is tried. Small writes are sent
/// at once.
///
/// # Errors
/// The system's; [`io::ErrorKind::TimedOut`] where nothing answered.
pub async fn connect(to: impl ToSocketAddrs, time: Duration) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(time, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A connection that has come in within the limits.
#[derive(Debug)]
pub struct Incoming {
    /// Its octets.
    pub stream: TcpStream,
    /// The other end.
    pub peer: SocketAddr,
    /// Its place among the connections of the listener: whoever serves it holds it for as long.
    pub permit: Permit,
}

/// Accepts on one port.
#[derive(Debug)]
pub struct AcceptLoop {
    listener: TcpListener,
    gate: Gate,
    running: Running,
}

/// The pause after a connection could not be taken: out of descriptors, mostly, which does not end at once.
const PAUSE: Duration = Duration::from_millis(20);

impl AcceptLoop {
    /// For a port that listens. Connections beyond `limits` are closed at once.
    pub fn new(listener: TcpListener, limits: ConnectionLimits, running: Running) -> Self {
        Self { listener, gate: Gate::new(limits), running }
    }

    /// Serves each connection in a task of the group until the group is told to finish. Cancellation-safe: dropped, it
    /// accepts no more, and what it has accepted goes on.
    pub async fn run<F>(self, serve: impl Fn(Incoming) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        loop {
            let (stream, peer) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of descriptors, or the peer was gone already: neither ends the listener.
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                },
                () = self.running.stopping() => return,
            };
            match self.gate.admit(peer.ip()) {
                Some(permit) => drop(self.running.spawn(serve(Incoming { stream, peer, permit }))),
                None => tracing::debug!(%peer, "connection limit"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Stopper;
    use std::sync::Arc;
    use tokio::{io::AsyncReadExt, sync::Semaphore};

    const LONG: Duration = Duration::from_secs(30);

    /// Beyond the limit a connection is closed unserved; a place that comes back is given again; the end of the loop
    /// ends no connection.
    #[tokio::test]
    async fn connections_are_served_within_the_limits_and_outlive_the_loop() {
        let listener = listen(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stopper, served) = (Stopper::new(), Arc::new(Semaphore::new(0)));
        let limits = ConnectionLimits { total: 1, per_source: 1 };
        let accepting = AcceptLoop::new(listener, limits, stopper.running());
        let counter = Arc::clone(&served);
        stopper.running().spawn(accepting.run(move |mut incoming| {
            counter.add_permits(1);
            async move {
                let _ = incoming.stream.read(&mut [0]).await;
                drop(incoming.permit);
            }
        }));
        let first = connect(address, LONG).await.unwrap();
        served.acquire().await.unwrap().forget();
        let mut second = connect(address, LONG).await.unwrap();
        let read = tokio::time::timeout(LONG, second.read(&mut [0])).await.unwrap();
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert_eq!(served.available_permits(), 0);
        drop(first);
        let again = async {
            while served.available_permits() == 0 {
                let mut next = connect(address, LONG).await.unwrap();
                let _ = tokio::time::timeout(Duration::from_millis(50), next.read(&mut [0])).await;
            }
        };
        tokio::time::timeout(LONG, again).await.unwrap();
        stopper.stop(LONG).await;
        assert!(connect(address, LONG).await.is_err());
    }
}
