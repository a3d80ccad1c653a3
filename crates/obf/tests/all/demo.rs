//! The story (issue sentence 11), and that it notices when something is not as it says.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_obf")).args(["--json", "demo"]).args(arguments).output().unwrap()
}

#[test]
fn every_step_of_the_story_holds() {
    let output = demo(&[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let steps: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = steps.iter().filter_map(|step| step["name"].as_str()).collect();
    let expected = [
        "deployment",
        "provision",
        "demand",
        "bootstrap",
        "connect",
        "frames",
        "tamper",
        "command",
        "permission",
        "replay",
        "expiry",
        "revocation",
    ];
    assert_eq!(names, expected);
    assert!(steps.iter().all(|step| step["held"] == true));
}

/// `--keep`: the deployment answers the commands that it names, until SIGTERM.
#[test]
fn a_kept_story_can_be_tried() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_obf"))
        .args(["--json", "demo", "--keep"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let kept = lines.into_iter().find(|line| line.contains("\"kept\""));
    let tried = kept.map(|line| {
        let said: Value = serde_json::from_str(&line).unwrap();
        let config = said["commands"][0].as_str().unwrap().split_once('=').unwrap().1.to_owned();
        let se = config.replace("obf.toml", "vehicle.json");
        let obf = |arguments: &[&str]| {
            Command::new(env!("CARGO_BIN_EXE_obf"))
                .args(arguments)
                .env("OBF_CONFIG", &config)
                .output()
                .unwrap()
        };
        (obf(&["device", "list"]), obf(&["client", "bootstrap", "--se", &se]))
    });
    let ended = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    let status = child.wait().unwrap();
    let (devices, bootstrapped) = tried.unwrap();
    assert!(devices.status.success() && bootstrapped.status.success(), "{devices:?} {bootstrapped:?}");
    assert!(ended.unwrap().success() && status.success());
}

/// The outside world is arranged so that one thing is not as it should be; the demo ends with 1 and names the step.
fn ends_at(sabotage: &str, step: &str) {
    let output = demo(&["--sabotage", sabotage]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{sabotage}: {errors}");
    let said: Value = serde_json::from_str(errors.lines().last().unwrap()).unwrap();
    assert_eq!(said["error"]["code"], "demo-step", "{sabotage}");
    let text = said["error"]["text"].as_str().unwrap();
    assert!(text.starts_with(&format!("step {step} did not hold")), "{sabotage}: {text}");
}

#[test]
fn a_wrong_key_ends_it_at_the_bootstrap() {
    ends_at("wrong-key", "bootstrap");
}

#[test]
fn a_missing_grant_ends_it_at_the_connection() {
    ends_at("no-grant", "connect");
}

#[test]
fn lost_disconnects_end_it_at_the_revocation() {
    ends_at("disconnect-dropped", "revocation");
}

#[test]
fn an_allowed_replay_ends_it_at_the_replay() {
    ends_at("replay-allowed", "replay");
}

#[test]
fn an_altered_message_ends_it_at_the_frames() {
    ends_at("message-altered", "frames");
}

#[test]
fn a_frozen_clock_ends_it_at_the_expiry() {
    ends_at("clock-frozen", "expiry");
}
