//! Administration of an Authentication Server (issue 11 sentence 7): its Resource Servers' administrators, with the roles that
//! they have there; what they do is in its audit.

use crate::{
    deployment::{Deployment, OTHER, Rpr, TOKEN, TRACK},
    device::{Sim, Ue},
    revocation::escaped,
    several_servers::Two,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Request};
use obf_net::{
    certificates::{self, CertificateFiles},
    http::HttpClient,
};
use obf_token::TokenId;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const NOWHERE: &str = "/v1/tokens/IyMjIyMjIyMjIyMjIyMjIw==@rs.as.obf.example";

/// How somebody comes.
enum Comes<'a> {
    With(&'a str),
    /// With the certificate in these files.
    As(&'a str),
}

/// Asks node 0; status, headers and answer.
async fn ask(
    deployment: &Deployment,
    comes: Comes<'_>,
    (method, path): (&str, &str),
    reason: &str,
) -> (u16, HeaderMap, Value) {
    let ca = deployment.file("ca.pem");
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    let tls = match comes {
        Comes::With(token) => {
            request = request.header("authorization", format!("Bearer {token}"));
            certificates::client(&ca)
        }
        Comes::As(name) => {
            let file = |end: &str| deployment.file(&format!("{name}.{end}"));
            certificates::mutual_client(&CertificateFiles { chain: file("pem"), key: file("key") }, &ca)
        }
    };
    if !reason.is_empty() {
        request = request.header("obf-reason", reason);
    }
    let address = deployment.auth_address(0, "admin");
    let mut client = HttpClient::connect(address, "localhost", Some(tls.unwrap()), LONG).await.unwrap();
    let answer = client.send(request.body(Full::new(Bytes::new())).unwrap()).await.unwrap();
    let (head, body) = answer.into_parts();
    (head.status.as_u16(), head.headers, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

/// Status and code of the problem, if it is one.
async fn outcome(deployment: &Deployment, token: &str, method: &str, path: &str) -> (u16, String) {
    let (status, _, answer) = ask(deployment, Comes::With(token), (method, path), "").await;
    (status, answer["code"].as_str().unwrap_or_default().to_owned())
}

/// Registers an administrator at a Resource Server; returns its token.
async fn register(deployment: &Deployment, resource: &obf_resource::Handle, record: Value) -> String {
    let added = deployment.admin_of(resource, "POST", "/v1/administrators", &record).await;
    added["token"].as_str().unwrap().to_owned()
}

async fn administrator(deployment: &Deployment, name: &str, role: &str) -> String {
    let record = json!({"administrator": name, "role": role});
    register(deployment, deployment.resource.as_ref().unwrap(), record).await
}

/// Nodes whose `[admin]` has these keys instead of an administrator's own.
async fn restarted(mut deployment: Deployment, admin_keys: &str) -> Deployment {
    deployment.stop_auth(0).await;
    deployment.admin_keys = Some(admin_keys.to_owned());
    deployment.start_auth(0).await;
    deployment
}

async fn token_of(deployment: &Deployment, number: u32) -> TokenId {
    let sim = Sim::new(number);
    deployment.add_device(&sim, &[TRACK]).await;
    Ue::connect(deployment, 0).await.bootstrap(&sim).await.unwrap().id
}

fn path(token: &TokenId) -> String {
    format!("/v1/tokens/{}", escaped(token))
}

#[tokio::test]
async fn administrators_of_the_resource_server_do_here_what_their_roles_permit_and_it_is_in_the_audit() {
    for rpr in [Rpr::Udp, Rpr::Tls] {
        let deployment = restarted(Deployment::start(rpr).await, "").await;
        let token = token_of(&deployment, 1).await;
        let (show, revoke) = (path(&token), format!("{}:revoke", path(&token)));
        let provider = json!({"application_provider": "states", "name": "States", "contact": "a@b.example"});
        deployment.resource_admin("POST", "/v1/application-providers", &provider).await;
        let mut tokens = Vec::new();
        for role in ["operator", "kyc-officer", "auditor", "read-only"] {
            tokens.push((role, administrator(&deployment, &format!("the-{role}"), role).await));
        }
        let of_states = json!({"administrator": "of-states", "role": "application-provider", "application_provider": "states"});
        let resource = deployment.resource.as_ref().unwrap();
        tokens.push(("application-provider", register(&deployment, resource, of_states).await));
        tokens.push(("configured", TOKEN.to_owned()));
        for (path, roles) in [
            ("/v1/tokens", &["operator", "kyc-officer", "auditor", "read-only", "configured"][..]),
            (&show, &["operator", "kyc-officer", "auditor", "read-only", "configured"]),
            ("/v1/sealing-keys", &["operator", "kyc-officer", "auditor", "read-only", "configured"]),
            ("/v1/seen-apps", &["operator", "kyc-officer", "auditor", "read-only", "configured"]),
            ("/v1/audit", &["operator", "auditor", "configured"]),
            ("/v1/audit:export", &["operator", "auditor", "configured"]),
            ("/v1/audit:verify", &["operator", "auditor", "configured"]),
        ] {
            for (role, shown) in &tokens {
                let wanted = if roles.contains(role) { (200, "") } else { (403, "not-permitted") };
                let found = outcome(&deployment, shown, "GET", path).await;
                assert_eq!((found.0, found.1.as_str()), wanted, "{role}: {path}");
            }
        }
        for (role, shown) in &tokens {
            if !["operator", "configured"].contains(role) {
                assert_eq!(outcome(&deployment, shown, "POST", &revoke).await.0, 403, "{role}");
            }
        }
        assert_eq!(outcome(&deployment, "wrong", "POST", &revoke).await, (401, "not-authenticated".into()));
        let audit = deployment.auth_administer(0, "GET", "/v1/audit").await;
        assert_eq!(audit["audit"], json!([]), "what was refused has not happened");

        let operator = &tokens[0].1;
        let (status, _, ended) =
            ask(&deployment, Comes::With(operator), ("POST", &revoke), "stolen vehicle").await;
        assert_eq!((status, &ended["ended"]), (200, &json!(true)));
        assert_eq!(outcome(&deployment, operator, "GET", &show).await, (404, "OBF-103".into()));
        let audit = deployment.auth_administer(0, "GET", "/v1/audit").await;
        let [row] = &audit["audit"].as_array().unwrap()[..] else { panic!("{audit}") };
        for (name, value) in [
            ("actor", json!("the-operator")),
            ("action", json!("token.revoke")),
            ("object", json!(format!("token:{token}"))),
            ("reason", json!("stolen vehicle")),
            ("detail", json!(format!("of imsi:{}", Sim::new(1).imsi))),
        ] {
            assert_eq!(row[name], value, "{row}");
        }
        // Its seal comes at once.
        let deadline = Instant::now() + LONG;
        loop {
            let verified = deployment.auth_administer(0, "GET", "/v1/audit:verify").await;
            assert_eq!(verified["intact"], true);
            if verified["records"] == 1 {
                break;
            }
            assert!(Instant::now() < deadline, "{verified}");
        }
    }
}

#[tokio::test]
async fn an_administrator_comes_with_its_certificate_here_too() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let keys = format!("client_ca_file = \"{}\"\n", deployment.file("ca.pem").display());
    let deployment = restarted(deployment, &keys).await;
    let record = json!({"administrator": "ops", "role": "read-only", "cert_name": TRACK});
    register(&deployment, deployment.resource.as_ref().unwrap(), record).await;
    for (name, path, status) in
        [(TRACK, "/v1/tokens", 200), (TRACK, "/v1/audit", 403), (OTHER, "/v1/tokens", 401)]
    {
        let (found, ..) = ask(&deployment, Comes::As(name), ("GET", path), "").await;
        assert_eq!(found, status, "{name}: {path}");
    }
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_whoever_asks_too_often_is_told_to_wait() {
    let keys = "strangers_per_second = 1\nrequests_per_second = 1\n";
    let deployment = restarted(Deployment::start(Rpr::Udp).await, keys).await;
    let alice = administrator(&deployment, "alice", "read-only").await;
    assert_eq!(outcome(&deployment, &alice, "GET", "/v1/tokens").await.0, 200);
    // Ten at once of a stranger, and one a second; four at once of an administrator.
    for (shown, most, before) in [("wrong", 60, 401), (alice.as_str(), 60, 200)] {
        let mut statuses = Vec::new();
        while statuses.len() < most && statuses.last() != Some(&429) {
            let (status, headers, problem) =
                ask(&deployment, Comes::With(shown), ("GET", "/v1/tokens"), "").await;
            if status == 429 {
                assert_eq!(problem["code"], "too-many-requests");
                assert_eq!(headers["retry-after"], "1");
            }
            statuses.push(status);
        }
        let (last, others) = statuses.split_last().unwrap();
        assert_eq!(*last, 429, "{shown}: {statuses:?}");
        // Who is known is no stranger, though a stranger came from the same address and was told to wait.
        assert!(others.iter().all(|status| *status == before) && others.len() >= 3, "{shown}: {statuses:?}");
    }
}

#[tokio::test]
async fn while_the_resource_server_is_away_nobody_new_administers() {
    for rpr in [Rpr::Udp, Rpr::Tls] {
        let mut deployment = Deployment::start(rpr).await;
        let token = token_of(&deployment, 1).await;
        let alice = administrator(&deployment, "alice", "operator").await;
        let bob = administrator(&deployment, "bob", "auditor").await;
        assert_eq!(outcome(&deployment, &alice, "GET", "/v1/tokens").await.0, 200);
        deployment.resource.take().unwrap().shutdown().await;
        for shown in [bob.as_str(), "wrong"] {
            let (status, headers, problem) =
                ask(&deployment, Comes::With(shown), ("GET", "/v1/tokens"), "").await;
            assert_eq!((status, &problem["code"]), (503, &json!("OBF-302")), "{problem}");
            assert!(headers.contains_key("retry-after"));
            assert!(problem["detail"].as_str().unwrap().contains("\"rs\""), "{problem}");
        }
        // Known for a minute; and the one of the configuration, who needs nobody to be known.
        assert_eq!(outcome(&deployment, &alice, "GET", "/v1/tokens").await.0, 200);
        let revoke = format!("{}:revoke", path(&token));
        assert_eq!(outcome(&deployment, TOKEN, "POST", &revoke).await.0, 200);
        deployment.start_resource().await;
        if rpr == Rpr::Tls {
            // It listens elsewhere now.
            deployment.stop_auth(0).await;
            deployment.start_auth(0).await;
        }
        let deadline = Instant::now() + LONG;
        while outcome(&deployment, &bob, "GET", "/v1/audit").await.0 != 200 {
            assert!(Instant::now() < deadline, "the Resource Server is back");
        }
    }
}

/// Each one's administrators look at and end the tokens of its own devices; what belongs to no device is the first's.
#[tokio::test]
async fn administrators_of_several_resource_servers_have_to_do_with_their_own_devices_only() {
    let mut two = Two::start([Rpr::Tls, Rpr::Tls], "").await;
    let (sims, [north, south]) = two.bootstrapped().await;
    let keys = format!("client_ca_file = \"{}\"\n", two.deployment.file("ca.pem").display());
    two.deployment = restarted(two.deployment, &keys).await;
    let (deployment, at_south) = (&two.deployment, two.south.as_ref().unwrap());
    let alice = administrator(deployment, "alice", "operator").await;
    let other_alice =
        register(deployment, at_south, json!({"administrator": "alice", "role": "operator"})).await;
    let late = register(deployment, at_south, json!({"administrator": "late", "role": "operator"})).await;
    // One and the same at both, who may less at the other.
    let both = |role: &str| json!({"administrator": "both", "role": role, "cert_name": TRACK});
    register(deployment, deployment.resource.as_ref().unwrap(), both("operator")).await;
    register(deployment, at_south, both("read-only")).await;

    let listed = async |comes: Comes<'_>, query: &str| {
        let path = format!("/v1/tokens{query}");
        let (status, _, answer) = ask(deployment, comes, ("GET", &path), "").await;
        assert_eq!(status, 200, "{answer}");
        let ids = answer["tokens"].as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap());
        let mut ids: Vec<String> = ids.map(str::to_owned).collect();
        ids.sort();
        ids
    };
    let id = |token: &TokenId| vec![token.to_string()];
    let mut all = [id(&north), id(&south)].concat();
    all.sort();
    assert_eq!(listed(Comes::With(&alice), "").await, id(&north));
    assert_eq!(listed(Comes::With(&other_alice), "").await, id(&south));
    assert_eq!(listed(Comes::As(TRACK), "").await, all);
    let query = |sim: &Sim| format!("?device={}", sim.imsi);
    assert_eq!(listed(Comes::With(&other_alice), &query(&sims[1])).await, id(&south));

    // Who is of another server is told so; who is of none learns nothing.
    let of_another = (403, "not-permitted".to_owned());
    for (shown, method, path) in [
        (&alice, "GET", path(&south)),
        (&alice, "POST", format!("{}:revoke", path(&south))),
        (&alice, "GET", format!("/v1/tokens{}", query(&sims[1]))),
        (&other_alice, "GET", path(&north)),
        (&other_alice, "POST", format!("{}:revoke", path(&north))),
        (&other_alice, "GET", "/v1/audit".to_owned()),
        (&other_alice, "GET", "/v1/sealing-keys".to_owned()),
        // Of a domain that no server has, as of no device.
        (&other_alice, "GET", NOWHERE.replace("rs.as", "nobody.as")),
    ] {
        assert_eq!(outcome(deployment, shown, method, &path).await, of_another, "{method} {path}");
        assert_eq!(outcome(deployment, "wrong", method, &path).await.0, 401, "{method} {path}");
    }
    assert_eq!(outcome(deployment, &alice, "GET", "/v1/sealing-keys").await.0, 200);
    let revoke_south = format!("{}:revoke", path(&south));
    let (status, _, problem) = ask(deployment, Comes::As(TRACK), ("POST", &revoke_south), "").await;
    assert_eq!((status, problem["code"].as_str()), (403, Some("not-permitted")), "{problem}");

    // One that is away keeps nobody of the other from anything.
    assert_eq!(outcome(deployment, &other_alice, "POST", &revoke_south).await.0, 200);
    let revoke_north = format!("{}:revoke", path(&north));
    let (status, ..) = ask(deployment, Comes::As(TRACK), ("POST", &revoke_north), "").await;
    assert_eq!(status, 200);
    two.south.take().unwrap().shutdown().await;
    let deployment = &two.deployment;
    let next = token_of(deployment, 7).await;
    let (status, _, answer) = ask(deployment, Comes::With(&alice), ("GET", "/v1/tokens"), "").await;
    assert_eq!((status, &answer["tokens"][0]["id"]), (200, &json!(next.to_string())), "{answer}");
    assert_eq!(outcome(deployment, &late, "GET", &path(&south)).await, (503, "OBF-302".into()));

    // In the audit two of one name are two.
    let audit = ask(deployment, Comes::With(&alice), ("GET", "/v1/audit"), "").await.2;
    let actors: Vec<_> = audit["audit"].as_array().unwrap().iter().map(|row| &row["actor"]).collect();
    assert_eq!(actors, ["alice@south", "both"], "{audit}");
}

#[tokio::test]
async fn sealing_keys_and_applications_are_shown_without_any_secret() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let token = token_of(&deployment, 1).await;
    let application = crate::application::Application::connect(&deployment, 0, TRACK, TRACK).await;
    application.key(&token, obf_types::UaId::TLS13_PSK).await.unwrap();
    let stranger =
        crate::application::Application::connect_as(&deployment, 0, OTHER, OTHER, "i", false).await;
    let app = obf_types::AppId::new("unknown.example").unwrap();
    stranger.key_for(app, &token, obf_types::UaId::TLS13_PSK).await.unwrap_err();

    let keys = deployment.auth_administer(0, "GET", "/v1/sealing-keys").await;
    let [key] = &keys["sealing-keys"].as_array().unwrap()[..] else { panic!("{keys}") };
    assert_eq!(key["use_now"], "seals");
    let fields: Vec<&String> = key.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["created_at", "key", "use_now"]);
    let after = deployment.auth_administer(0, "GET", &format!("/v1/sealing-keys?after={}", key["key"])).await;
    assert_eq!(after["sealing-keys"], json!([]));

    let seen = deployment.auth_administer(0, "GET", "/v1/seen-apps?limit=1").await;
    let track = &seen["seen-apps"][0];
    assert_eq!((&track["app"], &track["registered_at"]), (&json!(TRACK), &json!(["rs"])));
    assert_eq!((&track["cert_names"], &track["refusal"]), (&json!([TRACK]), &Value::Null));
    let path = format!("/v1/seen-apps?after={}", seen["next"].as_str().unwrap());
    let seen = deployment.auth_administer(0, "GET", &path).await;
    let unknown = &seen["seen-apps"][0];
    assert_eq!((&unknown["app"], &unknown["registered_at"]), (&json!("unknown.example"), &json!([])));
    assert!(unknown["refusal"].as_str().unwrap().starts_with("OBF-111"), "{unknown}");
}

#[tokio::test]
async fn the_document_is_served_to_anyone_and_names_every_operation() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let (status, _, document) = ask(&deployment, Comes::With(""), ("GET", "/v1/openapi.json"), "").await;
    assert_eq!(
        (status, &document["info"]["title"]),
        (200, &json!("OBF Authentication Server administration"))
    );
    for operation in obf_admin::Api::Auth.operations() {
        let method = operation.method.name().to_ascii_lowercase();
        assert_eq!(document["paths"][operation.path][&method]["operationId"], operation.id);
    }
}
