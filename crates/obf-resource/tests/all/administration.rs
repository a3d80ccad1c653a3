//! Issue 4 sentences 3, 4, 6 and 7: roles, tokens, certificates, versions, repeats, limits, registration.

use crate::common::*;
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes};
use obf_net::{certificates, http::HttpClient};
use serde_json::{Value, json};

const IMSI: &str = "001010000000001";
const APP: &str = "track.example";

/// A request with headers of its own.
async fn ask(
    rs: &Rs,
    site: &Site,
    token: &str,
    ask: (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> Response<Bytes> {
    let tls = certificates::client(&site.path("ca.pem")).unwrap();
    let mut http = HttpClient::connect(rs.endpoint("admin"), "rs.example", Some(tls), LONG).await.unwrap();
    let mut request = Request::builder().method(ask.0).uri(ask.1).header("host", "rs.example");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    http.send(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await.unwrap()
}

fn code(answer: &Response<Bytes>) -> (u16, String) {
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), problem["code"].as_str().unwrap().to_owned())
}

/// What every operation has in common, on one of them.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_and_headers_are_heeded() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let apps = "/v1/apps";
    for (method, path, headers, body, status, wanted) in [
        ("PUT", apps, &[][..], "", 405, "method-not-allowed"),
        ("GET", "/v1/nothing", &[], "", 404, "unknown-route"),
        ("GET", apps, &[("accept", "text/html")], "", 406, "not-acceptable"),
        ("GET", apps, &[("accept", "application/json;q=0")], "", 406, "not-acceptable"),
        ("POST", apps, &[("content-type", "text/plain")], "{}", 415, "unsupported-media-type"),
        ("POST", apps, &[("content-encoding", "gzip")], "{}", 415, "unsupported-media-type"),
        (
            "POST",
            apps,
            &[("content-type", "application/json; charset=latin1")],
            "{}",
            415,
            "unsupported-media-type",
        ),
        ("POST", apps, &[], "{", 400, "bad-body"),
        ("POST", apps, &[], "{\"a\u{0}\":1}", 400, "bad-body"),
        ("POST", apps, &[("obf-reason", "\u{e9}")], "{}", 400, "bad-parameter"),
        ("GET", "/v1/apps?limit=1&limit=2", &[], "", 400, "bad-parameter"),
        ("GET", "/v1/apps?nothing=1", &[], "", 400, "bad-parameter"),
        ("GET", "/v1/apps/UPPER", &[], "", 400, "bad-parameter"),
        ("GET", "/v1/apps/%zz", &[], "", 400, "bad-parameter"),
    ] {
        let answer = ask(&rs, &site, TOKEN, (method, path), headers, body).await;
        assert_eq!(code(&answer), (status, wanted.to_owned()), "{method} {path} {headers:?} {body}");
        if status == 405 {
            assert_eq!(answer.headers()["allow"], "GET, POST, HEAD, OPTIONS");
        }
    }
    let options = ask(&rs, &site, TOKEN, ("OPTIONS", "/v1/devices/1:suspend"), &[], "").await;
    assert_eq!(
        (options.status().as_u16(), &options.headers()["allow"]),
        (204, &"POST, OPTIONS".parse().unwrap())
    );
    let head = ask(&rs, &site, TOKEN, ("HEAD", apps), &[], "").await;
    assert!(head.status() == 200 && head.body().is_empty());
    rs.handle.shutdown().await;
}

