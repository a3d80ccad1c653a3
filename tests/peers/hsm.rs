//! Key-encryption keys in an HSM: SoftHSM2.

use obf_kms::{HsmConfig, HsmKek, HsmMechanism, Kek, KekError, kek::DataKeySecret};
use obf_testkit::{
    in_own_process,
    peer::softhsm::{PIN, SoftHsm, TOKEN},
};
use obf_types::Secret;
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

/// Where the child process finds what the parent made.
const DIRECTORY: &str = "OBF_TEST_DIRECTORY";

fn config(dir: &Path, module: PathBuf) -> HsmConfig {
    HsmConfig {
        module_file: module,
        token: TOKEN.into(),
        key: "obf-kek".into(),
        key_id: None,
        pin_file: Some(dir.join("pin")),
        pin_variable: None,
        mechanism: HsmMechanism::AesGcm,
    }
}

fn write_pin(dir: &Path, pin: &str) {
    let path = dir.join("pin");
    fs::write(&path, format!("{pin}\n")).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
}

fn directory() -> PathBuf {
    std::env::var_os(DIRECTORY).unwrap().into()
}

/// Runs `inside` in a process that has a SoftHSM2 with two good keys.
fn with_hsm(test: &str, inside: impl FnOnce(&Path)) {
    if std::env::var_os(DIRECTORY).is_some() {
        return inside(&directory());
    }
    let (dir, hsm) = (tempfile::tempdir().unwrap(), SoftHsm::new());
    hsm.make_key("obf-kek", &["--sensitive", "--id", "01"]);
    hsm.make_key("obf-kek-2", &["--sensitive"]);
    hsm.make_key("loose", &["--extractable"]);
    write_pin(dir.path(), PIN);
    fs::write(dir.path().join("tokens"), hsm.tokens().display().to_string()).unwrap();
    assert!(!in_own_process(
        &format!("hsm::{test}"),
        &[("SOFTHSM2_CONF", &hsm.config()), (DIRECTORY, dir.path())]
    ));
    let keys = hsm.list_keys();
    assert!(keys.contains("obf-kek") && keys.contains("never extractable"), "{keys}");
}

#[test]
fn r8_data_keys_are_wrapped_in_an_hsm_that_the_kek_never_leaves() {
    with_hsm("r8_data_keys_are_wrapped_in_an_hsm_that_the_kek_never_leaves", |dir| {
        let key = DataKeySecret::new(Secret::new([7; 32]));
        for mechanism in [HsmMechanism::AesGcm, HsmMechanism::AesKeyWrap] {
            let config = HsmConfig { mechanism, ..config(dir, SoftHsm::module()) };
            let kek = HsmKek::open(&config).unwrap();
            let wrapped = kek.wrap(5, &key).unwrap();
            assert!(!wrapped.windows(8).any(|part| part == [7; 8]));
            assert_eq!(kek.unwrap(5, &wrapped).unwrap(), key);
            // A process that starts later, and whatever mechanism new keys are wrapped with.
            let later = HsmKek::open(&config_with_id(dir)).unwrap();
            assert_eq!(later.unwrap(5, &wrapped).unwrap(), key);
            let other = HsmKek::open(&HsmConfig { key: "obf-kek-2".into(), ..config.clone() }).unwrap();
            let refused = other.unwrap(5, &wrapped).unwrap_err();
            assert!(matches!(refused, KekError::DoesNotOpen { id: 5, .. }), "{refused}");
            let mut altered = wrapped.clone();
            *altered.last_mut().unwrap() ^= 1;
            assert!(matches!(kek.unwrap(5, &altered), Err(KekError::DoesNotOpen { .. })));
            assert!(matches!(kek.unwrap(5, &[]), Err(KekError::DoesNotOpen { .. })));
            if mechanism == HsmMechanism::AesGcm {
                assert!(matches!(kek.unwrap(6, &wrapped), Err(KekError::DoesNotOpen { .. })));
            }
            assert_eq!(kek.name(), "pkcs11:obf test/obf-kek");
        }
    });
}

fn config_with_id(dir: &Path) -> HsmConfig {
    HsmConfig { key_id: Some("01".into()), ..config(dir, SoftHsm::module()) }
}

#[test]
fn r8_what_is_wrong_with_an_hsm_is_said_with_what_to_do() {
    with_hsm("r8_what_is_wrong_with_an_hsm_is_said_with_what_to_do", |dir| {
        let good = config(dir, SoftHsm::module());
        let said = |config: &HsmConfig| HsmKek::open(config).unwrap_err().to_string();
        for (config, words) in [
            (
                HsmConfig { module_file: dir.join("none.so"), ..good.clone() },
                ["there is no such file", "module_file"],
            ),
            (HsmConfig { module_file: dir.join("pin"), ..good.clone() }, ["pin", "module_file"]),
            (
                HsmConfig { token: "elsewhere".into(), ..good.clone() },
                ["\"elsewhere\" is not there", "\"obf test\""],
            ),
            (
                HsmConfig { key: "none".into(), ..good.clone() },
                ["no AES key labelled \"none\"", "docs/kms.md"],
            ),
            (
                HsmConfig { key: "loose".into(), ..good.clone() },
                ["can be taken out of the HSM", "CKA_EXTRACTABLE"],
            ),
            (
                HsmConfig { pin_file: None, ..good.clone() },
                ["no PIN", "exactly one of pin_file and pin_variable"],
            ),
            (HsmConfig { pin_file: Some(dir.join("none")), ..good.clone() }, ["no PIN", "cannot be read"]),
            (HsmConfig { key_id: Some("02".into()), ..good.clone() }, ["no AES key", "set key"]),
        ] {
            let said = said(&config);
            assert!(words.iter().all(|word| said.contains(word)), "{said}");
        }
        fs::set_permissions(dir.join("pin"), Permissions::from_mode(0o644)).unwrap();
        assert!(said(&good).contains("chmod 600"));
    });
}

/// The HSM counts wrong PINs and locks: one wrong PIN is one attempt, however often the key is wanted.
#[test]
fn r8_a_wrong_pin_is_tried_once_and_a_corrected_one_is_used() {
    with_hsm("r8_a_wrong_pin_is_tried_once_and_a_corrected_one_is_used", |dir| {
        let kek = HsmKek::open(&config(dir, SoftHsm::module())).unwrap();
        let wrapped = kek.wrap(1, &DataKeySecret::new(Secret::new([3; 32]))).unwrap();
        write_pin(dir, "000000");
        let wrong = HsmKek::open(&HsmConfig { key: "obf-kek-2".into(), ..config(dir, SoftHsm::module()) });
        // The token is logged in already: no PIN is needed, so none is tried.
        assert!(wrong.is_ok());
        // Away and back: now one is.
        let tokens: PathBuf = fs::read_to_string(dir.join("tokens")).unwrap().into();
        SoftHsm::unplug(&tokens);
        let gone = kek.unwrap(1, &wrapped).unwrap_err();
        assert!(gone.is_temporary(), "{gone}");
        SoftHsm::plug(&tokens);
        let refused = kek.unwrap(1, &wrapped).unwrap_err().to_string();
        assert!(refused.contains("refused the PIN") && refused.contains("not tried again"), "{refused}");
        assert!(!refused.contains("000000"), "{refused}");
        for _ in 0..20 {
            assert!(matches!(kek.unwrap(1, &wrapped), Err(KekError::WrongPin { .. })));
        }
        write_pin(dir, PIN);
        assert_eq!(kek.unwrap(1, &wrapped).unwrap(), DataKeySecret::new(Secret::new([3; 32])));
    });
}
