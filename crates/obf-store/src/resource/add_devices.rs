//! Many devices at once, and several nodes that add the same ones at the same time.

use super::{Added, Change, NewDevice, device_rows::Adding, signal::Signalling};
use crate::{
    StoreError,
    sql::{Session, Turn},
};
use std::{
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

/// How often all of them together are tried where others are in the way, and then each by itself.
const TRIES: usize = 4;
/// How long that may take in all.
const PATIENCE: Duration = Duration::from_secs(30);

/// Adds devices, all of them in one transaction if it can be. On PostgreSQL other nodes may be adding some of them: many
/// at once take turns; where somebody adds single ones meanwhile, the server may end one of two transactions that wait for
/// each other. That one is tried again, and at last device by device, so that each has its own outcome.
pub(super) async fn add(
    engine: &Signalling,
    devices: Vec<NewDevice>,
    change: Change,
) -> Result<Vec<Added>, StoreError> {
    let patient = Instant::now() + PATIENCE;
    let devices: Arc<[NewDevice]> = devices.into();
    for _ in 0..TRIES {
        match attempt(engine, &devices, 0..devices.len(), &change).await {
            Err(error) if is_conflict(engine, &error) && Instant::now() < patient => {}
            outcome => return outcome,
        }
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
        match attempt(engine, devices, place..place + 1, change).await {
            Ok(added) => return added.into_iter().next().ok_or(StoreError::Closed),
            Err(error) if is_conflict(engine, &error) => last = error,
            Err(error) => return Err(error),
        }
    }
    Ok(Added::Failed(last))
}

/// Those at these places, in one transaction.
async fn attempt(
    engine: &Signalling,
    devices: &Arc<[NewDevice]>,
    places: Range<usize>,
    change: &Change,
) -> Result<Vec<Added>, StoreError> {
    let (devices, change) = (devices.clone(), change.clone());
    engine.write(move |s| add_all(s, devices.get(places).unwrap_or_default(), &change)).await
}

/// SQLite has one writer, and there it is a rule of our own that was broken.
const fn is_conflict(engine: &Signalling, error: &StoreError) -> bool {
    engine.has_several_writers() && matches!(error, StoreError::Locked | StoreError::Constraint(_))
}

fn add_all(s: &mut dyn Session, devices: &[NewDevice], change: &Change) -> Result<Vec<Added>, StoreError> {
    let mut outcomes = Vec::with_capacity(devices.len());
    let mut first_and_last = None;
    let mut added = 0_usize;
    if devices.len() > 1 {
        s.take_turn(Turn::AddingDevices)?;
    }
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
