//! The audit of an Authentication Server: what administrators did, chained, in the transaction of the act itself.

use super::*;
use crate::engine::open_nodes_with_back_door;
use obf_store::audit::{Act, AuditFilter, Fault};

fn act(number: u64) -> Act {
    Act {
        actor: "alice".into(),
        action: "tokens.revoke".into(),
        object: format!("token:{}", id(number)),
        reason: "stolen".into(),
        detail: format!("of {}", device(number)),
    }
}

/// What nobody had made is ended `times` times.
async fn revoke(store: &AuthStore, number: u64, times: usize) {
    for _ in 0..times {
        assert_eq!(store.revoke_token(id(number), act(number), NOW).await, Ok(false));
    }
}

on_each_engine! {
    async fn a_revocation_and_its_row_are_one_at_whichever_node([one, other] = nodes) {
        commit(&one, new(1, 7, 0)).await;
        let mut cursor = one.tip().await.unwrap();
        assert_eq!(other.revoke_token(id(1), act(1), NOW).await, Ok(true));
        assert_eq!(found(&one, 1, NOW).await, Lookup::Revoked);
        assert_eq!(told(&one, "a.example").await, [id(1)]);
        assert_eq!(follow(&one, &mut cursor).await.len(), 1);
        // Also what changes nothing was done by somebody.
        assert_eq!(one.revoke_token(id(1), act(1), NOW).await, Ok(false));
        assert_eq!(one.revoke_token(id(2), act(2), NOW).await, Ok(false));
        assert_eq!(told(&one, "a.example").await, [id(1)]);
        let rows = one.audit_rows(AuditFilter::default(), 0, 9).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.act.clone()).collect::<Vec<_>>(), [act(1), act(1), act(2)]);
        assert!(rows.iter().all(|row| row.at == NOW));
        let filter = AuditFilter { object: Some(act(2).object), ..AuditFilter::default() };
        assert_eq!(other.audit_rows(filter, 0, 9).await.unwrap(), rows[2..]);
        assert_eq!(other.audit_rows(AuditFilter::default(), rows[0].seq, 9).await.unwrap(), rows[1..]);
        assert_eq!(other.audit_rows(AuditFilter::default(), 0, 2).await.unwrap(), rows[..2]);
        // Ended otherwise, by a notice of the Resource Server for one, it is no administrator's act here.
        commit(&one, new(3, 8, 0)).await;
        assert_eq!(one.end_token(id(3), NOW).await, Ok(true));
        assert_eq!(one.audit_rows(AuditFilter::default(), 0, 9).await.unwrap(), rows);
    }

    async fn the_chain_is_one_for_all_nodes_whoever_writes_meanwhile([one, other] = nodes) {
        let mut writing = tokio::task::JoinSet::new();
        for number in 0..40 {
            // Some find a token to end, so that locks of both kinds are taken.
            if number % 4 == 0 {
                commit(&one, new(number, number % 8, 0)).await;
            }
            let node = if number % 2 == 0 { one.clone() } else { other.clone() };
            writing.spawn(async move {
                let ended = node.revoke_token(id(number), act(number), NOW).await.unwrap();
                assert_eq!(ended, number % 4 == 0);
                revoke(&node, number, 1).await;
            });
        }
        let mut sealed = 0;
        while !writing.is_empty() {
            sealed += one.seal_audit(NOW).await.unwrap() + other.seal_audit(NOW).await.unwrap();
            while let Some(written) = writing.try_join_next() {
                written.unwrap();
            }
            tokio::task::yield_now().await;
        }
        sealed += one.seal_audit(NOW).await.unwrap();
        let verified = other.verify_audit(None).await.unwrap();
        assert_eq!((sealed, verified.rows, verified.unsealed, verified.faults), (80, 80, 0, vec![]));
        let head = verified.head.unwrap();
        revoke(&one, 99, 1).await;
        let verified = one.verify_audit(Some(head)).await.unwrap();
        assert_eq!((verified.rows, verified.unsealed, verified.faults.len()), (80, 1, 0));
        assert_eq!(one.verify_audit(Some([7; 32])).await.unwrap().faults, [Fault::HeadMissing]);
    }

    async fn of_several_domains_only_those_asked_for_are_listed([one, other] = nodes) {
        let domains = ["rs.as.example", "south.as.example"].map(|domain| Domain::new(domain).unwrap());
        for number in 1..=6 {
            let mut new = new(number, number / 3, 0);
            new.id = TokenId::new(*new.id.rand(), domains[number as usize % 2].clone());
            commit(&one, new).await;
        }
        let list = async |filter: TokenFilter, after: Option<TokenId>, limit| {
            let tokens = other.list(filter, after, limit, NOW).await.unwrap();
            tokens.into_iter().map(|token| (token.id, token.device)).collect::<Vec<_>>()
        };
        let of = |domains: &[Domain]| TokenFilter {
            domains: Some(domains.to_vec()),
            ..TokenFilter::default()
        };
        let (south, all) = (of(&domains[1..]), list(TokenFilter::default(), None, 9).await);
        let odd: Vec<_> = all.iter().step_by(2).cloned().collect();
        assert_eq!((all.len(), list(of(&domains), None, 9).await), (6, all.clone()));
        assert_eq!(list(south.clone(), None, 9).await, odd);
        // Pages are whole, whatever stands between their rows.
        assert_eq!(list(south.clone(), None, 2).await, odd[..2]);
        assert_eq!(list(south.clone(), Some(odd[1].0.clone()), 2).await, odd[2..]);
        assert_eq!(list(of(&[]), None, 9).await, []);
        let app = TokenFilter { app: Some(app("a.example")), ..south.clone() };
        assert_eq!(list(app, None, 9).await, odd);
        let of_device = TokenFilter { device: Some(device(1)), ..south };
        assert_eq!(list(of_device.clone(), None, 9).await, odd[1..]);
        assert_eq!(list(TokenFilter { domains: Some(vec![]), ..of_device }, None, 9).await, []);
    }
}

