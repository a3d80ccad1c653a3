use super::*;
use obf_token::{Algorithm, Method, Technology};
use obf_types::{AppId, KeySchema, Lifetime, Right};
use proptest::prelude::*;
use std::collections::HashMap;

const NOW: UnixTime = UnixTime(1_800_000_000);

fn domain() -> Domain {
    Domain::new("rs.as.example").unwrap()
}

fn id(number: u64) -> TokenId {
    let mut rand = [0xA5; 16];
    rand[..8].copy_from_slice(&number.to_be_bytes());
    TokenId::new(rand, domain())
}

fn device(number: u64) -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, &format!("00101{number:010}")).unwrap()
}

fn facts(epoch: u64, expires: u64) -> TokenFacts {
    TokenFacts {
        schema: KeySchema::Obf1,
        method: Method::Aka(Algorithm::AkaV2Sha256),
        technology: Technology::ThreeGpp,
        epoch: Epoch(epoch),
        counter: 1,
        bootstrapped_at: NOW,
        expires: UnixTime(expires),
        rights_at: NOW,
    }
}

fn rights(app: &str) -> RightsSet {
    let right = Right {
        app: AppId::new(app).unwrap(),
        lifetime: Lifetime::DEFAULT,
        settings: Box::default(),
        local_validity: None,
    };
    RightsSet::new(vec![right], false)
}

fn table() -> TokenTable {
    TokenTable::new(vec![domain()], &Secret::new([3; 32]))
}

fn insert(table: &TokenTable, number: u64, of: u64, epoch: u64, expires: u64) -> Result<(), InsertError> {
    insert_with(table, number, of, &facts(epoch, expires))
}

fn insert_with(table: &TokenTable, number: u64, of: u64, facts: &TokenFacts) -> Result<(), InsertError> {
    let identity = device(of);
    table.insert(&NewToken {
        id: &id(number),
        identity: &identity,
        user_name: identity.value().as_bytes(),
        ks: &Ks::new([number as u8; 32]),
        facts,
        rights: table.intern(rights("track.example")),
    })
}

fn live(table: &TokenTable, number: u64, now: UnixTime) -> bool {
    matches!(table.find(&id(number), now), Found::Live(_))
}

#[test]
fn r20_a_token_is_found_by_id_with_its_key() {
    let table = table();
    insert(&table, 1, 7, 0, NOW.0 + 10).unwrap();
    assert_eq!(insert(&table, 1, 8, 0, NOW.0 + 10), Err(InsertError::Duplicate));
    let Found::Live(token) = table.find(&id(1), NOW) else { panic!("not found") };
    assert_eq!(table.ks(&token), Some(Ks::new([1; 32])));
    assert_eq!(token.identity(), Some(device(7)));
    assert_eq!(token.user_name(), device(7).value().as_bytes());
    assert_eq!(*token.facts(), facts(0, NOW.0 + 10));
    assert!(!format!("{token:?}").contains("[1, 1"));
    assert!(matches!(table.find(&id(2), NOW), Found::Absent));
    assert!(matches!(table.find(&id(1), UnixTime(NOW.0 + 10)), Found::Expired));
    let foreign = TokenId::new(*id(1).rand(), Domain::new("rs.other.example").unwrap());
    assert!(matches!(table.find(&foreign, NOW), Found::Absent));
}

#[test]
fn ks_does_not_open_in_another_token() {
    let table = table();
    insert(&table, 1, 7, 0, NOW.0 + 10).unwrap();
    let Found::Live(mut token) = table.find(&id(1), NOW) else { panic!("not found") };
    token.record[0] ^= 1;
    assert_eq!(table.ks(&token), None);
}

#[test]
fn revocation_ends_the_tokens_of_older_epochs_only() {
    let table = table();
    for (number, of, epoch) in [(1, 7, 0), (2, 7, 1), (3, 7, 2), (4, 8, 0)] {
        insert(&table, number, of, epoch, NOW.0 + 10).unwrap();
    }
    assert_eq!(table.end_device(&device(7), Epoch(2)), 2);
    assert!(!live(&table, 1, NOW) && !live(&table, 2, NOW));
    assert_eq!(table.of_device(&device(7), NOW), [id(3)]);
    assert!(live(&table, 4, NOW));
    assert!(table.end(&id(4)));
    assert!(!table.end(&id(4)));
    assert_eq!(table.len(), 1);
}

#[test]
fn a_new_bootstrap_leaves_the_former_token_60_seconds() {
    let table = table();
    let bootstrapped = |counter, lives| {
        let facts = TokenFacts { counter, ..facts(0, NOW.0 + lives) };
        insert_with(&table, counter, 7, &facts).unwrap();
    };
    bootstrapped(1, 1000);
    bootstrapped(2, 30);
    bootstrapped(3, 2000);
    // Word of the second comes when the third has been made.
    table.supersede(&device(7), 2, UnixTime(NOW.0 + 60));
    assert!(live(&table, 3, UnixTime(NOW.0 + 1999)));
    table.supersede(&device(7), 3, UnixTime(NOW.0 + 60));
    assert!(live(&table, 1, UnixTime(NOW.0 + 59)));
    assert!(!live(&table, 1, UnixTime(NOW.0 + 60)));
    assert!(!live(&table, 2, UnixTime(NOW.0 + 30)));
    assert!(live(&table, 3, UnixTime(NOW.0 + 1999)));
    assert_eq!(table.erase_expired(UnixTime(NOW.0 + 60)), 2);
    assert_eq!(table.len(), 1);
}

