//! Files that a former version wrote.

use crate::tokens::*;
use obf_store::{Database, Options, Schema, StoreError, auth::*};
use obf_token::{Algorithm, Method, Technology};
use obf_types::{Epoch, KeySchema, UnixTime};

/// A file as version 1 left it: a token with rights for two applications, superseded by another, and a notice.
const FORMER: &str = "
    INSERT INTO rights VALUES (1, x'00'), (2, x'0109612e6578616d706c65000000780000000000000109622e6578616d706c650000007800000000000000');
    INSERT INTO rights_apps VALUES ('a.example', 2), ('b.example', 2);
    INSERT INTO devices VALUES (x'01303031303130303030303030303037', 2, 5, 1,
        x'00000000000000010000000073a8000000000000000000020000000073a80000');
    INSERT INTO tokens VALUES
        (1, x'00000000000000011111111111111111', 'rs.as.example', x'01303031303130303030303030303037', NULL, 86, 2, 4,
         1800000000, 1800000060, x'aa', 1, 1799999997, 0),
        (2, x'00000000000000021111111111111111', 'rs.as.example', x'01303031303130303030303030303037', NULL, 86, 2, 5,
         1800000000, 1800001000, x'bb', 1, 1799999997, 0);
    INSERT INTO changes VALUES (7, 3, x'01303031303130303030303030303037',
        CAST(x'00000000000000021111111111111111' || 'rs.as.example' AS BLOB), 1800000060, 1800000000);
    INSERT INTO notices VALUES (3, 'a.example', CAST(x'00000000000000091111111111111111' || 'rs.as.example' AS BLOB),
        x'01303031303130303030303030303037', 2, 1800000000, 1800001000);
    INSERT INTO cursors VALUES ('a.example', 'host1', 2, 1800000000);";

#[tokio::test]
async fn a_file_of_version_1_opens_with_all_that_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path().join("auth.db"));
    let version_1 = Schema { migrations: &SCHEMA.migrations[..1], ..SCHEMA };
    let former = Database::open(&options, &version_1).unwrap();
    former.write(|connection| Ok::<_, StoreError>(connection.execute_batch(FORMER)?)).await.unwrap();
    drop(former);

    let store = AuthStore::open(&options).unwrap();
    let Lookup::Live(token) = found(&store, 2, NOW).await else { panic!("not there") };
    assert_eq!((&token.device, token.facts.counter, token.facts.epoch), (&device(7), 5, Epoch(2)));
    // Two bits each, from the lowest: schema, mode, algorithm, technology.
    assert_eq!(
        (token.facts.schema, token.facts.method, token.facts.technology),
        (KeySchema::Obf1, Method::Aka(Algorithm::AkaV1Md5), Technology::ThreeGpp)
    );
    let place = store.acknowledged(app("a.example"), "host1".into()).await.unwrap();
    let notices = store.notices(app("a.example"), place, 9, NOW).await.unwrap();
    assert_eq!(notices[0].token, id(9));
    // And goes on from there.
    let mut cursor = store.tip().await.unwrap();
    assert_eq!(commit(&store, new(3, 7, 2)).await, Committed::Done { counter: 6 });
    let superseded =
        Change::Superseded { device: device(7), by: id(3), counter: 6, until: UnixTime(NOW.0 + 60) };
    assert_eq!(follow(&store, &mut cursor).await, [superseded]);
    assert_eq!(store.end_devices(vec![(device(7), Epoch(3))], NOW).await, Ok(3));
}

#[tokio::test]
async fn a_token_that_came_about_in_a_way_unknown_here_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path().join("auth.db"));
    let store = AuthStore::open(&options).unwrap();
    assert_eq!(commit(&store, new(1, 1, 0)).await, Committed::Done { counter: 1 });
    let other = Database::open(&options, &SCHEMA).unwrap();
    let changed = "UPDATE tokens SET how = how + 3";
    other.write(|connection| Ok::<_, StoreError>(connection.execute_batch(changed)?)).await.unwrap();
    let found = store.token(id(1), NOW).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
}
