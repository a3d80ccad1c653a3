//! The audit of an Authentication Server: what administrators did, chained, in the transaction of the act itself.

use super::*;
use obf_store::audit::{Act, AuditFilter};

fn act(number: u64) -> Act {
    Act {
        actor: "alice".into(),
        action: "token.revoke".into(),
        object: format!("token:{}", id(number)),
        reason: "stolen".into(),
        detail: String::new(),
    }
}

on_each_engine! {
    async fn a_revocation_and_its_row_are_one_at_whichever_node([one, other] = nodes) {
        commit(&one, new(1, 7, 0)).await;
        assert_eq!(other.revoke_token(id(1), act(1), NOW).await, Ok(true));
        assert_eq!(found(&one, 1, NOW).await, Lookup::Revoked);
        // Also what changes nothing was done by somebody.
        assert_eq!(one.revoke_token(id(2), act(2), NOW).await, Ok(false));
        let rows = one.audit_rows(AuditFilter::default(), 0, 9).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.act.clone()).collect::<Vec<_>>(), [act(1), act(2)]);
        assert!(rows.iter().all(|row| row.at == NOW));
        let filter = AuditFilter { object: Some(act(2).object), ..AuditFilter::default() };
        assert_eq!(other.audit_rows(filter, 0, 9).await.unwrap(), rows[1..]);
        assert_eq!(other.audit_rows(AuditFilter::default(), rows[0].seq, 9).await.unwrap(), rows[1..]);
    }

    async fn the_chain_is_one_for_all_nodes([one, other] = nodes) {
        let mut writing = tokio::task::JoinSet::new();
        for number in 0..40 {
            let node = if number % 2 == 0 { one.clone() } else { other.clone() };
            writing.spawn(async move { node.record_acts(vec![act(number), act(number)], NOW).await.unwrap() });
        }
        let mut sealed = 0;
        while !writing.is_empty() {
            sealed += one.seal_audit(NOW).await.unwrap() + other.seal_audit(NOW).await.unwrap();
            while writing.try_join_next().is_some() {}
            tokio::task::yield_now().await;
        }
        sealed += one.seal_audit(NOW).await.unwrap();
        let verified = other.verify_audit(None).await.unwrap();
        assert_eq!((sealed, verified.rows, verified.unsealed, verified.faults), (80, 80, 0, vec![]));
        let head = verified.head.unwrap();
        one.record_acts(vec![act(99)], NOW).await.unwrap();
        let verified = one.verify_audit(Some(head)).await.unwrap();
        assert_eq!((verified.rows, verified.unsealed, verified.faults.len()), (80, 1, 0));
        assert_eq!(one.verify_audit(Some([7; 32])).await.unwrap().faults.len(), 1);
    }
}
