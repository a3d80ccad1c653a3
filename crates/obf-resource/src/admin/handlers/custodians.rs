//! Custodians, with what their KYC says.

use super::{Reply, done, led_to, object, patched, settled, state_asked, versioned};
use crate::admin::{Problem, api::AdminApi, request::Asked};
use hyper::StatusCode;
use obf_admin::resource::custodians::{Custodian as View, CustodianKind as Kind, CustodianRecord, Standing};
use obf_store::resource::{Custodian, CustodianKind, Custodians, KycRecords, State};
use serde_json::json;

pub async fn list(api: &AdminApi, asked: Asked) -> Reply {
    let after = asked.query("after").unwrap_or_default();
    let mut custodians = api.store().list_custodians(state_asked(&asked), after, asked.limit() + 1).await?;
    let more = custodians.len() > asked.limit() as usize;
    custodians.truncate(asked.limit() as usize);
    let next = custodians.last().filter(|_| more).map(|custodian| custodian.id.clone());
    let mut rows = Vec::with_capacity(custodians.len());
    for custodian in &custodians {
        rows.push(shown(api, custodian).await?);
    }
    object(StatusCode::OK, &json!({ "custodians": rows, "next": next }))
}

pub async fn add(api: &AdminApi, asked: Asked) -> Reply {
    let record: CustodianRecord = asked.record()?;
    let now = api.now();
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
    let added = api.store().add_custodian(custodian, api.change()).await?;
    let there = load(api, &record.custodian).await?;
    if !added && described(&there) != record {
        return Err(Problem::exists("custodian", &record.custodian));
    }
    let status = if added { StatusCode::CREATED } else { StatusCode::OK };
    versioned(status, &shown(api, &there).await?, there.version)
}

pub async fn show(api: &AdminApi, asked: Asked) -> Reply {
    answer(api, &load(api, asked.path(0)).await?).await
}

pub async fn set(api: &AdminApi, asked: Asked) -> Reply {
    let custodian = load(api, asked.path(0)).await?;
    let record: CustodianRecord = patched(&described(&custodian), &asked)?;
    let changed =
        Custodian { name: record.name, kind: kind(record.kind), contact: record.contact, ..custodian };
    apply(api, &asked, changed).await
}

pub async fn set_state(api: &AdminApi, asked: Asked) -> Reply {
    let custodian = load(api, asked.path(0)).await?;
    let state = led_to(&asked, asked.path(0), custodian.state)?;
    apply(api, &asked, Custodian { state, ..custodian }).await
}

async fn apply(api: &AdminApi, asked: &Asked, changed: Custodian) -> Reply {
    let expected = asked.expected.or(Some(changed.version));
    let outcome = api.store().replace_custodian(changed, expected, api.change()).await?;
    api.registry.announce();
    answer(api, &settled(outcome, "custodian", asked.path(0))?).await
}

pub async fn remove(api: &AdminApi, asked: Asked) -> Reply {
    let outcome = api.store().remove_custodian(asked.path(0), asked.expected, api.change()).await?;
    settled(outcome, "custodian", asked.path(0))?;
    Ok(done())
}

async fn load(api: &AdminApi, id: &str) -> Result<Custodian, Problem> {
    api.store().custodian(id).await?.ok_or_else(|| Problem::unknown("custodian", id))
}

async fn answer(api: &AdminApi, custodian: &Custodian) -> Reply {
    versioned(StatusCode::OK, &shown(api, custodian).await?, custodian.version)
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

async fn shown(api: &AdminApi, custodian: &Custodian) -> Result<View, Problem> {
    let now = api.now();
    let records = api.store().kyc_standing(&custodian.id).await?;
    let grace = api.registry.policy.reverify_grace;
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
