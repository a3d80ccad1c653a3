//! Bodies of answers: whole, or streamed line by line.

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    body::{Body, Frame, SizeHint},
    header::{CONTENT_TYPE, HeaderValue},
};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::{mpsc, oneshot};

/// Lines that may wait for a slow reader; then whoever writes them waits too.
pub const WAITING_LINES: usize = 4096;
/// The same of larger pieces.
pub const WAITING_PIECES: usize = 4;

/// The body of an answer.
#[derive(Debug)]
pub struct Answer(Content);

#[derive(Debug)]
enum Content {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>, oneshot::Receiver<()>),
}

/// An answer without content.
pub fn empty(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer(Content::Whole(None)));
    *response.status_mut() = status;
    response
}

/// An answer that is there already.
pub fn whole(status: StatusCode, kind: &'static str, octets: Vec<u8>) -> Response<Answer> {
    let mut response = Response::new(Answer(Content::Whole(Some(octets.into()))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// An answer that is still being written. It ends when the sender is dropped: as a whole one if that was said before,
/// otherwise the connection breaks off, so that nobody takes a part for the whole. So many pieces may wait to be read.
pub fn stream(waiting: usize) -> (mpsc::Sender<Bytes>, Ending, Answer) {
    let (sender, receiver) = mpsc::channel(waiting);
    let (ending, ended) = oneshot::channel();
    (sender, Ending(ending), Answer(Content::Stream(receiver, ended)))
}

/// Says how a stream ends.
#[derive(Debug)]
pub struct Ending(oneshot::Sender<()>);

impl Ending {
    /// Everything was written. To be said before the sender is dropped.
    pub fn whole(self) {
        // Whoever no longer reads needs no end.
        let _ = self.0.send(());
    }
}

impl Answer {
    /// Its octets, unless they are still being written.
    pub const fn octets(&self) -> Option<&Bytes> {
        match &self.0 {
            Content::Whole(Some(octets)) => Some(octets),
            _ => None,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut self.0 {
            Content::Whole(octets) => Poll::Ready(octets.take().map(|octets| Ok(Frame::data(octets)))),
            Content::Stream(pieces, ended) => match pieces.poll_recv(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                Poll::Ready(None) if ended.try_recv().is_ok() => {
                    self.0 = Content::Whole(None);
                    Poll::Ready(None)
                }
                Poll::Ready(None) => Poll::Ready(Some(Err(io::Error::other("the answer broke off")))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(octets) => SizeHint::with_exact(octets.as_ref().map_or(0, |o| o.len() as u64)),
            Content::Stream(..) => SizeHint::default(),
        }
    }
}
