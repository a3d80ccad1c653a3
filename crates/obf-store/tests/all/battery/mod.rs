//! The Resource Server's tables through the traits that the node uses: every test runs on SQLite
//! (here) and on PostgreSQL (`tests/peers`); `crate::engine` is the one or the other.

mod audit;
mod authorisation;
mod backup;
mod credentials;
mod denials;
mod devices;
mod keys;
mod kyc;
mod migration;
mod outbox;
mod records;
mod registrations;

use obf_store::resource::*;
use obf_token::{Algorithm, Mode, Technology};
use obf_types::{AppId, GlobalIdentity, IdentityKind, MncLength, UnixTime};

/// Tests that are given an empty database of the engine at hand.
macro_rules! on_each_engine {
    ($($(#[$meta:meta])* async fn $name:ident($db:ident: ResourceDb) $body:block)*) => {
        $($(#[$meta])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let directory = tempfile::tempdir().unwrap();
            let $db: ResourceDb = crate::engine::open(directory.path()).await;
            $body
        })*
    };
}
use on_each_engine;

const NOW: UnixTime = UnixTime(1_800_000_000);
const ALL: WithRights = WithRights { limit: 100 };

fn imsi(number: u64) -> GlobalIdentity {
    GlobalIdentity::new(IdentityKind::Imsi, &format!("{number:015}")).unwrap()
}

/// All that waits for an addressee, in the order in which its two lanes are delivered.
pub async fn outbox(store: &ResourceDb, addressee: &str) -> Vec<Notice> {
    let mut all = store.notices_in(addressee, Lane::Single, 10_000).await.unwrap();
    all.extend(store.notices_in(addressee, Lane::Bulk, 10_000).await.unwrap());
    all
}

fn device(number: u64) -> NewDevice {
    let iccid = GlobalIdentity::new(IdentityKind::Iccid, &format!("89{number:017}")).unwrap();
    NewDevice {
        identities: vec![imsi(number), iccid],
        mnc_length: MncLength::Three,
        credentials: vec![credential()],
        state: State::Active,
        kyc_expiry: Some(UnixTime(NOW.0 + 1)),
        custodian: None,
    }
}

/// A key of ours for AKA, in use.
fn credential() -> Credential {
    Credential {
        key_index: FIRST_KEY_INDEX,
        technology: Technology::ThreeGpp,
        state: CredentialState::Active,
        source: Source::Kms(KeyEnvelope {
            algorithm: AkaAlgorithm::Milenage,
            wrapped: vec![0, 0, 0, 1, 2, 3],
        }),
        parameters: aka_from(0),
    }
}

/// What AKA needs, with that as the last SQN used.
fn aka_from(sqn: u64) -> Parameters {
    let minimum_algorithm = Algorithm::AkaV1Md5;
    Parameters::Aka(AkaParameters { amf: [0, 0], minimum_algorithm, initial_sqn: sqn, sqn })
}

fn change(addressees: &[&str]) -> Change {
    Change {
        actor: "tester".into(),
        reason: "a test".into(),
        addressees: addressees.iter().map(|a| (*a).to_owned()).collect(),
        at: NOW,
    }
}

fn key_use() -> KeyUse {
    KeyUse { actor: "as.example#0".into(), at: NOW }
}

fn app(id: &str) -> AppId {
    AppId::new(id).unwrap()
}

fn application(id: &str) -> Application {
    Application {
        id: app(id),
        provider: String::new(),
        cert_names: vec![id.into(), "proxy.example".into()],
        protocols: vec!["mqtt".into()],
        ua_classes: vec!["tls-psk".into()],
        max_lifetime: None,
        kyc_level: 0,
        settings: vec![9],
        discloses_identity: true,
        state: State::Active,
        withheld: false,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

fn grant(grantee: Grantee, id: &str) -> Grant {
    Grant { grantee, app: app(id), terms: Terms::default(), created_at: NOW }
}

fn custodian(id: &str) -> Custodian {
    Custodian {
        id: id.into(),
        name: "Acme".into(),
        kind: CustodianKind::Organisation,
        contact: Some("fleet@acme.example".into()),
        state: State::Active,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A verification that holds for so many seconds, to be repeated after so many.
fn verified(custodian: &str, level: u8, holds: u64, repeat: Option<u64>) -> KycRecord {
    KycRecord {
        id: 0,
        custodian: custodian.into(),
        level,
        valid_until: UnixTime(NOW.0 + holds),
        reverify_by: repeat.map(|seconds| UnixTime(NOW.0 + seconds)),
        revoked: false,
        document: "{}".into(),
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn with_device(db: &ResourceDb) -> DeviceId {
    let added = db.add_devices(vec![device(1)], change(&[])).await.unwrap();
    let [Added::New(id)] = added[..] else { panic!("{added:?}") };
    id
}

async fn found(db: &ResourceDb, number: u64) -> Device {
    let mut found = db.find_devices(None, imsi(number).value()).await.unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}
