//! Data keys, and envelopes put in place of others.

use super::*;
use crate::battery::on_each_engine;
use std::collections::HashMap;

on_each_engine! {
    async fn c2_envelopes_move_to_another_data_key(db: ResourceDb) {
        let key = |id, kek: &str| DataKey { id, kek: kek.into(), wrapped: vec![7; 60], created_at: NOW };
        assert!(db.add_data_key(key(1, "old"), change(&[])).await.unwrap());
        assert!(!db.add_data_key(key(1, "new"), change(&[])).await.unwrap());
        assert!(db.add_data_key(key(2, "old"), change(&[])).await.unwrap());
        db.rewrap_data_keys(vec![key(1, "new"), key(2, "new")], change(&[])).await.unwrap();
        assert_eq!(db.data_keys().await.unwrap(), [key(1, "new"), key(2, "new")]);
        db.add_devices((1..=3).map(device).collect(), change(&[])).await.unwrap();
        assert_eq!(db.envelopes_by_data_key().await.unwrap(), HashMap::from([(1, 3)]));
        let all = db.wrapped_keys(None, 2).await.unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].primary, imsi(1));
        let anew = |wrapped: &WrappedKey| Rewrapped {
            device: wrapped.device, old: wrapped.envelope.clone(), new: vec![0, 0, 0, 2, 9],
        };
        let rewrapped = db.rewrap(all.iter().map(anew).collect(), "two".into(), None).await.unwrap();
        assert_eq!((rewrapped, db.rotation().await.unwrap()), (2, Some("two".into())));
        // What has changed in the meantime is left alone.
        assert_eq!(db.rewrap(all.iter().map(anew).collect(), "again".into(), None).await.unwrap(), 0);
        assert_eq!(db.envelopes_by_data_key().await.unwrap(), HashMap::from([(1, 1), (2, 2)]));
        assert_eq!(db.remove_unused_data_keys(vec![1, 2], change(&[])).await.unwrap(), Vec::<u32>::new());
        let last = db.wrapped_keys(Some(all[1].device), 9).await.unwrap();
        let opened = Some(("imsi:3".to_owned(), change(&[])));
        db.rewrap(last.iter().map(anew).collect(), "done".into(), opened).await.unwrap();
        let rows = db.audit_rows(AuditFilter { action: Some("kms.rewrap-keys".into()), ..AuditFilter::default() }, 0, 9);
        let rows = rows.await.unwrap();
        assert_eq!((rows.len(), rows[0].act.object.as_str(), rows[0].act.detail.as_str()), (1, "imsi:3", "1 keys"));
        assert_eq!(db.remove_unused_data_keys(vec![1, 2], change(&[])).await.unwrap(), [1]);
        assert_eq!(db.data_keys().await.unwrap(), [key(2, "new")]);
        db.set_rotation("{}".into(), Some(("data keys", change(&[])))).await.unwrap();
        assert_eq!(db.rotation().await.unwrap(), Some("{}".into()));
    }
}
