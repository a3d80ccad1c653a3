//! The Resource Server's tables, through the traits that the node uses.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use obf_store::{Options, resource::*};
use obf_types::{AppId, Epoch, GlobalIdentity, HomeNetwork, IdentityKind, Refusal, UnixTime};

const NOW: UnixTime = UnixTime(1_800_000_000);
const ALL: WithRights = WithRights { limit: 100 };

fn imsi(number: u64) -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, &format!("{number:015}")).unwrap()
}

fn device(number: u64) -> NewDevice {
    let iccid = GlobalIdentity::new(IdentityKind::Iccid, &format!("89{number:017}")).unwrap();
    NewDevice {
        identities: vec![imsi(number), iccid],
        home_network: HomeNetwork::ThreeDigitMnc,
        algorithm: AkaAlgorithm::Milenage,
        wrapped_key: vec![1, 2, 3],
        amf: [0, 0],
        sqn: 0,
        minimum_algorithm: 1,
        kyc_expiry: Some(UnixTime(NOW.0 + 1)),
        custodian: Some("c1".into()),
    }
}

fn change(addressees: &[&str]) -> Change {
    Change { addressees: addressees.iter().map(|a| (*a).to_owned()).collect(), at: NOW }
}

fn application(id: &str) -> Application {
    Application {
        id: AppId::new(id).unwrap(),
        cert_names: vec![id.into(), "proxy.example".into()],
        ua_classes: vec!["tls-psk".into()],
        settings: vec![9],
        discloses_identity: true,
        state: ApplicationState::Active,
        created_at: NOW,
    }
}

fn grant(device: DeviceId, app: &str) -> Grant {
    let app = AppId::new(app).unwrap();
    Grant { device, app, lifetime: None, expires_at: None, settings: None, created_at: NOW }
}

async fn with_device() -> (tempfile::TempDir, ResourceDb, DeviceId) {
    let dir = tempfile::tempdir().unwrap();
    let db = ResourceDb::open(&Options::new(dir.path().join("rs.db"))).unwrap();
    let added = db.add_devices(vec![device(1)], NOW).await.unwrap();
    let [Added::New(id)] = added[..] else { panic!("{added:?}") };
    (dir, db, id)
}

#[tokio::test]
async fn a_device_is_found_by_each_identity_and_added_once() {
    let (_dir, db, id) = with_device().await;
    let found = db.find_devices(None, imsi(1).value()).await.unwrap();
    assert_eq!(found[0].id, id);
    assert_eq!(found[0].primary(), Some(&imsi(1)));
    assert_eq!(found[0].home_network, HomeNetwork::ThreeDigitMnc);
    assert_eq!(found[0].kyc_expiry, Some(UnixTime(NOW.0 + 1)));
    let iccid = found[0].identities[1].value().to_owned();
    assert_eq!(db.find_devices(Some(IdentityKind::Iccid), &iccid).await.unwrap(), found);
    assert_eq!(db.find_devices(Some(IdentityKind::Imsi), &iccid).await.unwrap(), []);
    let again = db.add_devices(vec![device(2), device(1)], NOW).await.unwrap();
    assert!(matches!(&again[0], Added::New(_)));
    assert_eq!(again[1], Added::Exists(Box::new(found[0].clone())));
    let list = db.list_devices(None, 1).await.unwrap();
    assert_eq!(list, found);
    assert_eq!(db.list_devices(Some(id), 5).await.unwrap()[0].primary(), Some(&imsi(2)));
}

#[tokio::test]
async fn sqn_rises_in_the_slice_asked_for_and_not_for_the_refused() {
    let (_dir, db, _) = with_device().await;
    let take = |ind| db.take_sqn(imsi(1), ind, ALL, |_| Ok(()));
    assert_eq!(take(0).await.unwrap().unwrap().device.sqn, 1 << 5);
    assert_eq!(take(7).await.unwrap().unwrap().device.sqn, (2 << 5) | 7);
    let refused = db.take_sqn(imsi(1), 0, ALL, |_| Err(Refusal::DeviceSuspended)).await.unwrap();
    assert_eq!(refused.unwrap_err(), Refusal::DeviceSuspended);
    let unknown = db.take_sqn(imsi(9), 0, ALL, |_| Ok(())).await.unwrap();
    assert_eq!(unknown.unwrap_err(), Refusal::UnknownIdentity);
    assert_eq!(take(1).await.unwrap().unwrap().device.sqn, (3 << 5) | 1);
}

#[tokio::test]
async fn a_resynchronisation_counts_once_and_moves_sqn_only_if_asked() {
    let (_dir, db, id) = with_device().await;
    let resync = |rand, sqn_ms, adopt| db.resynchronise(id, [rand; 16], sqn_ms, move |_| adopt, 3, ALL, NOW);
    assert_eq!(resync(1, 1000 << 5, true).await.unwrap().unwrap().device.sqn, (1001 << 5) | 3);
    assert_eq!(resync(1, 1, true).await.unwrap().unwrap_err(), Refusal::BadResynchronisation);
    assert_eq!(resync(2, 5 << 5, false).await.unwrap().unwrap().device.sqn, (1002 << 5) | 3);
}

