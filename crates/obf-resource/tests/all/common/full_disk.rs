//! What a Resource Server does and does not on a full disk.

use super::{Admin, load::imsi, record};
use serde_json::{Value, json};
use std::collections::HashMap;

pub const FULL: &str = "the disk is full";

/// Every device stands at least where it was acknowledged to be.
pub async fn check(admin: &mut Admin, highest: &HashMap<u64, u64>) {
    for (device, sqn) in highest {
        let shown = admin.done("GET", &format!("/v1/devices/{}", imsi(*device)), Value::Null).await;
        let now = u64::from_str_radix(shown["sqn"].as_str().unwrap(), 16).unwrap();
        assert!(now >= *sqn, "device {device}: SQN {now:#x} after {sqn:#x} was acknowledged");
    }
}

/// The first of these numbers that is refused: pages that were begun may have room for a few more.
pub async fn refused<T>(mut change: impl AsyncFnMut(u64) -> Option<T>) -> (u64, T) {
    for number in 1000..11_000 {
        if let Some(refusal) = change(number).await {
            return (number, refusal);
        }
    }
    panic!("the disk is full, and everything is taken");
}

pub fn group(number: u64) -> String {
    format!("fleet-{number}")
}

/// What an administrator is told on a full disk; the group and the device that were refused.
pub async fn refuses_changes_and_answers_the_rest(admin: &mut Admin) -> (u64, u64) {
    let (fleet, problem) = refused(async |number| {
        let record = json!({"group": group(number), "name": "x".repeat(60)});
        let (status, problem) = admin.json("POST", "/v1/groups", record).await;
        (status != 201).then_some((status, problem))
    })
    .await;
    let (status, problem) = problem;
    assert_eq!((status, &problem["code"]), (500, &json!("OBF-304")), "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(FULL) && detail.contains("nothing was changed"), "{problem}");
    let (device, error) = refused(async |number| {
        let report = admin.import(record(&imsi(number)).to_string()).await;
        report[0]["error"].as_str().map(str::to_owned)
    })
    .await;
    assert!(error.contains(FULL), "{error}");
    admin.done("GET", "/v1/devices", Value::Null).await;
    for path in [format!("/v1/groups/{}", group(fleet)), format!("/v1/devices/{}", imsi(device))] {
        assert_eq!(admin.json("GET", &path, Value::Null).await.0, 404, "nothing is half done");
    }
    admin.done("GET", "/v1/audit:verify", Value::Null).await;
    (fleet, device)
}

pub async fn works_again(admin: &mut Admin, (fleet, device): (u64, u64)) {
    admin.done("POST", "/v1/groups", json!({"group": group(fleet)})).await;
    assert_eq!(admin.import(record(&imsi(device)).to_string()).await[0]["result"], "added");
    let verified = admin.done("GET", "/v1/audit:verify", Value::Null).await;
    assert_eq!((&verified["intact"], &verified["faults"]), (&json!(true), &json!([])));
}
