//! Machine KYC (SPEC clause 3): which grants need which level, and what becomes of a verification that is not repeated.

use crate::common::*;
use obf_net::{Clock as _, OffsetClock};
use obf_resource::Environment;
use obf_rpr::{AnswerError, RightsAnswer, RightsRequest, RightsSelector, RprOperation};
use obf_types::{AppId, Refusal, UnixTime};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const IMSI: &str = "001010000000001";
const DAY: u64 = 86_400;

async fn right(client: &RprUdpClient, app: &str) -> Result<u32, Refusal> {
    let selector = RightsSelector::Only(AppId::new(app).unwrap());
    let reply = client.ask(&RprOperation::Rights(RightsRequest { user_name: IMSI.into(), selector })).await;
    match RightsAnswer::decode(&reply, VENDOR) {
        Ok(answer) => Ok(answer.rights.list[0].lifetime.seconds()),
        Err(AnswerError::Refused(refusal)) => Err(refusal),
        Err(other) => panic!("{other:?}"),
    }
}

fn verification(level: u8, now: UnixTime, repeat: Option<u64>) -> Value {
    let after = |seconds: u64| UnixTime(now.0 + seconds).to_string();
    json!({"custodian": "acme", "level": level, "method": "physical", "verifier": "branch 12",
        "verified_at": UnixTime(now.0 - DAY).to_string(), "valid_until": after(1000 * DAY),
        "reverify_by": repeat.map(after)})
}

