//! PSKC with other people's programs: python-pskc encrypts, decrypts and checks MACs in both directions; pskctool
//! (oath-toolkit) parses and validates against the schema of RFC 6030.

use crate::key_files::{faults, file, read, record, records, transport};
use obf_keyfile::{Algorithm, Format, KeyRecord, pskc};
use obf_testkit::peer::program;
use obf_types::{IdentityKind, Technology};
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

const KEY: &str = "0707070707070707070707070707070707070707070707070707070707070707";

fn run(command: &mut Command, input: &[u8]) -> String {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Debian's Python, which Debian's python3-pskc belongs to.
fn python(script: &str, arguments: &[&str], input: &[u8]) -> String {
    let mut command = Command::new("/usr/bin/python3");
    run(command.arg(format!("{}/{script}", env!("CARGO_MANIFEST_DIR"))).args(arguments), input)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn line(record: &KeyRecord) -> String {
    let uri = if record.algorithm == Algorithm::Milenage { pskc::MILENAGE } else { pskc::TUAK };
    let secret = [record.k.expose(), record.c.expose()].concat();
    let iccid = record.identity(IdentityKind::Iccid).unwrap();
    format!("{} {} {uri} {}\n", record.identities[0], iccid.value(), hex(&secret))
}

#[test]
fn c1_python_pskc_decrypts_and_verifies_what_is_written() {
    let all: Vec<_> = (0..20).map(record).collect();
    for length in [16, 32] {
        let written = file(Format::Pskc, &transport(7, length), &all);
        let said = python("pskc_read.py", &[&KEY[..2 * length]], &written);
        assert_eq!(said, all.iter().map(line).collect::<String>());
    }
}

#[test]
fn c2_what_python_pskc_encrypts_is_read() {
    // RFC 6030 has no place for the rest.
    let plain =
        |number| KeyRecord { technology: Technology::ThreeGpp, amf: None, sqn: None, ..record(number) };
    let all: Vec<_> = (0..20).map(plain).collect();
    let input: String = all
        .iter()
        .map(|record| {
            let line = line(record);
            let parts: Vec<&str> = line.split_whitespace().collect();
            format!("{} {} {} {}\n", parts[0], parts[1], parts[3], parts[2])
        })
        .collect();
    for (mode, mac, length) in [
        ("aes128-cbc", Some("hmac-sha1"), 16),
        ("aes256-cbc", Some("hmac-sha256"), 32),
        ("aes256-cbc", Some("hmac-sha1"), 32),
        ("kw-aes128", None, 16),
        ("kw-aes256", None, 32),
    ] {
        let mut arguments = vec![mode, &KEY[..2 * length]];
        arguments.extend(mac);
        let written = python("pskc_write.py", &arguments, input.as_bytes());
        assert_eq!(
            records(read(Format::Pskc, written.as_bytes(), &transport(7, length))),
            all,
            "{mode} {mac:?}"
        );
        let said = faults(read(Format::Pskc, written.as_bytes(), &transport(8, length)));
        assert!(said.len() == 1 && said[0].contains("\"maker-2026\""), "{mode}: {said:?}");
    }
}

#[test]
fn c1_pskctool_reads_and_validates_what_is_written() {
    let all: Vec<_> = (0..3).map(record).collect();
    let written = file(Format::Pskc, &transport(7, 32), &all);
    let pskctool = program("pskctool", "pskctool");
    let said = run(Command::new(&pskctool).args(["--info", "--verbose"]), &written);
    for record in &all {
        assert!(said.contains(&record.identities[0].to_string()), "{said}");
    }
    let said = run(Command::new(&pskctool).arg("--validate"), &written);
    assert!(said.contains("OK"), "{said}");
}
