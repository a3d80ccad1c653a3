//! Verifications that are to be repeated: found when they are due, and noted once.

use super::*;
use crate::battery::on_each_engine;

async fn add(db: &ResourceDb, record: KycRecord) -> i64 {
    match db.add_kyc_record(record, change(&[])).await.unwrap() {
        Outcome::Done(record) => record.id,
        other => panic!("{other:?}"),
    }
}

/// The records that are to be seen to so many seconds from now, by so many.
async fn due(db: &ResourceDb, now: u64, by: u64) -> Vec<i64> {
    let due = Some(Due { now: UnixTime(NOW.0 + now), by: UnixTime(NOW.0 + by) });
    let filter = KycFilter { custodian: None, due };
    db.list_kyc_records(filter, 0, 10).await.unwrap().iter().map(|record| record.id).collect()
}

async fn noted(db: &ResourceDb, now: u64) -> Vec<i64> {
    let change = Change { at: UnixTime(NOW.0 + now), ..change(&[]) };
    db.note_due_kyc(change).await.unwrap().iter().map(|due| due.record).collect()
}

on_each_engine! {
    async fn a_verification_is_due_from_its_date_until_a_later_one_replaces_it(db: ResourceDb) {
        for id in ["acme", "other"] {
            db.add_custodian(custodian(id), change(&[])).await.unwrap();
        }
        let first = add(&db, verified("acme", 2, 1000, Some(100))).await;
        let never = add(&db, verified("other", 2, 500, None)).await;
        let revoked = add(&db, verified("other", 1, 1000, Some(100))).await;
        db.revoke_kyc_record(revoked, None, change(&[])).await.unwrap();
        assert!(due(&db, 0, 0).await.is_empty());
        assert!(due(&db, 0, 99).await.is_empty());
        assert_eq!(due(&db, 0, 100).await, [first]);
        assert_eq!(due(&db, 0, 500).await, [first, never], "what ends is to be seen to as well");
        assert_eq!(due(&db, 500, 500).await, [first], "what has ended is past that");
        let of_other = KycFilter { custodian: Some("other".into()), due: None };
        assert_eq!(db.list_kyc_records(of_other, 0, 10).await.unwrap().len(), 2);
        let of_other = Due { now: NOW, by: UnixTime(NOW.0 + 500) };
        let of_other = KycFilter { custodian: Some("other".into()), due: Some(of_other) };
        assert_eq!(db.list_kyc_records(of_other, 0, 10).await.unwrap()[0].id, never);
        // A lower level replaces nothing, the same does, until it is due itself.
        add(&db, verified("acme", 1, 1000, None)).await;
        assert_eq!(due(&db, 200, 200).await, [first]);
        let second = add(&db, verified("acme", 2, 2000, Some(300))).await;
        assert!(due(&db, 200, 200).await.is_empty());
        assert_eq!(due(&db, 300, 300).await, [first, second]);
        let kept = db.kyc_record(second).await.unwrap().unwrap();
        assert_eq!(kept.reverify_by, Some(UnixTime(NOW.0 + 300)));
        let standing = db.kyc_standing("acme").await.unwrap();
        assert_eq!(standing.iter().map(|one| one.reverify_by.map(|by| by.0 - NOW.0)).collect::<Vec<_>>(),
                   [Some(100), None, Some(300)]);
    }

    async fn what_became_due_is_said_once_and_audited(db: ResourceDb) {
        db.add_custodian(custodian("acme"), change(&[])).await.unwrap();
        let (one, two) = (verified("acme", 1, 1000, Some(10)), verified("acme", 2, 1000, Some(20)));
        let (one, two) = (add(&db, one).await, add(&db, two).await);
        assert!(noted(&db, 9).await.is_empty());
        // The other one reaches its level and is not due yet.
        assert!(noted(&db, 10).await.is_empty());
        let both = tokio::join!(noted(&db, 20), noted(&db, 20));
        assert_eq!([both.0, both.1].concat(), [two], "one of two nodes says it");
        assert!(noted(&db, 30).await.is_empty());
        let acts = db.audit_rows(AuditFilter { action: Some("kyc.due".into()), ..Default::default() }, 0, 9).await;
        let acts: Vec<_> = acts.unwrap().into_iter().map(|row| (row.act.object, row.act.detail)).collect();
        assert_eq!(acts, [("acme".to_owned(), format!("record {two}"))]);
        assert_eq!(due(&db, 30, 30).await, [one, two]);
    }
}

#[test]
fn an_overdue_verification_is_valid_for_the_operators_grace() {
    let standing = |reverify_by| KycStanding { record: 1, level: 1, valid_until: UnixTime(100), reverify_by };
    for (reverify_by, grace, end) in [
        (None, None, 100),
        (None, Some(0), 100),
        (Some(50), None, 100),
        (Some(50), Some(0), 50),
        (Some(50), Some(20), 70),
        (Some(50), Some(u64::MAX), 100),
    ] {
        assert_eq!(standing(reverify_by.map(UnixTime)).counts_until(grace), UnixTime(end));
    }
}
