//! The admin API's first routes, over HTTPS (SPEC R5–R7, C4, C6; issue sentence 10).

use crate::common::*;
use serde_json::{Value, json};

const IMSI: &str = "001010000000001";
const APP: &str = "track.example";

#[tokio::test(flavor = "multi_thread")]
async fn without_an_administrators_token_there_is_nothing() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.token = "wrong".into();
    for path in ["/v1/devices", "/v1/nothing"] {
        let answer = admin.call("GET", path, "").await;
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        let problem: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(problem["code"], "not-authenticated");
    }
    rs.handle.shutdown().await;
}

/// Errors are fixtures: status, code, what was wrong; each has what to do next.
#[tokio::test(flavor = "multi_thread")]
async fn problems_say_what_was_wrong_and_what_to_do() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.provision(IMSI, APP).await;
    let mut other_key = record(IMSI);
    other_key["k"] = json!("00000000000000000000000000000000");
    let app = |ua: &str| json!({"app": APP, "cert_names": ["x.example"], "ua": [ua]});
    let grant = |device: &str, app: &str| json!({"device": device, "app": app});
    for (method, path, body, status, code, detail) in [
        ("GET", "/v1/devices/1", json!(null), 404, "unknown-device", "no device 1"),
        ("POST", "/v1/devices/1:revoke", json!(null), 404, "unknown-device", "no device 1"),
        (
            "POST",
            "/v1/devices",
            other_key,
            409,
            "device-conflict",
            "001010000000001 is registered already, with another key",
        ),
        ("POST", "/v1/devices", json!({"imsi": "1"}), 400, "bad-record", "imsi: 6 to 15 digits"),
        (
            "POST",
            "/v1/apps",
            app("tls-psk"),
            409,
            "app-conflict",
            "track.example is registered already, with other content; remove it first",
        ),
        ("POST", "/v1/apps", app("tls"), 400, "bad-record", "ua/0: tls-psk, http-digest or 10 hex digits"),
        ("POST", "/v1/apps", json!({"app": APP}), 400, "bad-record", "cert_names: is needed"),
        ("GET", "/v1/apps/none.example", json!(null), 404, "unknown-app", "no application none.example"),
        ("POST", "/v1/grants", grant("1", APP), 404, "unknown-device", "no device 1"),
        (
            "POST",
            "/v1/grants",
            grant(IMSI, "none.example"),
            404,
            "unknown-app",
            "no application none.example",
        ),
        (
            "DELETE",
            "/v1/grants/001010000000001/none.example",
            json!(null),
            404,
            "unknown-grant",
            "001010000000001 has no grant for none.example",
        ),
        ("GET", "/v1/devices?limit=x", json!(null), 400, "bad-parameter", "limit: a number from 1 to 1000"),
        ("GET", "/v1/nothing", json!(null), 404, "unknown-route", "nothing is served at /v1/nothing"),
        (
            "PUT",
            "/v1/devices",
            json!(null),
            405,
            "method-not-allowed",
            "PUT does nothing here; GET, POST, HEAD, OPTIONS do",
        ),
    ] {
        let (answered, problem) = admin.json(method, path, body).await;
        assert_eq!(
            (answered, &problem["code"], &problem["detail"]),
            (status, &json!(code), &json!(detail)),
            "{method} {path}"
        );
        assert!(!problem["next"].as_str().unwrap().is_empty() && problem["status"] == status);
    }
    let large = admin.call("POST", "/v1/devices", vec![b' '; 70_000]).await;
    assert_eq!(large.status(), 413);
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_the_same_again_changes_nothing() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    assert_eq!(admin.json("POST", "/v1/devices", record(IMSI)).await.0, 201);
    rs.client().await.vector(IMSI).await.unwrap();
    let (status, shown) = admin.json("POST", "/v1/devices", record(IMSI)).await;
    assert_eq!(
        (status, &shown["sqn"]),
        (200, &json!("000000000021")),
        "SQN stays where it had got to: SEQ 1, IND 1"
    );
    let app = json!({"app": APP, "cert_names": [APP], "ua": ["tls-psk"], "settings": "00ff", "disclose_identity": true});
    assert_eq!(admin.json("POST", "/v1/apps", app.clone()).await.0, 201);
    let (status, shown) = admin.json("POST", "/v1/apps", app).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&shown["settings"], &shown["disclose_identity"], &shown["state"]),
        (&json!("00ff"), &json!(true), &json!("active"))
    );
    rs.handle.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_come_in_pages() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    for number in 1..=5 {
        admin.provision(&format!("00101000000000{number}"), &format!("app{number}.example")).await;
    }
    for (path, name, field) in
        [("devices", "devices", "device"), ("apps", "apps", "app"), ("grants", "grants", "app")]
    {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = admin.done("GET", &format!("/v1/{path}?limit=2{after}"), Value::Null).await;
            let rows = page[name].as_array().unwrap();
            assert!(rows.len() <= 2);
            seen.extend(rows.iter().map(|row| row[field].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={}", next.replace('/', "%2F"));
        }
        assert_eq!(seen.len(), 5, "{path}: {seen:?}");
    }
    let of_device = admin.done("GET", "/v1/grants?device=001010000000003", Value::Null).await;
    assert_eq!(
        of_device["grants"],
        json!([{"device": "001010000000003", "app": "app3.example", "group": null, "lifetime": null, "expires": null, "settings": null, "local_validity": null, "kyc_level": null}])
    );
    let of_app = admin.done("GET", "/v1/grants?app=app4.example", Value::Null).await;
    assert_eq!(of_app["grants"][0]["device"], "001010000000004");
    rs.handle.shutdown().await;
}

