//! An Authentication Server's store: every token, revocation, spent challenge, notice and administrator's act that was
//! acknowledged is there again, the chain of the audit is whole, and no bootstrap counter is given twice.

use super::*;
use obf_store::{
    Options,
    audit::{Act, AuditFilter},
    auth::*,
};
use obf_token::{Algorithm, Method, Technology, TokenFacts, TokenId};
use obf_types::{AppId, Domain, Epoch, KeySchema, Lifetime, Right};
use std::sync::Arc;

const APP: &str = "track.example";

fn id(number: u64) -> TokenId {
    let mut rand = [0x11; 16];
    rand[..8].copy_from_slice(&number.to_be_bytes());
    TokenId::new(rand, Domain::new("rs.as.example").unwrap())
}

fn bootstrap(number: u64, of: u64, epoch: u64) -> Bootstrap {
    let right = Right {
        app: AppId::new(APP).unwrap(),
        lifetime: Lifetime::DEFAULT,
        settings: Box::default(),
        local_validity: None,
    };
    Bootstrap {
        id: id(number),
        device: imsi(of),
        user_name: imsi(of).value().into(),
        facts: TokenFacts {
            schema: KeySchema::Obf1,
            method: Method::Aka(Algorithm::AkaV2Sha256),
            technology: Technology::ThreeGpp,
            epoch: Epoch(epoch),
            counter: 0,
            bootstrapped_at: NOW,
            expires: UnixTime(NOW.0 + 1000),
            rights_at: NOW,
        },
        wrapped_ks: number.to_be_bytes().repeat(9),
        rights: Arc::new(RightsSet::new(vec![right], false)),
        // Former tokens keep their time here: each is looked for.
        former_until: UnixTime(NOW.0 + 1000),
    }
}

fn act(number: u64) -> Act {
    Act {
        actor: "alice".into(),
        action: "tokens.revoke".into(),
        object: id(number).to_string(),
        reason: String::new(),
        detail: String::new(),
    }
}

/// What was acknowledged: of each device, its counter and epoch; tokens by number and device, and what ended.
#[derive(Clone, Default)]
struct Acknowledged {
    tokens: Vec<(u64, u64)>,
    ended: Vec<u64>,
    revoked: Vec<u64>,
    spent: Vec<u64>,
    counters: Vec<(u64, u64)>,
    epochs: Vec<(u64, u64)>,
}

async fn work(store: AuthStore, lane: u64, load: Arc<Load>, all: Arc<Mutex<Acknowledged>>) {
    // Each lane has a device of its own, so that what must hold of it is plain.
    let (mut epoch, mut live) = (0, Vec::new());
    for step in 1.. {
        if !load.goes_on().await {
            return;
        }
        let number = lane * 1_000_000 + step;
        match step % 9 {
            2 => {
                store.seal_audit(NOW).await.unwrap();
            }
            4 => {
                assert_eq!(store.spend(id(number), None, UnixTime(NOW.0 + 60)).await, Ok(Spent::Fresh));
                all.lock().unwrap().spent.push(number);
            }
            6 => {
                let last = live.pop().unwrap();
                // Before it is acknowledged it may have ended or not.
                all.lock().unwrap().tokens.retain(|(token, _)| *token != last);
                assert_eq!(store.revoke_token(id(last), act(last), NOW).await, Ok(true));
                let mut all = all.lock().unwrap();
                all.ended.push(last);
                all.revoked.push(last);
            }
            8 => {
                epoch += 1;
                all.lock().unwrap().tokens.retain(|(_, of)| *of != lane);
                store.end_devices(vec![(imsi(lane), Epoch(epoch))], NOW).await.unwrap();
                let mut all = all.lock().unwrap();
                all.ended.append(&mut live);
                all.epochs.push((lane, epoch));
            }
            _ => {
                let made = store.commit(Arc::new(bootstrap(number, lane, epoch))).await.unwrap();
                let Committed::Done { counter } = made else { panic!("{made:?}") };
                live.push(number);
                let mut all = all.lock().unwrap();
                all.tokens.push((number, lane));
                all.counters.push((lane, counter));
            }
        }
        load.did();
    }
}

