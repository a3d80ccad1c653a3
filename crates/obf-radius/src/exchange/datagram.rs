//! A client over UDP: identifiers, retransmission (RFC 5080 2.2.1), failover, heartbeat (RFC 5997).

use super::Draw;
use crate::{Code, Framing, Pending, Reply};
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};

/// When a datagram is sent again, and when a server is taken for dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetransmitPolicy {
    /// Wait before the first repetition (IRT); it doubles each time, ±10 %.
    pub initial: Duration,
    /// Longest wait (MRT).
    pub maximum: Duration,
    /// Datagrams to one server before another is asked (MRC).
    pub tries: u32,
    /// Source ports: 256 requests in flight each.
    pub ports: u16,
    /// A server that has not been heard for so long is asked whether it is there, dead or not (Status-Server).
    pub heartbeat: Duration,
}

impl Default for RetransmitPolicy {
    /// 0.5 s, 1 s, 2 s, then the next server; 4 ports; a heartbeat every 10 s.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(500),
            maximum: Duration::from_secs(4),
            tries: 3,
            ports: 4,
            heartbeat: Duration::from_secs(10),
        }
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<T> {
    /// Send the octets that were put into `out` from that source port to that server.
    Send {
        /// Index of the server, in the order given.
        server: usize,
        /// Index of the source port, below [`RetransmitPolicy::ports`].
        port: u16,
    },
    /// No server has answered this request.
    Failed(T),
}

/// No identifier is free; the tag comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy<T>(pub T);

/// Requests to a list of servers, the first that lives being preferred. `T` is the caller's tag of a request.
#[derive(Debug)]
pub struct DatagramClient<T> {
    policy: RetransmitPolicy,
    servers: Vec<Server>,
    exchanges: HashMap<u64, Exchange<T>>,
    due: BTreeSet<(Duration, u64)>,
    next_key: u64,
}

#[derive(Debug)]
struct Server {
    framing: Framing,
    /// The exchange that holds each (port, identifier).
    slots: HashMap<(u16, u8), u64>,
    cursor: u32,
    alive: bool,
    heard: Option<Duration>,
    next_heartbeat: Duration,
    probing: bool,
}

#[derive(Debug)]
struct Exchange<T> {
    /// `None`: a heartbeat of ours.
    tag: Option<T>,
    code: Code,
    attributes: Box<[u8]>,
    tried: Vec<usize>,
    sent: Option<Sent>,
    due: Duration,
}

#[derive(Debug)]
struct Sent {
    server: usize,
    slot: (u16, u8),
    pending: Pending,
    packet: Box<[u8]>,
    first_at: Duration,
    tries: u32,
    wait: Duration,
}

impl<T> DatagramClient<T> {
    /// A client of these servers, in order of preference. Heartbeats begin at `now`.
    pub fn new(policy: RetransmitPolicy, servers: Vec<Framing>, now: Duration) -> Self {
        let server = |framing| Server {
            framing,
            slots: HashMap::new(),
            cursor: 0,
            alive: true,
            heard: None,
            next_heartbeat: now,
            probing: false,
        };
        Self {
            policy,
            servers: servers.into_iter().map(server).collect(),
            exchanges: HashMap::new(),
            due: BTreeSet::new(),
            next_key: 0,
        }
    }

    /// Takes in a request; [`DatagramClient::poll`] sends it. `attributes` as written with
    /// [`crate::AttributeWriter::for_request`].
    ///
    /// # Errors
    /// [`Busy`] when as many are in flight as source ports and identifiers allow.
    pub fn submit(&mut self, now: Duration, tag: T, code: Code, attributes: &[u8]) -> Result<(), Busy<T>> {
        // Each server keeps identifiers free for its heartbeat, so that a failover of everything always has room.
        if self.exchanges.len() + 2 * self.servers.len() >= 256 * usize::from(self.policy.ports) {
            return Err(Busy(tag));
        }
        self.insert(now, Some(tag), code, attributes.into(), Vec::new());
        Ok(())
    }

    /// What to do now; call until `None`. The octets to send are put into `out`, which is emptied.
    pub fn poll(&mut self, now: Duration, draw: Draw<'_>, out: &mut Vec<u8>) -> Option<Action<T>> {
        self.begin_heartbeats(now);
        while let Some(&(due, key)) = self.due.first() {
            if due > now {
                return None;
            }
            self.due.pop_first();
            let Some(mut exchange) = self.exchanges.remove(&key) else { continue };
            if let Some(sent) = &mut exchange.sent {
                if sent.tries < self.policy.tries {
                    sent.tries += 1;
                    sent.wait = (2 * sent.wait).min(self.policy.maximum);
                    exchange.due = now + jittered(sent.wait, draw);
                    out.clear();
                    out.extend_from_slice(&sent.packet);
                    let action = Action::Send { server: sent.server, port: sent.slot.0 };
                    self.keep(key, exchange);
                    return Some(action);
                }
                let (server, first_at) = (sent.server, sent.first_at);
                self.leave(now, key, &mut exchange);
                self.unanswered(now, server, first_at);
            }
            match self.place(now, key, &mut exchange, draw, out) {
                Some(action) => {
                    self.keep(key, exchange);
                    return Some(action);
                }
                None => match exchange.tag {
                    Some(tag) => return Some(Action::Failed(tag)),
                    None => continue,
                },
            }
        }
        None
    }

