use super::*;
use crate::Options;
use obf_token::{Algorithm, Mode, Technology};
use obf_types::{AppId, Epoch, KeySchema, Lifetime, UnixTime};
use std::sync::Arc;

const NOW: UnixTime = UnixTime(1_800_000_000);

struct Opened {
    store: AuthStore,
    directory: tempfile::TempDir,
}

fn open() -> Opened {
    let directory = tempfile::tempdir().unwrap();
    let store = AuthStore::open(&Options::new(directory.path().join("auth.db"))).unwrap();
    Opened { store, directory }
}

fn id(number: u8) -> TokenId {
    TokenId::new([number; 16], Domain::new("rs.as.example").unwrap())
}

fn device(number: u8) -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, &format!("0010100000000{number:02}")).unwrap()
}

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

fn rights(apps: &[&str], more: bool) -> Arc<RightsSet> {
    let right = |name: &&str| Right {
        app: app(name),
        lifetime: Lifetime::DEFAULT,
        settings: name.as_bytes().into(),
        local_validity: None,
    };
    Arc::new(RightsSet::new(apps.iter().map(right).collect(), more))
}

fn new(number: u8, of: u8, epoch: u64) -> Bootstrap {
    Bootstrap {
        id: id(number),
        device: device(of),
        user_name: device(of).value().into(),
        facts: Facts {
            schema: KeySchema::Obf1,
            mode: Mode::Aka,
            algorithm: Algorithm::AkaV1Md5,
            technology: Technology::ThreeGpp,
            epoch: Epoch(epoch),
            counter: 0,
            bootstrapped_at: NOW,
            expires: UnixTime(NOW.0 + 1000),
            rights_at: UnixTime(NOW.0 - 3),
        },
        wrapped_ks: vec![number; 76],
        rights: rights(&["a.example", "b.example"], false),
        former_until: UnixTime(NOW.0 + 60),
    }
}

async fn commit(store: &AuthStore, new: Bootstrap) -> Committed {
    store.commit(Arc::new(new)).await.unwrap()
}

async fn changes(store: &AuthStore, after: &Cursor) -> Vec<Change> {
    store.follow(after.clone()).await.unwrap().changes
}

async fn lives(store: &AuthStore, number: u8, now: UnixTime) -> bool {
    matches!(store.token(id(number), now).await.unwrap(), Lookup::Live(_))
}

async fn told(store: &AuthStore, name: &str) -> Vec<TokenId> {
    let notices = store.notices(app(name), NoticeCursor::default(), 100, NOW).await.unwrap();
    notices.into_iter().map(|notice| notice.token).collect()
}

#[tokio::test]
async fn a_token_is_kept_whole_and_survives_reopening() {
    let Opened { store, directory } = open();
    let mut first = new(1, 7, 0);
    first.user_name = b"other@name".to_vec();
    assert_eq!(commit(&store, first.clone()).await, Committed::Done { counter: 1 });
    drop(store);
    let store = AuthStore::open(&Options::new(directory.path().join("auth.db"))).unwrap();
    let Lookup::Live(token) = store.token(id(1), NOW).await.unwrap() else { panic!("not there") };
    assert_eq!((token.device, token.user_name), (device(7), first.user_name));
    assert_eq!(token.facts, Facts { counter: 1, ..first.facts });
    assert_eq!((token.wrapped_ks, token.rights), (vec![1; 76], (*first.rights).clone()));
    assert_eq!(store.token(id(1), UnixTime(NOW.0 + 1000)).await, Ok(Lookup::Expired));
    assert_eq!(store.token(id(2), NOW).await, Ok(Lookup::Unknown));
}

