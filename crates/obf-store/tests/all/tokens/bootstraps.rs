//! Tokens kept, found and listed.

use super::*;

on_each_engine! {
    async fn a_token_is_kept_whole_and_every_node_finds_it([one, other] = nodes) {
        let mut first = new(1, 7, 0);
        first.user_name = b"other@name".to_vec();
        assert_eq!(commit(&one, first.clone()).await, Committed::Done { counter: 1 });
        let Lookup::Live(token) = found(&other, 1, NOW).await else { panic!("not there") };
        assert_eq!((token.id, token.device, token.user_name), (id(1), device(7), first.user_name));
        assert_eq!(token.facts, TokenFacts { counter: 1, ..first.facts });
        assert_eq!((token.wrapped_ks, token.rights), (first.wrapped_ks, (*first.rights).clone()));
        assert_eq!(found(&other, 1, UnixTime(NOW.0 + 1000)).await, Lookup::Expired);
        assert_eq!(found(&other, 2, NOW).await, Lookup::Unknown);
        // A RAND is of one domain.
        let elsewhere = TokenId::new(*id(1).rand(), Domain::new("rs.other.example").unwrap());
        assert_eq!(one.token(elsewhere, NOW).await, Ok(Lookup::Unknown));
    }

    async fn a_token_without_rights_is_kept_whole([one, _] = nodes) {
        let mut bare = new(1, 7, 0);
        bare.rights = rights(&[], true);
        commit(&one, bare).await;
        let Lookup::Live(token) = found(&one, 1, NOW).await else { panic!("not there") };
        assert_eq!((token.user_name, token.rights), (device(7).value().into(), (*rights(&[], true)).clone()));
        assert_eq!(one.end_token(id(1), NOW).await, Ok(true));
    }

    async fn a_challenge_is_spent_once_by_response_or_auts([one, other] = nodes) {
        let until = UnixTime(NOW.0 + 60);
        assert_eq!(commit(&one, new(1, 7, 0)).await, Committed::Done { counter: 1 });
        let mut replayed = new(1, 7, 0);
        replayed.wrapped_ks = vec![3; 72];
        assert_eq!(commit(&other, replayed.clone()).await, Committed::AlreadyUsed);
        assert_eq!(one.spend(id(1), None, until).await, Ok(Spent::AlreadyUsed));
        assert_eq!(one.spend(id(2), None, until).await, Ok(Spent::Fresh));
        assert_eq!(other.spend(id(2), None, until).await, Ok(Spent::AlreadyUsed));
        assert_eq!(commit(&other, new(2, 7, 0)).await, Committed::AlreadyUsed);
        assert_eq!(found(&one, 2, NOW).await, Lookup::Unknown);
        // Ended or expired, it stays spent.
        assert_eq!(one.end_token(id(1), NOW).await, Ok(true));
        one.sweep(UnixTime(NOW.0 + 1000)).await.unwrap();
        assert_eq!(commit(&one, replayed).await, Committed::AlreadyUsed);
        // What was used before is no bootstrap: the counter stands.
        assert_eq!(commit(&one, new(3, 7, 0)).await, Committed::Done { counter: 2 });
    }

    async fn the_minimum_algorithm_rises_for_good([one, other] = nodes) {
        let better = |number, epoch| {
            let mut better = new(number, 7, epoch);
            better.facts.method = Method::Aka(Algorithm::AkaV2Sha256);
            better
        };
        assert_eq!(commit(&one, new(1, 7, 0)).await, Committed::Done { counter: 1 });
        assert_eq!(commit(&one, better(2, 0)).await, Committed::Done { counter: 2 });
        let below = Committed::BelowMinimum { minimum: Algorithm::AkaV2Sha256 };
        assert_eq!(commit(&other, new(3, 7, 0)).await, below);
        one.end_devices(vec![(device(7), Epoch(4))], NOW).await.unwrap();
        assert_eq!(commit(&other, new(3, 7, 4)).await, below);
        assert_eq!(commit(&other, better(3, 4)).await, Committed::Done { counter: 3 });
        // Which of its tokens it was, is said first.
        assert_eq!(commit(&one, new(1, 7, 0)).await, Committed::AlreadyUsed);
    }

    async fn a_new_bootstrap_leaves_the_former_token_60_seconds([one, other] = nodes) {
        let mut cursor = other.tip().await.unwrap();
        commit(&one, new(1, 7, 0)).await;
        assert!(follow(&other, &mut cursor).await.is_empty());
        commit(&one, new(2, 7, 0)).await;
        let until = UnixTime(NOW.0 + 60);
        assert!(lives(&other, 1, UnixTime(until.0 - 1)).await);
        assert!(!lives(&other, 1, until).await);
        assert!(lives(&other, 2, UnixTime(NOW.0 + 999)).await);
        let superseded = Change::Superseded { device: device(7), by: id(2), counter: 2, until };
        assert_eq!(follow(&other, &mut cursor).await, [superseded]);
    }

    async fn a_device_holds_sixteen_tokens([one, other] = nodes) {
        let long = |number| {
            let mut long = new(number, 7, 0);
            long.former_until = UnixTime(NOW.0 + 1000);
            long
        };
        for number in 1..=16 {
            commit(&one, long(number)).await;
        }
        for number in 1..=16 {
            assert!(lives(&other, number, NOW).await, "token {number} of sixteen");
        }
        let mut cursor = other.tip().await.unwrap();
        commit(&one, long(17)).await;
        assert_eq!(found(&other, 1, NOW).await, Lookup::Expired);
        assert!(lives(&other, 2, NOW).await);
        let changes = follow(&other, &mut cursor).await;
        assert!(matches!(changes[..], [Change::Superseded { counter: 17, .. }]), "{changes:?}");
        let of_device = TokenFilter { device: Some(device(7)), ..TokenFilter::default() };
        assert_eq!(other.list(of_device, None, 100, NOW).await.unwrap().len(), 16);
    }

    async fn tokens_are_listed_by_device_and_application([one, other] = nodes) {
        for number in 1..=9 {
            commit(&one, new(number, number, 0)).await;
        }
        let mut last = new(20, 20, 0);
        last.rights = rights(&["z.example"], false);
        commit(&one, last).await;
        let list = |filter: TokenFilter, after: Option<TokenId>| {
            let store = other.clone();
            async move {
                let tokens = store.list(filter, after, 4, NOW).await.unwrap();
                tokens.into_iter().map(|token| token.id).collect::<Vec<_>>()
            }
        };
        let of_app = |name| TokenFilter { app: Some(app(name)), ..TokenFilter::default() };
        assert_eq!(list(of_app("z.example"), None).await, [id(20)]);
        assert_eq!(list(of_app("a.example"), None).await, [id(1), id(2), id(3), id(4)]);
        assert_eq!(list(of_app("a.example"), Some(id(8))).await, [id(9)]);
        let of_5 = TokenFilter { device: Some(device(5)), ..TokenFilter::default() };
        assert_eq!(list(of_5.clone(), None).await, [id(5)]);
        let both = TokenFilter { app: Some(app("z.example")), ..of_5 };
        assert_eq!(list(both, None).await, []);
        assert_eq!(list(TokenFilter::default(), Some(id(9))).await, [id(20)]);
        assert_eq!(list(TokenFilter::default(), None).await, [id(1), id(2), id(3), id(4)]);
    }

    async fn sealing_keys_rotate_for_all_nodes_at_once([one, other] = nodes) {
        let key = |id: u32, at: u64| WrappedSealingKey { id, wrapped: vec![id as u8; 4], created: UnixTime(at) };
        let ids = |keys: Vec<WrappedSealingKey>| keys.iter().map(|key| key.id).collect::<Vec<_>>();
        assert_eq!(ids(one.rotate_sealing_keys(key(1, 1000), 480, 600).await.unwrap()), [1]);
        assert_eq!(ids(other.rotate_sealing_keys(key(2, 1001), 480, 600).await.unwrap()), [1]);
        assert_eq!(ids(other.rotate_sealing_keys(key(2, 1480), 480, 600).await.unwrap()), [2, 1]);
        assert_eq!(one.rotate_sealing_keys(key(3, 1600), 480, 600).await, Ok(vec![key(2, 1480)]));
        // Of many that find one due at once, one makes it.
        let rotating = (10..26).map(|number| {
            let store = if number % 2 == 0 { one.clone() } else { other.clone() };
            tokio::spawn(async move { store.rotate_sealing_keys(key(number, 2000), 480, 600).await.unwrap() })
        });
        let mut seen = std::collections::BTreeSet::new();
        for rotated in rotating.collect::<Vec<_>>() {
            seen.insert(ids(rotated.await.unwrap()));
        }
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert_eq!(seen.first().unwrap().len(), 2);
    }
}
