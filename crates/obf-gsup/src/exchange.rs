//! The client's state on one connection: identity, signs of life, which request an answer belongs to.
//!
//! GSUP has no transaction identifier: an answer names only the IMSI. So each IMSI has one request on the wire and the
//! others behind it in turn, and a request that nobody waits for any more keeps its turn until its answer came:
//! otherwise that answer would be taken for the next request's.

use crate::{
    Cause, Ccm, DecodeError, Frame, Imsi, Message, PeerName, SendAuthInfoError, SendAuthInfoRequest,
    SendAuthInfoResult, ccm::CcmError, error::Undecodable,
};
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::Duration,
};

/// Limits of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Silence of the HLR after which it is asked for a sign of life.
    pub heartbeat: Duration,
    /// How long it may take for its first word, a sign of life or an answer; then the connection is taken for dead.
    pub patience: Duration,
    /// Requests on the connection, those that wait for their turn included.
    pub requests: usize,
    /// Requests of one IMSI that wait for their turn.
    pub waiting_for_one: usize,
}

impl Default for Limits {
    /// Asked after 5 s, dead after 5 s; 256 requests, 8 of them for one IMSI.
    fn default() -> Self {
        let (heartbeat, patience) = (Duration::from_secs(5), Duration::from_secs(5));
        Self { heartbeat, patience, requests: 256, waiting_for_one: 8 }
    }
}

/// Who waits for an answer.
pub trait Waiter {
    /// Nobody waits any more: the request need not be sent.
    fn is_gone(&self) -> bool;
}

/// Why there are no vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The HLR said no.
    #[error("the HLR refused: {0}")]
    Refused(Cause),
    /// It said something that cannot be read.
    #[error("the HLR's answer cannot be read: {0}")]
    Malformed(DecodeError),
}

/// Too many requests; the waiter comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<W>(pub W);

/// Why a connection is taken for dead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dead {
    /// The peer has not asked who is there: it may not be an HLR.
    #[error("no identity request came: is this the GSUP port of an HLR?")]
    NoIdentityRequest,
    /// No sign of life.
    #[error("no sign of life")]
    Silent,
    /// It lives but has left a request unanswered.
    #[error("the request for {0} was left unanswered")]
    Unanswered(Imsi),
}

/// What a frame meant.
#[derive(Debug)]
pub enum Event<W> {
    /// Nothing that the caller need know.
    Nothing,
    /// The HLR knows who we are: requests go out from now on.
    Identified,
    /// The answer for somebody.
    Answer(W, Result<SendAuthInfoResult, Failure>),
    /// An answer for an IMSI of which nothing was asked.
    Unasked(Imsi),
    /// A message that cannot be read and belongs to nobody; said for the log.
    Unreadable(Undecodable),
    /// Connection management that cannot be read.
    UnreadableCcm(CcmError),
    /// A message or protocol that is not acted on.
    Ignored,
}

/// The state of one connection. `W` is whoever waits for an answer; times are since the connection's beginning.
#[derive(Debug)]
pub struct Exchange<W> {
    name: PeerName,
    limits: Limits,
    identified: bool,
    turns: HashMap<Imsi, Turns<W>>,
    requests: usize,
    /// What was sent when, in that order; entries of what has been answered are passed over.
    sent: VecDeque<(Duration, u64, Imsi)>,
    next_number: u64,
    heard: Duration,
    asked_for_life: Option<Duration>,
}

#[derive(Debug)]
struct Turns<W> {
    /// On the wire: its number, who waits.
    current: (u64, W),
    waiting: VecDeque<(SendAuthInfoRequest, W)>,
}

impl<W: Waiter> Exchange<W> {
    /// A connection that has just begun, at time zero.
    pub fn new(name: PeerName, limits: Limits) -> Self {
        Self {
            name,
            limits,
            identified: false,
            turns: HashMap::new(),
            requests: 0,
            sent: VecDeque::new(),
            next_number: 0,
            heard: Duration::ZERO,
            asked_for_life: None,
        }
    }

    /// Whether requests may be asked.
    pub const fn is_identified(&self) -> bool {
        self.identified
    }

    /// Whether nothing is waited for.
    pub const fn is_idle(&self) -> bool {
        self.requests == 0
    }

    /// Asks: appends to `out`, or puts the request behind another one of its IMSI.
    ///
    /// # Errors
    /// [`Full`].
    pub fn ask(
        &mut self,
        now: Duration,
        request: SendAuthInfoRequest,
        waiter: W,
        out: &mut Vec<u8>,
    ) -> Result<(), Full<W>> {
        if self.requests >= self.limits.requests {
            return Err(Full(waiter));
        }
        match self.turns.entry(request.imsi.clone()) {
            Entry::Occupied(mut turns) => {
                let waiting = &mut turns.get_mut().waiting;
                let before = waiting.len();
                waiting.retain(|(_, waiter)| !waiter.is_gone());
                self.requests -= before - waiting.len();
                if waiting.len() >= self.limits.waiting_for_one {
                    return Err(Full(waiter));
                }
                waiting.push_back((request, waiter));
            }
            Entry::Vacant(turns) => {
                let number = self.next_number;
                turns.insert(Turns { current: (number, waiter), waiting: VecDeque::new() });
                self.send(now, request, out);
            }
        }
        self.requests += 1;
        Ok(())
    }

