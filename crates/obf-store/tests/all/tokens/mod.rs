//! The Authentication Server's store as its nodes use it: every test runs with two nodes, on SQLite (here)
//! and on PostgreSQL (`tests/peers`); `crate::engine` is the one or the other.
#![allow(dead_code, reason = "some is for the tests of one engine")]

mod audit;
mod bootstraps;
mod ending;
mod feed;
mod forgetting;
mod races;

use obf_store::auth::*;
use obf_token::{Algorithm, Method, Technology, TokenFacts, TokenId};
use obf_types::{AppId, Domain, Epoch, GlobalIdentity, IdentityKind, KeySchema, Lifetime, Right, UnixTime};
use std::sync::Arc;

/// Tests that are given two nodes on an empty database of the engine at hand.
macro_rules! on_each_engine {
    ($($(#[$meta:meta])* async fn $name:ident($stores:pat = nodes) $body:block)*) => {
        $($(#[$meta])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let directory = tempfile::tempdir().unwrap();
            let $stores: [AuthStore; 2] = crate::engine::open_nodes(directory.path()).await;
            $body
        })*
    };
}
use on_each_engine;

pub const NOW: UnixTime = UnixTime(1_800_000_000);

pub fn id(number: u64) -> TokenId {
    let mut rand = [0x11; 16];
    rand[..8].copy_from_slice(&number.to_be_bytes());
    TokenId::new(rand, Domain::new("rs.as.example").unwrap())
}

pub fn device(number: u64) -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, &format!("00101{number:010}")).unwrap()
}

pub fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

pub fn rights(apps: &[&str], more: bool) -> Arc<RightsSet> {
    let right = |name: &&str| Right {
        app: app(name),
        lifetime: Lifetime::DEFAULT,
        settings: name.as_bytes().into(),
        local_validity: None,
    };
    Arc::new(RightsSet::new(apps.iter().map(right).collect(), more))
}

/// A bootstrap of token `number` of device `of` under an epoch.
pub fn new(number: u64, of: u64, epoch: u64) -> Bootstrap {
    Bootstrap {
        id: id(number),
        device: device(of),
        user_name: device(of).value().into(),
        facts: TokenFacts {
            schema: KeySchema::Obf1,
            method: Method::Aka(Algorithm::AkaV1Md5),
            technology: Technology::ThreeGpp,
            epoch: Epoch(epoch),
            counter: 0,
            bootstrapped_at: NOW,
            expires: UnixTime(NOW.0 + 1000),
            rights_at: UnixTime(NOW.0 - 3),
        },
        wrapped_ks: number.to_be_bytes().repeat(9),
        rights: rights(&["a.example", "b.example"], false),
        former_until: UnixTime(NOW.0 + 60),
    }
}

pub async fn commit(store: &AuthStore, new: Bootstrap) -> Committed {
    store.commit(Arc::new(new)).await.unwrap()
}

pub async fn found(store: &AuthStore, number: u64, now: UnixTime) -> Lookup {
    store.token(id(number), now).await.unwrap()
}

pub async fn lives(store: &AuthStore, number: u64, now: UnixTime) -> bool {
    matches!(found(store, number, now).await, Lookup::Live(_))
}

/// What an application is told, from the beginning.
pub async fn told(store: &AuthStore, name: &str) -> Vec<TokenId> {
    let notices = store.notices(app(name), NoticeCursor::default(), 1000, NOW).await.unwrap();
    notices.into_iter().map(|notice| notice.token).collect()
}

/// What happened behind a cursor, which moves.
pub async fn follow(store: &AuthStore, cursor: &mut Cursor) -> Vec<Change> {
    let mut changes = Vec::new();
    loop {
        let followed = store.follow(cursor.clone()).await.unwrap();
        changes.extend(followed.changes);
        *cursor = followed.cursor;
        if !followed.more {
            return changes;
        }
    }
}

pub fn ended(of: u64, epoch: u64) -> Change {
    Change::DeviceEnded { device: device(of), epoch: Epoch(epoch) }
}
