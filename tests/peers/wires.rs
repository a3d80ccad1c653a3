//! The worked examples of `docs/wires.md`, recomputed by a Python script that shares nothing with this code.

use std::{path::Path, process::Command};

#[test]
fn wires_md_examples_are_recomputed_by_the_python_standard_library() {
    let page = include_str!("../../docs/wires.md");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wires_check.py");
    let run = |page: Option<&Path>| {
        let output = Command::new("/usr/bin/python3").arg("-B").arg(&script).args(page).output();
        output.expect("python3 is needed: apt-get install python3")
    };
    let good = run(None);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stdout));

    // The script can fail: one octet of one result changed.
    let spoilt = std::env::temp_dir().join(format!("obf-wires-{}.md", std::process::id()));
    std::fs::write(&spoilt, page.replacen("-> key = 3", "-> key = 4", 1)).unwrap();
    let bad = run(Some(&spoilt));
    std::fs::remove_file(&spoilt).unwrap();
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stdout).contains("gba-me TLS 1.3: key is stated as"));
}
