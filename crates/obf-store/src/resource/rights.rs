//! What a device is granted, by itself and through its groups, with the applications that it is granted and what denies it
//! those.
//!
//! Only grants that have not ended are seen. Where there are several for one application, the device's own decides,
//! otherwise that of the group whose name comes first. Denials are seen whether they are over or not: it is for the decision to
//! say so.

use super::{
    Application, Denied, Device, DeviceId, ResourceDb, Terms, applications, denials, device_rows::load_of,
    grants,
};
use crate::{
    StoreError,
    sql::{Row, Session, Value, values},
};
use obf_types::{AppId, GlobalIdentity, UnixTime};
use std::{cmp::Ordering, sync::LazyLock};

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

/// What is registered of a device at one application: the grant that decides, if any, and what stands over it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entitlement {
    /// The grant.
    pub granted: Option<GrantedApplication>,
    /// The denial that ends last.
    pub denied: Option<Denied>,
}

/// Grants of one device in order of their applications.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RightsPage {
    /// The grants, each with what stands over it.
    pub grants: Vec<Entitlement>,
    /// True if there are more behind the last.
    pub more: bool,
}

impl Entitlement {
    /// The application, if it is granted.
    pub fn app(&self) -> Option<&AppId> {
        self.granted.as_ref().map(|granted| &granted.application.id)
    }
}

/// What devices are granted.
impl ResourceDb {
    /// The device of that identity with up to `limit` grants after that application; `None` if there is no such
    /// device.
    pub async fn rights(
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

    /// The device of that identity and what is registered of it at that application; `None` if there is no such device.
    pub async fn right(
        &self,
        identity: GlobalIdentity,
        app: AppId,
        now: UnixTime,
    ) -> Result<Option<(Device, Entitlement)>, StoreError> {
        self.engine
            .read(move |s| {
                let Some(device) = load_of(s, &identity)? else { return Ok(None) };
                let values = values![device.id.0, app.as_str(), now.0];
                let mut found = s.one(&ONE_OWN, values, |row| own(row, device.id))?;
                if found.is_none() {
                    found = s.one(&ONE_OF_GROUP, values, |row| of_group(row, device.id))?;
                }
                let entitlement = match found {
                    Some(entitlement) => entitlement,
                    // Nothing is granted; a denial is told all the same.
                    None => Entitlement { granted: None, denied: denials::of_device(s, device.id, &app)? },
                };
                Ok(Some((device, entitlement)))
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
    let own = s.all(&PAGE_OWN, values, |row| own(row, device))?;
    let of_groups = s.all(&PAGE_OF_GROUPS, values, |row| of_group(row, device))?;
    let mut grants = merged(own, of_groups);
    let more = grants.len() > most;
    grants.truncate(most);
    Ok(RightsPage { grants, more })
}

/// Two lists in order of applications as one; where both have one, the first list's.
fn merged(own: Vec<Entitlement>, of_groups: Vec<Entitlement>) -> Vec<Entitlement> {
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
            (Some(mine), Some(other)) => mine.app().map(AppId::as_str).cmp(&other.app().map(AppId::as_str)),
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

/// The columns that [`read`] takes: the terms, the application, the ends of denials; behind them, for a group's grant, the
/// group.
fn columns() -> String {
    format!("{}, {}, {}", grants::TERMS, applications::COLUMNS, denials::ends("g.app"))
}

const APPLICATION: usize = grants::TERMS_LEN;
const DENIED: usize = APPLICATION + applications::COLUMNS_LEN;
const GROUP: usize = DENIED + denials::ENDS_LEN;

// The statements are made once, because they run for every vector.

static PAGE_OWN: LazyLock<String> = LazyLock::new(|| {
    let columns = columns();
    format!(
        "SELECT {columns}
         FROM grants g JOIN applications a ON a.id = g.app
         WHERE g.device = ?1 AND g.app > ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)
         ORDER BY g.app LIMIT ?4"
    )
});
static PAGE_OF_GROUPS: LazyLock<String> = LazyLock::new(|| {
    let columns = columns();
    format!(
        "SELECT {columns}, g.group_id
         FROM group_members m
         JOIN group_grants g ON g.group_id = m.group_id
         JOIN applications a ON a.id = g.app
         WHERE m.device = ?1 AND g.app > ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)
           AND NOT EXISTS (
             SELECT 1 FROM group_members m2 JOIN group_grants g2 ON g2.group_id = m2.group_id
             WHERE m2.device = ?1 AND g2.app = g.app AND g2.group_id < g.group_id
               AND (g2.expires_at IS NULL OR g2.expires_at > ?3))
         ORDER BY g.app LIMIT ?4"
    )
});
static ONE_OWN: LazyLock<String> = LazyLock::new(|| {
    let columns = columns();
    format!(
        "SELECT {columns}
         FROM grants g JOIN applications a ON a.id = g.app
         WHERE g.device = ?1 AND g.app = ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)"
    )
});
static ONE_OF_GROUP: LazyLock<String> = LazyLock::new(|| {
    let columns = columns();
    format!(
        "SELECT {columns}, g.group_id
         FROM group_members m
         JOIN group_grants g ON g.group_id = m.group_id
         JOIN applications a ON a.id = g.app
         WHERE m.device = ?1 AND g.app = ?2 AND (g.expires_at IS NULL OR g.expires_at > ?3)
         ORDER BY g.group_id LIMIT 1"
    )
});

fn own(row: &dyn Row, device: DeviceId) -> Result<Entitlement, StoreError> {
    read(row, device, None)
}

fn of_group(row: &dyn Row, device: DeviceId) -> Result<Entitlement, StoreError> {
    read(row, device, Some(row.string(GROUP)?.to_owned()))
}

fn read(row: &dyn Row, device: DeviceId, group: Option<String>) -> Result<Entitlement, StoreError> {
    let (terms, application) = (grants::terms(row)?, applications::read(row, APPLICATION)?);
    let granted = GrantedApplication { device, group, terms, application };
    Ok(Entitlement { granted: Some(granted), denied: denials::denied(row, DENIED)? })
}