#[tokio::test]
async fn a_challenge_is_spent_once_by_response_or_auts() {
    let Opened { store, directory: _directory } = open();
    let until = UnixTime(NOW.0 + 60);
    assert_eq!(commit(&store, new(1, 7, 0)).await, Committed::Done { counter: 1 });
    assert_eq!(commit(&store, new(1, 7, 0)).await, Committed::AlreadyUsed);
    assert_eq!(store.spend(id(1), None, until).await, Ok(Spent::AlreadyUsed));
    assert_eq!(store.spend(id(2), None, until).await, Ok(Spent::Fresh));
    assert_eq!(store.spend(id(2), None, until).await, Ok(Spent::AlreadyUsed));
    assert_eq!(commit(&store, new(2, 7, 0)).await, Committed::AlreadyUsed);
    // Ended or expired, it stays spent.
    assert_eq!(store.end_token(id(1), NOW).await, Ok(true));
    store.sweep(UnixTime(NOW.0 + 1000)).await.unwrap();
    assert_eq!(commit(&store, new(1, 7, 0)).await, Committed::AlreadyUsed);
}

#[tokio::test]
async fn the_minimum_algorithm_rises_for_good() {
    let Opened { store, directory: _directory } = open();
    let better = |number, epoch| {
        let mut better = new(number, 7, epoch);
        better.facts.algorithm = Algorithm::AkaV2Sha256;
        better
    };
    assert_eq!(commit(&store, new(1, 7, 0)).await, Committed::Done { counter: 1 });
    assert_eq!(commit(&store, better(2, 0)).await, Committed::Done { counter: 2 });
    let below = Committed::BelowMinimum { minimum: Algorithm::AkaV2Sha256 };
    assert_eq!(commit(&store, new(3, 7, 0)).await, below);
    store.end_devices(vec![(device(7), Epoch(4))], NOW).await.unwrap();
    assert_eq!(commit(&store, new(3, 7, 4)).await, below);
    assert_eq!(commit(&store, better(3, 4)).await, Committed::Done { counter: 3 });
}

#[tokio::test]
async fn revocation_ends_tokens_and_open_challenges_and_leaves_notices() {
    let Opened { store, directory: _directory } = open();
    for (number, of) in [(1, 7), (2, 8)] {
        commit(&store, new(number, of, 0)).await;
    }
    let start = store.tip().await.unwrap();
    assert_eq!(store.fetched(id(1), app("c.example")).await, Ok(true));
    assert_eq!(store.fetched(id(1), app("c.example")).await, Ok(true));
    assert_eq!(store.end_devices(vec![(device(7), Epoch(1))], NOW).await, Ok(1));
    assert_eq!(store.end_devices(vec![(device(7), Epoch(1))], NOW).await, Ok(0));
    assert_eq!(store.token(id(1), NOW).await, Ok(Lookup::Revoked));
    // Nobody would be told any more.
    assert_eq!(store.fetched(id(1), app("d.example")).await, Ok(false));
    assert!(lives(&store, 2, NOW).await);
    assert_eq!(commit(&store, new(3, 7, 0)).await, Committed::Revoked);
    let challenge = |epoch| Some((device(7), Epoch(epoch)));
    assert_eq!(store.spend(id(4), challenge(0), NOW).await, Ok(Spent::Revoked));
    assert_eq!(store.spend(id(4), challenge(1), NOW).await, Ok(Spent::Fresh));
    for name in ["a.example", "b.example", "c.example"] {
        assert_eq!(told(&store, name).await, [id(1)], "{name}");
    }
    assert!(told(&store, "d.example").await.is_empty());
    let followed = store.follow(start).await.unwrap();
    assert_eq!(followed.changes, [Change::DeviceEnded { device: device(7), epoch: Epoch(1) }]);
    assert!(!followed.more);
    assert!(changes(&store, &followed.cursor).await.is_empty());
}

#[tokio::test]
async fn a_vector_of_a_newer_epoch_ends_what_a_lost_notice_left() {
    let Opened { store, directory: _directory } = open();
    commit(&store, new(1, 7, 0)).await;
    assert_eq!(commit(&store, new(2, 7, 3)).await, Committed::Done { counter: 2 });
    assert_eq!(store.token(id(1), NOW).await, Ok(Lookup::Revoked));
    assert_eq!(told(&store, "a.example").await, [id(1)]);
    assert_eq!(commit(&store, new(3, 7, 2)).await, Committed::Revoked);
}

