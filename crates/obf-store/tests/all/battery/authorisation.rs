//! Grants to devices and groups, and what follows from them.

use super::*;
use crate::battery::on_each_engine;
use obf_types::Lifetime;

fn names(page: &RightsPage) -> Vec<&str> {
    page.grants.iter().filter_map(Entitlement::app).map(AppId::as_str).collect()
}

on_each_engine! {
    async fn c11_grants_come_in_pages_with_their_applications(db: ResourceDb) {
        let id = with_device(&db).await;
        let to = |name| grant(Grantee::Device(id), name);
        assert!(!db.put_grant(to("none.example"), change(&[])).await.unwrap());
        for name in ["b.example", "a.example", "c.example"] {
            assert!(db.add_application(application(name), change(&[])).await.unwrap());
            assert!(db.put_grant(to(name), change(&[])).await.unwrap());
        }
        assert!(!db.add_application(application("a.example"), change(&[])).await.unwrap());
        let (_, page) = db.rights(imsi(1), None, 2, NOW).await.unwrap().unwrap();
        assert_eq!((names(&page), page.more), (vec!["a.example", "b.example"], true));
        assert_eq!(page.grants[0].granted.as_ref().unwrap().application, application("a.example"));
        let (_, page) = db.rights(imsi(1), Some(app("b.example")), 2, NOW).await.unwrap().unwrap();
        assert_eq!((names(&page), page.more), (vec!["c.example"], false));
        let three = WithRights { limit: 3 };
        let taken = db.take_sqn(imsi(1), Mode::Aka, 0, three, key_use(), |_| Ok(())).await.unwrap().unwrap();
        assert_eq!((taken.rights.grants.len(), taken.rights.more), (3, false));
        assert!(db.remove_grant(Grantee::Device(id), app("b.example"), change(&[])).await.unwrap());
        assert_eq!(db.right(imsi(1), app("b.example"), NOW).await.unwrap().unwrap().1.granted, None);
        assert!(db.right(imsi(1), app("a.example"), NOW).await.unwrap().unwrap().1.granted.is_some());
        let listed = db.list_grants(None, Some(app("a.example")), None, 5).await.unwrap();
        assert_eq!(listed, [(imsi(1), to("a.example"))]);
        let listed = db.list_grants(Some(id), None, Some((id, app("a.example"))), 5).await.unwrap();
        assert_eq!(listed, [(imsi(1), to("c.example"))]);
        let removed = db.remove_application(app("a.example"), None, change(&[])).await.unwrap();
        assert_eq!(removed, Outcome::Done(()));
        assert_eq!(db.application(app("a.example")).await.unwrap(), None);
        assert_eq!(db.list_grants(None, None, None, 5).await.unwrap().len(), 1);
        assert_eq!(db.list_applications(ApplicationFilter::default(), None, 5).await.unwrap().len(), 2);
    }

    async fn c6_a_group_is_granted_an_application_in_one_call(db: ResourceDb) {
        let devices = (1..=3).map(device).collect();
        db.add_devices(devices, change(&[])).await.unwrap();
        for name in ["a.example", "b.example"] {
            db.add_application(application(name), change(&[])).await.unwrap();
        }
        assert!(db.add_group("fleet", Some("Fleet".into()), change(&[])).await.unwrap());
        assert!(!db.add_group("fleet", None, change(&[])).await.unwrap());
        let members = vec![imsi(1).value().to_owned(), format!("imsi:{}", imsi(2).value())];
        let bad = vec![imsi(3).value().to_owned(), "imsi:1".into()];
        let done = db.change_members("fleet", bad, true, change(&[])).await.unwrap();
        assert_eq!(done, Outcome::Done(MembersChanged { changed: 0, unknown: vec!["imsi:1".into()] }));
        let done = db.change_members("fleet", members.clone(), true, change(&[])).await.unwrap();
        assert_eq!(done, Outcome::Done(MembersChanged { changed: 2, unknown: vec![] }));
        assert!(db.put_grant(grant(Grantee::Group("fleet".into()), "a.example"), change(&["as1"])).await.unwrap());
        let told = outbox(&db, "as1").await;
        assert_eq!(told.iter().filter_map(|notice| notice.device.clone()).map(|(id, _)| id).collect::<Vec<_>>(),
            [imsi(1), imsi(2)]);
        let right = |number| db.right(imsi(number), app("a.example"), NOW);
        assert_eq!(right(1).await.unwrap().unwrap().1.granted.unwrap().group.as_deref(), Some("fleet"));
        assert_eq!(right(3).await.unwrap().unwrap().1.granted, None);
        assert_eq!(db.list_members("fleet", None, 9).await.unwrap().len(), 2);
        assert_eq!(db.group("fleet").await.unwrap().unwrap().members, 2);
        let filter = DeviceFilter { group: Some("fleet".into()), ..DeviceFilter::default() };
        assert_eq!(db.list_devices(filter, None, 9).await.unwrap().len(), 2);
        db.change_members("fleet", vec![members[0].clone()], false, change(&["as1"])).await.unwrap();
        assert_eq!(right(1).await.unwrap().unwrap().1.granted, None);
        assert_eq!(outbox(&db, "as1").await.len(), 3);
        assert_eq!(db.remove_group("fleet", None, change(&["as1"])).await.unwrap(), Outcome::Done(()));
        assert_eq!(right(2).await.unwrap().unwrap().1.granted, None);
        assert_eq!(outbox(&db, "as1").await.len(), 4);
    }

    async fn of_several_grants_the_devices_own_decides_then_the_first_groups(db: ResourceDb) {
        let id = with_device(&db).await;
        for name in ["a.example", "b.example", "c.example"] {
            db.add_application(application(name), change(&[])).await.unwrap();
        }
        let lifetime = |seconds| Terms { lifetime: Lifetime::from_seconds(seconds), ..Terms::default() };
        for (group, seconds) in [("g2", 200), ("g1", 100)] {
            db.add_group(group, None, change(&[])).await.unwrap();
            db.change_members(group, vec![imsi(1).value().to_owned()], true, change(&[])).await.unwrap();
            for name in ["a.example", "b.example"] {
                let to = grant(Grantee::Group(group.into()), name);
                assert!(db.put_grant(Grant { terms: lifetime(seconds), ..to }, change(&[])).await.unwrap());
            }
        }
        let own = Grant { terms: lifetime(7), ..grant(Grantee::Device(id), "b.example") };
        db.put_grant(own, change(&[])).await.unwrap();
        let seconds = |page: &RightsPage| {
            page.grants.iter().filter_map(|one| one.granted.as_ref()?.terms.lifetime).map(Lifetime::seconds).collect::<Vec<_>>()
        };
        let (_, page) = db.rights(imsi(1), None, 9, NOW).await.unwrap().unwrap();
        assert_eq!((names(&page), seconds(&page)), (vec!["a.example", "b.example"], vec![100, 7]));
        let (_, page) = db.rights(imsi(1), None, 1, NOW).await.unwrap().unwrap();
        assert_eq!((names(&page), page.more), (vec!["a.example"], true));
        // A grant that has ended is ignored: the next one decides.
        let ended = Terms { expires_at: Some(NOW), ..lifetime(100) };
        let first = Grant { terms: ended.clone(), ..grant(Grantee::Group("g1".into()), "a.example") };
        db.put_grant(first, change(&[])).await.unwrap();
        let own = Grant { terms: ended, ..grant(Grantee::Device(id), "b.example") };
        db.put_grant(own, change(&[])).await.unwrap();
        let (_, page) = db.rights(imsi(1), None, 9, NOW).await.unwrap().unwrap();
        assert_eq!((names(&page), seconds(&page)), (vec!["a.example", "b.example"], vec![200, 100]));
        let right = db.right(imsi(1), app("a.example"), NOW).await.unwrap().unwrap().1.granted.unwrap();
        assert_eq!(right.terms.lifetime, Lifetime::from_seconds(200));
        let listed = db.list_group_grants(None, Some(app("a.example")), None, 9).await.unwrap();
        assert_eq!(listed.len(), 2);
        // A level of its own comes with either kind of grant.
        let level = |kyc_level| Terms { kyc_level, ..Terms::default() };
        let own = Grant { terms: level(1), ..grant(Grantee::Device(id), "b.example") };
        let groups = Grant { terms: level(3), ..grant(Grantee::Group("g2".into()), "a.example") };
        for grant in [own, groups] {
            db.put_grant(grant, change(&[])).await.unwrap();
        }
        let (_, page) = db.rights(imsi(1), None, 9, NOW).await.unwrap().unwrap();
        let levels: Vec<_> = page.grants.iter().filter_map(|one| Some(one.granted.as_ref()?.terms.kyc_level)).collect();
        assert_eq!((names(&page), levels), (vec!["a.example", "b.example"], vec![3, 1]));
        assert_eq!(db.list_grants(Some(id), None, None, 9).await.unwrap()[0].1.terms, level(1));
        let listed = db.list_group_grants(Some("g2".into()), None, None, 9).await.unwrap();
        assert_eq!(listed[0].terms, level(3));
    }

    async fn an_application_that_asks_for_more_has_its_devices_looked_at_again(db: ResourceDb) {
        let id = with_device(&db).await;
        db.add_application(application("a.example"), change(&[])).await.unwrap();
        db.put_grant(grant(Grantee::Device(id), "a.example"), change(&[])).await.unwrap();
        let stricter = Application { kyc_level: 2, ..application("a.example") };
        let stale = db.replace_application(stricter.clone(), Some(9), change(&["as1"])).await.unwrap();
        assert_eq!(stale, Outcome::Stale { version: 1 });
        let Outcome::Done(now) = db.replace_application(stricter, Some(1), change(&["as1"])).await.unwrap()
        else { panic!() };
        assert_eq!((now.kyc_level, now.version), (2, 2));
        let told = outbox(&db, "as1").await;
        assert_eq!((told.len(), told[1].device.clone().map(|(id, _)| id)), (2, Some(imsi(1))));
        // So it is with one that is suspended: keys in use end.
        let suspended = Application { state: State::Suspended, ..now };
        db.replace_application(suspended, None, change(&["as2"])).await.unwrap();
        assert_eq!(outbox(&db, "as2").await.len(), 2);
    }

    async fn applications_follow_their_provider_out_of_use_and_back(db: ResourceDb) {
        let id = with_device(&db).await;
        let provider = |state| Stakeholder {
            kind: StakeholderKind::ApplicationProvider, id: "tracking".into(), parent: String::new(), state, version: 1,
            document: "{}".into(), created_at: NOW, updated_at: NOW,
        };
        assert!(db.add_stakeholder(provider(State::Active), change(&[])).await.unwrap());
        let of_provider = |id: &str, state| Application { provider: "tracking".into(), state, ..application(id) };
        for (name, state) in [("a.example", State::Active), ("b.example", State::Suspended)] {
            db.add_application(of_provider(name, state), change(&[])).await.unwrap();
            db.put_grant(grant(Grantee::Device(id), name), change(&[])).await.unwrap();
        }
        db.add_application(application("other.example"), change(&[])).await.unwrap();
        let standing = async |name: &str| {
            let application = db.application(app(name)).await.unwrap().unwrap();
            (application.state, application.withheld, application.version)
        };
        db.replace_stakeholder(provider(State::Suspended), None, change(&["as1"])).await.unwrap();
        assert_eq!(standing("a.example").await, (State::Active, true, 2));
        assert_eq!(standing("b.example").await, (State::Suspended, true, 2));
        assert_eq!(standing("other.example").await, (State::Active, false, 1));
        let right = db.right(imsi(1), app("a.example"), NOW).await.unwrap().unwrap().1.granted.unwrap();
        assert!(right.application.withheld);
        // The one application in use, and its device; the suspended one was told of before.
        let told = outbox(&db, "as1").await;
        assert_eq!(told.iter().filter_map(|notice| notice.app.clone()).collect::<Vec<_>>(), [app("a.example")]);
        assert_eq!(told.iter().filter(|notice| notice.device.is_some()).count(), 1);
        // One that comes meanwhile waits too, and so does one that changes hands.
        db.add_application(of_provider("c.example", State::Active), change(&[])).await.unwrap();
        db.replace_application(of_provider("other.example", State::Active), None, change(&["as2"])).await.unwrap();
        assert!(standing("c.example").await.1 && standing("other.example").await.1);
        // Nothing of it changes by itself.
        db.replace_stakeholder(provider(State::Suspended), None, change(&[])).await.unwrap();
        assert_eq!(standing("a.example").await.2, 2);
        db.replace_stakeholder(provider(State::Active), None, change(&["as3"])).await.unwrap();
        assert_eq!(standing("a.example").await, (State::Active, false, 3));
        assert_eq!(standing("b.example").await, (State::Suspended, false, 3));
        let told = outbox(&db, "as3").await;
        let mut told: Vec<_> = told.iter().map(|notice| notice.app.clone().unwrap()).collect();
        told.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        assert_eq!(told, [app("a.example"), app("c.example"), app("other.example")]);
        let acts = async |action: &str| {
            let filter = AuditFilter { action: Some(action.into()), ..Default::default() };
            let rows = db.audit_rows(filter, 0, 9).await.unwrap();
            let mut objects: Vec<_> = rows.into_iter().map(|row| row.act.object).collect();
            objects.sort();
            objects
        };
        assert_eq!(acts("app.suspend").await, ["a.example"]);
        assert_eq!(acts("app.resume").await, ["a.example", "c.example", "other.example"]);
    }

    async fn r6_kyc_of_the_custodian_comes_with_the_device(db: ResourceDb) {
        let id = with_device(&db).await;
        assert!(db.add_custodian(custodian("acme"), change(&[])).await.unwrap());
        let record = verified("acme", 2, 60, None);
        let nobody = KycRecord { custodian: "nobody".into(), ..record.clone() };
        assert_eq!(db.add_kyc_record(nobody, change(&[])).await.unwrap(), Outcome::NoParent);
        let held = DeviceUpdate {
            state: State::Active, minimum_algorithm: Algorithm::AkaV1Md5, kyc_expiry: None, custodian: Some("acme".into()),
        };
        db.update_device(id, held, None, change(&[])).await.unwrap();
        let Outcome::Done(added) = db.add_kyc_record(record, change(&["as1"])).await.unwrap() else { panic!() };
        assert_eq!(outbox(&db, "as1").await[0].device.clone().unwrap().0, imsi(1));
        let registered = found(&db, 1).await.custodian.unwrap();
        assert_eq!((registered.id.as_str(), registered.state), ("acme", State::Active));
        let (record, valid_until) = (added.id, UnixTime(NOW.0 + 60));
        let standing = KycStanding { record, level: 2, valid_until, reverify_by: None };
        assert_eq!(registered.kyc, [standing]);
        let revoked = db.revoke_kyc_record(added.id, Some(1), change(&[])).await.unwrap();
        assert!(matches!(revoked, Outcome::Done(record) if record.revoked));
        let again = db.revoke_kyc_record(added.id, None, change(&[])).await.unwrap();
        assert!(matches!(again, Outcome::Forbidden { .. }));
        // It is not as if nothing had ever been verified.
        let over = KycStanding { valid_until: UnixTime(0), ..standing };
        assert_eq!(found(&db, 1).await.custodian.unwrap().kyc, [over]);
        assert_eq!(db.remove_custodian("acme", None, change(&[])).await.unwrap(), Outcome::InUse);
        let suspended = Custodian { state: State::Suspended, ..custodian("acme") };
        db.replace_custodian(suspended, None, change(&["as2"])).await.unwrap();
        assert_eq!(outbox(&db, "as2").await[0].kind, NoticeKind::Disconnect);
        assert_eq!(found(&db, 1).await.epoch.0, NOW.0 + 1);
        let refused = db.add_devices(vec![NewDevice { custodian: Some("nobody".into()), ..device(2) }], change(&[]));
        assert_eq!(refused.await.unwrap(), [Added::NoCustodian]);
    }
}
