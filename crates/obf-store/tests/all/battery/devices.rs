//! Devices, their sequence numbers, and what Authentication Servers are told of them.

use super::*;
use crate::battery::on_each_engine;
use obf_store::StoreError;
use obf_types::{Epoch, Refusal};
use std::collections::HashSet;

/// The epoch of a device whose tokens were ended once: it began at the time.
const FIRST_END: Epoch = Epoch(NOW.0 + 1);

on_each_engine! {
    async fn r5_a_device_is_found_by_each_identity_and_added_once(db: ResourceDb) {
        let id = with_device(&db).await;
        let device_1 = found(&db, 1).await;
        assert_eq!((device_1.id, device_1.primary()), (id, Some(&imsi(1))));
        assert_eq!(device_1.identities, device(1).identities);
        assert_eq!(device_1.credentials, device(1).credentials);
        assert_eq!(device_1.mnc_length, MncLength::Three);
        assert_eq!(device_1.kyc_expiry, Some(UnixTime(NOW.0 + 1)));
        let iccid = device_1.identities[1].value();
        let by_iccid = db.find_devices(Some(IdentityKind::Iccid), iccid).await.unwrap();
        assert_eq!(by_iccid, std::slice::from_ref(&device_1));
        assert_eq!(db.find_devices(Some(IdentityKind::Imsi), iccid).await.unwrap(), []);
        let again = db.add_devices(vec![device(2), device(1)], change(&[])).await.unwrap();
        assert!(matches!(&again[0], Added::New(_)));
        assert_eq!(again[1], Added::Exists(Box::new(device_1.clone())));
        let all = DeviceFilter::default;
        assert_eq!(db.list_devices(all(), None, 1).await.unwrap(), [device_1]);
        assert_eq!(db.list_devices(all(), Some(id), 5).await.unwrap()[0].primary(), Some(&imsi(2)));
    }

    async fn r5_of_a_device_with_another_ones_second_identity_nothing_stays(db: ResourceDb) {
        with_device(&db).await;
        let mut clashing = device(2);
        clashing.identities[1] = device(1).identities[1].clone();
        let added = db.add_devices(vec![clashing, device(3)], change(&[])).await.unwrap();
        assert_eq!(added[0], Added::Exists(Box::new(found(&db, 1).await)));
        assert!(matches!(&added[1], Added::New(_)));
        assert_eq!(db.find_devices(None, imsi(2).value()).await.unwrap(), []);
        assert_eq!(db.list_devices(DeviceFilter::default(), None, 9).await.unwrap().len(), 2);
        let added = db.add_devices(vec![device(2)], change(&[])).await.unwrap();
        assert!(matches!(&added[0], Added::New(_)));
        assert_eq!(found(&db, 2).await.identities, device(2).identities);
    }

    async fn sqn_rises_in_the_slice_asked_for_and_not_for_the_refused(db: ResourceDb) {
        with_device(&db).await;
        let take = |ind| db.take_sqn(imsi(1), Mode::Aka, ind, ALL, key_use(), |_| Ok(()));
        assert_eq!(take(0).await.unwrap().unwrap().subscriber.credential.aka().sqn, 1 << 5);
        assert_eq!(take(7).await.unwrap().unwrap().subscriber.credential.aka().sqn, (2 << 5) | 7);
        let refuse = |_: &Device| Err(Refusal::DeviceSuspended);
        let refused = db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), refuse).await.unwrap();
        assert_eq!(refused.unwrap_err(), Refusal::DeviceSuspended);
        let unknown = db.take_sqn(imsi(9), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap();
        assert_eq!(unknown.unwrap_err(), Refusal::UnknownIdentity);
        assert_eq!(take(1).await.unwrap().unwrap().subscriber.credential.aka().sqn, (3 << 5) | 1);
    }

    async fn no_sqn_is_handed_out_twice_whoever_asks_at_once(db: ResourceDb) {
        with_device(&db).await;
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let db = db.clone();
            asking.spawn(async move {
                db.take_sqn(imsi(1), Mode::Aka, 3, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap().subscriber.credential.aka().sqn
            });
        }
        let taken: HashSet<u64> = asking.join_all().await.into_iter().collect();
        assert_eq!(taken.len(), 100);
        assert_eq!(taken.into_iter().max(), Some((100 << 5) | 3));
    }

    async fn no_sqn_begins_again_when_all_are_used_up(db: ResourceDb) {
        const LAST_SEQ: u64 = (1 << 43) - 1;
        let nearly = Credential { parameters: aka_from((LAST_SEQ - 1) << 5), ..credential() };
        db.add_devices(vec![NewDevice { credentials: vec![nearly], ..device(1) }], change(&[])).await.unwrap();
        let take = || db.take_sqn(imsi(1), Mode::Aka, 31, ALL, key_use(), |_| Ok(()));
        assert_eq!(take().await.unwrap().unwrap().subscriber.credential.aka().sqn, (1 << 48) - 1);
        assert!(matches!(take().await, Err(StoreError::Other(why)) if why.contains("exhausted")));
        assert_eq!(found(&db, 1).await.credentials[0].aka().sqn, (1 << 48) - 1);
    }

    async fn a_resynchronisation_is_accepted_once_and_moves_sqn_only_if_asked(db: ResourceDb) {
        with_device(&db).await;
        let subscriber = db.begin_resynchronisation(imsi(1), Mode::Aka, key_use(), |_| Ok(())).await;
        let subscriber = subscriber.unwrap().unwrap();
        let resync = |rand, sqn_ms, adopt| {
            db.resynchronise(subscriber.clone(), [rand; 16], sqn_ms, move |_| adopt, 3, ALL, key_use())
        };
        let sqn = |taken: Taken| taken.subscriber.credential.aka().sqn;
        assert_eq!(sqn(resync(1, 1000 << 5, true).await.unwrap().unwrap()), (1001 << 5) | 3);
        assert_eq!(resync(1, 1, true).await.unwrap().unwrap_err(), Refusal::BadResynchronisation);
        assert_eq!(sqn(resync(2, 5 << 5, false).await.unwrap().unwrap()), (1002 << 5) | 3);
        let mut other = subscriber.clone();
        other.credential.key_index += 1;
        let of_other_key = db.resynchronise(other, [3; 16], 1, |_| true, 3, ALL, key_use()).await.unwrap();
        assert_eq!(of_other_key.unwrap_err(), Refusal::BadResynchronisation);
        assert_eq!(found(&db, 1).await.credentials[0].aka().sqn, (1002 << 5) | 3);
    }

    async fn r3_a_device_of_an_hlr_keeps_no_sequence_numbers_here(db: ResourceDb) {
        let source = Source::Hlr(HlrName::new("west").unwrap());
        let elsewhere = vec![Credential { source, ..credential() }];
        db.add_devices(vec![NewDevice { credentials: elsewhere.clone(), ..device(1) }], change(&[])).await.unwrap();
        let taken = db.take_sqn(imsi(1), Mode::Aka, 3, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
        assert_eq!(vec![taken.subscriber.credential], elsewhere);
        assert_eq!(db.wrapped_keys(None, 10).await.unwrap(), []);
    }

    async fn a_device_added_again_goes_on_where_it_was_removed(db: ResourceDb) {
        let id = with_device(&db).await;
        db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
        assert_eq!(db.remove_device(id, None, change(&["as1"])).await.unwrap(), Outcome::Done(()));
        assert_eq!(db.remove_device(id, None, change(&["as1"])).await.unwrap(), Outcome::Unknown);
        assert_eq!(db.find_devices(None, imsi(1).value()).await.unwrap(), []);
        db.add_devices(vec![device(1)], change(&[])).await.unwrap();
        let again = db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap().subscriber;
        let Subscriber { device: again, credential } = again;
        assert_eq!((credential.aka().sqn, again.epoch), (2 << 5, FIRST_END));
        // Removed again, and added when the clock has gone on.
        db.remove_device(again.id, None, change(&[])).await.unwrap();
        let later = Change { at: UnixTime(NOW.0 + 100), ..change(&[]) };
        db.add_devices(vec![device(1)], later).await.unwrap();
        assert_eq!(found(&db, 1).await.epoch, Epoch(NOW.0 + 100));
    }

    async fn a_device_changes_as_its_state_and_version_permit(db: ResourceDb) {
        let id = with_device(&db).await;
        let to = |state| DeviceUpdate { state, minimum_algorithm: Algorithm::AkaV2Sha256, kyc_expiry: None, custodian: None };
        let stale = db.update_device(id, to(State::Suspended), Some(7), change(&[])).await.unwrap();
        assert_eq!(stale, Outcome::Stale { version: 1 });
        let Outcome::Done(suspended) =
            db.update_device(id, to(State::Suspended), Some(1), change(&["as1"])).await.unwrap()
        else { panic!() };
        assert_eq!((suspended.state, suspended.epoch, suspended.version), (State::Suspended, FIRST_END, 2));
        assert_eq!(suspended.credentials[0].aka().minimum_algorithm, Algorithm::AkaV2Sha256);
        assert_eq!(suspended.kyc_expiry, None);
        assert_eq!(outbox(&db, "as1").await[0].kind, NoticeKind::Disconnect);
        let Outcome::Done(resumed) = db.update_device(id, to(State::Active), None, change(&["as1"])).await.unwrap()
        else { panic!() };
        assert_eq!((resumed.state, resumed.epoch), (State::Active, FIRST_END));
        let nobody = DeviceUpdate { custodian: Some("nobody".into()), ..to(State::Active) };
        assert_eq!(db.update_device(id, nobody, None, change(&[])).await.unwrap(), Outcome::NoParent);
        db.update_device(id, to(State::Retired), None, change(&[])).await.unwrap();
        let back = db.update_device(id, to(State::Active), None, change(&[])).await.unwrap();
        assert_eq!(back, Outcome::Forbidden { state: State::Retired });
        let acts = db.audit_rows(AuditFilter::default(), 0, 99).await.unwrap();
        let acts: Vec<_> = acts.iter().map(|row| row.act.action.as_str()).collect();
        assert_eq!(acts, ["device.add", "device.suspend", "device.resume", "device.retire"]);
    }

    async fn of_two_changes_to_one_version_one_is_done_and_the_other_told_so(db: ResourceDb) {
        let id = with_device(&db).await;
        for round in 0..20 {
            let version = found(&db, 1).await.version;
            let to = |state| DeviceUpdate { state, minimum_algorithm: Algorithm::AkaV1Md5, kyc_expiry: None, custodian: None };
            let (wanted, other) = match round % 2 {
                0 => (State::Suspended, State::Active),
                _ => (State::Active, State::Suspended),
            };
            let change = |state| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.update_device(id, to(state), Some(version), change(&[])).await.unwrap()
                })
            };
            let (one, two) = (change(wanted), change(other));
            let outcomes = [one.await.unwrap(), two.await.unwrap()];
            let done = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Done(_))).count();
            assert_eq!(done, 1, "{outcomes:?}");
            assert!(outcomes.contains(&Outcome::Stale { version: version + 1 }), "{outcomes:?}");
        }
    }

    async fn notices_wait_for_each_addressee_until_acknowledged(db: ResourceDb) {
        let id = with_device(&db).await;
        let both = change(&["as1", "as2"]);
        assert_eq!(db.end_tokens(id, None, both.clone()).await.unwrap(), Outcome::Done(FIRST_END));
        db.add_application(application("a.example"), change(&[])).await.unwrap();
        assert!(db.put_grant(grant(Grantee::Device(id), "a.example"), both).await.unwrap());
        let waiting = outbox(&db, "as1").await;
        assert_eq!(waiting.len(), 2);
        assert_eq!(waiting[0].kind, NoticeKind::Disconnect);
        assert_eq!(waiting[0].device, Some((imsi(1), FIRST_END)));
        assert_eq!(waiting[1].app, Some(app("a.example")));
        db.acknowledge_notices(vec![waiting[0].id]).await.unwrap();
        assert_eq!(outbox(&db, "as1").await, waiting[1..]);
        assert_eq!(outbox(&db, "as2").await.len(), 2);
        // What ends tokens does not wait behind what does not.
        db.end_tokens(id, None, change(&["as1"])).await.unwrap();
        let waiting = outbox(&db, "as1").await;
        assert_eq!((waiting[0].kind, waiting[1].kind), (NoticeKind::Disconnect, NoticeKind::Changed));
    }
}
