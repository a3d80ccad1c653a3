//! Issue 4, bad input: records that come twice within one key file, by the real binary. Each is named with its line: the same
//! again as unchanged, another one for the same identity with what differs; the good ones go in, and the whole file again
//! changes nothing.

use obf_keyfile::{Algorithm, Format, KeyRecord, TransportKey, Writer};
use obf_testkit::Deployment;
use obf_types::{GlobalIdentity, IdentityKind, SecretBytes};
use serde_json::Value;
use std::{fs, path::Path};

const TRANSPORT: [u8; 32] = [7; 32];
const ICCID: &str = "8988211000000000018";

fn record(number: u32, iccid: Option<&str>, k: u8) -> KeyRecord {
    let identity = |kind, value: &str| GlobalIdentity::new(kind, value).unwrap();
    let mut identities = vec![identity(IdentityKind::Imsi, &format!("00101{number:010}"))];
    identities.extend(iccid.map(|iccid| identity(IdentityKind::Iccid, iccid)));
    let secret = |octet| SecretBytes::new(vec![octet; 16]);
    KeyRecord::new(identities, Algorithm::Milenage, secret(k), secret(9)).unwrap()
}

fn key_file(format: Format) -> Vec<u8> {
    let draw = &mut |octets: &mut [u8]| getrandom::fill(octets).map_err(std::io::Error::other);
    let key = TransportKey::new("maker", SecretBytes::new(TRANSPORT.to_vec())).unwrap();
    let mut writer = Writer::open(format, Vec::new(), key, draw).unwrap();
    for record in [
        record(1, Some(ICCID), 1),
        record(2, None, 2),
        // The same again; the same IMSI with another key; another IMSI with an ICCID that is taken.
        record(1, Some(ICCID), 1),
        record(2, None, 3),
        record(3, Some(ICCID), 3),
        record(4, None, 4),
    ] {
        writer.write(&record, draw).unwrap();
    }
    writer.finish().unwrap()
}

/// The lines at which the records begin, from 1.
fn lines(format: Format, file: &[u8]) -> Vec<u64> {
    let mark = match format {
        Format::Csv => "00101",
        Format::Pskc => "<KeyPackage>",
    };
    let text = std::str::from_utf8(file).unwrap();
    (1..).zip(text.lines()).filter(|(_, line)| line.trim_start().starts_with(mark)).map(|(n, _)| n).collect()
}

fn sqn_and_version(deployment: &Deployment) -> Vec<(Value, Value)> {
    let listed = deployment.obf(&["--json", "device", "list"]);
    listed.expect_success();
    let rows = listed.json_lines();
    rows.iter().map(|row| (row["identities"].clone(), row["version"].clone())).collect()
}

#[test]
fn c2_what_comes_twice_in_a_key_file_is_named_with_its_line() {
    for (format, ending) in [(Format::Csv, "csv"), (Format::Pskc, "pskc")] {
        let mut deployment = Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[]);
        deployment.serve("resource", &[]);
        let path = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
        let (file, key) = (path(&format!("sims.{ending}")), path("maker.key"));
        fs::write(&key, TRANSPORT).unwrap();
        let content = key_file(format);
        fs::write(&file, &content).unwrap();
        let at = lines(format, &content);
        assert_eq!(at.len(), 6, "{ending}: {at:?}");
        let import = || {
            let ran = deployment.obf(&["--json", "device", "import", &file, "--transport-key", &key]);
            assert_eq!(ran.code(), 6, "{ending}: {ran:?}");
            assert!(ran.stderr.contains("2 of 6 lines were refused; the others went in"), "{ran:?}");
            let report = ran.json_lines();
            let said = report.iter().map(|row| {
                let said = row["result"].as_str().or(row["error"].as_str()).unwrap();
                (row["line"].as_u64().unwrap(), said.to_owned())
            });
            said.collect::<Vec<_>>()
        };
        let said = |first: [&str; 6]| at.iter().copied().zip(first.map(str::to_owned)).collect::<Vec<_>>();
        let another = "001010000000002 is registered already, with another key";
        let taken = "001010000000001 is registered already, with another identities, key";
        assert_eq!(import(), said(["added", "added", "unchanged", another, taken, "added"]), "{ending}");
        let kept = sqn_and_version(&deployment);
        assert_eq!(kept.len(), 3);
        assert_eq!(import(), said(["unchanged", "unchanged", "unchanged", another, taken, "unchanged"]));
        assert_eq!(sqn_and_version(&deployment), kept, "{ending}: a repeat changes nothing");
    }
}