#[test]
fn of_many_tokens_of_a_device_the_last_are_kept() {
    let table = table();
    for number in 1..=20 {
        let facts = TokenFacts { counter: number, ..facts(0, NOW.0 + 1000) };
        insert_with(&table, number, 7, &facts).unwrap();
    }
    insert(&table, 30, 8, 0, NOW.0 + 1000).unwrap();
    assert_eq!(table.supersede(&device(7), 20, UnixTime(NOW.0 + 60)), 20);
    table.keep_last(&device(7), 16);
    assert_eq!(table.supersede(&device(7), 20, UnixTime(NOW.0 + 60)), 16);
    table.keep_last(&device(7), 16);
    assert_eq!(
        (1..=20).filter(|number| live(&table, *number, NOW)).collect::<Vec<_>>(),
        (5..=20).collect::<Vec<_>>()
    );
    assert!(live(&table, 30, NOW));
}

#[test]
fn expired_tokens_are_erased_however_the_clock_moves() {
    let table = table();
    for number in 0..1000 {
        insert(&table, number, number, 0, NOW.0 + 1 + number % 500).unwrap();
    }
    assert_eq!(table.erase_expired(NOW), 0);
    assert_eq!(table.erase_expired(UnixTime(NOW.0 + 1)), 2);
    assert_eq!(table.erase_expired(UnixTime(NOW.0 - 5000)), 0);
    assert_eq!(table.erase_expired(UnixTime(NOW.0 + 100)), 198);
    insert(&table, 5000, 1, 0, NOW.0 + 50).unwrap();
    assert_eq!(table.erase_expired(UnixTime(NOW.0 + 1_000_000)), 801);
    assert!(table.is_empty());
    insert(&table, 5000, 1, 0, NOW.0 + 2_000_000).unwrap();
    assert_eq!(table.erase_expired(UnixTime(NOW.0 + 1_500_000)), 0);
    assert_eq!(table.erase_expired(UnixTime(NOW.0 + 2_000_000)), 1);
}

/// What can happen to the table, for the comparison with a plain map.
#[derive(Clone, Debug)]
enum Event {
    Insert { number: u64, of: u64, epoch: u64, lives: u64 },
    End(u64),
    EndDevice(u64, u64),
    Supersede(u64, u64),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..64u64, 0..8u64, 0..3u64, 1..200u64)
            .prop_map(|(number, of, epoch, lives)| Event::Insert { number, of, epoch, lives }),
        1 => (0..64u64).prop_map(Event::End),
        1 => (0..8u64, 0..4u64).prop_map(|(of, epoch)| Event::EndDevice(of, epoch)),
        1 => (0..8u64, 0..64u64).prop_map(|(of, counter)| Event::Supersede(of, counter)),
        1 => (0..40u64).prop_map(Event::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn the_table_behaves_as_a_map_of_tokens(events in proptest::collection::vec(event(), 1..200)) {
        let table = table();
        let mut model: HashMap<u64, (u64, u64, u64)> = HashMap::new();
        let mut now = NOW.0;
        for event in events {
            match event {
                Event::Insert { number, of, epoch, lives } => {
                    let facts = TokenFacts { counter: number, ..facts(epoch, now + lives) };
                    let made = insert_with(&table, number, of, &facts);
                    prop_assert_eq!(made.is_ok(), !model.contains_key(&number));
                    model.entry(number).or_insert((of, epoch, now + lives));
                }
                Event::End(number) => {
                    prop_assert_eq!(table.end(&id(number)), model.remove(&number).is_some());
                }
                Event::EndDevice(of, epoch) => {
                    let ended = table.end_device(&device(of), Epoch(epoch));
                    let before = model.len();
                    model.retain(|_, token| token.0 != of || token.1 >= epoch);
                    prop_assert_eq!(ended, before - model.len());
                }
                Event::Supersede(of, counter) => {
                    table.supersede(&device(of), counter, UnixTime(now + 60));
                    for (number, token) in &mut model {
                        if token.0 == of && *number < counter {
                            token.2 = token.2.min(now + 60);
                        }
                    }
                }
                Event::Pass(seconds) => {
                    now += seconds;
                    let erased = table.erase_expired(UnixTime(now));
                    let before = model.len();
                    model.retain(|_, token| token.2 > now);
                    prop_assert_eq!(erased, before - model.len());
                }
            }
            prop_assert_eq!(table.len(), model.len());
            for number in 0..64 {
                prop_assert_eq!(live(&table, number, UnixTime(now)), model.contains_key(&number));
            }
            for of in 0..8 {
                let mut listed = table.of_device(&device(of), UnixTime(now));
                listed.sort();
                let mut expected: Vec<_> =
                    model.iter().filter(|(_, token)| token.0 == of).map(|(number, _)| id(*number)).collect();
                expected.sort();
                prop_assert_eq!(listed, expected);
            }
        }
    }
}
