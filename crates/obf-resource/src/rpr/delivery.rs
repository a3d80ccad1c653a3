//! One lane of notices to one server: packets in flight side by side, acknowledgements stored together, refusals put off
//! so that they hold nothing up.

use super::route::{Answer, Route, Shared};
use obf_radius::{AttributeWriter, Code, HEADER, MAX_PACKET, Name};
use obf_rpr::Notice;
use obf_store::{
    StoreError,
    resource::{Lane, Notice as Waiting, NoticeKind},
};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

/// How often the outbox is looked at for what other nodes on the database put there, and for what is due again.
const POLL: Duration = Duration::from_millis(200);
/// Notices read at once.
const PAGE: usize = 4096;
/// Octets of a datagram's attributes beyond which no further notice is added: it crosses Ethernet in one piece.
const DATAGRAM: usize = 1_400;
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest that a notice is put off which the server would take if it could.
const SOON: Duration = Duration::from_secs(5);
/// The longest that a notice is put off which the server does not take.
const LATER: Duration = Duration::from_secs(300);
/// The first time that a notice is put off; each time it is twice as long.
const FIRST_TIME: Duration = Duration::from_secs(1);

/// Packets in flight.
const fn window(lane: Lane) -> usize {
    match lane {
        Lane::Single => 64,
        Lane::Bulk => 16,
    }
}

/// Delivers for ever.
pub(super) async fn deliver(shared: &Arc<Shared>, name: &str, route: &Arc<Route>, lane: Lane) {
    let mut delivery = Delivery {
        shared: shared.clone(),
        name: name.into(),
        route: route.clone(),
        lane,
        taken: HashSet::new(),
        refused: HashMap::new(),
        queue: VecDeque::new(),
        sending: JoinSet::new(),
        done: Vec::new(),
        storing: JoinSet::new(),
        answers: 0,
        wait: FIRST_WAIT,
        resume: Instant::now(),
    };
    let mut look = true;
    loop {
        if look && delivery.queue.is_empty() && Instant::now() >= delivery.resume {
            look = delivery.look().await;
        }
        delivery.send();
        delivery.store();
        // Each branch is safe to drop: joining takes a result or nothing, and a bell that rings in between keeps ringing.
        tokio::select! {
            Some(sent) = delivery.sending.join_next() => match sent {
                Ok((packet, before, answer)) => delivery.answered(packet, before, answer),
                Err(error) => tracing::error!(server = name, %error, "sending a notice failed"),
            },
            Some(stored) = delivery.storing.join_next() => match stored {
                Ok((ids, outcome)) => delivery.stored(&ids, outcome),
                Err(error) => tracing::error!(server = name, %error, "storing an acknowledgement failed"),
            },
            () = route.woken(lane) => {
                delivery.resume = Instant::now();
                look = true;
            }
            () = tokio::time::sleep_until((Instant::now() + POLL).max(delivery.resume)) => look = true,
        }
    }
}

struct Delivery {
    shared: Arc<Shared>,
    name: Arc<str>,
    route: Arc<Route>,
    lane: Lane,
    /// Notices that are queued, in flight or being stored.
    taken: HashSet<i64>,
    /// Notices that the server did not take, for how long, and until when.
    refused: HashMap<i64, (Duration, Instant)>,
    queue: VecDeque<Packet>,
    /// Each with the number of answers there were when it left.
    sending: JoinSet<(Packet, u64, Answer)>,
    /// Acknowledged, to be forgotten.
    done: Vec<i64>,
    storing: JoinSet<(Vec<i64>, Result<(), StoreError>)>,
    answers: u64,
    wait: Duration,
    /// Nothing is sent before.
    resume: Instant,
}

/// Notices of one kind in one packet.
#[derive(Debug)]
struct Packet(Vec<(i64, Notice)>);

impl Packet {
    fn ids(&self) -> Vec<i64> {
        self.0.iter().map(|(id, _)| *id).collect()
    }
}

impl Delivery {
    /// Takes in what waits and is not put off; true if there may be more.
    async fn look(&mut self) -> bool {
        let limit = PAGE + self.taken.len() + self.refused.len();
        let waiting = match self.shared.store.notices_in(&self.name, self.lane, limit).await {
            Ok(waiting) => waiting,
            Err(error) => {
                self.pause(&error.to_string());
                return true;
            }
        };
        let more = waiting.len() >= limit;
        if !more && !self.refused.is_empty() {
            // Another node may have got rid of some.
            let there: HashSet<i64> = waiting.iter().map(|notice| notice.id).collect();
            self.refused.retain(|id, _| there.contains(id));
        }
        self.pack(waiting);
        more
    }

    fn pack(&mut self, waiting: Vec<Waiting>) {
        let now = Instant::now();
        let most = if self.route.is_stream() { MAX_PACKET - HEADER } else { DATAGRAM };
        let mut together: Vec<(i64, Notice)> = Vec::new();
        let mut octets = 0;
        for waiting in waiting {
            let refused = self.refused.get(&waiting.id);
            if refused.is_some_and(|(_, until)| now < *until) || !self.taken.insert(waiting.id) {
                continue;
            }
            let Some(notice) = message(&waiting) else {
                tracing::error!(
                    server = &*self.name,
                    notice = waiting.id,
                    "a notice says nothing, and is dropped"
                );
                self.done.push(waiting.id);
                continue;
            };
            // What was refused before stands alone, so that nothing else is refused with it.
            if refused.is_some() {
                self.queue.push_back(Packet(vec![(waiting.id, notice)]));
                continue;
            }
            let length = length(&notice);
            let fits =
                octets + length <= most && together.last().is_some_and(|(_, last)| last.joins(&notice));
            if !fits && !together.is_empty() {
                self.queue.push_back(Packet(std::mem::take(&mut together)));
            }
            octets = if fits { octets + length } else { FIXED + length };
            together.push((waiting.id, notice));
        }
        if !together.is_empty() {
            self.queue.push_back(Packet(together));
        }
    }

