//! One line serves both ends: what `obf device import` takes is a secure element, and what an element has made of its file is
//! still a line to import. Driven by the description, so that a field added at one end cannot be forgotten at the other.

use obf_aka::{Amf, Milenage, Sqn, generate_vector};
use obf_client::{KeyIndex, SoftwareSe, se::Aka as _};
use obf_resource::registry::DeviceRecord;
use obf_token::Algorithm;
use obf_types::{MncLength, Secret};
use serde_json::{Value, json};
use std::path::Path;

/// What stands in each field beside those that every line of this test has.
fn value_of(field: &str) -> Value {
    match field {
        "imsi" => json!("001010000000001"),
        "impi" => json!("me@ims.example"),
        "iccid" => json!("8988211000000000018"),
        "eid" => json!("89001012012341234012345678901224"),
        "deveui" => json!("0011223344556677"),
        "imei" => json!("490154203237518"),
        "k" => json!("1".repeat(32)),
        "opc" | "op" => json!("2".repeat(32)),
        "topc" | "top" => json!("2".repeat(64)),
        "amf" => json!("0000"),
        "sqn" => json!("00000000002a"),
        "mnc_digits" => json!(2),
        "minimum_algorithm" => json!("AKAv2-SHA-256"),
        "kyc_expiry" => json!("2030-01-01T00:00:00Z"),
        "custodian" => json!("acme"),
        "source" => json!("own"),
        "technology" => json!("standalone"),
        "state" => json!("registered"),
        "keccak_iterations" | "key_index" => json!(1),
        "accepted" => json!(vec![0; 32]),
        other => panic!("{other} is a new field of a device: say here what stands in it"),
    }
}

/// Lines with every field that is described: each algorithm with each form of its operator's value.
fn lines() -> Vec<String> {
    let described = obf_admin::schema::schemas();
    let schema = described.resolved(described.body("devices.add").unwrap());
    let fields: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    assert!(fields.len() > 20, "{fields:?}");
    let operator = ["op", "opc", "top", "topc"];
    let line = |(algorithm, form): (&str, &str)| {
        let mut line = json!({ "algorithm": algorithm });
        for field in fields.iter().filter(|field| **field != "algorithm") {
            // Which HLR is said only of a device that has no key here, and so is no secure element's line.
            if **field == form || !(operator.contains(&field.as_str()) || **field == "hlr") {
                line[field.as_str()] = value_of(field);
            }
        }
        line.to_string()
    };
    [("milenage", "op"), ("milenage", "opc"), ("tuak", "top"), ("tuak", "topc")].map(line).into()
}

fn home(line: &str) -> Result<DeviceRecord, String> {
    DeviceRecord::parse(line.as_bytes(), MncLength::Two).map_err(|error| error.to_string())
}

fn element(path: &Path, line: &str) -> Result<SoftwareSe, String> {
    SoftwareSe::personalise(path, line.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn every_field_that_is_described_is_read_at_both_ends() {
    let directory = tempfile::tempdir().unwrap();
    for (number, line) in lines().iter().enumerate() {
        home(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        element(&directory.path().join(format!("{number}.json")), line)
            .unwrap_or_else(|error| panic!("{error}: {line}"));
        let unknown = line.replacen('{', r#"{"ki":"00","#, 1);
        assert!(home(&unknown).unwrap_err().starts_with("unknown field `ki`"));
        let refused = element(&directory.path().join(format!("{number}-unknown.json")), &unknown);
        assert!(refused.unwrap_err().contains("a field is unknown"));
    }
}

#[test]
fn a_file_that_an_element_has_written_is_still_a_line_to_import() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sim.json");
    let line = lines().into_iter().find(|line| line.contains("\"opc\"")).unwrap();
    let se = element(&path, &line.replace(&json!(vec![0; 32]).to_string(), "null")).unwrap();
    let key = Milenage::new(&Secret::new([0x11; 16]), &Secret::new([0x22; 16])).into();
    let vector = generate_vector(&key, &[1; 16], Sqn::new(64).unwrap(), Amf::ZERO);
    se.authenticate(KeyIndex::SUBSCRIBER, &vector.rand, &vector.autn, Algorithm::AkaV2Sha256).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.contains("\"accepted\": ["), "{written}");
    let (before, after) = (home(&line).unwrap(), home(&written).unwrap());
    assert_eq!(format!("{before:?}"), format!("{after:?}"), "nothing of it was lost");
    assert!(after.source.key().is_some() && before.source.key().is_some());
}
