//! Groups of devices.

use super::{Reply, done, object, page, patched, settled, versioned};
use crate::admin::Administration;
use hyper::StatusCode;
use obf_admin::resource::groups::{Group as View, GroupRecord, Member, MembersChange, MembersRecord};
use obf_admin_http::{AdminRequest, Problem};
use obf_store::resource::{DeviceId, Group};

pub async fn list(work: &Administration, asked: AdminRequest) -> Reply {
    let groups =
        work.registry.list_groups(asked.query("after").unwrap_or_default(), asked.limit() + 1).await?;
    page("groups", groups, asked.limit(), |group| group.id.clone(), shown)
}

pub async fn add(work: &Administration, asked: AdminRequest) -> Reply {
    let record: GroupRecord = asked.record()?;
    let added = work.registry.add_group(&record.group, record.name.clone(), work.now()).await?;
    let group = load(work, &record.group).await?;
    match (added, group.name == record.name) {
        (true, _) => versioned(StatusCode::CREATED, &shown(&group), group.version),
        (false, true) => answer(&group),
        (false, false) => Err(Problem::exists("group", &record.group)),
    }
}

pub async fn show(work: &Administration, asked: AdminRequest) -> Reply {
    answer(&load(work, asked.path(0)).await?)
}

pub async fn set(work: &Administration, asked: AdminRequest) -> Reply {
    let group = load(work, asked.path(0)).await?;
    let record: GroupRecord = patched(&shown(&group).record, &asked)?;
    let expected = asked.expected.or(Some(group.version));
    let outcome = work.registry.rename_group(&group.id, record.name, expected, work.now()).await?;
    answer(&settled(outcome, "group", asked.path(0))?)
}

pub async fn remove(work: &Administration, asked: AdminRequest) -> Reply {
    let outcome = work.registry.remove_group(asked.path(0), asked.expected, work.now()).await?;
    settled(outcome, "group", asked.path(0))?;
    Ok(done())
}

pub async fn members(work: &Administration, asked: AdminRequest) -> Reply {
    load(work, asked.path(0)).await?;
    let after = asked.query_as("after")?.map(DeviceId::from_cursor);
    let members = work.registry.list_members(asked.path(0), after, asked.limit() + 1).await?;
    page(
        "members",
        members,
        asked.limit(),
        |(id, _)| id.to_cursor().to_string(),
        |(_, identity)| Member { device: identity.value().to_owned() },
    )
}

/// Joining and leaving.
pub async fn change_members(work: &Administration, asked: AdminRequest) -> Reply {
    let record: MembersRecord = asked.record()?;
    let put_in = asked.operation.id == "groups.join";
    let outcome = work.registry.change_members(asked.path(0), record.devices, put_in, work.now()).await?;
    let changed = settled(outcome, "group", asked.path(0))?;
    if !changed.unknown.is_empty() {
        return Err(Problem::unknown("device", &changed.unknown.join(", ")));
    }
    let group = load(work, asked.path(0)).await?;
    object(StatusCode::OK, &MembersChange { changed: changed.changed, members: group.members })
}

async fn load(work: &Administration, id: &str) -> Result<Group, Problem> {
    work.registry.group(id).await?.ok_or_else(|| Problem::unknown("group", id))
}

fn answer(group: &Group) -> Reply {
    versioned(StatusCode::OK, &shown(group), group.version)
}

fn shown(group: &Group) -> View {
    View {
        record: GroupRecord { group: group.id.clone(), name: group.name.clone() },
        members: group.members,
        version: group.version,
        created_at: group.created_at.into(),
        updated_at: group.updated_at.into(),
    }
}
