//! A TCP stream that somebody else can cut at once, whoever is reading or writing it (revocation, expiry).

use socket2::SockRef;
use std::{
    io,
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, ready},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// The stream, for whoever talks on it.
#[derive(Debug)]
pub struct Cuttable(Arc<TcpStream>);

/// Cuts it. Does not keep it open.
#[derive(Clone, Debug)]
pub struct Cutter(Weak<TcpStream>);

impl Cuttable {
    /// Takes a stream over; small writes are sent at once.
    pub fn new(stream: TcpStream) -> Self {
        // Fails only on a connection that is gone, which reading will show.
        let _ = stream.set_nodelay(true);
        Self(Arc::new(stream))
    }

    /// What cuts this stream.
    pub fn cutter(&self) -> Cutter {
        Cutter(Arc::downgrade(&self.0))
    }

    /// The other end's address.
    ///
    /// # Errors
    /// The system's, where the connection is gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

impl Cutter {
    /// Ends the connection now, both directions: reads end, writes fail, the peer sees it closed.
    pub fn cut(&self) {
        if let Some(stream) = self.0.upgrade() {
            // Fails only on a connection that is gone.
            let _ = SockRef::from(&*stream).shutdown(Shutdown::Both);
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write(octets) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}
