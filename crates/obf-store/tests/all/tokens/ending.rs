//! Tokens ended before their time, and who is told.

use super::*;

on_each_engine! {
    async fn revocation_ends_tokens_and_open_challenges_and_leaves_notices([one, other] = nodes) {
        for (number, of) in [(1, 7), (2, 8)] {
            commit(&one, new(number, of, 0)).await;
        }
        let mut cursor = other.tip().await.unwrap();
        assert_eq!(one.fetched(id(1), app("c.example")).await, Ok(true));
        assert_eq!(other.fetched(id(1), app("c.example")).await, Ok(true));
        assert_eq!(one.end_devices(vec![(device(7), Epoch(1)), (device(7), Epoch(0))], NOW).await, Ok(1));
        assert_eq!(one.end_devices(vec![(device(7), Epoch(1))], NOW).await, Ok(0));
        assert_eq!(found(&other, 1, NOW).await, Lookup::Revoked);
        // Nobody would be told any more.
        assert_eq!(other.fetched(id(1), app("d.example")).await, Ok(false));
        assert!(lives(&other, 2, NOW).await);
        assert_eq!(commit(&other, new(3, 7, 0)).await, Committed::Revoked);
        let challenge = |epoch| Some((device(7), Epoch(epoch)));
        assert_eq!(other.spend(id(4), challenge(0), NOW).await, Ok(Spent::Revoked));
        assert_eq!(other.spend(id(4), challenge(1), NOW).await, Ok(Spent::Fresh));
        for name in ["a.example", "b.example", "c.example"] {
            assert_eq!(told(&other, name).await, [id(1)], "{name}");
        }
        assert!(told(&other, "d.example").await.is_empty());
        let notices = other.notices(app("a.example"), NoticeCursor::default(), 9, NOW).await.unwrap();
        assert_eq!((&notices[0].device, notices[0].epoch, notices[0].at), (&device(7), Epoch(1), NOW));
        assert_eq!(follow(&other, &mut cursor).await, [ended(7, 1)]);
        assert!(follow(&other, &mut cursor).await.is_empty());
    }

    async fn a_vector_of_a_newer_epoch_ends_what_a_lost_notice_left([one, other] = nodes) {
        commit(&one, new(1, 7, 0)).await;
        assert_eq!(one.fetched(id(1), app("c.example")).await, Ok(true));
        let mut cursor = one.tip().await.unwrap();
        assert_eq!(commit(&other, new(2, 7, 3)).await, Committed::Done { counter: 2 });
        assert_eq!(found(&one, 1, NOW).await, Lookup::Revoked);
        for name in ["a.example", "b.example", "c.example"] {
            assert_eq!(told(&one, name).await, [id(1)], "{name}");
        }
        assert_eq!(follow(&one, &mut cursor).await, [ended(7, 3)]);
        assert_eq!(commit(&one, new(3, 7, 2)).await, Committed::Revoked);
        assert!(lives(&one, 2, NOW).await);
    }

    async fn a_device_that_never_bootstrapped_is_revoked_too([one, other] = nodes) {
        let mut cursor = other.tip().await.unwrap();
        assert_eq!(one.end_devices(vec![(device(9), Epoch(2))], NOW).await, Ok(0));
        assert_eq!(commit(&other, new(1, 9, 1)).await, Committed::Revoked);
        assert_eq!(commit(&other, new(2, 9, 2)).await, Committed::Done { counter: 1 });
        assert_eq!(follow(&other, &mut cursor).await, [ended(9, 2)]);
    }

    async fn rights_change_under_live_tokens([one, other] = nodes) {
        commit(&one, new(1, 7, 0)).await;
        let holding = other.apps_of_devices(vec![device(8), device(7), device(7)], NOW).await.unwrap();
        assert_eq!(holding, [(device(7), vec![app("a.example"), app("b.example")])]);
        let mut cursor = one.tip().await.unwrap();
        let lost = vec![(device(7), vec![app("b.example")]), (device(6), Vec::new())];
        other.set_rights(lost, rights(&["a.example"], true), NOW).await.unwrap();
        let Lookup::Live(token) = found(&one, 1, NOW).await else { panic!("not there") };
        assert_eq!(token.rights, *rights(&["a.example"], true));
        let changed = follow(&one, &mut cursor).await;
        assert!(changed.contains(&Change::RightsChanged { device: device(7) }), "{changed:?}");
        assert_eq!(told(&one, "b.example").await, [id(1)]);
        assert!(told(&one, "a.example").await.is_empty());
        // When the token ends, all who may hold a key hear of it.
        assert_eq!(one.end_token(id(1), NOW).await, Ok(true));
        assert_eq!(other.end_token(id(1), NOW).await, Ok(false));
        assert_eq!(told(&one, "a.example").await, [id(1)]);
        assert_eq!(told(&one, "b.example").await, [id(1), id(1)]);
        assert_eq!(follow(&one, &mut cursor).await, [Change::TokenEnded { device: device(7), id: id(1) }]);
    }

    async fn each_instance_of_an_application_acknowledges_for_itself([one, other] = nodes) {
        commit(&one, new(1, 7, 0)).await;
        one.end_token(id(1), NOW).await.unwrap();
        let host = || "host1".to_owned();
        let start = NoticeCursor::default();
        assert_eq!(one.acknowledged(app("a.example"), host()).await, Ok(start));
        let place = one.notices(app("a.example"), start, 10, NOW).await.unwrap()[0].place;
        one.acknowledge(app("a.example"), host(), place, NOW).await.unwrap();
        one.acknowledge(app("a.example"), host(), start, NOW).await.unwrap();
        assert_eq!(other.acknowledged(app("a.example"), host()).await, Ok(place));
        assert!(other.notices(app("a.example"), place, 10, NOW).await.unwrap().is_empty());
        assert_eq!(other.acknowledged(app("a.example"), "host2".into()).await, Ok(start));
        assert_eq!(other.acknowledged(app("b.example"), host()).await, Ok(start));
    }
}
