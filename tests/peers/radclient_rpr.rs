//! FreeRADIUS's `radclient` with `docs/dictionary.obf` asks RPR (SPEC P4, R18).

use crate::responder::{IMSI, KEYS, Responder, XRES};
use obf_testkit::peer::radclient;
use std::sync::atomic::Ordering;

const SECRET: &str = "a secret between radclient and us";

fn vector_request(user_name: &str) -> String {
    format!(
        "Message-Authenticator = 0x00\nUser-Name = \"{user_name}\"\nNAS-Identifier = \"as.operator.example\"\n\
         OBF-Node = 3\nOBF-Operation = Vector\n"
    )
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn r18_radclient_decodes_a_vector_and_the_rights() {
    let server = Responder::start(SECRET);
    let answer = radclient::ask(server.address, "auth", SECRET, &vector_request(IMSI), 10);
    assert_eq!(answer.code, "Access-Accept", "{}", answer.output);
    assert_eq!(answer.value("OBF-RAND"), format!("0x{}", "11".repeat(16)));
    assert_eq!(answer.value("OBF-AUTN"), format!("0x{}", "22".repeat(16)));
    assert_eq!(answer.value("MS-MPPE-Recv-Key"), format!("0x{}", hex(&KEYS)));
    assert_eq!(answer.value("MS-MPPE-Send-Key"), format!("0x{}", hex(&XRES)));
    assert_eq!(answer.value("OBF-Device-Identity"), format!("imsi:{IMSI}"));
    assert_eq!(answer.value("OBF-Epoch"), (1u64 << 40).to_string());
    assert_eq!(answer.value("OBF-KYC-Expiry"), "1900000000");
    assert_eq!(answer.value("OBF-Home-Network"), "2");
    assert_eq!(answer.value("OBF-Minimum-Algorithm"), "AKAv2-SHA-256");
    assert_eq!(answer.value("OBF-More"), "1");
    let rights: Vec<(&str, &str)> = answer
        .attributes
        .iter()
        .filter(|(name, _)| name == "OBF-Right" || name == "OBF-Security-Settings")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let settings = hex(&[0xAB; 300]);
    let (first, second) = settings.split_at(2 * 247);
    assert_eq!(
        rights,
        [
            ("OBF-Right", "track.example 28800"),
            ("OBF-Security-Settings", format!("0x{first}").as_str()),
            ("OBF-Security-Settings", format!("0x{second}").as_str()),
            ("OBF-Right", "meter.example 28800"),
        ]
    );
}

#[test]
fn radclient_reads_a_refusal_and_its_code() {
    let server = Responder::start(SECRET);
    let answer = radclient::ask(server.address, "auth", SECRET, &vector_request("001010000000009"), 10);
    assert_eq!(answer.code, "Access-Reject", "{}", answer.output);
    assert_eq!(answer.value("Reply-Message"), "OBF-201 unknown identity");
    assert_eq!(answer.value("OBF-Error"), "201");
}

#[test]
fn rfc5997_radclient_gets_a_heartbeat_answered() {
    let server = Responder::start(SECRET);
    let answer = radclient::ask(server.address, "status", SECRET, "Message-Authenticator = 0x00\n", 10);
    assert_eq!(answer.code, "Access-Accept", "{}", answer.output);
}

#[test]
fn blast_radius_missing_repeated_and_wrong_message_authenticators_are_dropped() {
    let server = Responder::start(SECRET);
    let whole = vector_request(IMSI);
    let missing = whole.replace("Message-Authenticator = 0x00\n", "");
    let repeated = whole.clone() + "Message-Authenticator = 0x00112233445566778899aabbccddeeff\n";
    for (count, (secret, attributes)) in
        [(SECRET, &missing), (SECRET, &repeated), ("another secret", &whole)].into_iter().enumerate()
    {
        let answer = radclient::ask(server.address, "auth", secret, attributes, 1);
        assert_eq!(answer.code, "", "{}", answer.output);
        assert_eq!(server.dropped.load(Ordering::Relaxed), count + 1, "{}", answer.output);
    }
    assert_eq!(server.acted.load(Ordering::Relaxed), 0);
}
