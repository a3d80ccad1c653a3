//! Many who take vectors at once, while what is behind the Resource Server fails and comes back.

use super::{LONG, RprUdpClient, Usim, VENDOR, vector_for};
use obf_radius::AnswerError;
use obf_rpr::VectorAnswer;
use obf_types::Refusal;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// Devices that vectors are taken of.
pub const DEVICES: u64 = 10;

/// Their IMSIs.
pub fn imsi(number: u64) -> String {
    format!("00101{number:010}")
}

/// What was answered so far, and what was not.
#[derive(Default)]
struct Seen {
    sqn: Mutex<HashSet<(u64, u64)>>,
    answered: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
}

/// Vectors are taken until [`Load::stop`]; none may have an SQN that was there before.
#[derive(Default)]
pub struct Load {
    seen: Arc<Seen>,
    lanes: JoinSet<()>,
}

impl Load {
    /// More who ask, one request at a time each.
    pub fn ask(&mut self, client: RprUdpClient, lanes: u64) {
        let client = Arc::new(client);
        for lane in 0..lanes {
            self.lanes.spawn(take_vectors(client.clone(), self.seen.clone(), lane));
        }
    }

    /// Waits for so many more answers.
    pub async fn answered(&self, more: u64) {
        grown(&self.seen.answered, more).await;
    }

    /// Waits for so many more that were refused, or got no answer.
    pub async fn refused(&self, more: u64) {
        grown(&self.seen.refused, more).await;
    }

    /// Ends it; the highest SQN that was answered for each device, and how many vectors there were.
    pub async fn stop(mut self) -> (HashMap<u64, u64>, u64) {
        self.seen.stop.store(true, Ordering::SeqCst);
        while let Some(lane) = self.lanes.join_next().await {
            lane.unwrap();
        }
        let mut highest = HashMap::new();
        for (device, sqn) in self.seen.sqn.lock().unwrap().iter() {
            let known = highest.entry(*device).or_default();
            *known = (*sqn).max(*known);
        }
        (highest, self.seen.answered.load(Ordering::SeqCst))
    }
}

async fn take_vectors(client: Arc<RprUdpClient>, seen: Arc<Seen>, lane: u64) {
    for step in 0.. {
        if seen.stop.load(Ordering::SeqCst) {
            return;
        }
        let device = (lane + step) % DEVICES;
        let Ok(reply) = client.send(&vector_for(&imsi(device))).await else {
            seen.refused.fetch_add(1, Ordering::SeqCst);
            continue;
        };
        match VectorAnswer::decode(&reply, VENDOR) {
            Ok(answer) => {
                let sqn = Usim::new().sqn(&answer);
                assert!(seen.sqn.lock().unwrap().insert((device, sqn)), "device {device}: SQN {sqn} again");
                seen.answered.fetch_add(1, Ordering::SeqCst);
            }
            Err(AnswerError::Refused(Refusal::StorageFailed | Refusal::Overloaded)) => {
                seen.refused.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn grown(counter: &AtomicU64, by: u64) {
    let wanted = counter.load(Ordering::SeqCst) + by;
    let growing = async {
        while counter.load(Ordering::SeqCst) < wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, growing).await.expect("it goes on");
}
