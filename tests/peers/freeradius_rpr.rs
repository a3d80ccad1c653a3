//! FreeRADIUS as a proxy between `radclient` and RPR: its hop has another secret, it re-encrypts the keys, adds
//! Proxy-State and checks our Message-Authenticator.

use crate::responder::{IMSI, KEYS, Responder, XRES};
use obf_testkit::peer::{freeradius::FreeRadius, radclient};
use std::sync::atomic::Ordering;

#[test]
fn r18_a_vector_passes_through_freeradius() {
    let server = Responder::start("the proxy and the Resource Server");
    let proxy =
        FreeRadius::proxy("radclient and the proxy", server.address, "the proxy and the Resource Server");
    let request = format!(
        "Message-Authenticator = 0x00\nUser-Name = \"{IMSI}\"\nNAS-Identifier = \"as.operator.example\"\n\
         OBF-Node = 3\nOBF-Operation = Vector\n"
    );
    let answer = radclient::ask(proxy.address, "auth", "radclient and the proxy", &request, 10);
    assert_eq!(answer.code, "Access-Accept", "{}\n{}", answer.output, proxy.log());
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    assert_eq!(answer.value("MS-MPPE-Recv-Key"), format!("0x{}", hex(&KEYS)));
    assert_eq!(answer.value("MS-MPPE-Send-Key"), format!("0x{}", hex(&XRES)));
    assert_eq!(answer.values("OBF-Right"), ["track.example 28800", "meter.example 28800"]);

    let refused = request.replace(IMSI, "001010000000009");
    let answer = radclient::ask(proxy.address, "auth", "radclient and the proxy", &refused, 10);
    assert_eq!(answer.code, "Access-Reject", "{}\n{}", answer.output, proxy.log());
    assert!(answer.value("Reply-Message").starts_with("OBF-201 "), "{}", answer.output);
    assert_eq!(server.dropped.load(Ordering::Relaxed), 0);
}
