//! One RADIUS/TLS connection, both directions (RFC 6613, 6614, 9765): packets cut out of the stream, replies matched to
//! requests, a watchdog. Nothing is repeated on it.

use crate::{Code, Framing, HEADER, MAX_PACKET, Packet, ParseError, Pending, Rejected, Reply, Request};
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

/// Why the connection must be closed (RFC 6613 2.6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// A packet that is malformed or not authentic: the octets behind it mean nothing.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The other end has not answered the watchdog.
    #[error("the other end does not answer")]
    Dead,
}

/// A packet of the other end.
#[derive(Debug)]
pub enum Inbound<T> {
    /// It asks; answer with [`Request::reply`].
    Request(Request),
    /// It answers the request with that tag.
    Reply(T, Reply),
}

/// No identifier is free on this connection: take another one. The tag comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// When a connection is asked whether it lives, and for how long it may stay silent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// Silence after which Status-Server is sent.
    pub interval: Duration,
    /// Silence after that, at the end of which the connection is taken for dead.
    pub patience: Duration,
}

impl Default for Watchdog {
    /// Asked after 10 s, dead after 10 s more.
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), patience: Duration::from_secs(10) }
    }
}

/// The state of one connection. `T` is the caller's tag of a request.
pub struct StreamConnection<T> {
    framing: Framing,
    watchdog: Watchdog,
    inbox: Vec<u8>,
    read: usize,
    open: HashMap<u32, Open<T>>,
    deadlines: BTreeSet<(Duration, u32)>,
    next_id: u32,
    heard: Duration,
    asked: Option<Duration>,
    scratch: Vec<u8>,
}

impl<T> core::fmt::Debug for StreamConnection<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StreamConnection {{ {:?}, {} in flight }}", self.framing, self.open.len())
    }
}

struct Open<T> {
    /// `None`: nobody waits for the reply any more, but its identifier is taken until it comes (or the watchdog's).
    tag: Option<T>,
    pending: Pending,
    deadline: Duration,
}

/// The identifier that is kept for the watchdog (RFC 6613 2.6.5).
const WATCHDOG_ID: u32 = 0;

impl<T> StreamConnection<T> {
    /// A connection just established at `now`.
    pub fn new(framing: Framing, watchdog: Watchdog, now: Duration) -> Self {
        Self {
            framing,
            watchdog,
            inbox: Vec::new(),
            read: 0,
            open: HashMap::new(),
            deadlines: BTreeSet::new(),
            next_id: WATCHDOG_ID,
            heard: now,
            asked: None,
            scratch: Vec::new(),
        }
    }

