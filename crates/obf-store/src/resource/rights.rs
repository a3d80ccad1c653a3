//! What a device is granted, by itself and through its groups, with the applications that it is granted.
//!
//! Only grants that have not ended are seen. Where there are several for one application, the device's own counts,
//! otherwise that of the group whose name comes first.

use super::{Application, Device, DeviceId, ResourceDb, Terms, applications, device_rows::load_of, grants};
use crate::{
    StoreError,
    sql::{Row, Session, Value, values},
};
use obf_types::{AppId, GlobalIdentity, UnixTime};
use std::{cmp::Ordering, future::Future};

/// A grant of a device with the application it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedApplication {
    /// The device.
    pub device: DeviceId,
    /// The group through which it is granted; `None`: to the device itself.
    pub group: Option<String>,
    /// On what terms.
    pub terms: Terms,
    /// The application.
    pub application: Application,
}

/// Grants of one device in order of their applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightsPage {
    /// The grants.
    pub grants: Vec<GrantedApplication>,
    /// True if there are more behind the last.
    pub more: bool,
}

/// What devices are granted.
pub trait Rights {
    /// The device of that identity with up to `limit` grants after that application; `None` if there is no such
    /// device.
    fn rights(
        &self,
        identity: GlobalIdentity,
        after: Option<AppId>,
        limit: u32,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<(Device, RightsPage)>, StoreError>> + Send;

    /// The device of that identity and its grant for that application; `None` where there is none.
    fn right(
        &self,
        identity: GlobalIdentity,
        app: AppId,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<(Device, Option<GrantedApplication>)>, StoreError>> + Send;
}

impl Rights for ResourceDb {
    async fn rights(
        &self,
        identity: GlobalIdentity,
        after: Option<AppId>,
        limit: u32,
        now: UnixTime,
    ) -> Result<Option<(Device, RightsPage)>, StoreError> {
        self.engine
            .read(move |s| {
                let Some(device) = load_of(s, &identity)? else { return Ok(None) };
                let page = page(s, device.id, after.as_ref(), limit, now)?;
                Ok(Some((device, page)))
            })
            .await
    }

    async fn right(
        &self,
        identity: GlobalIdentity,
        app: AppId,
        now: UnixTime,
    ) -> Result<Option<(Device, Option<GrantedApplication>)>, StoreError> {
        self.engine
            .read(move |s| {
                let Some(device) = load_of(s, &identity)? else { return Ok(None) };
                let values = values![device.id.0, app.as_str(), now.0];
                let mut granted = s.one(ONE_OWN, values, |row| own(row, device.id))?;
                if granted.is_none() {
                    granted = s.one(ONE_OF_GROUP, values, |row| of_group(row, device.id))?;
                }
                Ok(Some((device, granted)))
            })
            .await
    }
}

/// Up to `limit` grants of the device behind that application.
pub(super) fn page(
    s: &mut dyn Session,
    device: DeviceId,
    after: Option<&AppId>,
    limit: u32,
    now: UnixTime,
) -> Result<RightsPage, StoreError> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let values: &[Value<'_>] =
        values![device.0, after.map_or("", AppId::as_str), now.0, u64::from(limit) + 1];
    let own = s.all(PAGE_OWN, values, |row| own(row, device))?;
    let of_groups = s.all(PAGE_OF_GROUPS, values, |row| of_group(row, device))?;
    let mut grants = merged(own, of_groups);
    let more = grants.len() > most;
    grants.truncate(most);
    Ok(RightsPage { grants, more })
}

/// Two lists in order of applications as one; where both have one, the first list's.
fn merged(own: Vec<GrantedApplication>, of_groups: Vec<GrantedApplication>) -> Vec<GrantedApplication> {
    if of_groups.is_empty() {
        return own;
    }
    let mut all = Vec::with_capacity(own.len() + of_groups.len());
    let (mut own, mut of_groups) = (own.into_iter().peekable(), of_groups.into_iter().peekable());
    loop {
        let order = match (own.peek(), of_groups.peek()) {
            (None, None) => return all,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(mine), Some(other)) => mine.application.id.as_str().cmp(other.application.id.as_str()),
        };
        match order {
            Ordering::Less => all.extend(own.next()),
            Ordering::Greater => all.extend(of_groups.next()),
            Ordering::Equal => {
                all.extend(own.next());
                of_groups.next();
            }
        }
    }
}

// Spelt out, because they run for every vector: the terms, the application, and for groups the group.
const PAGE_OWN: &str = "
    SELECT g.lifetime, g.expires_at, g.settings, g.local_validity, g.kyc_level,
           a.id, a.provider, a.cert_names, a.protocols, a.ua_classes, a.max_lifetime, a.kyc_level, a.settings,
           a.discloses_identity, a.state, a.withheld, a.version, a.created_at, a.updated_at
    FROM grants g JOIN applications a ON a.id = g.app
    WHERE g.device = ?1 AND g.app > ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)
    ORDER BY g.app LIMIT ?4";
const PAGE_OF_GROUPS: &str = "
    SELECT g.lifetime, g.expires_at, g.settings, g.local_validity, g.kyc_level,
           a.id, a.provider, a.cert_names, a.protocols, a.ua_classes, a.max_lifetime, a.kyc_level, a.settings,
           a.discloses_identity, a.state, a.withheld, a.version, a.created_at, a.updated_at, g.group_id
    FROM group_members m
    JOIN group_grants g ON g.group_id = m.group_id
    JOIN applications a ON a.id = g.app
    WHERE m.device = ?1 AND g.app > ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)
      AND NOT EXISTS (
        SELECT 1 FROM group_members m2 JOIN group_grants g2 ON g2.group_id = m2.group_id
        WHERE m2.device = ?1 AND g2.app = g.app AND g2.group_id < g.group_id
          AND (g2.expires_at IS NULL OR g2.expires_at > ?3))
    ORDER BY g.app LIMIT ?4";
const ONE_OWN: &str = "
    SELECT g.lifetime, g.expires_at, g.settings, g.local_validity, g.kyc_level,
           a.id, a.provider, a.cert_names, a.protocols, a.ua_classes, a.max_lifetime, a.kyc_level, a.settings,
           a.discloses_identity, a.state, a.withheld, a.version, a.created_at, a.updated_at
    FROM grants g JOIN applications a ON a.id = g.app
    WHERE g.device = ?1 AND g.app = ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)";
const ONE_OF_GROUP: &str = "
    SELECT g.lifetime, g.expires_at, g.settings, g.local_validity, g.kyc_level,
           a.id, a.provider, a.cert_names, a.protocols, a.ua_classes, a.max_lifetime, a.kyc_level, a.settings,
           a.discloses_identity, a.state, a.withheld, a.version, a.created_at, a.updated_at, g.group_id
    FROM group_members m
    JOIN group_grants g ON g.group_id = m.group_id
    JOIN applications a ON a.id = g.app
    WHERE m.device = ?1 AND g.app = ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)
    ORDER BY g.group_id LIMIT 1";

fn own(row: &dyn Row, device: DeviceId) -> Result<GrantedApplication, StoreError> {
    let application = applications::read(row, 5)?;
    Ok(GrantedApplication { device, group: None, terms: grants::terms(row)?, application })
}

fn of_group(row: &dyn Row, device: DeviceId) -> Result<GrantedApplication, StoreError> {
    let group = Some(row.string(19)?.to_owned());
    Ok(GrantedApplication { group, ..own(row, device)? })
}
