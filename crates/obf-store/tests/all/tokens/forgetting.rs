//! What is swept, and when.

use super::*;

on_each_engine! {
    async fn keys_are_erased_at_expiry_and_ids_forgotten_later([one, _] = nodes) {
        for number in 0..60 {
            let mut short = new(number, number % 20, 0);
            short.facts.expires = UnixTime(NOW.0 + 10);
            short.former_until = UnixTime(NOW.0 + 10);
            commit(&one, short).await;
        }
        one.spend(id(100), None, NOW).await.unwrap();
        let at = |seconds| UnixTime(NOW.0 + seconds);
        // Asked for at a time before, what is erased is not there all the same.
        assert_eq!(one.sweep(at(9)).await, Ok(false));
        assert!(lives(&one, 3, at(9)).await);
        assert_eq!(one.sweep(at(10)).await, Ok(false));
        assert_eq!(found(&one, 3, at(9)).await, Lookup::Expired);
        assert_eq!(one.spend(id(3), None, at(10)).await, Ok(Spent::AlreadyUsed));
        one.sweep(at(9 + REMEMBERED)).await.unwrap();
        assert_eq!(found(&one, 3, at(500)).await, Lookup::Expired);
        one.sweep(at(10 + REMEMBERED)).await.unwrap();
        one.sweep_hourly(at(10 + REMEMBERED)).await.unwrap();
        assert_eq!(found(&one, 3, at(500)).await, Lookup::Unknown);
        assert_eq!(one.spend(id(100), None, at(950)).await, Ok(Spent::Fresh));
        // What is gone is in nobody's way.
        assert_eq!(commit(&one, new(200, 3, 0)).await, Committed::Done { counter: 4 });
    }

    async fn a_sweep_says_that_there_is_more([one, other] = nodes) {
        let commits = (0..600).map(|number| {
            let store = one.clone();
            let mut short = new(number, number, 0);
            short.facts.expires = NOW;
            tokio::spawn(async move { commit(&store, short).await })
        });
        for committed in commits.collect::<Vec<_>>() {
            committed.await.unwrap();
        }
        assert_eq!(one.sweep(NOW).await, Ok(true));
        assert_eq!(other.sweep(NOW).await, Ok(false));
    }

    async fn changes_are_forgotten_after_a_day_but_never_numbered_anew([one, other] = nodes) {
        let mut start = one.tip().await.unwrap();
        for epoch in 1..=3 {
            one.end_devices(vec![(device(7), Epoch(epoch))], NOW).await.unwrap();
        }
        let mut cursor = one.tip().await.unwrap();
        let later = UnixTime(NOW.0 + u64::from(Lifetime::CEILING.seconds()) + REMEMBERED);
        one.sweep(later).await.unwrap();
        assert!(follow(&one, &mut start).await.len() <= 1);
        other.end_devices(vec![(device(7), Epoch(4))], later).await.unwrap();
        one.sweep(later).await.unwrap();
        assert_eq!(follow(&one, &mut cursor).await, [ended(7, 4)]);
    }

    async fn notices_are_kept_as_long_as_their_tokens_would_live([one, _] = nodes) {
        commit(&one, new(1, 7, 0)).await;
        one.end_token(id(1), NOW).await.unwrap();
        let from = NoticeCursor::default();
        one.sweep(UnixTime(NOW.0 + 999)).await.unwrap();
        assert_eq!(one.notices(app("a.example"), from, 9, UnixTime(NOW.0 + 999)).await.unwrap().len(), 1);
        assert!(one.notices(app("a.example"), from, 9, UnixTime(NOW.0 + 1000)).await.unwrap().is_empty());
        one.sweep(UnixTime(NOW.0 + 1000)).await.unwrap();
        assert!(told(&one, "a.example").await.is_empty());
    }
}
