//! RPR of the real Resource Server, asked by peers (SPEC P4, R18): what radclient and pyrad decode is what the card
//! computes.

use crate::live::Live;
use obf_aka::Milenage;
use obf_testkit::peer::{capture::Capture, freeradius::FreeRadius, pyrad, radclient};
use obf_types::Secret;
use serde_json::json;
use std::{
    collections::HashSet,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets(text: &str) -> Vec<u8> {
    let text = text.strip_prefix("0x").unwrap_or_else(|| panic!("{text:?} is not hex"));
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// What the card answers to that RAND: CK ‖ IK and RES, hex with 0x.
fn card(live: &Live, rand: &str) -> (String, String) {
    let key = |text: &str| Secret::<16>::from_slice(&octets(&format!("0x{text}"))).unwrap();
    let card = Milenage::new(&key(&live.sim.k), &key(&live.sim.opc));
    let rand: [u8; 16] = octets(rand).try_into().unwrap();
    let keys = card.f2345(&rand);
    let ks = [keys.ck.expose(), keys.ik.expose()].concat();
    (format!("0x{}", hex(&ks)), format!("0x{}", hex(keys.res.expose())))
}

fn vector_request(user_name: &str) -> String {
    format!(
        "Message-Authenticator = 0x00\nUser-Name = \"{user_name}\"\nNAS-Identifier = \"as.obf.example\"\n\
         OBF-Node = 0\nOBF-Operation = Vector\n"
    )
}

#[test]
fn r18_radclient_and_freeradius_get_vectors_that_the_card_computes_and_the_rights() {
    let live = Live::start();
    let (server, secret) = (live.deployment.endpoint("resource", "rpr"), live.rpr_secret());
    let proxy = FreeRadius::proxy("radclient and the proxy", server, &secret);
    let hops = [(server, secret.as_str()), (proxy.address, "radclient and the proxy")];
    let mut seen = Vec::new();
    for (address, secret) in hops {
        let answer = radclient::ask(address, "auth", secret, &vector_request(&live.sim.imsi), 10);
        assert_eq!(answer.code, "Access-Accept", "{}\n{}", answer.output, proxy.log());
        let (keys, res) = card(&live, answer.value("OBF-RAND"));
        assert_eq!(answer.value("MS-MPPE-Recv-Key"), keys);
        assert_eq!(answer.value("MS-MPPE-Send-Key"), res);
        assert_eq!(answer.value("OBF-Device-Identity"), format!("imsi:{}", live.sim.imsi));
        assert_eq!(answer.values("OBF-Right").len(), 1);
        assert!(answer.value("OBF-Right").starts_with("track.example "), "{}", answer.output);
        seen.push(answer.value("OBF-RAND").to_owned());

        let answer = radclient::ask(address, "auth", secret, &vector_request("001010000000009"), 10);
        assert_eq!(answer.code, "Access-Reject", "{}\n{}", answer.output, proxy.log());
        assert!(answer.value("Reply-Message").starts_with("OBF-201 "), "{}", answer.output);
    }
    assert_ne!(seen[0], seen[1], "each request gets a vector of its own");

    let rights = vector_request(&live.sim.imsi).replace("Vector", "Rights");
    let answer = radclient::ask(server, "auth", &secret, &rights, 10);
    assert_eq!(answer.code, "Access-Accept", "{}", answer.output);
    assert_eq!(answer.value("OBF-RAND"), "", "rights alone use no vector up");
    assert!(answer.value("OBF-Right").starts_with("track.example "), "{}", answer.output);

    let application = "Message-Authenticator = 0x00\nNAS-Identifier = \"as.obf.example\"\nOBF-Node = 0\n\
                       OBF-Operation = Application\nOBF-Application = \"track.example\"\n";
    let answer = radclient::ask(server, "auth", &secret, application, 10);
    assert_eq!(answer.values("OBF-Cert-Name"), ["track.example"], "{}", answer.output);
    assert_eq!(answer.values("OBF-Ua-Class"), ["tls-psk"]);
}

#[test]
fn blast_radius_the_resource_server_drops_what_has_no_one_valid_message_authenticator() {
    let live = Live::start();
    let (server, secret) = (live.deployment.endpoint("resource", "rpr"), live.rpr_secret());
    let capture = Capture::start(&format!("udp port {}", server.port()));
    let whole = vector_request(&live.sim.imsi);
    let missing = whole.replace("Message-Authenticator = 0x00\n", "");
    let repeated = whole.clone() + "Message-Authenticator = 0x00112233445566778899aabbccddeeff\n";
    let asked_by_an_unknown = whole.replace("as.obf.example", "as2.obf.example");
    for (secret, attributes) in
        [(secret.as_str(), &missing), (&secret, &repeated), ("another secret", &whole)]
    {
        let answer = radclient::ask(server, "auth", secret, attributes, 1);
        assert_eq!(answer.code, "", "{}", answer.output);
    }
    let answer = radclient::ask(server, "auth", &secret, &asked_by_an_unknown, 10);
    assert!(answer.value("Reply-Message").starts_with("OBF-301 "), "{}", answer.output);
    let answer = radclient::ask(server, "auth", &secret, &whole, 10);
    assert_eq!(answer.code, "Access-Accept", "{}", answer.output);

    // On the wire, the heartbeats of the Authentication Server aside: five requests, however often radclient sent each, and
    // two replies.
    let fields = [
        "radius.code",
        "radius.authenticator.valid",
        "radius.authenticator",
        "radius.avp.type",
        "radius.OBF_RAND",
    ];
    let all = capture.radius(server.port(), &secret, &fields, |packets| {
        packets.iter().any(|packet| packet[0] == "2" && !packet[4].is_empty())
    });
    let distinct = |code: &str| {
        let of_code = all.iter().filter(|packet| packet[0] == code);
        of_code.map(|packet| packet[2].as_str()).collect::<HashSet<_>>().len()
    };
    assert_eq!((distinct("1"), distinct("3")), (5, 1), "{all:#?}");
    let repeated = all.iter().filter(|packet| packet[3].split(',').filter(|kind| *kind == "80").count() > 1);
    assert_eq!(repeated.count(), 1, "radclient did repeat it: {all:#?}");
    // An answer to a heartbeat has nothing else in it, and tshark does not say whether it is authentic.
    let of_heartbeat = |packet: &&Vec<String>| packet[0] == "2" && packet[3] == "80";
    let replies = all.iter().filter(|packet| ["2", "3"].contains(&packet[0].as_str()));
    for reply in replies.filter(|packet| !of_heartbeat(packet)) {
        assert_eq!(reply[1], "1", "the Response Authenticator is valid: {all:#?}");
        assert!(reply[3].starts_with("80"), "Message-Authenticator first: {all:#?}");
    }
}

#[test]
fn r18_pyrad_gets_a_vector_that_the_card_computes() {
    let live = Live::start();
    let attributes = json!({
        "User-Name": live.sim.imsi,
        "NAS-Identifier": "as.obf.example",
        "OBF-Node": 0,
        "OBF-Operation": "Vector",
    });
    let server = live.deployment.endpoint("resource", "rpr");
    let answer = pyrad::ask(server, &live.rpr_secret(), &attributes);
    assert_eq!(answer["code"], 2, "{answer}");
    let attributes = &answer["attributes"];
    let (keys, res) = card(&live, attributes["OBF-RAND"][0].as_str().unwrap());
    assert_eq!(attributes["MS-MPPE-Recv-Key"], json!([keys]));
    assert_eq!(attributes["MS-MPPE-Send-Key"], json!([res]));
}

/// RFC 5176 by a peer in the Resource Server's place: a fresh notice ends the device's tokens, a stale one nothing.
#[test]
fn p4_a_disconnect_by_radclient_ends_the_tokens_of_a_device_and_an_old_one_does_not() {
    let live = Live::start();
    live.python_ue(&live.sim, Path::new("/dev/null"));
    let tokens = || {
        let ran = live.deployment.obf(&["--json", "token", "list", "--device", &live.sim.imsi]);
        ran.expect_success();
        ran.json_lines().len()
    };
    assert_eq!(tokens(), 1);
    let (das, secret) = (live.deployment.endpoint("auth", "das"), live.rpr_secret());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // A device's epoch began when it was added.
    let later = now + 1000;
    let notice = |at: u64, epoch: u64| {
        format!(
            "Message-Authenticator = 0x00\nEvent-Timestamp = {at}\nOBF-Device-Identity = \"imsi:{}\"\n\
             OBF-Epoch = {epoch}\n",
            live.sim.imsi
        )
    };
    let answer = radclient::ask(das, "disconnect", &secret, &notice(now - 400, later), 10);
    assert_eq!(answer.code, "Disconnect-NAK", "{}", answer.output);
    assert_eq!(answer.value("Error-Cause"), "Invalid-Request");
    let unsigned = notice(now, later).replace("Message-Authenticator = 0x00\n", "");
    let answer = radclient::ask(das, "disconnect", &secret, &unsigned, 1);
    assert_eq!(answer.code, "", "{}", answer.output);
    assert_eq!(tokens(), 1);
    // Two devices in one request: the other one is nobody's here, and that is no fault.
    let two = notice(now, later) + "OBF-Device-Identity = \"imsi:001019999999999\"\nOBF-Epoch = 5\n";
    let answer = radclient::ask(das, "disconnect", &secret, &two, 10);
    assert_eq!(answer.code, "Disconnect-ACK", "{}", answer.output);
    assert_eq!(tokens(), 0);
}
