//! What only PostgreSQL can get wrong: transactions that commit in another order than they were numbered, round trips.

use crate::{engine::nodes, store_tokens::*};
use obf_store::{PostgresOptions, auth::*};
use obf_testkit::PostgresCluster;
use obf_types::Epoch;
use std::time::Duration;
use tokio::task::spawn_blocking;

fn name(database: &str) -> String {
    database.rsplit_once('/').unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_and_a_look_at_a_token_are_one_round_trip_each() {
    let (_, database) = nodes().await;
    // One connection prepares each statement once.
    let options = PostgresOptions::new(&database, None).unwrap().connections(1);
    let store = spawn_blocking(move || AuthStore::connect(&options).unwrap()).await.unwrap();
    let bootstraps = async |from: u64| {
        let before = store.statistics().round_trips;
        for number in from..from + 40 {
            // New devices, known ones, and one whose epoch rose.
            let new = new(number, number % 10, u64::from(number % 10 == 3 && from > 1000));
            assert!(matches!(commit(&store, new).await, Committed::Done { .. }));
        }
        store.statistics().round_trips - before
    };
    let looks = async || {
        let before = store.statistics().round_trips;
        for number in 1000..1040 {
            assert_ne!(found(&store, number, NOW).await, Lookup::Unknown);
        }
        store.statistics().round_trips - before
    };
    let fetches = async || {
        let before = store.statistics().round_trips;
        for _ in 0..40 {
            assert_eq!(store.fetched(id(1039), app("c.example")).await, Ok(true));
        }
        store.statistics().round_trips - before
    };
    let first = (bootstraps(1000).await, looks().await, fetches().await);
    assert_eq!(first, (41, 41, 41), "each prepared once");
    assert_eq!((looks().await, fetches().await, bootstraps(2000).await), (40, 40, 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_commits_late_is_not_missed() {
    let ([one, other], database) = nodes().await;
    let mut cursor = one.tip().await.unwrap();
    let name = name(&database);
    let mut session = spawn_blocking(move || {
        let insert = "INSERT INTO changes (kind, device, number, counter, at)
                      VALUES (1, decode('01', 'hex') || convert_to('001010000000001', 'UTF8'), 5, 0, 1800000000)";
        PostgresCluster::shared().hold(&name, &format!("BEGIN; {insert}"))
    })
    .await
    .unwrap();
    // Numbered later, committed earlier, and followed.
    other.end_devices(vec![(device(2), Epoch(1))], NOW).await.unwrap();
    assert_eq!(follow(&one, &mut cursor).await, [ended(2, 1)]);
    other.end_devices(vec![(device(3), Epoch(1))], NOW).await.unwrap();
    assert_eq!(follow(&one, &mut cursor).await, [ended(3, 1)]);
    spawn_blocking(move || session.run("COMMIT")).await.unwrap();
    assert_eq!(follow(&one, &mut cursor).await, [ended(1, 5)]);
    assert!(follow(&one, &mut cursor).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_waits_for_those_before_it_and_a_bootstrap_for_none() {
    let ([one, other], database) = nodes().await;
    for number in 1..=3 {
        commit(&one, new(number, number, 0)).await;
    }
    let name = name(&database);
    let mut session = spawn_blocking(move || {
        let insert = "INSERT INTO notices (app, token, device, epoch, at, expires)
                      SELECT 'a.example', id, device, epoch, 1800000000, expires FROM stored_tokens WHERE counter = 1 LIMIT 1";
        PostgresCluster::shared().hold(&name, &format!("BEGIN; {insert}"))
    })
    .await
    .unwrap();
    let ending = other.clone();
    let ended = tokio::spawn(async move { ending.end_token(id(2), NOW).await });
    // Those of other devices, and of this one later, go on.
    assert_eq!(commit(&one, new(4, 3, 0)).await, Committed::Done { counter: 2 });
    assert_eq!(one.fetched(id(3), app("c.example")).await, Ok(true));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!ended.is_finished() && told(&one, "a.example").await.is_empty());
    spawn_blocking(move || session.run("COMMIT")).await.unwrap();
    assert_eq!(ended.await.unwrap(), Ok(true));
    assert_eq!(told(&one, "a.example").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ended_is_told_to_other_nodes_at_once() {
    let ([one, other], _) = nodes().await;
    commit(&one, new(1, 1, 0)).await;
    // What was said while nobody listened yet, and that somebody listens now.
    while tokio::time::timeout(Duration::from_secs(1), other.told()).await.is_ok() {}
    commit(&one, new(2, 1, 0)).await;
    let former = tokio::time::timeout(Duration::from_millis(300), other.told()).await;
    assert!(former.is_err(), "a bootstrap tells nobody: everybody would wait for it");
    one.end_token(id(2), NOW).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), other.told()).await.expect("it is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_kind_of_node_is_refused() {
    let (_, database) = nodes().await;
    let error = spawn_blocking(move || {
        obf_store::resource::ResourceDb::connect(&PostgresOptions::new(&database, None).unwrap())
    });
    let error = error.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("another kind of node (auth)"), "{error}");
}

/// Sessions are ended behind the node's back, as by a server that restarts or a firewall that forgets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_made_anew_and_nothing_is_done_twice() {
    let (stores, database) = nodes().await;
    for round in 0..8 {
        assert_eq!(commit(&stores[0], new(round, 7, 0)).await, Committed::Done { counter: round + 1 });
        let name = name(&database);
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        spawn_blocking(move || PostgresCluster::shared().sql(&name, end)).await.unwrap();
    }
    assert!(lives(&stores[1], 7, NOW).await);
    // The same bootstrap again is the same token, by its wrapped key.
    assert_eq!(commit(&stores[1], new(7, 7, 0)).await, Committed::Done { counter: 8 });
    let other = Bootstrap { wrapped_ks: vec![1; 72], ..new(7, 7, 0) };
    assert_eq!(commit(&stores[1], other).await, Committed::AlreadyUsed);
}