    /// When [`DatagramClient::poll`] has something to do next.
    pub fn deadline(&self) -> Option<Duration> {
        let heartbeat = self.servers.iter().filter(|server| !server.probing).map(|s| s.next_heartbeat).min();
        self.due.first().map(|(due, _)| *due).into_iter().chain(heartbeat).min()
    }

    /// A datagram has come from a server to one of our source ports. Gives the reply and its request's tag; `None` for
    /// what is no authentic reply to anything open, which is dropped.
    pub fn received(
        &mut self,
        now: Duration,
        server: usize,
        port: u16,
        datagram: &[u8],
    ) -> Option<(T, Reply)> {
        let identifier = *datagram.get(1)?;
        let from = self.servers.get_mut(server)?;
        let key = *from.slots.get(&(port, identifier))?;
        let sent = self.exchanges.get(&key)?.sent.as_ref()?;
        let reply = sent.pending.accept(&from.framing, datagram).ok()?;
        from.slots.remove(&(port, identifier));
        from.alive = true;
        from.heard = Some(now);
        from.next_heartbeat = now + self.policy.heartbeat;
        let exchange = self.exchanges.remove(&key)?;
        self.due.remove(&(exchange.due, key));
        match exchange.tag {
            Some(tag) => Some((tag, reply)),
            None => {
                from.probing = false;
                None
            }
        }
    }

    /// When an authentic packet of that server was last received.
    pub fn last_heard(&self, server: usize) -> Option<Duration> {
        self.servers.get(server)?.heard
    }

    /// Requests in flight, heartbeats included.
    pub fn in_flight(&self) -> usize {
        self.exchanges.len()
    }

    fn insert(
        &mut self,
        due: Duration,
        tag: Option<T>,
        code: Code,
        attributes: Box<[u8]>,
        tried: Vec<usize>,
    ) {
        let key = self.next_key;
        self.next_key += 1;
        self.keep(key, Exchange { tag, code, attributes, tried, sent: None, due });
    }

    fn keep(&mut self, key: u64, exchange: Exchange<T>) {
        self.due.insert((exchange.due, key));
        self.exchanges.insert(key, exchange);
    }

    fn begin_heartbeats(&mut self, now: Duration) {
        for index in 0..self.servers.len() {
            let Some(server) = self.servers.get_mut(index) else { return };
            if server.probing || server.next_heartbeat > now {
                continue;
            }
            server.probing = true;
            server.next_heartbeat = now + self.policy.heartbeat;
            let others = (0..self.servers.len()).filter(|other| *other != index).collect();
            self.insert(now, None, Code::StatusServer, Box::default(), others);
        }
    }

    /// Sends an exchange to the next server it may go to: living ones first.
    fn place(
        &mut self,
        now: Duration,
        key: u64,
        exchange: &mut Exchange<T>,
        draw: Draw<'_>,
        out: &mut Vec<u8>,
    ) -> Option<Action<T>> {
        let untried = |(index, _): &(usize, &Server)| !exchange.tried.contains(index);
        let living = self.servers.iter().enumerate().filter(untried).find(|(_, server)| server.alive);
        let (index, _) = living.or_else(|| self.servers.iter().enumerate().find(untried))?;
        let server = self.servers.get_mut(index)?;
        exchange.tried.push(index);
        let slot = server.free_slot(self.policy.ports)?;
        let mut random = [0; 16];
        draw(&mut random);
        let pending =
            Pending::begin(&server.framing, exchange.code, slot.1.into(), random, &exchange.attributes, out);
        server.slots.insert(slot, key);
        let wait = self.policy.initial;
        exchange.due = now + jittered(wait, draw);
        let packet = out.as_slice().into();
        exchange.sent = Some(Sent { server: index, slot, pending, packet, first_at: now, tries: 1, wait });
        Some(Action::Send { server: index, port: slot.0 })
    }

