//! Databases and backups that version 1 of the schema wrote, in which a device and its one credential were one row.
//! `version_1/` has what that version's program left behind after [`is_there`]'s devices were added and used.

use super::*;
use obf_types::Epoch;

/// What the devices of version 1 have become, with SEQ so far on.
async fn is_there(db: &ResourceDb, jump: u64) {
    let own = found(db, 1).await;
    assert_eq!(own.identities, device(1).identities);
    assert_eq!((own.state, own.custodian.unwrap().id.as_str()), (State::Active, "acme"));
    let expected = Credential {
        parameters: Parameters::Aka(AkaParameters {
            amf: [0x12, 0x34],
            minimum_algorithm: Algorithm::AkaV2Sha256,
            initial_sqn: 64,
            sqn: (1001 + jump) << 5 | 3,
        }),
        ..credential()
    };
    assert_eq!(own.credentials, [expected]);

    let tuak = found(db, 2).await;
    assert_eq!((tuak.state, tuak.mnc_length), (State::Registered, MncLength::Two));
    let algorithm = AkaAlgorithm::Tuak { keccak_iterations: 1 };
    let key = KeyEnvelope { algorithm, wrapped: vec![0, 0, 0, 1, 9, 9] };
    assert_eq!(tuak.credentials[0].source, Source::Kms(key));

    let in_hlr = found(db, 3).await;
    assert_eq!(in_hlr.credentials[0].source, Source::Hlr(HlrName::default()));
    assert_eq!(in_hlr.credentials[0].technology, Technology::ThreeGpp);
}

/// What refers to devices refers to them still, and everything goes on.
async fn goes_on(db: &ResourceDb, jump: u64) {
    let (_, page) = db.rights(imsi(1), None, 9, NOW).await.unwrap().unwrap();
    assert_eq!(page.grants[0].granted.as_ref().unwrap().group.as_deref(), Some("fleet"));
    for number in [2, 3] {
        assert!(db.right(imsi(number), app("a.example"), NOW).await.unwrap().unwrap().1.granted.is_some());
    }
    assert_eq!(db.verify_audit(None).await.unwrap().faults, []);
    let taken = db.take_sqn(imsi(1), Mode::Aka, 3, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
    assert_eq!(taken.subscriber.credential.aka().sqn, (1002 + jump) << 5 | 3);
    assert_eq!(db.wrapped_keys(None, 9).await.unwrap().len(), 2);
    // The RAND of a resynchronisation before is remembered.
    let again = db.resynchronise(taken.subscriber, [1; 16], 0, |_| false, 3, ALL, key_use()).await.unwrap();
    assert_eq!(again.unwrap_err(), obf_types::Refusal::BadResynchronisation);
    // Device 4 was removed: added again, it goes on where it was.
    let added = db.add_devices(vec![device(4), device(5)], change(&[])).await.unwrap();
    assert!(added.iter().all(|added| matches!(added, Added::New(_))));
    assert_eq!(found(db, 4).await.credentials[0].aka().sqn, (1 + jump) << 5 | 3);
    let removed = found(db, 1).await.id;
    assert_eq!(db.remove_device(removed, None, change(&[])).await.unwrap(), Outcome::Done(()));
    assert_eq!(db.wrapped_keys(None, 9).await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_version_1_is_migrated_with_all_that_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = crate::engine::open_version_1(directory.path()).await;
    is_there(&one, 0).await;
    is_there(&other, 0).await;
    goes_on(&other, 0).await;
}

on_each_engine! {
    async fn a_backup_of_version_1_is_restored(db: ResourceDb) {
        let blocks = vec![include_bytes!("version_1/backup").to_vec()];
        backup::restored(&db, blocks).await.unwrap();
        let seq_jump = 1 << 20;
        is_there(&db, seq_jump).await;
        assert_eq!(found(&db, 1).await.epoch, Epoch(NOW.0 + 1024));
        goes_on(&db, seq_jump).await;
        // Backed up anew, it is one of today.
        let (elsewhere, blocks) = (tempfile::tempdir().unwrap(), backup::backed_up(&db).await);
        for other in crate::engine::open_all(elsewhere.path()).await {
            backup::restored(&other, blocks.clone()).await.unwrap();
            assert_eq!(found(&other, 2).await.credentials.len(), 1);
        }
    }
}
