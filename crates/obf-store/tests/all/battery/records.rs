//! Administrative records, administrators, and answers kept for requests that come again.

use super::*;
use crate::battery::on_each_engine;

fn stakeholder(id: &str, parent: &str, kind: StakeholderKind) -> Stakeholder {
    Stakeholder {
        kind,
        id: id.into(),
        parent: parent.into(),
        state: State::Registered,
        version: 1,
        document: "{\"name\":\"Ä\"}".into(),
        created_at: NOW,
        updated_at: NOW,
    }
}

on_each_engine! {
    async fn c3_records_live_through_their_states(db: ResourceDb) {
        let (provider, server) = (StakeholderKind::Provider, StakeholderKind::ResourceServer);
        assert!(db.add_stakeholder(stakeholder("mno", "", provider), change(&[])).await.unwrap());
        assert!(!db.add_stakeholder(stakeholder("mno", "", provider), change(&[])).await.unwrap());
        assert!(db.add_stakeholder(stakeholder("rs.mno", "mno", server), change(&[])).await.unwrap());
        assert_eq!(db.stakeholder(provider, "mno").await.unwrap(), Some(stakeholder("mno", "", provider)));
        let of_mno = db.list_stakeholders(server, Some("mno".into()), None, "", 9).await.unwrap();
        assert_eq!(of_mno, [stakeholder("rs.mno", "mno", server)]);
        assert_eq!(db.list_stakeholders(server, None, Some(State::Active), "", 9).await.unwrap(), []);
        let active = Stakeholder { state: State::Active, ..stakeholder("mno", "", provider) };
        let stale = db.replace_stakeholder(active.clone(), Some(5), change(&[])).await.unwrap();
        assert_eq!(stale, Outcome::Stale { version: 1 });
        let Outcome::Done(now) = db.replace_stakeholder(active.clone(), Some(1), change(&[])).await.unwrap()
        else { panic!() };
        assert_eq!((now.state, now.version), (State::Active, 2));
        assert_eq!(db.remove_stakeholder(provider, "mno", None, change(&[])).await.unwrap(), Outcome::InUse);
        db.remove_stakeholder(server, "rs.mno", None, change(&[])).await.unwrap();
        let retired = Stakeholder { state: State::Retired, ..active.clone() };
        db.replace_stakeholder(retired, None, change(&[])).await.unwrap();
        let back = db.replace_stakeholder(active, None, change(&[])).await.unwrap();
        assert_eq!(back, Outcome::Forbidden { state: State::Retired });
        assert_eq!(db.remove_stakeholder(provider, "mno", None, change(&[])).await.unwrap(), Outcome::Done(()));
        assert_eq!(db.stakeholder(provider, "mno").await.unwrap(), None);
    }

    async fn an_administrator_is_known_by_token_or_certificate(db: ResourceDb) {
        let account = |id: &str, token, cert_name: Option<&str>| AdministratorAccount {
            id: id.into(), role: "auditor".into(), application_provider: None, token_sha256: [token; 32],
            cert_name: cert_name.map(str::to_owned), state: State::Active, version: 1, created_at: NOW,
            updated_at: NOW,
        };
        let ada = account("ada", 1, Some("ada.example"));
        assert!(db.add_administrator(ada.clone(), change(&[])).await.unwrap());
        assert!(!db.add_administrator(account("ada", 2, None), change(&[])).await.unwrap());
        assert!(!db.add_administrator(account("bob", 2, Some("ada.example")), change(&[])).await.unwrap());
        assert!(db.add_administrator(account("bob", 2, None), change(&[])).await.unwrap());
        assert_eq!(db.administrator_of_token([1; 32]).await.unwrap(), Some(ada.clone()));
        assert_eq!(db.administrator_of_token([9; 32]).await.unwrap(), None);
        let names = vec!["other.example".into(), "ada.example".into()];
        assert_eq!(db.administrator_of_certificate(names).await.unwrap(), Some(ada.clone()));
        let renewed = AdministratorAccount { token_sha256: [3; 32], ..ada };
        assert!(matches!(
            db.replace_administrator(renewed, Some(1), change(&[])).await.unwrap(),
            Outcome::Done(now) if now.version == 2 && now.token_sha256 == [3; 32]
        ));
        assert_eq!(db.administrator_of_token([1; 32]).await.unwrap(), None);
        assert_eq!(db.list_administrators("", 9).await.unwrap().len(), 2);
        assert_eq!(db.list_administrators("ada", 9).await.unwrap()[0].id, "bob");
        let takes_adas = AdministratorAccount { cert_name: Some("ada.example".into()), ..account("bob", 2, None) };
        assert_eq!(db.replace_administrator(takes_adas, None, change(&[])).await.unwrap(), Outcome::InUse);
        assert_eq!(db.remove_administrator("bob", None, change(&[])).await.unwrap(), Outcome::Done(()));
        assert_eq!(db.administrator("bob").await.unwrap(), None);
        // Whoever comes under the name of a removed provider does not find the old one's tokens.
        let provider = stakeholder("acme", "", StakeholderKind::ApplicationProvider);
        assert!(db.add_stakeholder(provider, change(&[])).await.unwrap());
        let theirs = AdministratorAccount { application_provider: Some("acme".into()), ..account("ap-acme", 7, None) };
        assert!(db.add_administrator(theirs, change(&[])).await.unwrap());
        db.remove_stakeholder(StakeholderKind::ApplicationProvider, "acme", None, change(&[])).await.unwrap();
        assert_eq!(db.administrator_of_token([7; 32]).await.unwrap(), None);
    }

    async fn a_request_that_comes_again_gets_the_answer_it_got(db: ResourceDb) {
        let claim = |request, at| db.claim("ada", "k1", [request; 32], UnixTime(NOW.0 + at));
        assert_eq!(claim(1, 0).await.unwrap(), Claim::Fresh);
        assert_eq!(claim(1, 1).await.unwrap(), Claim::UnderWay);
        assert_eq!(claim(2, 1).await.unwrap(), Claim::OtherRequest);
        // Whoever claimed it has died: it can be claimed again.
        assert_eq!(claim(1, 61).await.unwrap(), Claim::Fresh);
        db.release_claim("ada", "k1", [1; 32]).await.unwrap();
        assert_eq!(claim(1, 62).await.unwrap(), Claim::Fresh);
        let answer = KeptAnswer { status: 201, etag: Some("\"1\"".into()), body: b"{}".to_vec() };
        db.keep_answer("ada", "k1", [1; 32], answer.clone()).await.unwrap();
        assert_eq!(claim(1, 3600).await.unwrap(), Claim::Answered(answer));
        assert_eq!(db.claim("bob", "k1", [1; 32], NOW).await.unwrap(), Claim::Fresh);
        assert_eq!(claim(1, 86_400 + 63).await.unwrap(), Claim::Fresh);
    }
}