/// DESIGN.md: every bad line is named, good ones go in; the same again changes nothing; a conflict is named.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_names_every_bad_line_and_takes_the_good_ones() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    let line = |number: u64| record(&format!("{number:015}")).to_string();
    let good: Vec<String> = (1..=2000).map(line).collect();
    let report = admin.import(good.join("\n")).await;
    assert_eq!(report.len(), 2000);
    assert!(report.iter().all(|line| line["result"] == "added"));
    let mut conflicting = record("000000000000002");
    conflicting["opc"] = json!("11111111111111111111111111111111");
    let secret = "465b5ce8b199b49faa5f0a2ee238a6";
    let lines = [
        line(1),
        "no json".into(),
        String::new(),
        conflicting.to_string(),
        json!({"imsi": "000000000003000", "k": secret, "opc": OPC}).to_string(),
        "x".repeat(20_000),
        line(3001),
        line(3001),
    ];
    let report = admin.import(lines.join("\r\n") + "\n").await;
    let said: Vec<(u64, String)> = report
        .iter()
        .map(|line| {
            let outcome = line["result"].as_str().or(line["error"].as_str()).unwrap();
            (line["line"].as_u64().unwrap(), outcome.to_owned())
        })
        .collect();
    assert_eq!(
        said,
        [
            (1, "unchanged".into()),
            (2, "no JSON object: expected ident, at column 2".into()),
            (4, "000000000000002 is registered already, with another key".into()),
            (5, "k: 16 octets are needed, as hex digits".into()),
            (6, "longer than 16384 octets".into()),
            (7, "added".into()),
            (8, "unchanged".into()),
        ]
    );
    assert!(report.iter().all(|line| !line.to_string().contains(secret)));
    rs.handle.shutdown().await;
}

/// SPEC R3: TUAK as well as Milenage, with OP as well as OPc.
#[tokio::test(flavor = "multi_thread")]
async fn r3_tuak_keys_and_keys_with_op_authenticate_too() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    let tuak = json!({"imsi": "001010000000002", "algorithm": "tuak", "k": K, "topc": "11".repeat(32)});
    let tuak_256 =
        json!({"imsi": "001010000000003", "algorithm": "tuak", "k": "22".repeat(32), "top": "11".repeat(32)});
    let op = json!({"imsi": IMSI, "k": K, "op": "cdc202d5123e20f62b6d676ac72cb318"});
    for record in [tuak, tuak_256, op] {
        admin.done("POST", "/v1/devices", record).await;
    }
    let client = rs.client().await;
    // TS 35.208 test set 1: this OP makes this OPc with K.
    Usim::new().accepts(&client.vector(IMSI).await.unwrap());
    let topc = obf_types::Secret::new([0x11; 32]);
    let k = obf_aka::TuakKey::from_slice(&u128::from_str_radix(K, 16).unwrap().to_be_bytes()).unwrap();
    let card = obf_aka::Tuak::new(k, &topc, Default::default(), 1);
    let mut usim = Usim { algorithm: obf_aka::Algorithm::tuak(card).unwrap(), ..Usim::new() };
    usim.accepts(&client.vector("001010000000002").await.unwrap());
    let k = obf_aka::TuakKey::from_slice(&[0x22; 32]).unwrap();
    let card = obf_aka::Tuak::with_top(k, &topc, Default::default(), 1);
    let mut usim = Usim { algorithm: obf_aka::Algorithm::tuak(card).unwrap(), ..Usim::new() };
    usim.accepts(&client.vector("001010000000003").await.unwrap());
    let shown = admin.done("GET", "/v1/devices/001010000000003", Value::Null).await;
    assert_eq!(shown["algorithm"], "tuak");
    rs.handle.shutdown().await;
}
