//! The stream under OpenSSL: while a handshake runs something watches it and may hold octets back; afterwards
//! octets pass straight through.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_openssl::SslStream;

/// What has to finish before the octets just read may be given to OpenSSL.
pub type Hold = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Reads along with a handshake.
pub trait Watch: Send + 'static {
    /// Octets that came.
    fn inbound(&mut self, octets: &[u8]) -> io::Result<Option<Hold>>;

    /// Octets that go; may put an alert of the same length in their place.
    fn outbound(&mut self, octets: &[u8]) -> io::Result<Option<[u8; 7]>>;
}

/// A watched stream.
pub struct Watched<S> {
    inner: S,
    /// Octets read but not yet given to OpenSSL.
    held: Vec<u8>,
    hold: Option<Hold>,
    watch: Option<Box<dyn Watch>>,
}

impl<S> Watched<S> {
    /// `read_already` comes first, as if it had just been read; the watch has seen it.
    pub fn new(inner: S, read_already: Vec<u8>, watch: Box<dyn Watch>) -> Self {
        Self { inner, held: read_already, hold: None, watch: Some(watch) }
    }

    /// The handshake is over.
    fn release(&mut self) {
        self.watch = None;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(hold) = &mut this.hold {
            ready!(hold.as_mut().poll(context));
            this.hold = None;
        }
        if !this.held.is_empty() {
            let (now, later) = this.held.split_at(this.held.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.held = later.to_vec();
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let Some(watch) = &mut this.watch else { return Poll::Ready(Ok(())) };
        let read = buffer.filled().get(before..).unwrap_or_default();
        let Some(mut hold) = watch.inbound(read)? else { return Poll::Ready(Ok(())) };
        if hold.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        this.held = read.to_vec();
        buffer.set_filled(before);
        this.hold = Some(hold);
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let Some(watch) = &mut this.watch else {
            return Pin::new(&mut this.inner).poll_write(context, octets);
        };
        let other = watch.outbound(octets)?;
        Pin::new(&mut this.inner).poll_write(context, other.as_ref().map_or(octets, |alert| alert.as_slice()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// An established TLS-PSK connection: an ordinary stream of octets.
pub struct PskStream<S>(SslStream<Watched<S>>);

impl<S> PskStream<S> {
    pub(super) fn established(mut stream: SslStream<Watched<S>>) -> Self {
        stream.get_mut().release();
        Self(stream)
    }

    /// The stream below TLS.
    pub fn transport(&self) -> &S {
        &self.0.get_ref().inner
    }

    /// The ALPN protocol, if one was agreed on.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.0.ssl().selected_alpn_protocol()
    }

    /// `TLSv1.3` or `TLSv1.2`.
    pub fn version(&self) -> &'static str {
        self.0.ssl().version_str()
    }

    /// The cipher suite, as OpenSSL names it.
    pub fn suite(&self) -> &'static str {
        self.0.ssl().current_cipher().map_or("", |cipher| cipher.name())
    }
}

impl<S> fmt::Debug for PskStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PskStream({} {})", self.version(), self.suite())
    }
}

crate::forward_stream!(PskStream<S>, 0, S: AsyncRead + AsyncWrite + Unpin);
