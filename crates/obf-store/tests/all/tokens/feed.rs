//! Every node hears of every change, and every application of every notice, however many write at once.

use super::*;
use std::collections::BTreeSet;

/// Devices that each lane has for itself.
const LANES: u64 = 8;
const EACH: u64 = 12;

/// Bootstraps and ends tokens of a lane's devices, at one node and the other; says which ended.
async fn work(stores: [AuthStore; 2], lane: u64) -> Vec<u64> {
    let mut over = Vec::new();
    for step in 0..EACH {
        let (number, of) = (1000 * lane + step, 100 * lane + step);
        let (here, there) = (&stores[step as usize % 2], &stores[(step as usize + 1) % 2]);
        assert_eq!(commit(here, new(number, of, 0)).await, Committed::Done { counter: 1 });
        if step % 3 == 0 {
            assert_eq!(there.end_token(id(number), NOW).await, Ok(true));
        } else {
            assert_eq!(there.end_devices(vec![(device(of), Epoch(1))], NOW).await, Ok(1));
        }
        over.push(number);
    }
    over
}

on_each_engine! {
    async fn nothing_is_missed_by_those_who_follow(stores = nodes) {
        let mut cursor = stores[1].tip().await.unwrap();
        let lanes: Vec<_> = (0..LANES).map(|lane| tokio::spawn(work(stores.clone(), lane))).collect();
        let (mut changes, mut notices, mut place) = (Vec::new(), Vec::new(), NoticeCursor::default());
        let mut look = async |changes: &mut Vec<Change>, notices: &mut Vec<TokenId>| {
            changes.extend(follow(&stores[1], &mut cursor).await);
            let found = stores[0].notices(app("a.example"), place, 1000, NOW).await.unwrap();
            place = found.last().map_or(place, |last| last.place);
            notices.extend(found.into_iter().map(|notice| notice.token));
        };
        // Looked at all the while, so that some of it commits between its number and a look.
        while !lanes.iter().all(tokio::task::JoinHandle::is_finished) {
            look(&mut changes, &mut notices).await;
        }
        let mut over = BTreeSet::new();
        for lane in lanes {
            over.extend(lane.await.unwrap());
        }
        look(&mut changes, &mut notices).await;
        let all = (LANES * EACH) as usize;
        assert_eq!((over.len(), notices.len()), (all, all));
        assert_eq!(BTreeSet::from_iter(notices), over.iter().map(|number| id(*number)).collect());
        let mut concerned = BTreeSet::new();
        for change in changes {
            match change {
                Change::TokenEnded { device, .. } | Change::DeviceEnded { device, .. } => {
                    assert!(concerned.insert(device), "a change came twice");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(concerned.len(), all);
    }

    async fn more_changes_than_fit_one_answer_all_come([one, other] = nodes) {
        let mut cursor = other.tip().await.unwrap();
        let devices = (0..2300).map(|number| (device(number), Epoch(1))).collect();
        assert_eq!(one.end_devices(devices, NOW).await, Ok(0));
        let first = other.follow(cursor.clone()).await.unwrap();
        assert!(first.more && first.changes.len() == 1000);
        // What happens on the way comes too.
        let mut behind = first.cursor;
        one.end_devices(vec![(device(9000), Epoch(1))], NOW).await.unwrap();
        let rest = follow(&other, &mut behind).await;
        let concerned: BTreeSet<_> = first.changes.iter().chain(&rest).map(|change| format!("{change:?}")).collect();
        assert_eq!((rest.len(), concerned.len()), (1301, 2301));
        assert!(follow(&other, &mut behind).await.is_empty());
        assert_eq!(follow(&other, &mut cursor).await.len(), 2301);
    }
}
