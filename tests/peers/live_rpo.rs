//! RPO of the real Authentication Server (SPEC P3, R16, R17, R20): radsecproxy between RADIUS/UDP clients and its
//! RADIUS/TLS with mutual certificates. The key that a peer prints is the one that the device derived for itself.

use crate::live::{APP, Live, TLS_1_2_PSK_AES128_GCM, TLS_1_3};
use obf_testkit::{
    Sim,
    peer::{pyrad, radclient, radsecproxy::RadsecProxy},
};
use serde_json::json;
use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

const SECRET: &str = "client and proxy";

fn key_request(token: &str, ua: &str) -> String {
    format!(
        "Message-Authenticator = 0x00\nUser-Name = \"{token}\"\nNAS-Identifier = \"host1.track.example\"\n\
         OBF-Operation = Key\nOBF-Token-Id = \"{token}\"\nOBF-Application = \"{APP}\"\nOBF-Ua-Id = 0x{ua}\n"
    )
}

#[test]
fn r16_r20_the_key_that_radclient_prints_through_radsecproxy_is_the_one_the_python_ue_derived() {
    let live = Live::start();
    // Neither end is ours.
    let ue = live.python_ue(&live.sim, Path::new("/dev/null"));
    let proxy = RadsecProxy::start(SECRET, live.deployment.endpoint("auth", "rpo"), &live.credentials());
    for ua in [TLS_1_3, TLS_1_2_PSK_AES128_GCM] {
        let answer = radclient::ask(proxy.address, "auth", SECRET, &key_request(&ue.token, ua), 10);
        assert_eq!(answer.code, "Access-Accept", "{}\n{}", answer.output, proxy.log());
        assert_eq!(answer.value("MS-MPPE-Recv-Key"), format!("0x{}", ue.key(ua)));
        assert_eq!(answer.value("OBF-Schema"), "gba-me");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let number = |name: &str| -> u64 { answer.value(name).parse().unwrap() };
        let left = number("OBF-Key-Expiry") - now;
        assert!(number("Session-Timeout").abs_diff(left) <= 5, "{}", answer.output);
        assert!(left <= 8 * 3600 && number("OBF-Bootstrap-Time").abs_diff(now) <= 60, "{}", answer.output);
    }
    assert_ne!(ue.key(TLS_1_3), ue.key(TLS_1_2_PSK_AES128_GCM));

    let mut unknown = ue.token.clone();
    unknown.replace_range(..4, "AAAA");
    let http_digest = "0100000002";
    let of_another_device = live.python_ue(&Sim::number(2), Path::new("/dev/null")).token;
    for (request, code) in [
        (key_request(&unknown, TLS_1_3), "OBF-101 "),
        (key_request("no token", TLS_1_3), "OBF-101 "),
        (key_request(&ue.token, http_digest), "OBF-112 "),
        (key_request(&ue.token, TLS_1_3).replace(APP, "other.example"), "OBF-111 "),
        (key_request(&of_another_device, TLS_1_3), "OBF-110 "),
    ] {
        let answer = radclient::ask(proxy.address, "auth", SECRET, &request, 10);
        assert_eq!(answer.code, "Access-Reject", "{}\n{}", answer.output, proxy.log());
        assert!(answer.value("Reply-Message").starts_with(code), "{code}: {}", answer.output);
    }
}

#[test]
fn r16_a_client_of_ours_derives_under_obf_1_what_radclient_prints() {
    let live = Live::start();
    let device = live.bootstrap(&live.sim);
    let proxy = RadsecProxy::start(SECRET, live.deployment.endpoint("auth", "rpo"), &live.credentials());
    let answer = radclient::ask(proxy.address, "auth", SECRET, &key_request(&device.token, TLS_1_3), 10);
    assert_eq!(answer.value("MS-MPPE-Recv-Key"), format!("0x{}", device.key(TLS_1_3)), "{}", answer.output);
    assert_eq!(answer.value("OBF-Schema"), "obf-1");
}

#[test]
fn r16_pyrad_gets_the_key_through_radsecproxy() {
    let live = Live::start();
    let device = live.python_ue(&live.sim, Path::new("/dev/null"));
    let proxy = RadsecProxy::start(SECRET, live.deployment.endpoint("auth", "rpo"), &live.credentials());
    let attributes = json!({
        "User-Name": device.token,
        "NAS-Identifier": "host1.track.example",
        "OBF-Operation": "Key",
        "OBF-Token-Id": device.token,
        "OBF-Application": APP,
        "OBF-Ua-Id": format!("0x{TLS_1_3}"),
    });
    let answer = pyrad::ask(proxy.address, SECRET, &attributes);
    assert_eq!(answer["code"], 2, "{answer}\n{}", proxy.log());
    let key = format!("0x{}", device.key(TLS_1_3));
    assert_eq!(answer["attributes"]["MS-MPPE-Recv-Key"], json!([key]));
}
