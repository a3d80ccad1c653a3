//! pyrad ≥ 2.6 asks RPR; it requires a valid Message-Authenticator in the reply.

use crate::responder::{IMSI, KEYS, Responder, XRES};
use obf_testkit::peer::pyrad;
use serde_json::json;

#[test]
fn r18_pyrad_decodes_a_vector_and_the_rights() {
    let server = Responder::start("pyrad and us");
    let ask = |user_name: &str| {
        let attributes = json!({
            "User-Name": user_name,
            "NAS-Identifier": "as.operator.example",
            "OBF-Node": 3,
            "OBF-Operation": "Vector",
            "Proxy-State": ["0x01", "0x0203"],
        });
        pyrad::ask(server.address, "pyrad and us", &attributes)
    };
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let answer = ask(IMSI);
    assert_eq!(answer["code"], 2, "{answer}");
    let attributes = &answer["attributes"];
    assert_eq!(attributes["MS-MPPE-Recv-Key"], json!([format!("0x{}", hex(&KEYS))]));
    assert_eq!(attributes["MS-MPPE-Send-Key"], json!([format!("0x{}", hex(&XRES))]));
    assert_eq!(attributes["OBF-RAND"], json!([format!("0x{}", "11".repeat(16))]));
    assert_eq!(attributes["OBF-Right"], json!(["track.example 28800", "meter.example 28800"]));
    assert_eq!(attributes["OBF-Epoch"], json!([1u64 << 40]));
    assert_eq!(attributes["OBF-Minimum-Algorithm"], json!(["AKAv2-SHA-256"]));
    assert_eq!(attributes["Proxy-State"], json!(["0x01", "0x0203"]), "RFC 2865 5.33: echoed in order");

    let answer = ask("001010000000009");
    assert_eq!(answer["code"], 3, "{answer}");
    assert_eq!(answer["attributes"]["Reply-Message"], json!(["OBF-201 unknown identity"]));
}
