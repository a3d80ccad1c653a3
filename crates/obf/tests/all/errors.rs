//! Errors are public API: exit code, label, words and the next command to type (`fixtures/errors/`).

use obf_testkit::{Deployment, Sim};
use serde_json::Value;
use std::{fs, path::Path};

/// A fixture without `text` pins everything else: its words come from the system or from another crate.
#[test]
fn every_error_says_what_was_wrong_and_what_to_type_next() {
    let mut deployment = Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[]);
    let fixtures = fixtures();
    assert!(fixtures.len() >= 15);
    prepare(&deployment);
    for (name, fixture) in fixtures.iter().filter(|(_, fixture)| fixture["running"] == false) {
        check(&deployment, name, fixture, "");
    }
    deployment.serve("all", &[]);
    deployment.add_app("track.example");
    deployment.add_device(&Sim::number(1), &["track.example"]);
    let admin = deployment.endpoint("resource", "admin").to_string();
    for (name, fixture) in fixtures.iter().filter(|(_, fixture)| fixture["running"] != false) {
        check(&deployment, name, fixture, &admin);
    }
}

fn check(deployment: &Deployment, name: &str, fixture: &Value, admin: &str) {
    let dir = deployment.dir().to_str().unwrap().to_owned();
    let fill = |text: &str| text.replace("{dir}", &dir).replace("{admin}", admin);
    let mut arguments = vec!["--json".to_owned()];
    arguments
        .extend(fixture["arguments"].as_array().unwrap().iter().map(|text| fill(text.as_str().unwrap())));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let input = fixture["input"].as_str().unwrap_or_default();
    let ran = deployment.obf_with_input(&arguments, input.as_bytes());
    assert_eq!(ran.code(), i32::try_from(fixture["exit"].as_i64().unwrap()).unwrap(), "{name}: {ran:?}");
    let said: Value = serde_json::from_str(ran.stderr.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{name}: {error}: {ran:?}"));
    let error = &said["error"];
    assert_eq!(error["code"], fixture["code"], "{name}: {ran:?}");
    assert_eq!(error["exit"], fixture["exit"], "{name}");
    if let Some(text) = fixture["text"].as_str() {
        assert_eq!(error["text"], Value::from(fill(text)), "{name}");
    }
    let next = fixture["next"].as_str().map(fill);
    assert_eq!(error["next"].as_str(), next.as_deref(), "{name}");
}

fn prepare(deployment: &Deployment) {
    let text = fs::read_to_string(deployment.config()).unwrap();
    let write = |name: &str, content: &str| fs::write(deployment.file(name), content).unwrap();
    write("stranger.token", "not the administrator's");
    write("stranger.toml", &text.replace("\"admin.token\"", "\"stranger.token\""));
    write("unknown-key.toml", &text.replace("node = 0", "nod = 0"));
    let other = Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[]);
    fs::copy(other.file("ca.pem"), deployment.file("foreign-ca.pem")).unwrap();
    write("foreign-ca.toml", &text.replacen("ca_file = \"ca.pem\"", "ca_file = \"foreign-ca.pem\"", 1));
    write("sim.json", &Sim::number(1).import_line());
    write("stranger.json", &Sim::number(7).import_line());
}

fn fixtures() -> Vec<(String, Value)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/errors");
    let mut fixtures: Vec<(String, Value)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let fixture = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fixture)
        })
        .collect();
    fixtures.sort_by(|a, b| a.0.cmp(&b.0));
    fixtures
}