#[tokio::test]
async fn a_new_bootstrap_leaves_the_former_token_60_seconds() {
    let Opened { store, directory: _directory } = open();
    let start = store.tip().await.unwrap();
    commit(&store, new(1, 7, 0)).await;
    assert!(changes(&store, &start).await.is_empty());
    commit(&store, new(2, 7, 0)).await;
    let until = UnixTime(NOW.0 + 60);
    assert!(lives(&store, 1, UnixTime(until.0 - 1)).await);
    assert!(!lives(&store, 1, until).await);
    assert!(lives(&store, 2, UnixTime(NOW.0 + 999)).await);
    assert_eq!(changes(&store, &start).await, [Change::Superseded { device: device(7), by: id(2), until }]);
}

#[tokio::test]
async fn rights_change_under_live_tokens() {
    let Opened { store, directory: _directory } = open();
    commit(&store, new(1, 7, 0)).await;
    let holding = store.apps_of_devices(vec![device(8), device(7), device(7)], NOW).await.unwrap();
    assert_eq!(holding, [(device(7), vec![app("a.example"), app("b.example")])]);
    let start = store.tip().await.unwrap();
    let lost = vec![(device(7), vec![app("b.example")])];
    store.set_rights(lost, rights(&["a.example"], true), NOW).await.unwrap();
    let Lookup::Live(token) = store.token(id(1), NOW).await.unwrap() else { panic!("not there") };
    assert_eq!(token.rights, *rights(&["a.example"], true));
    assert_eq!(changes(&store, &start).await, [Change::RightsChanged { device: device(7) }]);
    assert_eq!(told(&store, "b.example").await, [id(1)]);
    assert!(told(&store, "a.example").await.is_empty());
    // When the token ends, all who may hold a key hear of it.
    store.end_token(id(1), NOW).await.unwrap();
    assert_eq!(told(&store, "a.example").await, [id(1)]);
    assert_eq!(told(&store, "b.example").await, [id(1), id(1)]);
}

#[tokio::test]
async fn each_instance_of_an_application_acknowledges_for_itself() {
    let Opened { store, directory: _directory } = open();
    commit(&store, new(1, 7, 0)).await;
    store.end_token(id(1), NOW).await.unwrap();
    let one = || "host1".to_owned();
    let start = NoticeCursor::default();
    assert_eq!(store.acknowledged(app("a.example"), one()).await, Ok(start));
    let place = store.notices(app("a.example"), start, 10, NOW).await.unwrap()[0].place;
    store.acknowledge(app("a.example"), one(), place, NOW).await.unwrap();
    store.acknowledge(app("a.example"), one(), start, NOW).await.unwrap();
    assert_eq!(store.acknowledged(app("a.example"), one()).await, Ok(place));
    assert!(store.notices(app("a.example"), place, 10, NOW).await.unwrap().is_empty());
    assert_eq!(store.acknowledged(app("a.example"), "host2".into()).await, Ok(start));
    assert_eq!(store.acknowledged(app("b.example"), one()).await, Ok(start));
}

#[tokio::test]
async fn tokens_are_listed_by_device_and_application() {
    let Opened { store, directory: _directory } = open();
    for number in 1..=9 {
        commit(&store, new(number, number, 0)).await;
    }
    let mut other = new(20, 20, 0);
    other.rights = rights(&["z.example"], false);
    commit(&store, other).await;
    let list = |filter: TokenFilter, after: Option<TokenId>| {
        let store = store.clone();
        async move {
            let tokens = store.list(filter, after, 4, NOW).await.unwrap();
            tokens.into_iter().map(|token| token.id).collect::<Vec<_>>()
        }
    };
    let of_app = |name| TokenFilter { device: None, app: Some(app(name)) };
    assert_eq!(list(of_app("z.example"), None).await, [id(20)]);
    assert_eq!(list(of_app("a.example"), None).await, [id(1), id(2), id(3), id(4)]);
    assert_eq!(list(of_app("a.example"), Some(id(8))).await, [id(9)]);
    assert_eq!(list(TokenFilter { device: Some(device(5)), app: None }, None).await, [id(5)]);
    assert_eq!(list(TokenFilter::default(), Some(id(9))).await, [id(20)]);
}

