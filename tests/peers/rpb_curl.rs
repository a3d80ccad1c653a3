//! RPB asked by a client that is not ours: curl.

use obf_testkit::Deployment;
use std::process::Command;

/// curl knows no AKA: it has to meet a clean `401` and stop, not fail.
#[test]
fn curl_meets_a_clean_401() {
    let deployment = Deployment::start();
    let address = deployment.endpoint("auth", "rpb");
    let port = address.port();
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--include",
            "--digest",
            "--user",
            "001010000000000:secret",
        ])
        .args(["--noproxy", "*", "--resolve", &format!("as.obf.example:{port}:127.0.0.1"), "--cacert"])
        .arg(deployment.file("ca.pem"))
        .arg(format!("https://as.obf.example:{port}/"))
        .output()
        .unwrap_or_else(|error| panic!("curl did not start ({error}): install the package curl"));
    let shown =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}");
    assert!(shown.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{shown}");
    let offers =
        shown.lines().filter(|line| line.to_ascii_lowercase().starts_with("www-authenticate: digest "));
    assert_eq!(offers.count(), 2, "{shown}");
    assert!(shown.to_ascii_lowercase().contains("content-length: 0\r\n"), "{shown}");
}

/// A wrong certificate authority: no request leaves.
#[test]
fn the_server_proves_its_name_before_anything_is_said() {
    let deployment = Deployment::start();
    let other = Deployment::init(&[]);
    let port = deployment.endpoint("auth", "rpb").port();
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--noproxy", "*"])
        .args(["--resolve", &format!("as.obf.example:{port}:127.0.0.1"), "--cacert"])
        .arg(other.file("ca.pem"))
        .arg(format!("https://as.obf.example:{port}/"))
        .output()
        .unwrap_or_else(|error| panic!("curl did not start ({error}): install the package curl"));
    assert_eq!(output.status.code(), Some(60), "curl: the certificate cannot be authenticated");
}
