//! `obf client` and the nodes (N1, C9, C10, R4, R15, W1, W2).

use crate::device::{APP, application::Application, deployment, device::Device};
use obf_testkit::deployment::Sim;
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

#[test]
fn w1_connect_bootstraps_once_and_echoes() {
    let (deployment, application) = deployment();
    let device = Device::new(&deployment, &Sim::number(1), &[APP]);
    for text in ["$NRM,position\n", "$ALT,panic\n"] {
        let ran = device.connect(&application, &[], text);
        assert_eq!(ran.expect_success(), text);
    }
    assert_eq!(device.tokens(), 1);
}

/// What was revoked is refused, and the device bootstraps again without being told.
#[test]
fn w2_connect_replaces_a_revoked_token_silently() {
    let (deployment, application) = deployment();
    let device = Device::new(&deployment, &Sim::number(1), &[APP]);
    let token = device.bootstrap(&[]).json_lines()[0]["token"].as_str().unwrap().to_owned();
    deployment.obf(&["token", "revoke", &token]).expect_success();
    assert_eq!(device.connect(&application, &[], "again\n").expect_success(), "again\n");
    let said = device.bootstrap(&["--show-key", APP]).json_lines().remove(0);
    assert_ne!(said["token"], token.as_str());
    assert_eq!(said["key"].as_str().unwrap().len(), 64);
}

/// A server behind the application server that knows nothing of OBF.
#[test]
fn a1_http_through_an_application_that_hands_the_plain_stream_on() {
    let behind = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = behind.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in behind.incoming() {
            let mut stream = stream.unwrap();
            let head =
                BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let head: Vec<String> = head.collect();
            let body = head.join("|");
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let (deployment, _echo) = deployment();
    let application = Application::run(&deployment, &["--to", &address]);
    let device = Device::new(&deployment, &Sim::number(1), &[APP]);
    let ran = device.connect(&application, &["--http", "https://track.example/position?last"], "");
    let said = ran.expect_success();
    assert!(said.starts_with("GET /position?last HTTP/1.1|"), "{said}");
    assert!(said.contains("host: track.example"), "{said}");
}

/// C11: a device without a grant bootstraps, but no application takes it.
#[test]
fn c11_an_application_without_permission_is_refused() {
    let (deployment, application) = deployment();
    let device = Device::new(&deployment, &Sim::number(1), &[]);
    device.bootstrap(&[]).expect_success();
    let ran = device.connect(&application, &[], "no\n");
    assert_eq!((ran.code(), ran.stdout.as_str()), (5, ""), "{ran:?}");
    assert!(ran.stderr.contains("not-authenticated"), "{ran:?}");
}

/// TS 33.102 6.3.5 over all wires: the card is ahead of the home environment, by whatever accident.
#[test]
fn r15_a_card_ahead_of_its_home_environment_is_resynchronised() {
    let (deployment, application) = deployment();
    let device = Device::new(&deployment, &Sim::number(1), &[APP]);
    let mut record: Value = serde_json::from_str(&Sim::number(1).import_line()).unwrap();
    record["accepted"] = vec![1_000_000; 32].into();
    std::fs::write(&device.se, record.to_string()).unwrap();
    assert_eq!(device.connect(&application, &[], "ahead\n").expect_success(), "ahead\n");
    let record: Value = serde_json::from_slice(&std::fs::read(&device.se).unwrap()).unwrap();
    let highest = record["accepted"].as_array().unwrap().iter().map(|seq| seq.as_u64().unwrap()).max();
    assert_eq!(highest, Some(1_000_001));
}

#[test]
fn r3_r8_a_tuak_card_bootstraps_as_well() {
    let (deployment, application) = deployment();
    let line = format!(
        r#"{{"imsi":"001010000000009","algorithm":"tuak","k":"{}","topc":"{}","amf":"0000","sqn":"000000000000"}}"#,
        "ab".repeat(32),
        "55".repeat(32)
    );
    deployment.obf_with_input(&["device", "import", "-"], line.as_bytes()).expect_success();
    deployment.obf(&["grant", "add", "--device", "001010000000009", "--app", APP]).expect_success();
    let device = Device::with_record(&deployment, "001010000000009", &line);
    assert_eq!(device.connect(&application, &[], "tuak\n").expect_success(), "tuak\n");
}

#[test]
fn r15_wrong_key_and_nobody_there_have_their_exit_codes() {
    let (mut deployment, _application) = deployment();
    let sim = Sim::number(1);
    deployment.add_device(&sim, &[APP]);
    let wrong = Sim { k: "00".repeat(16), ..sim.clone() };
    let ran = Device::with_record(&deployment, &sim.imsi, &wrong.import_line()).bootstrap(&[]);
    assert_eq!(ran.code(), 5, "{ran:?}");
    let rpb = format!("https://{}", deployment.endpoint("auth", "rpb"));
    let ca = deployment.file("ca.pem");
    let server = ["--as", rpb.as_str(), "--ca", ca.to_str().unwrap()];
    Device::with_record(&deployment, &sim.imsi, &sim.import_line()).bootstrap(&server).expect_success();
    deployment.servers()[0].kill();
    let ran = Device::with_record(&deployment, &sim.imsi, &sim.import_line()).bootstrap(&server);
    assert_eq!(ran.code(), 4, "{ran:?}");
}