    /// Appends a request to `out`. It has to be answered before `deadline`.
    ///
    /// # Errors
    /// [`Full`] with 255 requests in flight (65,535 with radius/1.1).
    pub fn send(
        &mut self,
        tag: T,
        code: Code,
        attributes: &[u8],
        random: [u8; 16],
        deadline: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Full<T>> {
        let window = self.framing.window();
        if self.open.len() + usize::from(!self.open.contains_key(&WATCHDOG_ID)) >= window {
            return Err(Full(tag));
        }
        loop {
            self.next_id = (self.next_id + 1) % window as u32;
            if self.next_id != WATCHDOG_ID && !self.open.contains_key(&self.next_id) {
                break;
            }
        }
        let id = self.next_id;
        let pending = Pending::begin(&self.framing, code, id, random, attributes, &mut self.scratch);
        out.extend_from_slice(&self.scratch);
        self.deadlines.insert((deadline, id));
        self.open.insert(id, Open { tag: Some(tag), pending, deadline });
        Ok(())
    }

    /// Octets have come.
    pub fn received(&mut self, now: Duration, octets: &[u8]) {
        self.heard = now;
        self.inbox.drain(..self.read);
        self.read = 0;
        self.inbox.extend_from_slice(octets);
    }

    /// The next packet out of what has come; call until `None` each time, so that less than a packet stays here.
    ///
    /// # Errors
    /// [`StreamError`]: close the connection.
    pub fn next_packet(&mut self) -> Result<Option<Inbound<T>>, StreamError> {
        loop {
            let rest = self.inbox.get(self.read..).unwrap_or_default();
            let &[_, _, high, low, ..] = rest else { return Ok(None) };
            let length = u16::from_be_bytes([high, low]);
            if !(HEADER..=MAX_PACKET).contains(&usize::from(length)) {
                return Err(Rejected::Malformed(ParseError::Length(length)).into());
            }
            let Some(octets) = rest.get(..usize::from(length)) else { return Ok(None) };
            self.read += octets.len();
            let packet = match Packet::parse(octets) {
                Ok(packet) => packet,
                Err(ParseError::Code(_)) => continue,
                Err(error) => return Err(Rejected::Malformed(error).into()),
            };
            if packet.code().is_request() {
                return Ok(Some(Inbound::Request(Request::authenticate(&self.framing, octets)?)));
            }
            let id = match self.framing {
                Framing::V10 { .. } => packet.identifier().into(),
                Framing::V11 => packet.token(),
            };
            // A reply to nothing is no offence: it may be late to a connection's former user (RFC 6613 2.6.4).
            let Some(open) = self.open.get(&id) else { continue };
            let reply = open.pending.accept(&self.framing, octets)?;
            let Some(open) = self.open.remove(&id) else { continue };
            self.deadlines.remove(&(open.deadline, id));
            self.asked = None;
            if let Some(tag) = open.tag {
                return Ok(Some(Inbound::Reply(tag, reply)));
            }
        }
    }

    /// Sends the watchdog's question when it is time: appended to `out`.
    ///
    /// # Errors
    /// [`StreamError::Dead`] if it was not answered.
    pub fn watch(&mut self, now: Duration, random: [u8; 16], out: &mut Vec<u8>) -> Result<(), StreamError> {
        let silent_since = self.asked.map_or(self.heard, |asked| asked.max(self.heard));
        let silence = now.saturating_sub(silent_since);
        match self.asked {
            Some(_) if silence >= self.watchdog.patience => Err(StreamError::Dead),
            None if silence >= self.watchdog.interval => {
                let code = Code::StatusServer;
                let pending =
                    Pending::begin(&self.framing, code, WATCHDOG_ID, random, &[], &mut self.scratch);
                out.extend_from_slice(&self.scratch);
                self.open.insert(WATCHDOG_ID, Open { tag: None, pending, deadline: Duration::MAX });
                self.asked = Some(now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A request whose deadline has passed; call until `None`. Its identifier stays taken until the reply comes.
    pub fn expire(&mut self, now: Duration) -> Option<T> {
        loop {
            let &(deadline, id) = self.deadlines.first()?;
            if deadline > now {
                return None;
            }
            self.deadlines.pop_first();
            if let Some(tag) = self.open.get_mut(&id).and_then(|open| open.tag.take()) {
                return Some(tag);
            }
        }
    }

    /// When [`StreamConnection::watch`] or [`StreamConnection::expire`] has something to do next.
    pub fn deadline(&self) -> Duration {
        let watch = match self.asked {
            Some(asked) => asked.max(self.heard) + self.watchdog.patience,
            None => self.heard + self.watchdog.interval,
        };
        self.deadlines.first().map_or(watch, |(deadline, _)| (*deadline).min(watch))
    }

    /// When octets last came.
    pub const fn last_heard(&self) -> Duration {
        self.heard
    }

    /// Requests that somebody waits for.
    pub fn in_flight(&self) -> usize {
        self.deadlines.len()
    }

    /// The connection is gone: the tags of what was in flight, to be asked elsewhere.
    pub fn close(self) -> impl Iterator<Item = T> {
        self.open.into_values().filter_map(|open| open.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AttributeWriter;
    use proptest::prelude::*;

    const fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    fn pair(framing: &Framing) -> [StreamConnection<u32>; 2] {
        [framing, framing]
            .map(|framing| StreamConnection::new(framing.clone(), Watchdog::default(), seconds(100)))
    }

    /// Hands octets over in pieces; answers requests at once into `back`; gives the tags that were answered.
    fn deliver(
        to: &mut StreamConnection<u32>,
        octets: &[u8],
        piece: usize,
        back: &mut Vec<u8>,
    ) -> Result<Vec<u32>, StreamError> {
        let mut answered = Vec::new();
        for piece in octets.chunks(piece) {
            to.received(seconds(100), piece);
            while let Some(inbound) = to.next_packet()? {
                match inbound {
                    Inbound::Reply(tag, _) => answered.push(tag),
                    Inbound::Request(request) => {
                        let code = match request.code() {
                            Code::DisconnectRequest => Code::DisconnectAck,
                            _ => Code::AccessAccept,
                        };
                        let mut reply = Vec::new();
                        request.reply(code, &mut reply).finish();
                        back.extend(reply);
                    }
                }
            }
        }
        Ok(answered)
    }

    #[test]
    fn rfc6613_a_connection_carries_255_requests_and_the_watchdog_and_counts_each_direction_by_itself() {
        let [mut application, mut server] = pair(&Framing::radsec());
        let (mut there, mut back, mut reverse, mut acks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for tag in 0..255 {
            application
                .send(tag, Code::AccessRequest, &[1, 3, b'x'], [tag as u8; 16], seconds(110), &mut there)
                .unwrap();
            server.send(tag, Code::DisconnectRequest, &[], [0; 16], seconds(110), &mut reverse).unwrap();
        }
        let more = application.send(255, Code::AccessRequest, &[], [1; 16], seconds(110), &mut there);
        assert_eq!(more, Err(Full(255)));
        application.watch(seconds(111), [9; 16], &mut there).unwrap();
        assert_eq!(deliver(&mut server, &there, 1000, &mut back), Ok(vec![]));
        assert_eq!(deliver(&mut application, &reverse, 1000, &mut acks), Ok(vec![]));
        assert_eq!(
            deliver(&mut application, &back, 7, &mut Vec::new()).unwrap(),
            (0..255).collect::<Vec<_>>()
        );
        assert_eq!(deliver(&mut server, &acks, 7, &mut Vec::new()).unwrap().len(), 255);
        assert_eq!((application.in_flight(), server.in_flight()), (0, 0));
    }

    #[test]
    fn rfc6613_2_6_4_what_is_not_authentic_closes_the_connection() {
        let [mut application, mut server] = pair(&Framing::radsec());
        let mut there = Vec::new();
        application.send(1, Code::AccessRequest, &[1, 3, b'x'], [1; 16], seconds(110), &mut there).unwrap();
        let mut bad = there.clone();
        bad[38] ^= 1;
        assert!(deliver(&mut server, &bad, 9, &mut Vec::new()).is_err());
        let [_, mut server] = pair(&Framing::radsec());
        assert!(deliver(&mut server, &[1, 1, 0, 19, 0], 9, &mut Vec::new()).is_err());
        let [_, mut server] = pair(&Framing::radsec());
        let mut unknown = vec![99, 1, 0, 20];
        unknown.extend([0; 16]);
        unknown.extend(there);
        let mut back = Vec::new();
        assert_eq!(deliver(&mut server, &unknown, 9, &mut back), Ok(vec![]));
        assert_eq!(back.first(), Some(&(Code::AccessAccept as u8)), "an unknown code is skipped");
    }

    #[test]
    fn an_overdue_request_keeps_its_identifier_until_its_reply_comes() {
        let [mut application, mut server] = pair(&Framing::radsec());
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for tag in 0..255 {
            let deadline = seconds(if tag == 3 { 101 } else { 110 });
            application.send(tag, Code::AccessRequest, &[], [tag as u8; 16], deadline, &mut there).unwrap();
        }
        assert_eq!(application.deadline(), seconds(101));
        assert_eq!(application.expire(seconds(100)), None);
        assert_eq!(application.expire(seconds(101)), Some(3));
        assert_eq!(application.expire(seconds(101)), None);
        let again = application.send(3, Code::AccessRequest, &[], [1; 16], seconds(110), &mut there);
        assert_eq!(again, Err(Full(3)));
        deliver(&mut server, &there, 4096, &mut back).unwrap();
        assert_eq!(deliver(&mut application, &back, 4096, &mut Vec::new()).unwrap().len(), 254);
        assert_eq!(application.send(3, Code::AccessRequest, &[], [1; 16], seconds(110), &mut there), Ok(()));
        assert_eq!(application.close().collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn rfc5997_a_silent_connection_is_asked_and_then_dead() {
        let [mut application, mut server] = pair(&Framing::radsec());
        let (mut there, mut back) = (Vec::new(), Vec::new());
        application.watch(seconds(109), [9; 16], &mut there).unwrap();
        assert!(there.is_empty());
        assert_eq!(application.deadline(), seconds(110));
        application.watch(seconds(110), [9; 16], &mut there).unwrap();
        assert_eq!(there.first(), Some(&(Code::StatusServer as u8)));
        let asked_once = there.len();
        application.watch(seconds(119), [9; 16], &mut there).unwrap();
        assert_eq!(there.len(), asked_once);
        deliver(&mut server, &there, 4096, &mut back).unwrap();
        assert_eq!(application.watch(seconds(120), [9; 16], &mut there), Err(StreamError::Dead));
        application.received(seconds(120), &back);
        assert!(application.next_packet().unwrap().is_none());
        assert_eq!(application.watch(seconds(121), [9; 16], &mut there), Ok(()));
        assert_eq!(application.deadline(), seconds(130));
    }

    proptest! {
        #[test]
        fn packets_are_found_however_the_stream_is_cut(piece in 1usize..200, count in 1u32..40, v11: bool) {
            let framing = if v11 { Framing::V11 } else { Framing::radsec() };
            let [mut application, mut server] = pair(&framing);
            let (mut there, mut back, mut attributes) = (Vec::new(), Vec::new(), Vec::new());
            for tag in 0..count {
                let mut writer = AttributeWriter::for_request(&mut attributes);
                writer.put_split(crate::Name::standard(79), &vec![7; tag as usize * 50]).unwrap();
                let random = [tag as u8; 16];
                let code = Code::AccessRequest;
                application.send(tag, code, &attributes, random, seconds(110), &mut there).unwrap();
            }
            prop_assert_eq!(deliver(&mut server, &there, piece, &mut back), Ok(vec![]));
            let answered = deliver(&mut application, &back, piece, &mut Vec::new());
            prop_assert_eq!(answered, Ok((0..count).collect()));
        }

        #[test]
        fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..9000), v11: bool) {
            let framing = if v11 { Framing::V11 } else { Framing::radsec() };
            let [mut connection, _] = pair(&framing);
            let _ = deliver(&mut connection, &octets, 1500, &mut Vec::new());
        }
    }
}