/// Issue 4 sentence 6: ETags, If-Match, merge patches.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_meets_the_version_it_expects_or_is_refused() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.provision(IMSI, APP).await;
    let path = "/v1/apps/track.example";
    let shown = ask(&rs, &site, TOKEN, ("GET", path), &[], "").await;
    assert_eq!(shown.headers()["etag"], "\"1\"");
    let patch = |tag: &'static str, body: &'static str| {
        let (rs, site) = (&rs, &site);
        async move {
            let headers = [("if-match", tag), ("content-type", "application/merge-patch+json")];
            ask(rs, site, TOKEN, ("PATCH", path), &headers, body).await
        }
    };
    let changed = patch("\"1\"", r#"{"max_lifetime":600,"kyc_level":2}"#).await;
    assert_eq!((changed.status().as_u16(), &changed.headers()["etag"]), (200, &"\"2\"".parse().unwrap()));
    let stale = patch("\"1\"", r#"{"max_lifetime":700}"#).await;
    let problem: Value = serde_json::from_slice(stale.body()).unwrap();
    assert_eq!((stale.status().as_u16(), &problem["version"]), (412, &json!(2)));
    assert_eq!(code(&patch("7", "{}").await), (412, "precondition-failed".into()));
    let changed = patch("*", r#"{"max_lifetime":null}"#).await;
    let app: Value = serde_json::from_slice(changed.body()).unwrap();
    assert_eq!(
        (&app["max_lifetime"], &app["kyc_level"], &app["version"]),
        (&json!(null), &json!(2), &json!(3))
    );
    // The id never changes, and what is required cannot go.
    for body in [r#"{"app":"other.example"}"#, r#"{"cert_names":null}"#, r#"{"cert_names":[]}"#] {
        assert_eq!(code(&patch("*", body).await).0, 400, "{body}");
    }
    let device = ask(
        &rs,
        &site,
        TOKEN,
        ("PATCH", "/v1/devices/001010000000001"),
        &[],
        r#"{"minimum_algorithm":"AKAv2-SHA-256"}"#,
    )
    .await;
    let device: Value = serde_json::from_slice(device.body()).unwrap();
    assert_eq!((&device["minimum_algorithm"], &device["version"]), (&json!("AKAv2-SHA-256"), &json!(2)));
    rs.handle.shutdown().await;
}

/// Issue 4 sentence 6: a request sent twice under one key is carried out once.
#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_stands_for_one_request() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let group = |name: &str| json!({"group": "fleet", "name": name}).to_string();
    let add = |key: &'static str, body: String| {
        let (rs, site) = (&rs, &site);
        async move { ask(rs, site, TOKEN, ("POST", "/v1/groups"), &[("idempotency-key", key)], &body).await }
    };
    let first = add("one", group("a")).await;
    let again = add("one", group("a")).await;
    assert_eq!((first.status().as_u16(), again.status().as_u16()), (201, 201));
    assert_eq!((first.body(), &first.headers()["etag"]), (again.body(), &again.headers()["etag"]));
    assert_eq!(code(&add("one", group("b")).await), (422, "idempotency-key-reused".into()));
    // What was refused may be tried again under its key.
    assert_eq!(code(&add("two", group("b")).await), (409, "exists".into()));
    assert_eq!(code(&add("two", group("b")).await), (409, "exists".into()));
    // An answer that tells a token is never kept.
    let administrator = json!({"administrator": "a", "role": "auditor"}).to_string();
    let add = ("POST", "/v1/administrators");
    let token = ask(&rs, &site, TOKEN, add, &[("idempotency-key", "three")], &administrator).await;
    assert_eq!(token.status(), 201);
    let again = ask(&rs, &site, TOKEN, add, &[("idempotency-key", "three")], &administrator).await;
    assert_eq!(code(&again), (409, "exists".into()));
    rs.handle.shutdown().await;
}