    /// Takes a frame of the HLR; appends to `out` what has to be said to it.
    pub fn received(&mut self, now: Duration, frame: Frame<'_>, out: &mut Vec<u8>) -> Event<W> {
        self.heard = now;
        self.asked_for_life = None;
        match frame {
            Frame::Ccm(payload) => match Ccm::read(payload) {
                Ok(message) => self.managed(&message, out),
                Err(error) => Event::UnreadableCcm(error),
            },
            Frame::Gsup(payload) => match Message::read(payload) {
                Ok(Message::SendAuthInfoResult(result)) => {
                    let imsi = result.imsi.clone();
                    self.answered(now, imsi, Ok(result), out)
                }
                Ok(Message::SendAuthInfoError(SendAuthInfoError { imsi, cause })) => {
                    self.answered(now, imsi, Err(Failure::Refused(cause)), out)
                }
                Ok(Message::SendAuthInfoRequest(_) | Message::Other(_)) => Event::Ignored,
                Err(undecodable) => match &undecodable.imsi {
                    Some(imsi) if undecodable.is_answer() && self.turns.contains_key(imsi) => {
                        let failure = Failure::Malformed(undecodable.error);
                        self.answered(now, imsi.clone(), Err(failure), out)
                    }
                    _ => Event::Unreadable(undecodable),
                },
            },
            Frame::Other(_) => Event::Ignored,
        }
    }

    /// To be called now and then: appends to `out` the question for a sign of life when it is due.
    ///
    /// # Errors
    /// [`Dead`]: the connection has to end.
    pub fn watch(&mut self, now: Duration, out: &mut Vec<u8>) -> Result<(), Dead> {
        let Limits { heartbeat, patience, .. } = self.limits;
        if !self.identified && now >= patience {
            return Err(Dead::NoIdentityRequest);
        }
        match self.asked_for_life {
            Some(asked) if now.saturating_sub(asked) >= patience => return Err(Dead::Silent),
            None if self.identified && now.saturating_sub(self.heard) >= heartbeat => {
                self.asked_for_life = Some(now);
                Ccm::Ping.write(out);
            }
            _ => {}
        }
        while let Some((sent, number, imsi)) = self.sent.front() {
            let open = self.turns.get(imsi).is_some_and(|turns| turns.current.0 == *number);
            if open && now.saturating_sub(*sent) >= patience {
                return Err(Dead::Unanswered(imsi.clone()));
            }
            if open {
                break;
            }
            self.sent.pop_front();
        }
        Ok(())
    }

    fn managed(&mut self, message: &Ccm, out: &mut Vec<u8>) -> Event<W> {
        match message {
            Ccm::Ping => Ccm::Pong.write(out),
            Ccm::IdentityRequest => {
                Ccm::IdentityResponse(self.name.clone()).write(out);
                if !self.identified {
                    self.identified = true;
                    return Event::Identified;
                }
            }
            // An acknowledgement is not acknowledged: libosmocore does, and two that did would never stop.
            Ccm::Pong | Ccm::IdentityAck | Ccm::IdentityResponse(_) | Ccm::Other(_) => {}
        }
        Event::Nothing
    }

    fn answered(
        &mut self,
        now: Duration,
        imsi: Imsi,
        outcome: Result<SendAuthInfoResult, Failure>,
        out: &mut Vec<u8>,
    ) -> Event<W> {
        let Some(mut turns) = self.turns.remove(&imsi) else { return Event::Unasked(imsi) };
        self.requests -= 1;
        let (_, waiter) = turns.current;
        while let Some((request, next)) = turns.waiting.pop_front() {
            if next.is_gone() {
                self.requests -= 1;
                continue;
            }
            turns.current = (self.next_number, next);
            self.send(now, request, out);
            self.turns.insert(imsi, turns);
            break;
        }
        Event::Answer(waiter, outcome)
    }

    fn send(&mut self, now: Duration, request: SendAuthInfoRequest, out: &mut Vec<u8>) {
        self.sent.push_back((now, self.next_number, request.imsi.clone()));
        self.next_number += 1;
        Message::SendAuthInfoRequest(request).write(out);
        // What has been answered leaves from the front; `watch` may not come for a while.
        while let Some((_, number, imsi)) = self.sent.front() {
            if self.turns.get(imsi).is_some_and(|turns| turns.current.0 == *number) || self.sent.len() == 1 {
                break;
            }
            self.sent.pop_front();
        }
    }
}
