//! Notices: one device's before a fleet's, forgotten together, and not kept for strangers.

use super::*;
use crate::battery::on_each_engine;

const FLEET: u64 = 250;

/// A group of [`FLEET`] devices that was granted an application, and each addressee told of every device.
async fn fleet(db: &ResourceDb, change: Change) {
    db.add_devices((1..=FLEET).map(device).collect(), self::change(&[])).await.unwrap();
    db.add_application(application("a.example"), self::change(&[])).await.unwrap();
    db.add_group("fleet", None, self::change(&[])).await.unwrap();
    let members = (1..=FLEET).map(|number| imsi(number).value().to_owned()).collect();
    db.change_members("fleet", members, true, self::change(&[])).await.unwrap();
    let all = grant(Grantee::Group("fleet".into()), "a.example");
    assert!(db.put_grant(all, change).await.unwrap());
}

async fn numbers(db: &ResourceDb, lane: Lane, limit: usize) -> Vec<u64> {
    let waiting = db.notices_in("as1", lane, limit).await.unwrap();
    waiting.iter().map(|notice| notice.device.as_ref().unwrap().0.value().parse().unwrap()).collect()
}

/// Whether a commit with notices was signalled and nobody heard it yet.
async fn signalled(db: &ResourceDb) -> bool {
    // A signal that was given is there at once; the time is for one that was not.
    tokio::time::timeout(std::time::Duration::from_millis(200), db.notices_committed()).await.is_ok()
}

on_each_engine! {
    async fn a_commit_that_holds_notices_is_signalled_and_no_other(db: ResourceDb) {
        let id = with_device(&db).await;
        assert!(!signalled(&db).await, "nobody is told of a new device");
        db.end_tokens(id, None, change(&["as1"])).await.unwrap();
        assert!(signalled(&db.clone()).await, "a clone hears it too");
        assert!(!signalled(&db).await, "once");
        db.end_tokens(id, None, change(&[])).await.unwrap();
        assert!(!signalled(&db).await, "there was nobody to be told");
        // What was refused told nobody.
        let outcome = db.end_tokens(id, Some(99), change(&["as1"])).await.unwrap();
        assert!(matches!(outcome, Outcome::Stale { .. }));
        assert!(!signalled(&db).await);
    }

    async fn what_concerns_one_device_does_not_wait_for_a_fleet(db: ResourceDb) {
        let told = change(&["as1"]);
        fleet(&db, told.clone()).await;
        let one = found(&db, 7).await.id;
        db.end_tokens(one, None, told.clone()).await.unwrap();
        db.put_grant(grant(Grantee::Device(one), "a.example"), told.clone()).await.unwrap();
        db.change_members("fleet", vec![imsi(9).value().into()], false, told.clone()).await.unwrap();
        let single = db.notices_in("as1", Lane::Single, 10).await.unwrap();
        let kinds: Vec<_> = single.iter().map(|notice| notice.kind).collect();
        assert_eq!(kinds, [NoticeKind::Disconnect, NoticeKind::Changed, NoticeKind::Changed]);
        assert_eq!(numbers(&db, Lane::Single, 10).await, [7, 7, 9]);
        assert_eq!(numbers(&db, Lane::Bulk, 1000).await, (1..=FLEET).collect::<Vec<_>>());
        assert_eq!(numbers(&db, Lane::Bulk, 3).await, [1, 2, 3]);
        let all = outbox(&db, "as1").await;
        assert_eq!(all[..3], single[..]);
        // Several who leave are a fleet.
        let two = [11, 12].map(|number| imsi(number).value().to_owned());
        db.change_members("fleet", two.to_vec(), false, told).await.unwrap();
        assert_eq!(db.notices_in("as1", Lane::Single, 10).await.unwrap(), single);
        assert_eq!(numbers(&db, Lane::Bulk, 1000).await.len() as u64, FLEET + 2);
    }

    async fn many_acknowledged_notices_are_forgotten_at_once_and_no_others(db: ResourceDb) {
        fleet(&db, change(&["as1", "as2"])).await;
        let waiting = db.notices_in("as1", Lane::Bulk, 1000).await.unwrap();
        let (acknowledged, others) = waiting.split_at(201);
        db.acknowledge_notices(acknowledged.iter().map(|notice| notice.id).collect()).await.unwrap();
        assert_eq!(db.notices_in("as1", Lane::Bulk, 1000).await.unwrap(), others);
        assert_eq!(db.notices_in("as2", Lane::Bulk, 1000).await.unwrap().len() as u64, FLEET);
        db.acknowledge_notices(vec![others[0].id]).await.unwrap();
        assert_eq!(db.notices_in("as1", Lane::Bulk, 1000).await.unwrap(), others[1..]);
        db.acknowledge_notices(Vec::new()).await.unwrap();
    }

    async fn notices_for_strangers_go_once_they_are_old(db: ResourceDb) {
        let id = with_device(&db).await;
        db.end_tokens(id, None, change(&["as1", "gone1", "gone2"])).await.unwrap();
        let later = Change { at: UnixTime(NOW.0 + 10), ..change(&["gone2"]) };
        db.end_tokens(id, None, later).await.unwrap();
        let purge = |before| db.purge_notices(vec!["as1".into(), "as3".into()], before);
        assert_eq!(purge(NOW).await.unwrap(), []);
        let both = [("gone1".to_owned(), 1), ("gone2".to_owned(), 1)];
        assert_eq!(purge(UnixTime(NOW.0 + 5)).await.unwrap(), both);
        assert_eq!(purge(UnixTime(NOW.0 + 5)).await.unwrap(), []);
        assert_eq!(outbox(&db, "as1").await.len(), 1);
        assert_eq!(outbox(&db, "gone1").await, []);
        assert_eq!(outbox(&db, "gone2").await.len(), 1);
    }
}