/// A device of the custodian `acme`, and `app` for everybody who is granted it.
async fn with_custodian(admin: &mut Admin, apps: &[(&str, u8)]) {
    admin.done("POST", "/v1/devices", record(IMSI)).await;
    let acme = json!({"custodian": "acme", "name": "Acme", "kind": "organisation"});
    admin.done("POST", "/v1/custodians", acme).await;
    admin.done("PATCH", &format!("/v1/devices/{IMSI}"), json!({"custodian": "acme"})).await;
    for (app, level) in apps {
        let described = json!({"app": app, "cert_names": [app], "ua": ["tls-psk"], "kyc_level": level});
        admin.done("POST", "/v1/apps", described).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_level_of_application_and_grant_decides() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    let client = rs.client().await;
    with_custodian(&mut admin, &[("low.example", 0), ("high.example", 2)]).await;
    let now = obf_net::SystemClock.now();
    let grants = "/v1/grants";
    let shown =
        admin.done("POST", grants, json!({"device": IMSI, "app": "low.example", "kyc_level": 2})).await;
    assert_eq!(shown["kyc_level"], 2);
    let shown =
        admin.done("POST", grants, json!({"device": IMSI, "app": "high.example", "kyc_level": 1})).await;
    assert_eq!(shown["kyc_level"], 1);
    let (status, _) =
        admin.json("POST", grants, json!({"device": IMSI, "app": "low.example", "kyc_level": 4})).await;
    assert_eq!(status, 400);
    admin.done("POST", "/v1/kyc", verification(1, now, None)).await;
    for app in ["low.example", "high.example"] {
        assert_eq!(right(&client, app).await, Err(Refusal::KycLevelTooLow), "{app}");
    }
    admin.done("POST", "/v1/kyc", verification(2, now, None)).await;
    for app in ["low.example", "high.example"] {
        assert!(right(&client, app).await.is_ok(), "{app}");
    }
    // A group's grant has a level of its own too.
    admin.done("DELETE", &format!("/v1/grants/{IMSI}/low.example"), Value::Null).await;
    admin.done("POST", "/v1/groups", json!({"group": "fleet"})).await;
    admin.done("POST", "/v1/groups/fleet/members", json!({"devices": [IMSI]})).await;
    for (level, expected) in [(3, false), (2, true), (0, true)] {
        admin.done("POST", grants, json!({"group": "fleet", "app": "low.example", "kyc_level": level})).await;
        assert_eq!(right(&client, "low.example").await.is_ok(), expected, "{level}");
    }
    let listed = admin.done("GET", "/v1/grants", Value::Null).await;
    let levels: Vec<_> =
        listed["grants"].as_array().unwrap().iter().map(|grant| &grant["kyc_level"]).collect();
    assert_eq!(levels, [&json!(1), &Value::Null]);
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_that_is_not_repeated_is_shown_said_once_and_stops_after_the_operators_grace() {
    for grace in [None, Some(30)] {
        let site = Site::new();
        let clock = Arc::new(OffsetClock::new());
        let mut config = site.config(None);
        if let Some(days) = grace {
            config["kyc"] = json!({"reverify_grace_days": days});
        }
        let rs = site.start_in(config, Environment { clock: clock.clone() }).await;
        let mut admin = rs.admin().await;
        let client = rs.client().await;
        with_custodian(&mut admin, &[("a.example", 1)]).await;
        admin
            .done("POST", "/v1/grants", json!({"device": IMSI, "app": "a.example", "lifetime": 86_400}))
            .await;
        let (status, _) = admin
            .json("POST", "/v1/kyc", {
                let mut backwards = verification(1, clock.now(), None);
                backwards["reverify_by"] = json!("2000-01-01T00:00:00Z");
                backwards
            })
            .await;
        assert_eq!(status, 422);
        let kyc = admin.done("POST", "/v1/kyc", verification(1, clock.now(), Some(100 * DAY))).await;
        assert_eq!((&kyc["state"], &kyc["due"]), (&json!("valid"), &json!(false)));
        let listed = async |admin: &mut Admin, query: &str| {
            let page = admin.done("GET", &format!("/v1/kyc{query}"), Value::Null).await;
            page["kyc"].as_array().unwrap().len()
        };
        assert_eq!(listed(&mut admin, "?due=true").await, 0);
        assert_eq!(listed(&mut admin, "?within=99").await, 0);
        assert_eq!(listed(&mut admin, "?within=101").await, 1);
        assert_eq!(listed(&mut admin, "?due=false").await, 1);
        assert_eq!(admin.json("GET", "/v1/kyc?due=yes", Value::Null).await.0, 400);

        clock.advance(101 * DAY);
        assert_eq!(listed(&mut admin, "?due=true&custodian=acme").await, 1);
        let kyc = admin.done("GET", "/v1/kyc/1", Value::Null).await;
        assert_eq!((&kyc["state"], &kyc["due"]), (&json!("valid"), &json!(true)));
        let said = async |admin: &mut Admin| {
            let page = admin.done("GET", "/v1/audit?action=kyc.due", Value::Null).await;
            page["audit"].as_array().unwrap().len()
        };
        let waiting = async {
            while said(&mut admin).await == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, waiting).await.expect("it is said that it is due");
        assert_eq!(right(&client, "a.example").await, Ok(86_400));

        // Nothing outlives the last day of the grace, and from then on nothing is given.
        clock.advance(29 * DAY - DAY / 2);
        let lifetime = right(&client, "a.example").await.unwrap();
        clock.advance(DAY);
        let custodian = admin.done("GET", "/v1/custodians/acme", Value::Null).await;
        let kyc = admin.done("GET", "/v1/kyc/1", Value::Null).await;
        match grace {
            None => {
                assert_eq!((lifetime, right(&client, "a.example").await), (86_400, Ok(86_400)));
                assert_eq!((&custodian["kyc"]["level"], &kyc["state"]), (&json!(1), &json!("valid")));
            }
            Some(_) => {
                assert!((43_000..=43_200).contains(&lifetime), "{lifetime}");
                assert_eq!(right(&client, "a.example").await, Err(Refusal::KycExpired));
                assert_eq!((&custodian["kyc"]["level"], &kyc["state"]), (&json!(0), &json!("expired")));
            }
        }
        // Repeated, it is as before, and was said to be due once.
        admin.done("POST", "/v1/kyc", verification(1, clock.now(), Some(100 * DAY))).await;
        assert_eq!(right(&client, "a.example").await, Ok(86_400));
        assert_eq!(listed(&mut admin, "?due=true").await, 0);
        assert_eq!(said(&mut admin).await, 1);
        rs.handle.shutdown().await;
    }
}
