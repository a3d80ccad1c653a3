//! Issue 4 sentence 8: every access to a subscriber key is in the audit, with who, whose and why; whether it led to anything
//! or not.

use crate::common::*;
use obf_aka::Authentication;
use obf_radius::AnswerError;
use obf_types::Refusal;
use serde_json::{Value, json};

const IMSI: &str = "001010000000001";
const SERVER: &str = "as.example#1";

/// Actor, object and reason of each act of that kind so far.
async fn acts(admin: &mut Admin, action: &str) -> Vec<[String; 3]> {
    let listed = admin.done("GET", &format!("/v1/audit?action={action}"), Value::Null).await;
    let rows = listed["audit"].as_array().unwrap().iter();
    rows.map(|row| ["actor", "object", "reason"].map(|name| row[name].as_str().unwrap().to_owned())).collect()
}

fn of(actor: &str, reason: &str) -> [String; 3] {
    [actor, "imsi:001010000000001", reason].map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_each_use_of_a_key_is_in_the_audit_whether_it_succeeds_or_not() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.done("POST", "/v1/devices", record(IMSI)).await;
    assert_eq!(acts(&mut admin, "key.use").await, Vec::<[String; 3]>::new(), "registering opens no key");

    let (client, mut usim) = (rs.client().await, Usim::new());
    usim.memory =
        obf_aka::SqnArray::restore(Default::default(), obf_aka::SqnLimits::DEFAULT, &[5000; 32]).unwrap();
    let stale = client.vector(IMSI).await.unwrap();
    let Authentication::SynchronisationFailure(auts) = usim.authenticate(&stale) else { panic!("fresh") };
    let mut expected = vec![of(SERVER, "vector")];
    assert_eq!(acts(&mut admin, "key.use").await, expected);

    // Whose MAC-S is wrong has had the key opened all the same.
    let mut forged = auts;
    forged[13] ^= 1;
    let refused = client.resynchronise(IMSI, aka(&stale).rand, forged).await;
    assert!(matches!(refused, Err(AnswerError::Refused(Refusal::BadResynchronisation))), "{refused:?}");
    expected.push(of(SERVER, "verification of AUTS"));
    assert_eq!(acts(&mut admin, "key.use").await, expected);
    usim.accepts(&client.resynchronise(IMSI, aka(&stale).rand, auts).await.unwrap());
    expected.extend([of(SERVER, "verification of AUTS"), of(SERVER, "resynchronisation")]);
    assert_eq!(acts(&mut admin, "key.use").await, expected);

    // So does a record that comes again, with the same key or with another.
    let comparison = "comparison with a record that came again";
    assert_eq!(admin.json("POST", "/v1/devices", record(IMSI)).await.0, 200);
    let mut other = record(IMSI);
    other["k"] = json!("00000000000000000000000000000000");
    let report = admin.import(format!("{}\n{other}", record("001010000000002"))).await;
    assert_eq!((&report[0]["result"], &report[1]["code"]), (&json!("added"), &json!("device-conflict")));
    expected.extend([of("admin", comparison), of("admin", comparison)]);
    assert_eq!(acts(&mut admin, "key.use").await, expected);

    // Nobody's key is opened for who is unknown or out of use.
    admin.done("POST", "/v1/devices/001010000000002:suspend", Value::Null).await;
    for nobody in ["001010000000009", "001010000000002"] {
        assert!(client.vector(nobody).await.is_err());
        assert!(client.resynchronise(nobody, aka(&stale).rand, auts).await.is_err());
    }
    assert_eq!(acts(&mut admin, "key.use").await, expected);
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_keys_that_are_made_or_wrapped_anew_are_in_the_audit() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    let batch = json!({
        "imsi": "001010000500000", "count": 30, "format": "csv", "transport_key_name": "maker",
        "transport_key": "000102030405060708090a0b0c0d0e0f",
    });
    assert_eq!(admin.call("POST", "/v1/kms:create", batch.to_string()).await.status(), 200);
    let made = admin.done("GET", "/v1/audit?action=kms.create", Value::Null).await;
    assert_eq!(made["audit"].as_array().unwrap().len(), 1);
    let made = &made["audit"][0];
    assert_eq!((&made["actor"], &made["object"]), (&json!("admin"), &json!("imsi:001010000500000")));
    assert_eq!(made["detail"], "30 keys, under the transport key maker");

    admin.done("POST", "/v1/kms:rotate", json!({"full": true})).await;
    let done = async {
        while admin.done("GET", "/v1/kms/rotation", Value::Null).await["running"] == true {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, done).await.expect("the rotation ends");
    let begun = acts(&mut admin, "kms.rotate").await;
    assert_eq!(begun, [["admin", "data keys and subscriber keys", ""].map(str::to_owned)]);
    let range = "imsi:001010000500000 to imsi:001010000500029";
    let wrapped = acts(&mut admin, "kms.rewrap-keys").await;
    assert_eq!(wrapped, [["kms", range, "rotation"].map(str::to_owned)]);
    rs.handle.shutdown().await;
}
