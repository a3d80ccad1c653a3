//! Custodians, with what their KYC says.

use super::{Reply, done, object, patched, settled, state_asked, target_state, versioned};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::resource::custodians::{Custodian as View, CustodianKind as Kind, CustodianRecord, Standing};
use obf_admin_http::{AdminRequest, Problem};
use obf_store::resource::{Custodian, CustodianKind, State};
use serde_json::json;

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let after = asked.query("after").unwrap_or_default();
    let mut custodians = work.registry.list_custodians(state_asked(&asked), after, asked.limit() + 1).await?;
    let more = custodians.len() > asked.limit() as usize;
    custodians.truncate(asked.limit() as usize);
    let next = custodians.last().filter(|_| more).map(|custodian| custodian.id.clone());
    let mut rows = Vec::with_capacity(custodians.len());
    for custodian in &custodians {
        rows.push(shown(work, custodian).await?);
    }
    object(StatusCode::OK, &json!({ "custodians": rows, "next": next }))
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let record: CustodianRecord = asked.record()?;
    let now = work.now();
    let custodian = Custodian {
        id: record.custodian.clone(),
        name: record.name.clone(),
        kind: kind(record.kind),
        contact: record.contact.clone(),
        state: State::Active,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let added = work.registry.add_custodian(custodian, work.now()).await?;
    let there = load(work, &record.custodian).await?;
    if !added && described(&there) != record {
        return Err(Problem::exists("custodian", &record.custodian));
    }
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    versioned(status, &shown(work, &there).await?, there.version)
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    answer(work, &load(work, asked.path(0)).await?).await
}

pub async fn set(work: &Administration, asked: AdminRequest) -> Reply {
    let custodian = load(work, asked.path(0)).await?;
    let record: CustodianRecord = patched(&described(&custodian), &asked)?;
    let changed =
        Custodian { name: record.name, kind: kind(record.kind), contact: record.contact, ..custodian };
    apply(work, &asked, changed).await
}

pub async fn set_state(work: &Administration, asked: AdminRequest) -> Reply {
    let custodian = load(work, asked.path(0)).await?;
    let state = target_state(&asked, asked.path(0), custodian.state)?;
    apply(work, &asked, Custodian { state, ..custodian }).await
}

async fn apply(work: &Administration, asked: &AdminRequest, changed: Custodian) -> Reply {
    let expected = asked.expected.or(Some(changed.version));
    let outcome = work.registry.replace_custodian(changed, expected, work.now()).await?;
    answer(work, &settled(outcome, "custodian", asked.path(0))?).await
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let outcome = work.registry.remove_custodian(asked.path(0), asked.expected, work.now()).await?;
    settled(outcome, "custodian", asked.path(0))?;
    Ok(done())
}

async fn load(work: &Administration, id: &str) -> Result<Custodian, Problem> {
    work.registry.custodian(id).await?.ok_or_else(|| Problem::unknown("custodian", id))
}

async fn answer(work: &Administration, custodian: &Custodian) -> Reply {
    versioned(StatusCode::OK, &shown(work, custodian).await?, custodian.version)
}

const fn kind(kind: Kind) -> CustodianKind {
    match kind {
        Kind::Person => CustodianKind::Person,
        Kind::Organisation => CustodianKind::Organisation,
    }
}

fn described(custodian: &Custodian) -> CustodianRecord {
    CustodianRecord {
        custodian: custodian.id.clone(),
        name: custodian.name.clone(),
        kind: match custodian.kind {
            CustodianKind::Person => Kind::Person,
            CustodianKind::Organisation => Kind::Organisation,
        },
        contact: custodian.contact.clone(),
    }
}

async fn shown(work: &Administration, custodian: &Custodian) -> Result<View, Problem> {
    let now = work.now();
    let records = work.registry.kyc_standing(&custodian.id).await?;
    let grace = work.registry.policy.reverify_grace;
    let holding = records.iter().map(|record| (record, record.counts_until(grace)));
    // The highest level, and of that the longest.
    let best = holding.filter(|(_, end)| *end > now).max_by_key(|(record, end)| (record.level, *end));
    let kyc = best.map_or_else(Standing::default, |(record, end)| Standing {
        level: record.level,
        expires: Some(end.into()),
        record: u64::try_from(record.record).ok(),
    });
    Ok(View {
        record: described(custodian),
        kyc,
        state: custodian.state,
        version: custodian.version,
        created_at: custodian.created_at.into(),
        updated_at: custodian.updated_at.into(),
    })
}