/// Issue 4 sentence 6: roles, tokens hashed at rest, client certificates.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_does_what_its_role_permits() {
    let site = Site::new();
    let mut config = site.config(None);
    config["admin"]["client_ca_file"] = json!(site.path("ca.pem"));
    let rs = site.start(config).await;
    let mut admin = rs.admin().await;
    admin.provision(IMSI, APP).await;
    let mut tokens = Vec::new();
    for role in ["kyc-officer", "auditor", "read-only", "operator"] {
        let record = json!({"administrator": role, "role": role});
        let added = admin.done("POST", "/v1/administrators", record).await;
        tokens.push((role, added["token"].as_str().unwrap().to_owned()));
    }
    let token = |role: &str| tokens.iter().find(|(known, _)| *known == role).unwrap().1.clone();
    let custodian = json!({"custodian": "acme", "name": "Acme", "kind": "organisation"}).to_string();
    for (role, method, path, body, status) in [
        ("kyc-officer", "POST", "/v1/custodians", custodian.as_str(), 201),
        ("kyc-officer", "GET", "/v1/devices", "", 200),
        ("kyc-officer", "POST", "/v1/devices/001010000000001:suspend", "", 403),
        ("kyc-officer", "GET", "/v1/audit", "", 403),
        ("auditor", "GET", "/v1/audit", "", 200),
        ("auditor", "GET", "/v1/administrators", "", 200),
        ("auditor", "POST", "/v1/custodians", custodian.as_str(), 403),
        ("read-only", "GET", "/v1/grants", "", 200),
        ("read-only", "GET", "/v1/administrators", "", 403),
        ("read-only", "GET", "/v1/audit", "", 403),
        ("read-only", "DELETE", "/v1/apps/track.example", "", 403),
        ("operator", "POST", "/v1/devices/001010000000001:suspend", "", 200),
    ] {
        let answer = ask(&rs, &site, &token(role), (method, path), &[], body).await;
        assert_eq!(answer.status().as_u16(), status, "{role}: {method} {path}");
        if status == 403 {
            assert_eq!(code(&answer).1, "not-permitted");
        }
    }
    // Who did it, and why, is in the audit.
    let reason = [("obf-reason", "stolen vehicle")];
    let resume = ("POST", "/v1/devices/001010000000001:resume");
    assert_eq!(ask(&rs, &site, &token("operator"), resume, &reason, "").await.status(), 200);
    let audit = admin.done("GET", "/v1/audit?actor=operator", Value::Null).await;
    let last = audit["audit"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["action"], &last["reason"]), (&json!("device.resume"), &json!("stolen vehicle")));
    // A suspended administrator does nothing; a renewed token takes the place of the one before.
    admin.done("POST", "/v1/administrators/operator:suspend", Value::Null).await;
    let answer = ask(&rs, &site, &token("operator"), ("GET", "/v1/apps"), &[], "").await;
    assert_eq!(code(&answer), (403, "suspended".into()));
    let renewed = admin.done("POST", "/v1/administrators/auditor:renew-token", Value::Null).await;
    assert_eq!(ask(&rs, &site, &token("auditor"), ("GET", "/v1/apps"), &[], "").await.status(), 401);
    let renewed = renewed["token"].as_str().unwrap().to_owned();
    assert_eq!(ask(&rs, &site, &renewed, ("GET", "/v1/apps"), &[], "").await.status(), 200);
    // No token is in the database.
    rs.handle.shutdown().await;
    for file in ["rs.db", "rs.db-wal"] {
        let octets = std::fs::read(site.path(file)).unwrap_or_default();
        for token in tokens.iter().map(|(_, token)| token).chain([&renewed]) {
            assert!(!octets.windows(token.len()).any(|window| window == token.as_bytes()), "{file}");
        }
    }
}

/// Issue 4 sentence 6: a client certificate does instead of a token.
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_comes_with_its_certificate() {
    let site = Site::new();
    let mut config = site.config(None);
    config["admin"]["client_ca_file"] = json!(site.path("ca.pem"));
    let rs = site.start(config).await;
    let mut admin = rs.admin().await;
    let record = json!({"administrator": "reader", "role": "read-only", "cert_name": "reader.example"});
    admin.done("POST", "/v1/administrators", record).await;
    for (name, status) in [("reader.example", 200), ("stranger.example", 401)] {
        let own = site.certificate("client", name);
        let tls = certificates::mutual_client(&own, &site.path("ca.pem")).unwrap();
        let mut http =
            HttpClient::connect(rs.endpoint("admin"), "rs.example", Some(tls), LONG).await.unwrap();
        let request = Request::builder().uri("/v1/apps").header("host", "rs.example");
        let answer = http.send(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{name}");
    }
    rs.handle.shutdown().await;
}

/// Issue 4 sentence 6: rate limits per administrator and per source.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_are_told_to_wait() {
    let site = Site::new();
    let mut config = site.config(None);
    config["admin"]["requests_per_second"] = json!(1);
    config["admin"]["strangers_per_second"] = json!(1);
    let rs = site.start(config).await;
    for (token, most, before) in [(TOKEN, 5, 200), ("wrong", 11, 401)] {
        let mut last = 0;
        for _ in 0..most {
            let answer = ask(&rs, &site, token, ("GET", "/v1/apps"), &[], "").await;
            last = answer.status().as_u16();
            if last == 429 {
                assert_eq!(answer.headers()["retry-after"], "1");
                assert_eq!(code(&answer).1, "too-many-requests");
                break;
            }
            assert_eq!(last, before);
        }
        assert_eq!(last, 429, "{token}");
    }
    rs.handle.shutdown().await;
}