    /// Gives back the slot of an exchange that its server has not answered.
    fn leave(&mut self, now: Duration, key: u64, exchange: &mut Exchange<T>) {
        let Some(sent) = exchange.sent.take() else { return };
        let Some(server) = self.servers.get_mut(sent.server) else { return };
        if server.slots.get(&sent.slot) == Some(&key) {
            server.slots.remove(&sent.slot);
        }
        if exchange.tag.is_none() {
            server.probing = false;
            server.next_heartbeat = now + self.policy.heartbeat;
        }
    }

    /// A server that has said nothing since `since` is dead: everything in flight to it goes elsewhere at once.
    fn unanswered(&mut self, now: Duration, index: usize, since: Duration) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.heard.is_some_and(|heard| heard >= since) || !server.alive {
            return;
        }
        server.alive = false;
        for (_, key) in std::mem::take(&mut server.slots) {
            let Some(mut exchange) = self.exchanges.remove(&key) else { continue };
            self.due.remove(&(exchange.due, key));
            self.leave(now, key, &mut exchange);
            if exchange.tag.is_some() {
                exchange.due = now;
                self.keep(key, exchange);
            }
        }
    }
}

impl Server {
    /// The free (port, identifier) that was free longest, more or less: a late reply meets another authenticator anyway.
    fn free_slot(&mut self, ports: u16) -> Option<(u16, u8)> {
        let count = 256 * u32::from(ports);
        for _ in 0..count {
            self.cursor = (self.cursor + 1) % count;
            let slot = ((self.cursor / 256) as u16, (self.cursor % 256) as u8);
            if !self.slots.contains_key(&slot) {
                return Some(slot);
            }
        }
        None
    }
}

