//! Verifications of custodians.

use super::{Reply, page, settled, versioned};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::resource::kyc::{Kyc as View, KycRecord as Described, KycState};
use obf_admin_http::{AdminRequest, Problem};
use obf_store::resource::{Due, KycFilter, KycRecord, KycStanding, Outcome};
use obf_types::UnixTime;

const DAY: u64 = 86_400;

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let custodian = asked.query("custodian").map(str::to_owned);
    let after = asked.query_as("after")?.unwrap_or(0);
    let within: Option<u64> = asked.query_as("within")?;
    let now = work.now();
    let due = (within.is_some() || asked.query("due") == Some("true")).then(|| {
        let by = UnixTime(now.0.saturating_add(within.unwrap_or(0).saturating_mul(DAY)));
        Due { now, by }
    });
    let filter = KycFilter { custodian, due };
    let records = work.registry.list_kyc_records(filter, after, asked.limit() + 1).await?;
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        rows.push(shown(work, record, now)?);
    }
    page("kyc", rows, asked.limit(), |row| row.record.to_string(), View::clone)
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let described: Described = asked.record()?;
    if described.valid_until <= described.verified_at {
        return Err(Problem::rule("valid_until: a time behind verified_at"));
    }
    if described.reverify_by.is_some_and(|by| by <= described.verified_at) {
        return Err(Problem::rule("reverify_by: a time behind verified_at"));
    }
    let now = work.now();
    let record = KycRecord {
        id: 0,
        custodian: described.custodian.clone(),
        level: described.level,
        valid_until: described.valid_until.0,
        reverify_by: described.reverify_by.map(|by| by.0),
        revoked: false,
        document: serde_json::to_string(&described).map_err(|error| Problem::internal(&error))?,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let outcome = work.registry.add_kyc_record(record, work.now()).await?;
    match outcome {
        Outcome::NoParent => Err(Problem::unknown("custodian", &described.custodian)),
        outcome => {
            let record = settled(outcome, "custodian", &described.custodian)?;
            versioned(StatusCode::CREATED, &shown(work, &record, now)?, record.version)
        }
    }
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    let record = work.registry.kyc_record(id(&asked)?).await?;
    let record = record.ok_or_else(|| Problem::unknown("kyc", asked.path(0)))?;
    versioned(StatusCode::OK, &shown(work, &record, work.now())?, record.version)
}

pub async fn revoke(work: &Administration, asked: AdminRequest) -> Reply {
    let outcome = work.registry.revoke_kyc_record(id(&asked)?, asked.expected, work.now()).await?;
    let record = settled(outcome, "kyc", asked.path(0))?;
    versioned(StatusCode::OK, &shown(work, &record, work.now())?, record.version)
}

fn id(asked: &AdminRequest) -> Result<i64, Problem> {
    asked.path(0).parse().map_err(|_| Problem::parameter("record", "a number"))
}

fn shown(work: &Administration, record: &KycRecord, now: UnixTime) -> Result<View, Problem> {
    let standing = KycStanding {
        record: record.id,
        level: record.level,
        valid_until: record.valid_until,
        reverify_by: record.reverify_by,
    };
    let state = if record.revoked {
        KycState::Revoked
    } else if standing.counts_until(work.registry.policy.reverify_grace) <= now {
        KycState::Expired
    } else {
        KycState::Valid
    };
    Ok(View {
        record: u64::try_from(record.id).unwrap_or_default(),
        content: serde_json::from_str(&record.document).map_err(|error| Problem::internal(&error))?,
        state,
        due: state == KycState::Valid && record.reverify_by.is_some_and(|by| by <= now),
        version: record.version,
        created_at: record.created_at.into(),
        updated_at: record.updated_at.into(),
    })
}