/// Rows 1 to 4 sealed in two seals, then 5 not yet.
async fn written(store: &AuthStore) {
    for number in 1..=5 {
        revoke(store, number, 1).await;
        if number == 2 || number == 4 {
            assert_eq!(store.seal_audit(NOW).await, Ok(2));
        }
    }
    let verified = store.verify_audit(None).await.unwrap();
    assert_eq!((verified.rows, verified.unsealed, verified.faults), (4, 1, vec![]));
}

const TAMPERINGS: &[(&str, Fault)] = &[
    ("UPDATE audit SET actor = 'bob' WHERE seq = 3", Fault::Altered { seq: 3 }),
    ("UPDATE audit SET reason = '' WHERE seq = 1", Fault::Altered { seq: 1 }),
    ("DELETE FROM audit WHERE seq = 2", Fault::Removed { seq: 2 }),
    ("DELETE FROM audit WHERE seq = 4", Fault::Removed { seq: 4 }),
    ("DELETE FROM audit_seals WHERE last_seq = 2", Fault::SealBroken { last_seq: 4 }),
    ("UPDATE audit_seals SET at = at + 1 WHERE last_seq = 4", Fault::SealBroken { last_seq: 4 }),
    ("UPDATE audit SET seq = 40 WHERE seq = 4", Fault::Removed { seq: 4 }),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_alters_or_removes_an_administrators_act_is_found_out() {
    for (tampering, fault) in TAMPERINGS {
        let directory = tempfile::tempdir().unwrap();
        let ([one, other], back_door) = open_nodes_with_back_door(directory.path()).await;
        written(&one).await;
        back_door.execute(tampering).await;
        let verified = other.verify_audit(None).await.unwrap();
        assert!(verified.faults.contains(fault), "{tampering}: {:?}", verified.faults);
    }
}
