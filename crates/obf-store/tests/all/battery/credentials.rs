//! Credentials: several of one device, what the table enforces, and what is not known in it.

use super::*;
use obf_store::StoreError;

/// Its envelope is under that data key.
fn staged(data_key: u8) -> Credential {
    let key = KeyEnvelope {
        algorithm: AkaAlgorithm::Tuak { keccak_iterations: 3 },
        wrapped: vec![0, 0, 0, data_key, 7],
    };
    Credential {
        key_index: FIRST_KEY_INDEX + 1,
        technology: Technology::Standalone,
        state: CredentialState::Staged,
        source: Source::Kms(key),
        parameters: aka_from(0),
    }
}

async fn add(db: &ResourceDb, number: u64, credentials: Vec<Credential>) -> Result<Vec<Added>, StoreError> {
    db.add_devices(vec![NewDevice { credentials, ..device(number) }], change(&[])).await
}

on_each_engine! {
    async fn r5_a_device_has_an_active_key_and_a_staged_one_at_once(db: ResourceDb) {
        // In whichever order they come.
        add(&db, 1, vec![staged(1), credential()]).await.unwrap();
        assert_eq!(found(&db, 1).await.credentials, [credential(), staged(1)]);
        let take = || db.take_sqn(imsi(1), Mode::Aka, 3, ALL, key_use(), |_| Ok(()));
        assert_eq!(take().await.unwrap().unwrap().subscriber.credential.key_index, FIRST_KEY_INDEX);
        let taken = take().await.unwrap().unwrap().subscriber.credential;
        assert_eq!((taken.aka().sqn, taken.technology), ((2 << 5) | 3, Technology::ThreeGpp));
        let now = found(&db, 1).await;
        assert_eq!(now.credentials[0], taken);
        assert_eq!(now.credentials[1], staged(1), "its SQN did not move");
        // What may be bootstrapped with is said for both.
        let update = DeviceUpdate {
            state: State::Active, minimum_algorithm: Algorithm::AkaV2Sha256, kyc_expiry: None, custodian: None,
        };
        db.update_device(now.id, update, None, change(&[])).await.unwrap();
        let now = found(&db, 1).await;
        assert!(now.credentials.iter().all(|held| held.aka().minimum_algorithm == Algorithm::AkaV2Sha256));
        // Removed, none of its keys stays behind, and one added later is behind neither.
        db.remove_device(now.id, None, change(&[])).await.unwrap();
        assert_eq!(db.envelopes_by_data_key().await.unwrap().len(), 0);
        add(&db, 1, vec![staged(1), credential()]).await.unwrap();
        assert!(found(&db, 1).await.credentials.iter().all(|held| held.aka().sqn == (2 << 5) | 3));
    }

    async fn of_one_mode_and_state_a_device_has_one_key_at_most(db: ResourceDb) {
        let second = Credential { key_index: 9, ..credential() };
        for bad in [
            vec![credential(), second],
            vec![staged(1), Credential { key_index: 9, ..staged(1) }],
            vec![credential(), Credential { key_index: FIRST_KEY_INDEX, ..staged(1) }],
        ] {
            // PostgreSQL, where others may be in the way, is tried until each has its own outcome.
            match add(&db, 1, bad).await {
                Err(StoreError::Constraint(_)) => {}
                Ok(added) => assert!(matches!(added[..], [Added::Failed(StoreError::Constraint(_))])),
                Err(other) => panic!("{other}"),
            }
            assert_eq!(db.find_devices(None, imsi(1).value()).await.unwrap(), []);
        }
        add(&db, 1, vec![credential(), staged(1)]).await.unwrap();
    }

    async fn a_device_without_an_active_key_authenticates_as_little_as_none(db: ResourceDb) {
        add(&db, 1, vec![staged(1)]).await.unwrap();
        for mode in [Mode::Aka, Mode::GbaDigest, Mode::Pki] {
            let taken = db.take_sqn(imsi(1), mode, 0, ALL, key_use(), |_| Ok(())).await.unwrap();
            assert_eq!(taken.unwrap_err(), obf_types::Refusal::UnknownIdentity);
        }
        let resynchronised = db.begin_resynchronisation(imsi(1), Mode::Aka, key_use(), |_| Ok(())).await.unwrap();
        assert_eq!(resynchronised.unwrap_err(), obf_types::Refusal::UnknownIdentity);
        assert_eq!(found(&db, 1).await.credentials[0].aka().sqn, 0);
    }

    async fn c2_a_page_of_wrapped_keys_ends_with_all_keys_of_its_last_device(db: ResourceDb) {
        for number in 1..=3 {
            add(&db, number, vec![credential(), staged(2)]).await.unwrap();
        }
        assert_eq!(db.envelopes_by_data_key().await.unwrap(), [(1, 3), (2, 3)].into());
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let page = db.wrapped_keys(after, 3).await.unwrap();
            let Some(last) = page.last() else { break };
            assert_ne!(Some(last.device), after);
            after = Some(last.device);
            all.extend(page);
        }
        assert_eq!(all.len(), 6);
        let anew = all.iter().map(|key| Rewrapped {
            device: key.device, old: key.envelope.clone(), new: vec![0, 0, 0, 3, key.envelope[4]],
        });
        assert_eq!(db.rewrap(anew.collect(), String::new(), None).await.unwrap(), 6);
        let one = found(&db, 2).await.credentials;
        assert_eq!(one[0].envelope().unwrap().wrapped, [0, 0, 0, 3, 2]);
        assert_eq!(one[1].envelope().unwrap().wrapped, [0, 0, 0, 3, 7]);
    }
}

/// Nothing in the table that is not known is taken for something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_is_an_error_and_no_default() {
    let directory = tempfile::tempdir().unwrap();
    let (db, back_door) = crate::engine::open_with_back_door(directory.path()).await;
    add(&db, 1, vec![credential()]).await.unwrap();
    for (set, back, what) in [
        (
            "UPDATE credentials SET technology = 4",
            "UPDATE credentials SET technology = 1",
            "no technology has the number 4",
        ),
        ("UPDATE credentials SET mode = 9", "UPDATE credentials SET mode = 1", "no mode has the number 9"),
        (
            "UPDATE credentials SET algorithm = 3",
            "UPDATE credentials SET algorithm = 1",
            "no algorithm of AKA has the number 3",
        ),
        (
            "UPDATE credentials SET minimum_algorithm = 3",
            "UPDATE credentials SET minimum_algorithm = 1",
            "no algorithm of Digest AKA has the number 3",
        ),
    ] {
        back_door.execute(set).await;
        let found = db.find_devices(None, imsi(1).value()).await.unwrap_err();
        assert_eq!(found, StoreError::Corrupt(what.into()));
        let taken = db.take_sqn(imsi(1), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap_err();
        assert_eq!(taken, StoreError::Corrupt(what.into()));
        back_door.execute(back).await;
    }
    assert_eq!(found(&db, 1).await.credentials, [credential()]);
}