#[tokio::test]
async fn keys_are_erased_at_expiry_and_ids_forgotten_later() {
    let Opened { store, directory: _directory } = open();
    for number in 0..=255u8 {
        let mut short = new(number, number % 100, 0);
        short.facts.expires = UnixTime(NOW.0 + 10);
        short.former_until = UnixTime(NOW.0 + 10);
        commit(&store, short).await;
    }
    store.spend(TokenId::new([1; 16], Domain::new("x.example").unwrap()), None, NOW).await.unwrap();
    assert_eq!(store.sweep(UnixTime(NOW.0 + 9)).await, Ok(false));
    let keys = || {
        store.database().read(|c| {
            Ok::<i64, StoreError>(c.query_row("SELECT count(ks) FROM tokens", [], |row| row.get(0))?)
        })
    };
    assert_eq!(keys().await, Ok(256));
    store.sweep(UnixTime(NOW.0 + 10)).await.unwrap();
    assert_eq!(keys().await, Ok(0));
    assert_eq!(store.token(id(3), UnixTime(NOW.0 + 500)).await, Ok(Lookup::Expired));
    store.sweep(UnixTime(NOW.0 + 10 + REMEMBERED)).await.unwrap();
    assert_eq!(store.token(id(3), UnixTime(NOW.0 + 500)).await, Ok(Lookup::Unknown));
    store.sweep_hourly(NOW).await.unwrap();
    let rights = store
        .database()
        .read(|c| {
            Ok::<i64, StoreError>(c.query_row("SELECT count(*) FROM rights_apps", [], |row| row.get(0))?)
        })
        .await;
    assert_eq!(rights, Ok(0));
}

#[tokio::test]
async fn changes_are_forgotten_after_a_day_but_never_numbered_anew() {
    let Opened { store, directory: _directory } = open();
    let start = store.tip().await.unwrap();
    for epoch in 1..=3 {
        store.end_devices(vec![(device(7), Epoch(epoch))], NOW).await.unwrap();
    }
    let later = UnixTime(NOW.0 + u64::from(Lifetime::CEILING.seconds()) + REMEMBERED);
    let after_three = store.tip().await.unwrap();
    store.sweep(later).await.unwrap();
    assert!(changes(&store, &start).await.len() <= 1);
    store.end_devices(vec![(device(7), Epoch(4))], later).await.unwrap();
    store.sweep(later).await.unwrap();
    let fourth = [Change::DeviceEnded { device: device(7), epoch: Epoch(4) }];
    assert_eq!(changes(&store, &after_three).await, fourth);
}

#[tokio::test]
async fn sealing_keys_rotate_for_all_nodes_at_once() {
    let Opened { store, directory } = open();
    let other = AuthStore::open(&Options::new(directory.path().join("auth.db"))).unwrap();
    let key = |id: u32, at: u64| WrappedSealingKey { id, wrapped: vec![id as u8; 4], created: UnixTime(at) };
    let ids = |keys: Vec<WrappedSealingKey>| keys.iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(ids(store.rotate_sealing_keys(key(1, 1000), 480, 600).await.unwrap()), [1]);
    assert_eq!(ids(other.rotate_sealing_keys(key(2, 1001), 480, 600).await.unwrap()), [1]);
    assert_eq!(ids(other.rotate_sealing_keys(key(2, 1480), 480, 600).await.unwrap()), [2, 1]);
    let kept = store.rotate_sealing_keys(key(3, 1600), 480, 600).await.unwrap();
    assert_eq!(kept, [key(2, 1480)]);
}