    fn send(&mut self) {
        while self.sending.len() < window(self.lane)
            && Instant::now() >= self.resume
            && let Some(packet) = self.queue.pop_front()
        {
            let (shared, route, before) = (self.shared.clone(), self.route.clone(), self.answers);
            self.sending.spawn(async move {
                let answer = match encode(&packet, &shared) {
                    Ok((code, attributes)) => route.send(code, &attributes).await,
                    Err(reason) => Answer::Refused(reason),
                };
                (packet, before, answer)
            });
        }
    }

    /// One write at a time: what is acknowledged meanwhile shares the next.
    fn store(&mut self) {
        if self.storing.is_empty() && !self.done.is_empty() {
            let (shared, ids) = (self.shared.clone(), std::mem::take(&mut self.done));
            self.storing.spawn(async move {
                let outcome = shared.store.acknowledge_notices(ids.clone()).await;
                (ids, outcome)
            });
        }
    }

    fn stored(&mut self, ids: &[i64], outcome: Result<(), StoreError>) {
        ids.iter().for_each(|id| {
            self.taken.remove(id);
        });
        if let Err(error) = outcome {
            self.pause(&error.to_string());
        }
    }

    fn answered(&mut self, packet: Packet, before: u64, answer: Answer) {
        if matches!(answer, Answer::Acknowledged | Answer::NotNow(_) | Answer::Refused(_)) {
            self.answers += 1;
            self.wait = FIRST_WAIT;
        }
        match answer {
            Answer::Acknowledged => {
                for id in packet.ids() {
                    self.refused.remove(&id);
                    self.done.push(id);
                }
            }
            Answer::NotNow(reason) => self.put_off(&packet, SOON, &reason),
            Answer::Refused(reason) => self.refused(packet, &reason),
            // Others were answered meanwhile: it is this packet that gets none.
            Answer::Silence(reason) if self.answers > before => self.refused(packet, &reason),
            Answer::Silence(reason) | Answer::Unreachable(reason) => {
                packet.ids().iter().for_each(|id| {
                    self.taken.remove(id);
                });
                self.pause(&reason);
            }
        }
    }

    /// Each by itself, so that those which are not at fault are told now.
    fn refused(&mut self, packet: Packet, reason: &str) {
        if packet.0.len() > 1 {
            tracing::debug!(server = &*self.name, reason, "notices are sent one by one");
            self.queue.extend(packet.0.into_iter().map(|one| Packet(vec![one])));
        } else {
            self.put_off(&packet, LATER, reason);
        }
    }

    fn put_off(&mut self, packet: &Packet, longest: Duration, reason: &str) {
        let now = Instant::now();
        let mut time = FIRST_TIME;
        for id in packet.ids() {
            self.taken.remove(&id);
            time = self.refused.get(&id).map_or(FIRST_TIME, |(before, _)| 2 * *before).min(longest);
            self.refused.insert(id, (time, now + time));
        }
        let notices = packet.0.len();
        tracing::warn!(server = &*self.name, notices, reason, again_after = ?time, "notices are put off");
    }

    /// Sends nothing for a while, and then begins anew.
    fn pause(&mut self, reason: &str) {
        for packet in self.queue.drain(..) {
            packet.ids().iter().for_each(|id| {
                self.taken.remove(id);
            });
        }
        if Instant::now() >= self.resume {
            tracing::warn!(server = &*self.name, reason, "notices wait");
            self.resume = Instant::now() + self.wait;
            self.wait = (2 * self.wait).min(LONGEST_WAIT);
        }
    }
}

/// Octets of Event-Timestamp and of what Message-Authenticator takes.
const FIXED: usize = 6 + 18;

/// Octets in front of the value of an attribute of ours.
const VENDOR_HEADER: usize = 8;

/// Octets that a notice takes in a packet.
fn length(notice: &Notice) -> usize {
    match notice {
        Notice::DeviceEnded { device, .. } | Notice::RightsChanged { device, .. } => {
            let text = device.kind().name().len() + 1 + device.value().len();
            VENDOR_HEADER * text.div_ceil(Name::MAX_VALUE - 6) + text + VENDOR_HEADER + size_of::<u64>()
        }
        Notice::ApplicationChanged { app } => VENDOR_HEADER + app.as_str().len(),
    }
}

fn message(waiting: &Waiting) -> Option<Notice> {
    match (waiting.kind, &waiting.device, &waiting.app) {
        (NoticeKind::Disconnect, Some((device, epoch)), _) => {
            Some(Notice::DeviceEnded { device: device.clone(), epoch: *epoch })
        }
        (NoticeKind::Changed, Some((device, epoch)), _) => {
            Some(Notice::RightsChanged { device: device.clone(), epoch: *epoch })
        }
        (_, None, Some(app)) => Some(Notice::ApplicationChanged { app: app.clone() }),
        (_, None, None) => None,
    }
}

fn encode(packet: &Packet, shared: &Shared) -> Result<(Code, Vec<u8>), String> {
    let notices: Vec<Notice> = packet.0.iter().map(|(_, notice)| notice.clone()).collect();
    let first = notices.first().ok_or("a packet without notices")?;
    let mut attributes = Vec::with_capacity(MAX_PACKET);
    let mut writer = AttributeWriter::for_request(&mut attributes);
    Notice::encode(&notices, shared.vendor, shared.clock.now(), &mut writer)
        .map_err(|error| error.to_string())?;
    Ok((first.code(), attributes))
}