#[tokio::test]
async fn a_device_added_again_goes_on_where_it_was_removed() {
    let (_dir, db, id) = with_device().await;
    db.take_sqn(imsi(1), 0, ALL, |_| Ok(())).await.unwrap().unwrap();
    assert!(db.remove_device(id, change(&["as1"])).await.unwrap());
    assert!(!db.remove_device(id, change(&["as1"])).await.unwrap());
    assert_eq!(db.find_devices(None, imsi(1).value()).await.unwrap(), []);
    db.add_devices(vec![device(1)], NOW).await.unwrap();
    let again = db.take_sqn(imsi(1), 0, ALL, |_| Ok(())).await.unwrap().unwrap().device;
    assert_eq!((again.sqn, again.epoch), (2 << 5, Epoch(1)));
}

#[tokio::test]
async fn notices_wait_for_each_addressee_until_acknowledged() {
    let (_dir, db, id) = with_device().await;
    let both = change(&["as1", "as2"]);
    let epoch = db.end_tokens(id, Some(DeviceState::Suspended), both.clone()).await.unwrap();
    assert_eq!(epoch, Some(Epoch(1)));
    db.add_application(application("a.example")).await.unwrap();
    assert!(db.put_grant(grant(id, "a.example"), both).await.unwrap());
    let waiting = db.waiting_notices("as1", 0, 10).await.unwrap();
    assert_eq!(waiting.len(), 2);
    assert_eq!(waiting[0].kind, NoticeKind::Disconnect);
    assert_eq!(waiting[0].device, Some((imsi(1), Epoch(1))));
    assert_eq!(waiting[1].app, Some(AppId::new("a.example").unwrap()));
    db.acknowledge_notice(waiting[0].id).await.unwrap();
    assert_eq!(db.waiting_notices("as1", 0, 10).await.unwrap(), waiting[1..]);
    assert_eq!(db.waiting_notices("as2", 0, 10).await.unwrap().len(), 2);
    let device = &db.find_devices(None, imsi(1).value()).await.unwrap()[0];
    assert_eq!(device.state, DeviceState::Suspended);
    assert!(db.resume_device(id).await.unwrap());
}

#[tokio::test]
async fn grants_come_in_pages_with_their_applications() {
    let (_dir, db, id) = with_device().await;
    assert!(!db.put_grant(grant(id, "none.example"), change(&[])).await.unwrap());
    for name in ["b.example", "a.example", "c.example"] {
        assert!(db.add_application(application(name)).await.unwrap());
        assert!(db.put_grant(grant(id, name), change(&[])).await.unwrap());
    }
    assert!(!db.add_application(application("a.example")).await.unwrap());
    let (_, page) = db.rights(imsi(1), None, 2).await.unwrap().unwrap();
    let names = |page: &RightsPage| page.grants.iter().map(|g| g.grant.app.to_string()).collect::<Vec<_>>();
    assert_eq!((names(&page), page.more), (vec!["a.example".into(), "b.example".into()], true));
    assert_eq!(page.grants[0].application, application("a.example"));
    let after = Some(page.grants[1].grant.app.clone());
    let (_, page) = db.rights(imsi(1), after, 2).await.unwrap().unwrap();
    assert_eq!((names(&page), page.more), (vec!["c.example".into()], false));
    let taken = db.take_sqn(imsi(1), 0, WithRights { limit: 3 }, |_| Ok(())).await.unwrap().unwrap();
    assert_eq!((taken.rights.grants.len(), taken.rights.more), (3, false));
    let b = AppId::new("b.example").unwrap();
    assert!(db.remove_grant(id, b.clone(), change(&[])).await.unwrap());
    let (_, right) = db.right(imsi(1), b).await.unwrap().unwrap();
    assert_eq!(right, None);
    let a = AppId::new("a.example").unwrap();
    assert!(db.right(imsi(1), a.clone()).await.unwrap().unwrap().1.is_some());
    let listed = db.list_grants(None, Some(a.clone()), None, 5).await.unwrap();
    assert_eq!(listed, [(imsi(1), grant(id, "a.example"))]);
    let listed = db.list_grants(Some(id), None, Some((id, a.clone())), 5).await.unwrap();
    assert_eq!(listed, [(imsi(1), grant(id, "c.example"))]);
    assert!(db.remove_application(a.clone(), change(&[])).await.unwrap());
    assert_eq!(db.application(a).await.unwrap(), None);
    assert_eq!(db.list_grants(None, None, None, 5).await.unwrap().len(), 1);
    assert_eq!(db.list_applications(None, 5).await.unwrap().len(), 2);
}