/// ±10 % (RFC 5080 2.2.1), so that clients do not repeat in step.
fn jittered(wait: Duration, draw: Draw<'_>) -> Duration {
    let mut octet = [0];
    draw(&mut octet);
    let [octet] = octet;
    wait.mul_f64(0.9 + 0.2 * f64::from(octet) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;
    use obf_types::SecretBytes;

    fn framing(server: usize) -> Framing {
        Framing::with_secret(SecretBytes::from(format!("secret {server}").as_bytes()))
    }

    /// Servers and a clock; what is sent to a silent server is lost.
    struct World {
        client: DatagramClient<u32>,
        now: Duration,
        silent: Vec<bool>,
        sent: Vec<(Duration, usize, u16, Vec<u8>)>,
        answered: Vec<u32>,
        failed: Vec<u32>,
        drawn: u8,
    }

    impl World {
        fn new(policy: RetransmitPolicy, servers: usize) -> Self {
            let now = Duration::from_secs(1000);
            Self {
                client: DatagramClient::new(policy, (0..servers).map(framing).collect(), now),
                now,
                silent: vec![false; servers],
                sent: Vec::new(),
                answered: Vec::new(),
                failed: Vec::new(),
                drawn: 0,
            }
        }

        /// Everything that is due now; replies come at once.
        fn run(&mut self) {
            let mut out = Vec::new();
            let drawn = &mut self.drawn;
            let mut draw = |octets: &mut [u8]| {
                octets.fill_with(|| {
                    *drawn = drawn.wrapping_add(31);
                    *drawn
                });
            };
            while let Some(action) = self.client.poll(self.now, &mut draw, &mut out) {
                match action {
                    Action::Failed(tag) => self.failed.push(tag),
                    Action::Send { server, port } => {
                        self.sent.push((self.now, server, port, out.clone()));
                        if self.silent[server] {
                            continue;
                        }
                        let request = Request::authenticate(&framing(server), &out).unwrap();
                        let mut reply = Vec::new();
                        request.reply(Code::AccessAccept, &mut reply).finish();
                        let got = self.client.received(self.now, server, port, &reply);
                        self.answered.extend(got.map(|(tag, _)| tag));
                        assert!(self.client.received(self.now, server, port, &reply).is_none(), "once only");
                    }
                }
            }
        }

        fn run_until(&mut self, end: Duration) {
            while let Some(next) = self.client.deadline().filter(|next| *next <= end) {
                self.now = self.now.max(next);
                self.run();
            }
            self.now = end;
        }

        fn submit(&mut self, tag: u32) -> Result<(), Busy<u32>> {
            self.client.submit(self.now, tag, Code::AccessRequest, &[1, 3, b'x'])
        }

        fn requests(&self) -> Vec<&(Duration, usize, u16, Vec<u8>)> {
            self.sent.iter().filter(|sent| sent.3[0] == Code::AccessRequest as u8).collect()
        }
    }

    #[test]
    fn rfc5080_2_2_1_the_same_octets_are_sent_at_doubling_intervals_then_another_server_is_asked() {
        let mut world = World::new(RetransmitPolicy::default(), 2);
        world.silent[0] = true;
        world.submit(7).unwrap();
        world.run_until(world.now + Duration::from_secs(5));
        let sent = world.requests();
        assert_eq!(sent.iter().map(|sent| sent.1).collect::<Vec<_>>(), [0, 0, 0, 1]);
        assert!(sent[0].3 == sent[1].3 && sent[1].3 == sent[2].3);
        assert_ne!(sent[2].3[4..20], sent[3].3[4..20], "a new authenticator for another server");
        for (pair, wait) in sent.windows(2).zip([0.5, 1.0, 2.0]) {
            let waited = (pair[1].0 - pair[0].0).as_secs_f64();
            assert!((wait * 0.89..wait * 1.11).contains(&waited), "{waited} for {wait}");
        }
        assert_eq!((world.answered.as_slice(), world.failed.is_empty()), ([7].as_slice(), true));
        assert!(!world.client.servers[0].alive && world.client.servers[1].alive);
    }

    #[test]
    fn everything_in_flight_leaves_a_dead_server_at_once_and_it_is_preferred_again_when_it_answers() {
        let mut world = World::new(RetransmitPolicy::default(), 2);
        world.silent[0] = true;
        world.submit(0).unwrap();
        world.run_until(world.now + Duration::from_secs(3));
        for tag in 1..100 {
            world.submit(tag).unwrap();
        }
        world.run_until(world.now + Duration::from_secs(1));
        assert_eq!(world.answered.len(), 100, "moved with the first that gave up");
        world.submit(100).unwrap();
        world.run();
        assert_eq!(world.sent.last().unwrap().1, 1, "a dead server is not asked first");
        world.silent[0] = false;
        world.run_until(world.now + Duration::from_secs(30));
        assert!(world.client.servers[0].alive, "Status-Server was answered");
        assert!(world.client.last_heard(0).is_some());
        world.submit(101).unwrap();
        world.run();
        assert_eq!(world.sent.last().unwrap().1, 0);
        assert!(world.failed.is_empty());
    }

    #[test]
    fn a_request_that_no_server_answers_fails_and_leaves_nothing_behind() {
        let mut world = World::new(RetransmitPolicy::default(), 3);
        world.silent.fill(true);
        world.submit(5).unwrap();
        world.run_until(world.now + Duration::from_secs(12));
        assert_eq!(world.failed, [5]);
        assert_eq!(world.requests().len(), 9);
        assert_eq!(world.client.exchanges.values().filter(|exchange| exchange.tag.is_some()).count(), 0);
    }

    #[test]
    fn identifiers_in_flight_differ_and_are_bounded_by_the_ports() {
        let policy = RetransmitPolicy { ports: 2, ..RetransmitPolicy::default() };
        let mut world = World::new(policy, 2);
        world.silent[0] = true;
        let accepted = (0..600).take_while(|tag| world.submit(*tag).is_ok()).count();
        assert_eq!(accepted, 2 * 256 - 4);
        world.run();
        let mut used: Vec<_> = world.requests().iter().map(|sent| (sent.2, sent.3[1])).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used.len(), accepted);
        world.run_until(world.now + Duration::from_secs(5));
        assert_eq!(world.answered.len(), accepted);
    }

    #[test]
    fn what_is_not_the_authentic_reply_changes_nothing() {
        let mut world = World::new(RetransmitPolicy::default(), 2);
        world.silent[0] = true;
        world.submit(5).unwrap();
        world.run();
        let (_, server, port, packet) = world.requests().last().map(|sent| (*sent).clone()).unwrap();
        let mut reply = Vec::new();
        let request = Request::authenticate(&framing(server), &packet).unwrap();
        request.reply(Code::AccessAccept, &mut reply).finish();
        let now = world.now;
        for (from, to, octets) in [
            (1, port, reply.clone()),
            (0, port + 1, reply.clone()),
            (9, port, reply.clone()),
            (0, port, packet),
            (0, port, Vec::new()),
            (0, port, {
                let mut bad = reply.clone();
                bad[25] ^= 1;
                bad
            }),
        ] {
            assert!(world.client.received(now, from, to, &octets).is_none());
        }
        assert!(world.client.received(now, 0, port, &reply).is_some());
    }

    #[test]
    fn rfc5997_an_idle_server_is_asked_whether_it_lives() {
        let mut world = World::new(RetransmitPolicy::default(), 1);
        world.run_until(world.now + Duration::from_secs(35));
        let times: Vec<_> = world.sent.iter().map(|sent| sent.0.as_secs()).collect();
        assert_eq!(times, [1000, 1010, 1020, 1030]);
        assert!(world.sent.iter().all(|sent| sent.3[0] == Code::StatusServer as u8));
    }
}
