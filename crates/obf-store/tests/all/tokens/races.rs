//! What two nodes do at the same moment.

use super::*;
use std::collections::BTreeSet;

on_each_engine! {
    async fn a_challenge_raced_at_two_nodes_is_used_once(stores = nodes) {
        for round in 0..20 {
            // Answered, played again, and answered by AUTS, at both.
            let racers: Vec<_> = (0..8u8)
                .map(|racer| {
                    let store = stores[usize::from(racer) % 2].clone();
                    tokio::spawn(async move {
                        if racer % 4 == 3 {
                            let device = Some((device(round), Epoch(0)));
                            let spent = store.spend(id(round), device, UnixTime(NOW.0 + 60)).await;
                            spent.unwrap() == Spent::Fresh
                        } else {
                            let mut new = new(round, round, 0);
                            new.wrapped_ks = vec![racer; 72];
                            matches!(commit(&store, new).await, Committed::Done { .. })
                        }
                    })
                })
                .collect();
            let mut won = 0;
            for racer in racers {
                won += u32::from(racer.await.unwrap());
            }
            assert_eq!(won, 1, "round {round}");
        }
    }

    async fn no_counter_is_given_twice(stores = nodes) {
        let racers: Vec<_> = (0..40)
            .map(|number| {
                let store = stores[number as usize % 2].clone();
                tokio::spawn(async move { commit(&store, new(number, 7, 0)).await })
            })
            .collect();
        let mut counters = BTreeSet::new();
        for racer in racers {
            let Committed::Done { counter } = racer.await.unwrap() else { panic!("not committed") };
            assert!(counters.insert(counter), "{counter} twice");
        }
        assert_eq!((counters.first(), counters.last()), (Some(&1), Some(&40)));
        let of_device = TokenFilter { device: Some(device(7)), ..TokenFilter::default() };
        assert_eq!(stores[0].list(of_device, None, 100, NOW).await.unwrap().len(), 16);
    }

    async fn a_revocation_leaves_no_token_of_before_alive(stores = nodes) {
        for round in 0..10u64 {
            let bootstraps: Vec<_> = (0..6)
                .map(|number| {
                    let store = stores[number as usize % 2].clone();
                    tokio::spawn(async move { commit(&store, new(100 * round + number, round, 0)).await })
                })
                .collect();
            let (ending, of) = (stores[1].clone(), device(round));
            let ended = tokio::spawn(async move { ending.end_devices(vec![(of, Epoch(1))], NOW).await.unwrap() });
            let count = ended.await.unwrap();
            let mut made = 0;
            for bootstrap in bootstraps {
                match bootstrap.await.unwrap() {
                    Committed::Done { .. } => made += 1,
                    Committed::Revoked => {}
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(count, made, "each that came before was ended");
            for number in 0..6 {
                assert!(!lives(&stores[0], 100 * round + number, NOW).await);
            }
        }
    }

    async fn an_application_gets_a_key_and_is_told_or_neither(stores = nodes) {
        for round in 0..20u64 {
            commit(&stores[0], new(round, round, 0)).await;
            let (fetching, ending) = (stores[0].clone(), stores[1].clone());
            let fetched = tokio::spawn(async move { fetching.fetched(id(round), app("c.example")).await.unwrap() });
            let ended = tokio::spawn(async move { ending.end_token(id(round), NOW).await.unwrap() });
            let (fetched, ended) = (fetched.await.unwrap(), ended.await.unwrap());
            assert!(ended);
            assert_eq!(told(&stores[0], "c.example").await.contains(&id(round)), fetched, "round {round}");
        }
    }

    async fn fleets_that_share_devices_end_in_any_order(stores = nodes) {
        let fleet = |from: u64, epoch| (from..from + 60).map(|of| (device(of), Epoch(epoch))).collect::<Vec<_>>();
        for number in 0..120 {
            commit(&stores[0], new(number, number, 0)).await;
        }
        let mut reversed = fleet(30, 2);
        reversed.reverse();
        let (first, second) = (stores[0].clone(), stores[1].clone());
        let ends = [
            tokio::spawn(async move { first.end_devices(fleet(0, 1), NOW).await }),
            tokio::spawn(async move { second.end_devices(reversed, NOW).await }),
        ];
        let mut count = 0;
        for end in ends {
            count += end.await.unwrap().unwrap();
        }
        assert_eq!(count, 90);
        for number in 0..90 {
            assert_eq!(found(&stores[1], number, NOW).await, Lookup::Revoked, "{number}");
        }
        assert!(lives(&stores[1], 90, NOW).await);
    }
}
