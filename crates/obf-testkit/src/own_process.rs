//! A test in a process of its own.

use std::{path::Path, process::Command};

/// Runs the calling test once more in a process of its own with these variables, by its name with its modules: because
/// it measures its memory, or because PKCS#11 modules read their configuration from the environment. True in that process, which does the work; false in the first, after it is done.
///
/// # Panics
/// The other process failed; its output was printed.
pub fn in_own_process(test: &str, variables: &[(&str, &Path)]) -> bool {
    const INSIDE: &str = "OBF_TEST_INSIDE";
    if std::env::var(INSIDE).is_ok_and(|inside| inside == test) {
        return true;
    }
    let this = std::env::current_exe().expect("the test's own path");
    let mut command = Command::new(this);
    command.args(["--exact", test, "--nocapture", "--test-threads", "1"]).env(INSIDE, test);
    let ran = command.envs(variables.iter().copied()).output().expect("it runs");
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success() && said.contains("1 passed"), "{test}: {said}");
    false
}