/// Strangers fill no database: few may wait for approval, and none for ever.
#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_nobody_approves_are_few_and_are_forgotten() {
    let site = Site::new();
    let clock = std::sync::Arc::new(obf_net::OffsetClock::new());
    let mut config = site.config(None);
    config["admin"]["most_registrations"] = json!(2);
    let rs = site.start_in(config, obf_resource::Environment { clock: clock.clone() }).await;
    let mut admin = rs.admin().await;
    let register = async |name: &str| {
        let record = json!({"application_provider": name, "name": name, "contact": "ops@track.example"});
        let route = ("POST", "/v1/application-providers:register");
        ask(&rs, &site, "", route, &[], &record.to_string()).await
    };
    for name in ["one", "two"] {
        assert_eq!(register(name).await.status(), 201);
    }
    let full = register("three").await;
    assert_eq!(full.headers()["retry-after"], "3600");
    assert_eq!(code(&full), (429, "registrations-full".into()));
    admin.done("POST", "/v1/application-providers/one:approve", Value::Null).await;
    let third = register("three").await;
    let token = serde_json::from_slice::<Value>(third.body()).unwrap()["token"].clone();
    assert_eq!(register("four").await.status(), 429);
    clock.advance(31 * 86_400);
    let forgotten = async {
        loop {
            let left = admin.done("GET", "/v1/application-providers", Value::Null).await;
            let left = left["application-providers"].as_array().unwrap();
            if left.len() == 1 {
                break left[0]["application_provider"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    assert_eq!(tokio::time::timeout(LONG, forgotten).await.expect("they are forgotten"), "one");
    let gone = ask(&rs, &site, token.as_str().unwrap(), ("GET", "/v1/apps"), &[], "").await;
    assert_eq!(code(&gone), (401, "not-authenticated".into()));
    let said = admin.done("GET", "/v1/audit?action=application-provider.expire", Value::Null).await;
    assert_eq!(said["audit"].as_array().unwrap().len(), 2);
    assert_eq!(register("three").await.status(), 201);
    rs.handle.shutdown().await;
}

/// Issue 4 sentences 6 and 7: a provider registers itself, is approved, and sees its own applications only.
#[tokio::test(flavor = "multi_thread")]
async fn an_application_provider_registers_itself_and_sees_its_own() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    admin.provision(IMSI, "other.example").await;
    let record =
        json!({"application_provider": "tracking", "name": "Tracking", "contact": "ops@track.example"});
    let register = ("POST", "/v1/application-providers:register");
    let applied = ask(&rs, &site, "", register, &[], &record.to_string()).await;
    assert_eq!(applied.status(), 201);
    let applied: Value = serde_json::from_slice(applied.body()).unwrap();
    assert_eq!((&applied["state"], &applied["administrator"]), (&json!("registered"), &json!("ap-tracking")));
    assert_eq!(code(&ask(&rs, &site, "", register, &[], &record.to_string()).await), (409, "exists".into()));
    let token = applied["token"].as_str().unwrap();
    let early = ask(&rs, &site, token, ("GET", "/v1/apps"), &[], "").await;
    assert_eq!(code(&early), (403, "not-approved".into()));
    admin.done("POST", "/v1/application-providers/tracking:approve", Value::Null).await;

    let app = json!({"app": APP, "cert_names": [APP], "ua": ["tls-psk"]}).to_string();
    let added = ask(&rs, &site, token, ("POST", "/v1/apps"), &[], &app).await;
    let added: Value = serde_json::from_slice(added.body()).unwrap();
    assert_eq!((&added["provider"], &added["state"]), (&json!("tracking"), &json!("registered")));
    let listed = ask(&rs, &site, token, ("GET", "/v1/apps"), &[], "").await;
    let listed: Value = serde_json::from_slice(listed.body()).unwrap();
    assert_eq!(listed["apps"].as_array().unwrap().len(), 1);
    let foreign =
        json!({"app": "x.example", "cert_names": ["x.example"], "ua": ["tls-psk"], "provider": "other"});
    for (method, path, body, status) in [
        ("GET", "/v1/apps/track.example", String::new(), 200),
        ("GET", "/v1/apps/other.example", String::new(), 404),
        ("POST", "/v1/apps", foreign.to_string(), 403),
        ("POST", "/v1/apps/track.example:activate", String::new(), 403),
        ("GET", "/v1/grants", String::new(), 403),
        ("GET", "/v1/grants?app=other.example", String::new(), 404),
        ("GET", "/v1/grants?app=track.example", String::new(), 200),
        ("GET", "/v1/devices", String::new(), 403),
        ("GET", "/v1/custodians", String::new(), 403),
    ] {
        let answer = ask(&rs, &site, token, (method, path), &[], &body).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
    }
    let active = admin.done("POST", "/v1/apps/track.example:activate", Value::Null).await;
    assert_eq!(active["state"], "active");
    admin.done("POST", "/v1/application-providers/tracking:suspend", Value::Null).await;
    assert_eq!(code(&ask(&rs, &site, token, ("GET", "/v1/apps"), &[], "").await), (403, "suspended".into()));
    rs.handle.shutdown().await;
}

/// Issue 4 sentence 7: what anyone may know.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_offers_is_published() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let offer = ask(&rs, &site, "", ("GET", "/.well-known/obf"), &[], "").await;
    let offer: Value = serde_json::from_slice(offer.body()).unwrap();
    assert_eq!(offer["addresses"]["admin"], rs.endpoint("admin").to_string());
    assert_eq!(offer["authentication_servers"], json!([DOMAIN]));
    let providers =
        |offer: &Value| offer["registration"]["application_providers"].as_str().unwrap().to_owned();
    assert!(providers(&offer).starts_with("POST /v1/application-providers:register"));
    // What a Resource Server cannot know it does not say: algorithms are offered by an Authentication Server.
    assert_eq!(offer.get("bootstrap_algorithms").or(offer.get("key_schemas")), None);
    let served = ask(&rs, &site, "", ("GET", "/v1/openapi.json"), &[], "").await;
    let served: Value = serde_json::from_slice(served.body()).unwrap();
    assert!(served == obf_admin::openapi::document(obf_admin::Api::Resource));
    rs.handle.shutdown().await;
    let mut config = site.config(None);
    config["admin"]["most_registrations"] = json!(0);
    let rs = site.start(config).await;
    let offer = ask(&rs, &site, "", ("GET", "/.well-known/obf"), &[], "").await;
    assert_eq!(providers(&serde_json::from_slice(offer.body()).unwrap()), "by an operator");
    rs.handle.shutdown().await;
}

/// Issue 4 sentences 3, 4, 5 and 8: a fleet is granted in one call; custodians, KYC and states decide; all is audited.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_with_its_custodian_is_granted_in_one_call() {
    let site = Site::new();
    let rs = site.start(site.config(None)).await;
    let mut admin = rs.admin().await;
    let imsi = |number: u32| format!("0010100000{number:05}");
    let lines: Vec<String> = (1..=300).map(|number| record(&imsi(number)).to_string()).collect();
    assert_eq!(admin.import(lines.join("\n")).await.len(), 300);
    admin
        .done("POST", "/v1/apps", json!({"app": APP, "cert_names": [APP], "ua": ["tls-psk"], "kyc_level": 2}))
        .await;
    admin.done("POST", "/v1/groups", json!({"group": "fleet"})).await;
    let devices: Vec<String> = (1..=300).map(imsi).collect();
    let joined = admin.done("POST", "/v1/groups/fleet/members", json!({"devices": devices})).await;
    assert_eq!((&joined["changed"], &joined["members"]), (&json!(300), &json!(300)));
    let (status, problem) = admin
        .json("POST", "/v1/groups/fleet/members", json!({"devices": [imsi(1), "imsi:999990000000001"]}))
        .await;
    assert_eq!((status, &problem["code"]), (404, &json!("unknown-device")));
    let grant =
        admin.done("POST", "/v1/grants", json!({"group": "fleet", "app": APP, "lifetime": 600})).await;
    assert_eq!((&grant["group"], &grant["device"]), (&json!("fleet"), &json!(null)));
    let listed = admin.done("GET", "/v1/grants?group=fleet", Value::Null).await;
    assert_eq!(listed["grants"].as_array().unwrap().len(), 1);
    let page = admin.done("GET", "/v1/groups/fleet/members?limit=200", Value::Null).await;
    let next = page["next"].as_str().unwrap();
    let rest = admin.done("GET", &format!("/v1/groups/fleet/members?after={next}"), Value::Null).await;
    assert_eq!((rest["members"].as_array().unwrap().len(), &rest["next"]), (100, &json!(null)));

    admin
        .done("POST", "/v1/custodians", json!({"custodian": "acme", "name": "Acme", "kind": "organisation"}))
        .await;
    let device = format!("/v1/devices/{}", imsi(7));
    let patched = admin.done("PATCH", &device, json!({"custodian": "acme"})).await;
    assert_eq!(patched["custodian"], "acme");
    assert_eq!(admin.json("PATCH", &device, json!({"custodian": "nobody"})).await.0, 422);
    assert_eq!(admin.json("DELETE", "/v1/custodians/acme", Value::Null).await.0, 409);
    let verified = json!({"custodian": "acme", "level": 2, "method": "physical", "verifier": "branch 12",
        "verified_at": "2020-01-31T00:00:00Z", "valid_until": "2100-01-31T00:00:00Z"});
    let kyc = admin.done("POST", "/v1/kyc", verified.clone()).await;
    assert_eq!(kyc["state"], "valid");
    let acme = admin.done("GET", "/v1/custodians/acme", Value::Null).await;
    assert_eq!((&acme["kyc"]["level"], &acme["kyc"]["record"]), (&json!(2), &kyc["record"]));
    let mut backwards = verified;
    backwards["valid_until"] = json!("2019-01-01T00:00:00Z");
    assert_eq!(admin.json("POST", "/v1/kyc", backwards).await.0, 422);
    let revoked = admin.done("POST", &format!("/v1/kyc/{}:revoke", kyc["record"]), Value::Null).await;
    assert_eq!(revoked["state"], "revoked");
    let acme = admin.done("GET", "/v1/custodians/acme", Value::Null).await;
    assert_eq!(acme["kyc"]["level"], 0);

    for (verb, status, state) in [
        ("activate", 200, "active"),
        ("suspend", 200, "suspended"),
        ("activate", 409, ""),
        ("resume", 200, "active"),
        ("retire", 200, "retired"),
        ("resume", 409, ""),
    ] {
        let (answered, shown) = admin.json("POST", &format!("{device}:{verb}"), Value::Null).await;
        assert_eq!(answered, status, "{verb}");
        assert!(status == 409 || shown["state"] == state, "{verb}");
    }
    let retired =
        admin.done("GET", "/v1/devices?state=retired&custodian=acme&group=fleet", Value::Null).await;
    assert_eq!(retired["devices"].as_array().unwrap().len(), 1);

    let verified = admin.done("GET", "/v1/audit:verify", Value::Null).await;
    assert_eq!((&verified["intact"], &verified["faults"]), (&json!(true), &json!([])));
    let exported = admin.call("GET", "/v1/audit:export", "").await;
    let lines = std::str::from_utf8(exported.body()).unwrap().lines().count();
    let rows = admin.done("GET", "/v1/audit", Value::Null).await["audit"].as_array().unwrap().len();
    assert!(lines >= rows && rows > 10, "{lines} {rows}");
    rs.handle.shutdown().await;
}
