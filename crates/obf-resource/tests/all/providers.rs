//! An application provider (issue 4 sentence 6) sees its own applications and their grants, and of devices nothing: asked for
//! whatever there is to ask for, no answer has an identity in it.

use crate::common::LONG;
use http_body_util::Full;
use hyper::{Request, body::Bytes};
use obf_admin::{Api, Content, Method};
use obf_net::{certificates, http::HttpClient};
use obf_testkit::{Deployment, Sim};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr};

const OWN: &str = "track.example";
const FOREIGN: &str = "elsewhere.example";

struct Caller<'a> {
    deployment: &'a Deployment,
    address: SocketAddr,
    host: &'static str,
    token: String,
}

impl Caller<'_> {
    async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let tls = certificates::client(&self.deployment.file("ca.pem")).unwrap();
        let mut http = HttpClient::connect(self.address, self.host, Some(tls), LONG).await.unwrap();
        let request = Request::builder().method(method).uri(path).header("host", self.host);
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http.send(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap();
        (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_provider_sees_no_device_anywhere() {
    let mut deployment = Deployment::init(&["--app", OWN]);
    deployment.serve("all", &[]);
    let sims: Vec<Sim> = (4711..=4713).map(Sim::number).collect();
    let secret: Vec<&str> = sims.iter().map(|sim| sim.imsi.as_str()).collect();
    for command in [
        &["application-provider", "add", "tracking", "--name", "Tracking", "--contact", "ops@track.example"]
            [..],
        // Told who its devices are when they come to it: still nothing about those that do not.
        &["app", "add", OWN, "--cert-name", OWN, "--provider", "tracking", "--disclose-identity"],
        &["app", "add", FOREIGN, "--cert-name", FOREIGN],
        &["group", "add", "fleet"],
    ] {
        deployment.obf(command).expect_success();
    }
    deployment.add_device(&sims[0], &[OWN, FOREIGN]);
    deployment.add_device(&sims[1], &[FOREIGN]);
    deployment.add_device(&sims[2], &[]);
    deployment.obf(&["group", "join", "fleet", "--device", secret[2]]).expect_success();
    deployment.obf(&["grant", "add", "--group", "fleet", "--app", OWN]).expect_success();
    let se = deployment.file("sim.json");
    fs::write(&se, sims[0].import_line()).unwrap();
    let ran = deployment.obf(&["--json", "client", "bootstrap", "--se", se.to_str().unwrap()]);
    ran.expect_success();
    let issued = ran.json_lines()[0]["token"].as_str().unwrap().to_owned();
    let added = [
        "--json",
        "administrator",
        "add",
        "ops",
        "--role",
        "application-provider",
        "--application-provider",
        "tracking",
    ];
    let added = deployment.obf(&added);
    added.expect_success();
    let token = added.json_lines()[0]["token"].as_str().unwrap().to_owned();
    let address = deployment.endpoint("resource", "admin");
    let provider =
        Caller { deployment: &deployment, address, host: "rs.as.obf.example", token: token.clone() };

    // Whatever can be read, with every parameter that it takes filled in as far as it names something that is there.
    let mut answered = 0;
    for operation in Api::Resource.operations().filter(|operation| operation.method == Method::Get) {
        let values: Vec<&str> = operation
            .path_parameters
            .iter()
            .map(|parameter| match parameter.name {
                "app" => OWN,
                "device" => secret[0],
                "group" => "fleet",
                "application_provider" => "tracking",
                "administrator" => "ops",
                _ => "1",
            })
            .collect();
        let path = operation.path_of(&values);
        let mut paths = vec![path.clone()];
        for parameter in operation.query {
            let value = match parameter.name {
                "app" => OWN,
                "device" => secret[0],
                "group" => "fleet",
                _ => continue,
            };
            paths.push(format!("{path}?{}={value}", parameter.name));
            paths.push(format!("{path}?app={OWN}&{}={value}", parameter.name));
        }
        for path in paths {
            let (status, answer) = provider.ask("GET", &path, &Value::Null).await;
            let streams = matches!(operation.answers[0].content, Content::Stream(_));
            assert!(!(streams && status == 200), "{path} is answered");
            answered += usize::from(status == 200);
            // What it has named itself may be named in the answer.
            for imsi in secret.iter().filter(|imsi| !path.contains(**imsi)) {
                assert!(!answer.contains(imsi), "{path} tells of {imsi}: {answer}");
            }
            assert!(!path.contains(secret[0]) || status == 403 || status == 400, "{path}: {status} {answer}");
            assert!(!answer.contains(FOREIGN), "{path} tells of {FOREIGN}: {answer}");
        }
    }
    assert!(answered >= 4, "its applications, one of them, their grants, what everybody may see: {answered}");
    let (status, grants) = provider.ask("GET", &format!("/v1/grants?app={OWN}"), &Value::Null).await;
    let grants: Value = serde_json::from_str(&grants).unwrap();
    let grants = grants["grants"].as_array().unwrap();
    assert_eq!((status, grants.len()), (200, 2));
    assert!(grants.iter().all(|grant| grant["device"].is_null() && grant["app"] == OWN), "{grants:?}");
    let (status, listed) = provider.ask("GET", "/v1/apps", &Value::Null).await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((status, listed["apps"].as_array().unwrap().len()), (200, 1));

    // It changes nothing of its application by itself, what it is told of its devices least of all.
    let disclose = json!({"disclose_identity": true});
    assert_eq!(provider.ask("PATCH", &format!("/v1/apps/{OWN}"), &disclose).await.0, 403);
    let (status, _) = provider.ask("POST", &format!("/v1/devices/{}:suspend", secret[0]), &Value::Null).await;
    assert_eq!(status, 403);

    // Tokens are at the Authentication Server, where its role permits nothing; their ids alone tell of no device.
    assert!(!secret.iter().any(|imsi| issued.contains(*imsi)), "{issued}");
    let address = deployment.endpoint("auth", "admin");
    let there = Caller { deployment: &deployment, address, host: "as.obf.example", token };
    for path in ["/v1/tokens".to_owned(), format!("/v1/tokens?app={OWN}"), format!("/v1/tokens/{issued}")] {
        let (status, answer) = there.ask("GET", &path, &Value::Null).await;
        assert!(
            status == 403 && !secret.iter().any(|imsi| answer.contains(*imsi)),
            "{path}: {status} {answer}"
        );
    }
}
