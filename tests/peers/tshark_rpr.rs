//! tshark decodes RPR, checks every authenticator and decrypts the keys.

use crate::responder::{IMSI, Responder};
use obf_testkit::peer::{capture::Capture, radclient};

const SECRET: &str = "a secret for tshark";

#[test]
fn p4_tshark_finds_two_authentic_packets_with_our_values() {
    let server = Responder::start(SECRET);
    let port = server.address.port();
    let capture = Capture::start(&format!("udp port {port}"));
    let request = format!(
        "Message-Authenticator = 0x00\nUser-Name = \"{IMSI}\"\nNAS-Identifier = \"as.operator.example\"\n\
         OBF-Node = 3\nOBF-Operation = Vector\n"
    );
    let answer = radclient::ask(server.address, "auth", SECRET, &request, 10);
    assert_eq!(answer.code, "Access-Accept", "{}", answer.output);
    let fields = [
        "radius.code",
        "radius.User_Name",
        "radius.NAS_Identifier",
        "radius.OBF_Operation",
        "radius.authenticator.valid",
        "radius.authenticator.invalid",
        "radius.avp.type",
        "radius.OBF_RAND",
        "radius.OBF_Right",
        "radius.OBF_AUTN",
        "radius.OBF_More",
    ];
    let packets = capture.radius(port, SECRET, &fields, |packets| packets.len() >= 2);
    let [request, reply] = packets.as_slice() else { panic!("{packets:#?}") };
    assert_eq!(request[..6], ["1", IMSI, "as.operator.example", "1", "", ""]);
    assert_eq!(reply[..6], ["2", "", "", "", "1", "0"], "the Response Authenticator is valid");
    assert!(request[6].starts_with("80,") && reply[6].starts_with("80,"), "Message-Authenticator first");
    let rights = "track.example 28800,meter.example 28800";
    assert_eq!(reply[7..], ["11".repeat(16).as_str(), rights, "22".repeat(16).as_str(), "1"]);

    // tshark does tell a right secret from a wrong one.
    let wrong = capture.radius(port, "another secret", &fields, |packets| packets.len() >= 2);
    assert_eq!(wrong[1][4..6], ["0", "1"]);
}
