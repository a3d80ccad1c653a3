//! Application providers that register themselves: with their administrator or not at all, few, and not for ever.

use super::*;
use crate::battery::on_each_engine;

fn provider(id: &str) -> Stakeholder {
    Stakeholder {
        kind: StakeholderKind::ApplicationProvider,
        id: id.into(),
        parent: String::new(),
        state: State::Registered,
        version: 1,
        document: "{}".into(),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn administrator(id: &str, number: u8) -> AdministratorAccount {
    AdministratorAccount {
        id: format!("ap-{id}"),
        role: "application-provider".into(),
        application_provider: Some(id.into()),
        token_sha256: [number; 32],
        cert_name: None,
        state: State::Registered,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn register(db: &ResourceDb, id: &str, number: u8, at: u64) -> Registered {
    let change = Change { at: UnixTime(NOW.0 + at), ..change(&[]) };
    db.register_provider(provider(id), administrator(id, number), 3, change).await.unwrap()
}

on_each_engine! {
    async fn a_provider_registers_with_its_administrator_or_not_at_all(db: ResourceDb) {
        assert_eq!(register(&db, "a", 1, 0).await, Registered::Done);
        assert_eq!(register(&db, "a", 2, 0).await, Registered::Exists);
        assert_eq!(db.administrator("ap-a").await.unwrap().unwrap().token_sha256, [1; 32]);
        // Its administrator's name is another's: nothing is left of it.
        let other = AdministratorAccount { application_provider: None, ..administrator("b", 3) };
        assert!(db.add_administrator(other, change(&[])).await.unwrap());
        assert_eq!(register(&db, "b", 4, 0).await, Registered::Exists);
        assert_eq!(db.stakeholder(StakeholderKind::ApplicationProvider, "b").await.unwrap(), None);
        assert_eq!(register(&db, "c", 5, 0).await, Registered::Done);
        assert_eq!(register(&db, "d", 6, 0).await, Registered::Done);
        assert_eq!(register(&db, "e", 7, 0).await, Registered::Full);
        assert_eq!(register(&db, "d", 7, 0).await, Registered::Exists);
        // Who is approved makes room.
        let approved = Stakeholder { state: State::Active, ..provider("c") };
        db.replace_stakeholder(approved, None, change(&[])).await.unwrap();
        assert_eq!(register(&db, "e", 7, 0).await, Registered::Done);
    }

    async fn a_provider_is_approved_with_its_administrator_or_not_at_all(db: ResourceDb) {
        assert_eq!(register(&db, "a", 1, 0).await, Registered::Done);
        let approved = Stakeholder { state: State::Active, ..provider("a") };
        let approve = |expected| db.approve_provider(approved.clone(), expected, "ap-a", change(&[]));
        let state = async || db.administrator("ap-a").await.unwrap().unwrap().state;
        assert_eq!(approve(Some(7)).await.unwrap(), Outcome::Stale { version: 1 });
        assert_eq!(state().await, State::Registered);
        let Outcome::Done(stakeholder) = approve(Some(1)).await.unwrap() else { panic!() };
        assert_eq!((stakeholder.state, stakeholder.version, state().await), (State::Active, 2, State::Active));
        // Approved once more, it brings nobody back whom an operator has suspended since.
        let account = db.administrator("ap-a").await.unwrap().unwrap();
        let suspended = AdministratorAccount { state: State::Suspended, ..account };
        db.replace_administrator(suspended, None, change(&[])).await.unwrap();
        assert!(matches!(approve(None).await.unwrap(), Outcome::Done(_)));
        assert_eq!(state().await, State::Suspended);
    }

    async fn whom_nobody_approves_is_forgotten_in_time(db: ResourceDb) {
        for (id, number, at) in [("old", 1, 0), ("used", 2, 0), ("new", 3, 10)] {
            assert_eq!(register(&db, id, number, at).await, Registered::Done);
        }
        let used = Application { provider: "used".into(), ..application("a.example") };
        db.add_application(used, change(&[])).await.unwrap();
        let expire = |before: u64| db.expire_registrations(UnixTime(NOW.0 + before), change(&[]));
        assert!(expire(0).await.unwrap().is_empty());
        assert_eq!(expire(5).await.unwrap(), ["old"]);
        assert!(expire(5).await.unwrap().is_empty());
        assert_eq!(db.administrator("ap-old").await.unwrap(), None);
        assert!(db.administrator("ap-new").await.unwrap().is_some());
        let filter = AuditFilter { action: Some("application-provider.expire".into()), ..Default::default() };
        let acts = db.audit_rows(filter, 0, 9).await.unwrap();
        assert_eq!(acts.iter().map(|row| row.act.object.as_str()).collect::<Vec<_>>(), ["old"]);
        let approved = Stakeholder { state: State::Active, ..provider("new") };
        db.replace_stakeholder(approved, None, change(&[])).await.unwrap();
        assert!(expire(100).await.unwrap().is_empty());
    }
}
