//! A backup of one engine restored into itself and into the other.

use super::*;
use crate::{battery::on_each_engine, engine};
use obf_store::resource::RestoreError;
use obf_types::Epoch;
use tokio::sync::mpsc;

pub async fn backed_up(db: &ResourceDb) -> Vec<Vec<u8>> {
    let (sender, mut receiver) = mpsc::channel(2);
    let (rows, blocks) = tokio::join!(db.backup(sender), async {
        let mut blocks = Vec::new();
        while let Some(block) = receiver.recv().await {
            blocks.push(block);
        }
        blocks
    });
    assert!(rows.unwrap() > 0);
    blocks
}

pub async fn restored(db: &ResourceDb, blocks: Vec<Vec<u8>>) -> Result<u64, RestoreError> {
    let (sender, receiver) = mpsc::channel(2);
    let sending = tokio::spawn(async move {
        for block in blocks {
            // Nobody receives any more once something was wrong.
            let _ = sender.send(block).await;
        }
    });
    let result = db.restore(receiver, change(&["as1"])).await;
    sending.await.unwrap();
    result
}

/// Something in every table; more rows than a page in some.
async fn filled(db: &ResourceDb) {
    db.add_custodian(custodian("acme"), change(&[])).await.unwrap();
    let with_custodian = |number| NewDevice { custodian: Some("acme".into()), ..device(number) };
    db.add_devices((1..=2100).map(with_custodian).collect(), change(&[])).await.unwrap();
    db.add_application(application("a.example"), change(&[])).await.unwrap();
    db.add_group("fleet", None, change(&[])).await.unwrap();
    db.change_members("fleet", vec![imsi(1).value().into()], true, change(&[])).await.unwrap();
    db.put_grant(grant(Grantee::Group("fleet".into()), "a.example"), change(&[])).await.unwrap();
    db.put_grant(grant(Grantee::Device(found(db, 2).await.id), "a.example"), change(&[])).await.unwrap();
    let denial =
        NewDenial { grantee: Grantee::Device(found(db, 2).await.id), app: app("a.example"), until: None };
    assert!(matches!(db.put_denial(denial, change(&[])).await.unwrap(), Outcome::Done(_)));
    let removed = found(db, 2100).await.id;
    db.remove_device(removed, None, change(&[])).await.unwrap();
    db.take_sqn(imsi(1), Mode::Aka, 3, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
    db.seal_audit(NOW).await.unwrap();
}

/// What was there is there, sequence numbers and epochs have jumped, and everything goes on.
async fn goes_on(db: &ResourceDb) {
    let device_1 = found(db, 1).await;
    assert_eq!(
        (device_1.credentials[0].aka().sqn, device_1.epoch),
        (((1 << 20) + 1) << 5 | 3, Epoch(NOW.0 + 1024))
    );
    assert_eq!(device_1.identities, device(1).identities);
    assert_eq!(device_1.credentials[0].source, credential().source);
    assert_eq!(device_1.custodian.unwrap().id, "acme");
    let (_, page) = db.rights(imsi(1), None, 9, NOW).await.unwrap().unwrap();
    assert_eq!(page.grants[0].granted.as_ref().unwrap().group.as_deref(), Some("fleet"));
    let (_, of_2) = db.right(imsi(2), app("a.example"), NOW).await.unwrap().unwrap();
    assert!(of_2.granted.is_some());
    assert_eq!(of_2.denied, Some(Denied { until: None }));
    let verified = db.verify_audit(None).await.unwrap();
    assert_eq!((verified.unsealed, verified.faults.len()), (1, 0));
    // Every device's tokens are ended, whoever was told what before.
    let told = outbox(db, "as1").await;
    assert_eq!(told.iter().filter(|notice| notice.kind == NoticeKind::Disconnect).count(), 2099);
    assert_eq!(told.len(), 2100);
    db.take_sqn(imsi(1), Mode::Aka, 3, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
    assert_eq!(db.seal_audit(NOW).await.unwrap(), 2);
    let added = db.add_devices(vec![device(2100), device(2101)], change(&[])).await.unwrap();
    assert!(added.iter().all(|added| matches!(added, Added::New(_))));
    assert_eq!(found(db, 2100).await.epoch, Epoch(NOW.0 + 1 + 1024));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_restored_on_either_engine_and_everything_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    for (number, db) in engine::open_all(directory.path()).await.into_iter().enumerate() {
        filled(&db).await;
        let blocks = backed_up(&db).await;
        assert!(blocks.len() > 2);
        let others = directory.path().join(number.to_string());
        std::fs::create_dir(&others).unwrap();
        for other in engine::open_all(&others).await {
            let rows = restored(&other, blocks.clone()).await.unwrap();
            assert!(rows > 6000, "{rows}");
            goes_on(&other).await;
        }
        let again = restored(&db, blocks).await;
        assert!(matches!(again, Err(RestoreError::NotEmpty(_))));
    }
}

on_each_engine! {
    async fn a_backup_that_is_cut_short_or_altered_changes_nothing(db: ResourceDb) {
        let directory = tempfile::tempdir().unwrap();
        let source = engine::open(directory.path()).await;
        filled(&source).await;
        let blocks = backed_up(&source).await;
        let mut cut = blocks.clone();
        cut.pop();
        let mut short = blocks.clone();
        short.last_mut().unwrap().pop();
        let mut reordered = blocks.clone();
        reordered.reverse();
        let mut unknown = blocks.clone();
        unknown[0][0] = b'?';
        for bad in [vec![], cut, short, reordered, unknown, vec![blocks[0].clone(), blocks[0].clone()]] {
            assert!(restored(&db, bad).await.is_err());
            assert_eq!(db.find_devices(None, imsi(1).value()).await.unwrap(), []);
        }
        assert!(restored(&db, blocks).await.is_ok());
    }
}
