//! Many devices at once, and several nodes that add the same ones at the same time.

use super::{Added, Change, NewDevice, device_rows::Adding, signal::Signalling};
use crate::{StoreError, sql::Session};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often all of them together are tried where others are in the way, and then each by itself.
const TRIES: usize = 4;
/// How long that may take in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Adds devices, all of them in one transaction if it can be. Where another node adds some of them too, PostgreSQL may end
/// one of the two transactions: it is tried again, now in the order of the identities so that two of them do not wait for
/// each other, and at last device by device, so that each has its own outcome.
pub(super) async fn add(
    engine: &Signalling,
    devices: Vec<NewDevice>,
    change: Change,
) -> Result<Vec<Added>, StoreError> {
    let patient = Instant::now() + PATIENCE;
    let devices: Arc<[NewDevice]> = devices.into();
    let mut order: Vec<usize> = (0..devices.len()).collect();
    for _ in 0..TRIES {
        match attempt(engine, &devices, &order, &change).await {
            Err(error) if is_conflict(engine, &error) && Instant::now() < patient => {}
            outcome => return Ok(in_their_places(&order, outcome?)),
        }
        order.sort_by(|a, b| {
            let identities = |place: &usize| devices.get(*place).map(|device| &device.identities);
            identities(a).cmp(&identities(b))
        });
    }
    let mut outcomes = Vec::with_capacity(devices.len());
    for place in 0..devices.len() {
        outcomes.push(one(engine, &devices, place, &change, patient).await?);
    }
    Ok(outcomes)
}

async fn one(
    engine: &Signalling,
    devices: &Arc<[NewDevice]>,
    place: usize,
    change: &Change,
    patient: Instant,
) -> Result<Added, StoreError> {
    let mut last = StoreError::Locked;
    for _ in 0..TRIES {
        // Whoever runs out of time says so for the rest.
        if Instant::now() >= patient {
            break;
        }
        match attempt(engine, devices, &[place], change).await {
            Ok(added) => return added.into_iter().next().ok_or(StoreError::Closed),
            Err(error) if is_conflict(engine, &error) => last = error,
            Err(error) => return Err(error),
        }
    }
    Ok(Added::Failed(last))
}

/// Those at these places, in this order, in one transaction.
async fn attempt(
    engine: &Signalling,
    devices: &Arc<[NewDevice]>,
    order: &[usize],
    change: &Change,
) -> Result<Vec<Added>, StoreError> {
    let (devices, order, change) = (devices.clone(), order.to_vec(), change.clone());
    engine
        .write(move |s| {
            let devices: Vec<&NewDevice> = order.iter().filter_map(|place| devices.get(*place)).collect();
            add_all(s, &devices, &change)
        })
        .await
}

/// SQLite has one writer, and there it is a rule of our own that was broken.
const fn is_conflict(engine: &Signalling, error: &StoreError) -> bool {
    engine.has_several_writers() && matches!(error, StoreError::Locked | StoreError::Constraint(_))
}

fn in_their_places(order: &[usize], outcomes: Vec<Added>) -> Vec<Added> {
    let mut placed: Vec<(usize, Added)> = order.iter().copied().zip(outcomes).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, added)| added).collect()
}

fn add_all(s: &mut dyn Session, devices: &[&NewDevice], change: &Change) -> Result<Vec<Added>, StoreError> {
    let mut outcomes = Vec::with_capacity(devices.len());
    let mut first_and_last = None;
    let mut added = 0_usize;
    let adding = Adding::begin(s, change.at)?;
    for device in devices {
        let outcome = adding.add(s, device)?;
        if matches!(outcome, Added::New(_)) {
            added += 1;
            let primary = device.identities.first();
            first_and_last = Some((first_and_last.map_or(primary, |(first, _)| first), primary));
        }
        outcomes.push(outcome);
    }
    if let Some((Some(first), Some(last))) = first_and_last {
        let (action, detail) = match added {
            1 => ("device.add", String::new()),
            _ => ("device.import", format!("{added} devices, up to {last}")),
        };
        change.record(s, action, &first.to_string(), &detail)?;
    }
    Ok(outcomes)
}
