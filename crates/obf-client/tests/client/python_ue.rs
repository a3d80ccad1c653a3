//! A stock 3GPP UE in Python against the server half (SPEC R11, P2).

use crate::peer::{self, DOMAIN, app};
use obf_token::TokenId;
use obf_types::{NafId, UaId};

#[tokio::test]
async fn python_ue_gets_the_same_keys_with_either_algorithm() {
    let server = peer::https().await;
    for algorithm in ["AKAv1-MD5", "AKAv2-SHA-256"] {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/ue.py");
        let output = tokio::process::Command::new("python3")
            .arg(script)
            .args(["--url", &format!("https://{DOMAIN}"), "--connect", &server.address.to_string()])
            .arg("--ca")
            .arg(server.directory.path().join("ca.pem"))
            .arg("--se")
            .arg(server.directory.path().join("se.json"))
            .args([
                "--algorithm",
                algorithm,
                "--naf",
                "track.example/0100000007",
                "--naf",
                "track.example/01000100a8",
            ])
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let id = TokenId::parse(answer["btid"].as_str().unwrap()).unwrap();
        for ua in [UaId::TLS13_PSK, UaId::tls12(0xa8)] {
            let key = server.state.app_key(&id, &NafId { app: app(), ua }).unwrap();
            let hex: String = key.expose().iter().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(answer["keys"]["track.example"][ua.to_string()], hex);
        }
    }
}
