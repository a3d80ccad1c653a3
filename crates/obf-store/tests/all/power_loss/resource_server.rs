//! A Resource Server's store: no SQN is handed out twice, no revocation and no notice of one is lost.

use super::*;
use obf_store::{Options, resource::*};
use obf_token::{Algorithm, Mode, Technology};
use obf_types::MncLength;
use std::{collections::HashMap, sync::Arc};

const DEVICES: u64 = 40;
const ALL: WithRights = WithRights { limit: 10 };

fn device(number: u64) -> NewDevice {
    NewDevice {
        identities: vec![imsi(number)],
        mnc_length: MncLength::Two,
        credentials: vec![Credential {
            key_index: FIRST_KEY_INDEX,
            technology: Technology::ThreeGpp,
            state: CredentialState::Active,
            source: Source::Kms(KeyEnvelope { algorithm: AkaAlgorithm::Milenage, wrapped: vec![0x57; 80] }),
            parameters: Parameters::Aka(AkaParameters {
                amf: [0, 0],
                minimum_algorithm: Algorithm::AkaV1Md5,
                initial_sqn: 0,
                sqn: 0,
            }),
        }],
        state: State::Active,
        kyc_expiry: None,
        custodian: None,
    }
}

fn change() -> Change {
    Change { actor: "tester".into(), reason: "".into(), addressees: ["as#0".to_owned()].into(), at: NOW }
}

fn key_use() -> KeyUse {
    KeyUse { actor: "as#0".into(), at: NOW }
}

/// The highest SQN and epoch that were acknowledged, by device.
type Acknowledged = Arc<Mutex<HashMap<u64, (u64, u64)>>>;

fn raise(acknowledged: &Acknowledged, number: u64, sqn: u64, epoch: u64) {
    let mut all = acknowledged.lock().unwrap();
    let known = all.entry(number).or_default();
    *known = (known.0.max(sqn), known.1.max(epoch));
}

async fn work(db: ResourceDb, lane: u64, load: Arc<Load>, acknowledged: Acknowledged) {
    let mut step = lane;
    while load.goes_on().await {
        let number = step % DEVICES;
        if step.is_multiple_of(7) {
            let id = db.find_devices(None, imsi(number).value()).await.unwrap()[0].id;
            let Outcome::Done(epoch) = db.end_tokens(id, None, change()).await.unwrap() else { panic!() };
            raise(&acknowledged, number, 0, epoch.0);
        } else {
            let taken = db
                .take_sqn(imsi(number), Mode::Aka, (lane % 32) as u8, ALL, key_use(), |_| Ok(()))
                .await
                .unwrap()
                .unwrap();
            raise(&acknowledged, number, taken.subscriber.credential.aka().sqn, 0);
        }
        step += 13;
        load.did();
    }
}

/// The database in this directory has everything that was acknowledged, and goes on above it.
async fn check(directory: &Path, acknowledged: &HashMap<u64, (u64, u64)>) {
    let db = ResourceDb::open(&Options::new(directory.join("rs.db"))).unwrap();
    let mut disconnects = 0;
    for (number, (sqn, epoch)) in acknowledged {
        let device = &db.find_devices(None, imsi(*number).value()).await.unwrap()[0];
        let found = device.credentials[0].aka().sqn;
        assert!(found >= *sqn, "device {number}: SQN {found} after {sqn} was acknowledged");
        assert!(device.epoch.0 >= *epoch, "device {number}: epoch {} after {epoch}", device.epoch.0);
        let next =
            db.take_sqn(imsi(*number), Mode::Aka, 0, ALL, key_use(), |_| Ok(())).await.unwrap().unwrap();
        let next = next.subscriber.credential.aka().sqn;
        assert!(next >> 5 > *sqn >> 5, "device {number}: {next} again");
        // Epochs begin at the time of the change that added the device.
        disconnects += epoch.saturating_sub(change().at.0) as usize;
    }
    // A revocation's notice is in the same transaction: none is lost with the power.
    let waiting = crate::battery::outbox(&db, "as#0").await;
    assert!(waiting.len() >= disconnects, "{} notices for {disconnects} revocations", waiting.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_survives_a_power_loss_under_load() {
    let vfs = PowerLossVfs::register("power-loss").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path().join("rs.db")).vfs(&vfs);
    // Two openers, as two processes of one Resource Server.
    let nodes = [ResourceDb::open(&options).unwrap(), ResourceDb::open(&options).unwrap()];
    nodes[0].add_devices((0..DEVICES).map(device).collect(), change()).await.unwrap();
    let (load, acknowledged) = (Arc::<Load>::default(), Acknowledged::default());
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let db = nodes[lane as usize % 2].clone();
            tokio::spawn(work(db, lane, load.clone(), acknowledged.clone()))
        })
        .collect();
    let survives = async |directory: &Path, before, _| check(directory, &before).await;
    lose_power(&vfs, 24, &load, &acknowledged, survives).await;
    for lane in lanes {
        lane.await.unwrap();
    }
    let commits: u64 = nodes.iter().map(|db| db.statistics().commits).sum();
    assert!(commits > 100, "{commits} commits: too little load to mean anything");
}