async fn check(directory: &Path, acknowledged: &Acknowledged) {
    let store = AuthStore::open(&Options::new(directory.join("auth.db"))).unwrap();
    for (number, of) in &acknowledged.tokens {
        let kept = store.token(id(*number), NOW).await.unwrap();
        let Lookup::Live(token) = kept else { panic!("token {number}: {kept:?}") };
        assert_eq!((token.device, token.wrapped_ks), (imsi(*of), number.to_be_bytes().repeat(9)));
    }
    let told: Vec<TokenId> = {
        let notices =
            store.notices(AppId::new(APP).unwrap(), NoticeCursor::default(), u32::MAX, NOW).await.unwrap();
        notices.into_iter().map(|notice| notice.token).collect()
    };
    for number in &acknowledged.ended {
        assert_eq!(store.token(id(*number), NOW).await, Ok(Lookup::Revoked), "token {number}");
        assert!(told.contains(&id(*number)), "no notice of {number}");
    }
    let verified = store.verify_audit(None).await.unwrap();
    assert_eq!(verified.faults, [], "the chain of the audit");
    let acts = store.audit_rows(AuditFilter::default(), 0, u32::MAX).await.unwrap();
    assert_eq!(verified.rows + verified.unsealed, acts.len() as u64);
    for number in &acknowledged.revoked {
        assert!(acts.iter().any(|row| row.act == act(*number)), "no row of the revocation of {number}");
    }
    for number in &acknowledged.spent {
        let again = store.spend(id(*number), None, NOW).await;
        assert_eq!(again, Ok(Spent::AlreadyUsed), "challenge {number}");
    }
    for (of, epoch) in &acknowledged.epochs {
        let number = of * 1_000_000 + 999_999;
        let old = store.commit(Arc::new(bootstrap(number, *of, epoch - 1))).await;
        assert_eq!(old, Ok(Committed::Revoked), "device {of} before epoch {epoch}");
    }
    for lane in 0..LANES {
        let highest =
            acknowledged.counters.iter().filter(|(of, _)| *of == lane).map(|(_, counter)| *counter).max();
        let next =
            store.commit(Arc::new(bootstrap(lane * 1_000_000 + 999_998, lane, u64::from(u32::MAX)))).await;
        let Ok(Committed::Done { counter }) = next else { panic!("{next:?}") };
        assert!(counter > highest.unwrap_or(0), "device {lane}: counter {counter} again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_an_authentication_server_acknowledged_survives_a_power_loss_under_load() {
    let vfs = PowerLossVfs::register("auth-power-loss").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new(dir.path().join("auth.db")).vfs(&vfs);
    // Two openers, as two nodes of one Authentication Server.
    let nodes = [AuthStore::open(&options).unwrap(), AuthStore::open(&options).unwrap()];
    let (load, acknowledged) = (Arc::<Load>::default(), Arc::<Mutex<Acknowledged>>::default());
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| {
            let store = nodes[lane as usize % 2].clone();
            tokio::spawn(work(store, lane, load.clone(), acknowledged.clone()))
        })
        .collect();
    // What was under way at that moment is neither here nor there.
    let survives = async |directory: &Path, before, after| check(directory, &settled(before, &after)).await;
    lose_power(&vfs, 16, &load, &acknowledged, survives).await;
    for lane in lanes {
        lane.await.unwrap();
    }
    assert!(load.done.load(Ordering::Relaxed) > 500, "too little load to mean anything");
}

/// What was acknowledged before the power went, without tokens that were being ended while it went.
fn settled(mut before: Acknowledged, after: &Acknowledged) -> Acknowledged {
    before.tokens.retain(|token| after.tokens.contains(token));
    before
}
