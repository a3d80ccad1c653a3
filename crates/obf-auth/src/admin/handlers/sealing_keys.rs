//! Keys that challenges are sealed with.

use crate::{admin::Administration, sealing::Use};
use obf_admin::resource::sealing_keys::{SealingKey, SealingUse};
use obf_admin_http::{AdminRequest, Reply, reply::page};

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let after: Option<u32> = asked.query_as("after")?;
    let keys = work.sealing.keys();
    let behind = after.and_then(|after| keys.iter().position(|key| key.id == after)).map_or(0, |at| at + 1);
    let keys: Vec<_> = keys.into_iter().skip(behind).take(asked.limit() as usize + 1).collect();
    page(
        "sealing-keys",
        keys,
        asked.limit(),
        |key| key.id.to_string(),
        |key| SealingKey {
            key: key.id,
            use_now: match key.use_now {
                Use::Next => SealingUse::Next,
                Use::Seals => SealingUse::Seals,
                Use::Opens => SealingUse::Opens,
            },
            created_at: key.created.into(),
        },
    )
}
