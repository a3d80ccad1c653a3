//! Denials of devices and of groups: what stands over every grant, and who is told.

use super::*;
use crate::battery::on_each_engine;
use std::collections::BTreeSet;

fn denial(grantee: Grantee, id: &str, until: Option<u64>) -> NewDenial {
    NewDenial { grantee, app: app(id), until: until.map(UnixTime) }
}

async fn put(db: &ResourceDb, denial: NewDenial, addressees: &[&str]) -> Denial {
    match db.put_denial(denial, change(addressees)).await.unwrap() {
        Outcome::Done(denial) => denial,
        other => panic!("{other:?}"),
    }
}

/// What denies the device the application, as a fetch sees it; the list of rights says the same of what is granted.
async fn denied(db: &ResourceDb, number: u64, id: &str) -> Option<Denied> {
    let (_, one) = db.right(imsi(number), app(id), NOW).await.unwrap().unwrap();
    let (_, page) = db.rights(imsi(number), None, 99, NOW).await.unwrap().unwrap();
    let listed =
        page.grants.into_iter().find(|listed| listed.app().is_some_and(|listed| listed.as_str() == id));
    assert_eq!(listed, Some(one.clone()).filter(|one| one.granted.is_some()));
    one.denied
}

async fn told(db: &ResourceDb, addressee: &str) -> BTreeSet<GlobalIdentity> {
    let told = outbox(db, addressee).await;
    assert!(told.iter().all(|notice| notice.kind == NoticeKind::Changed));
    told.into_iter().filter_map(|notice| notice.device).map(|(identity, _)| identity).collect()
}

on_each_engine! {
    async fn c11_a_denial_of_a_device_or_group_comes_with_every_grant(db: ResourceDb) {
        let devices = (1..=3).map(device).collect();
        let added = db.add_devices(devices, change(&[])).await.unwrap();
        let Added::New(first) = added[0] else { panic!() };
        db.add_application(application("a.example"), change(&[])).await.unwrap();
        db.add_application(application("b.example"), change(&[])).await.unwrap();
        db.add_group("fleet", None, change(&[])).await.unwrap();
        db.add_group("stolen", None, change(&[])).await.unwrap();
        let members: Vec<String> = (1..=2).map(|number| imsi(number).value().to_owned()).collect();
        db.change_members("fleet", members.clone(), true, change(&[])).await.unwrap();
        db.put_grant(grant(Grantee::Group("fleet".into()), "a.example"), change(&[])).await.unwrap();
        db.put_grant(grant(Grantee::Device(first), "a.example"), change(&[])).await.unwrap();
        for none in [
            denial(Grantee::Device(first), "none.example", None),
            denial(Grantee::Group("none".into()), "a.example", None),
            denial(Grantee::Device(DeviceId::from_cursor(99)), "a.example", None),
        ] {
            assert_eq!(db.put_denial(none, change(&["as1"])).await.unwrap(), Outcome::NoParent);
        }
        assert_eq!(denied(&db, 1, "a.example").await, None);

        // The device's own, with an end and then without; it is one denial all the time.
        let own = put(&db, denial(Grantee::Device(first), "a.example", Some(NOW.0 + 9)), &["as1"]).await;
        assert_eq!((own.version, own.reason.as_str(), own.device.clone()), (1, "a test", Some(imsi(1))));
        assert_eq!(told(&db, "as1").await, [imsi(1)].into());
        assert_eq!(denied(&db, 1, "a.example").await, Some(Denied { until: Some(UnixTime(NOW.0 + 9)) }));
        assert_eq!(denied(&db, 2, "a.example").await, None);
        assert_eq!(denied(&db, 1, "b.example").await, None);
        let again = put(&db, denial(Grantee::Device(first), "a.example", None), &[]).await;
        assert_eq!((again.id, again.version, again.until), (own.id, 2, None));
        assert_eq!(denied(&db, 1, "a.example").await, Some(Denied { until: None }));
        // Vectors bring it along.
        let taken = db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
        assert_eq!(taken.rights.grants[0].denied, Some(Denied { until: None }));

        // A group's concerns its members, those who are granted nothing too; whoever joins or leaves is told.
        let group = put(&db, denial(Grantee::Group("stolen".into()), "a.example", None), &["as2"]).await;
        assert_eq!(told(&db, "as2").await, [].into());
        db.change_members("stolen", vec![imsi(2).value().into(), imsi(3).value().into()], true, change(&["as2"]))
            .await.unwrap();
        assert_eq!(told(&db, "as2").await, [imsi(2), imsi(3)].into());
        assert_eq!(denied(&db, 2, "a.example").await, Some(Denied { until: None }));
        assert_eq!(denied(&db, 3, "a.example").await, Some(Denied { until: None }));
        db.change_members("stolen", vec![imsi(3).value().into()], false, change(&["as3"])).await.unwrap();
        assert_eq!(told(&db, "as3").await, [imsi(3)].into());
        assert_eq!(denied(&db, 3, "a.example").await, None);

        // Of several the one that ends last; one that is over is seen as such.
        put(&db, denial(Grantee::Group("fleet".into()), "a.example", Some(NOW.0 - 1)), &[]).await;
        assert_eq!(denied(&db, 2, "a.example").await, Some(Denied { until: None }));
        assert_eq!(db.remove_denial(group.id, Some(9), change(&[])).await.unwrap(), Outcome::Stale { version: 1 });
        assert_eq!(db.remove_denial(group.id, Some(1), change(&["as4"])).await.unwrap(), Outcome::Done(()));
        assert_eq!(db.remove_denial(group.id, None, change(&[])).await.unwrap(), Outcome::Unknown);
        assert_eq!(told(&db, "as4").await, [imsi(2)].into());
        let over = denied(&db, 2, "a.example").await.unwrap();
        assert_eq!((over.until, over.holds(NOW)), (Some(UnixTime(NOW.0 - 1)), false));

        let filter = DenialFilter { app: Some(app("a.example")), ..DenialFilter::default() };
        let listed = db.list_denials(filter.clone(), 0, 1).await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&again));
        assert_eq!(db.list_denials(filter, again.id, 9).await.unwrap().len(), 1);
        let of = |device, group: Option<&str>| DenialFilter { device, group: group.map(Into::into), app: None };
        assert_eq!(db.list_denials(of(Some(first), None), 0, 9).await.unwrap(), std::slice::from_ref(&again));
        assert_eq!(db.list_denials(of(None, Some("fleet")), 0, 9).await.unwrap().len(), 1);
        assert_eq!(db.list_denials(of(None, Some("stolen")), 0, 9).await.unwrap(), []);
        assert_eq!(db.denial(again.id).await.unwrap(), Some(again.clone()));

        // A group that is denied something says so when it goes.
        assert_eq!(db.remove_group("fleet", None, change(&["as5"])).await.unwrap(), Outcome::Done(()));
        assert_eq!(told(&db, "as5").await, [imsi(1), imsi(2)].into());
        assert_eq!(db.list_denials(DenialFilter::default(), 0, 9).await.unwrap(), [again]);
        let filter = AuditFilter { action: Some("denial.put".into()), ..Default::default() };
        let rows = db.audit_rows(filter, 0, 9).await.unwrap();
        assert_eq!(rows.len(), 4);
        assert!(rows[0].act.detail.starts_with("until 20") && rows[0].act.object.contains("a.example"), "{rows:?}");
    }
}
