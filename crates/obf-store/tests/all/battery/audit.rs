//! The audit: every act is in it, and whoever changes it is found out.

use super::*;
use crate::{battery::on_each_engine, engine};
use obf_store::resource::Fault;

on_each_engine! {
    async fn every_use_of_a_key_is_a_row_with_actor_object_and_reason(db: ResourceDb) {
        with_device(&db).await;
        db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
        let rows = db.audit_rows(AuditFilter::default(), 0, 9).await.unwrap();
        let object = format!("imsi:{}", imsi(1).value());
        let act = |actor: &str, action: &str, reason: &str| Act {
            actor: actor.into(), action: action.into(), object: object.clone(), reason: reason.into(),
            detail: String::new(),
        };
        assert_eq!(rows[0].act, act("tester", "device.add", "a test"));
        assert_eq!(rows[1].act, act("as.example#0", "key.use", "vector"));
        let filter = AuditFilter { action: Some("key.use".into()), ..AuditFilter::default() };
        assert_eq!(db.audit_rows(filter, 0, 9).await.unwrap(), rows[1..]);
        assert_eq!(db.audit_rows(AuditFilter::default(), rows[0].seq, 9).await.unwrap(), rows[1..]);
    }

    async fn rows_are_sealed_in_order_whoever_writes_meanwhile(db: ResourceDb) {
        with_device(&db).await;
        let mut writing = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let db = db.clone();
            writing.spawn(async move {
                for _ in 0..40 {
                    db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
                }
            });
        }
        let mut sealed = 0;
        while !writing.is_empty() {
            sealed += db.seal_audit(NOW).await.unwrap();
            while writing.try_join_next().is_some() {}
            tokio::task::yield_now().await;
        }
        sealed += db.seal_audit(NOW).await.unwrap();
        assert_eq!(sealed, 321);
        let verified = db.verify_audit(None).await.unwrap();
        assert_eq!((verified.rows, verified.unsealed, verified.faults), (321, 0, vec![]));
        let head = verified.head.unwrap();
        // A head that was noted stays in the chain; one of a chain that was cut off, or made anew, is not there.
        db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
        db.seal_audit(NOW).await.unwrap();
        assert_eq!(db.verify_audit(Some(head)).await.unwrap().faults, vec![]);
        assert_eq!(db.verify_audit(Some([7; 32])).await.unwrap().faults, vec![Fault::HeadMissing]);
    }
}

/// Rows 1 to 4 sealed in two seals, then 5 not yet.
async fn written(db: &ResourceDb) {
    for number in 1..=5 {
        db.add_devices(vec![device(number)], change(&[])).await.unwrap();
        if number == 2 || number == 4 {
            db.seal_audit(NOW).await.unwrap();
        }
    }
    let verified = db.verify_audit(None).await.unwrap();
    assert_eq!((verified.rows, verified.unsealed, verified.faults), (4, 1, vec![]));
}

const TAMPERINGS: &[(&str, Fault)] = &[
    ("UPDATE audit SET actor = 'eve' WHERE seq = 3", Fault::Altered { seq: 3 }),
    ("UPDATE audit SET at = at + 1 WHERE seq = 1", Fault::Altered { seq: 1 }),
    ("DELETE FROM audit WHERE seq = 2", Fault::Removed { seq: 2 }),
    ("DELETE FROM audit WHERE seq = 4", Fault::Removed { seq: 4 }),
    ("DELETE FROM audit_seals WHERE last_seq = 2", Fault::SealBroken { last_seq: 4 }),
    ("UPDATE audit_seals SET at = at + 1 WHERE last_seq = 4", Fault::SealBroken { last_seq: 4 }),
    ("UPDATE audit SET seq = 40 WHERE seq = 4", Fault::Removed { seq: 4 }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_alters_or_removes_a_row_is_found_out() {
    for (tampering, fault) in TAMPERINGS {
        let directory = tempfile::tempdir().unwrap();
        let (db, back_door) = engine::open_with_back_door(directory.path()).await;
        written(&db).await;
        back_door.execute(tampering).await;
        let verified = db.verify_audit(None).await.unwrap();
        assert!(verified.faults.contains(fault), "{tampering}: {:?}", verified.faults);
    }
}
