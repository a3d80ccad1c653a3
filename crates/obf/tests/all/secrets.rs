//! Issue 4 sentence 1: no key in clear in anything that a whole deployment wrote while it did its work, with every log
//! at its most talkative.

use obf_aka::Milenage;
use obf_store::{
    Options,
    resource::{DataKey, ResourceDb},
};
use obf_testkit::{Deployment, Ran, Sim};
use obf_token::{SealingKey, TokenId};
use obf_types::Secret;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Where keys stand in clear because that is what the file is for.
const KEY_FILES: [&str; 3] = ["kek.hex", "sim.json", "maker.key"];

#[test]
fn r8_nothing_that_a_deployment_wrote_has_a_key_in_clear() {
    let wrapper = tempfile::tempdir().unwrap();
    let talkative = wrapper.path().join("obf");
    let script = format!("#!/bin/sh\nOBF_LOG=trace exec {} \"$@\"\n", env!("CARGO_BIN_EXE_obf"));
    fs::write(&talkative, script).unwrap();
    fs::set_permissions(&talkative, fs::Permissions::from_mode(0o700)).unwrap();
    let mut deployment = Deployment::init_with(&talkative, &[]);
    deployment.serve("resource", &[]);
    deployment.serve("auth", &[]);
    let path = |name: &str| deployment.file(name).to_str().unwrap().to_owned();
    let mut written: Vec<(String, Vec<u8>)> = Vec::new();
    let mut run = |arguments: &[&str], input: &[u8]| {
        let ran = deployment.obf_with_input(arguments, input);
        written.push((arguments.join(" "), format!("{}{}", ran.stdout, ran.stderr).into_bytes()));
        ran
    };
    let works = |ran: Ran| drop(ran.expect_success().to_owned());

    let sim = Sim::number(1);
    works(run(&["device", "import", "-"], sim.import_line().as_bytes()));
    works(run(&["app", "add", "track.example", "--cert-name", "track.example", "--ua", "tls-psk"], b""));
    works(run(&["grant", "add", "--device", &sim.imsi, "--app", "track.example"], b""));
    // What is wrong is said and logged too.
    for (good, bad) in [(&*sim.k, "0".repeat(32)), ("milenage", sim.k.clone()), ("amf", sim.opc.clone())] {
        let refused = run(&["device", "import", "-"], sim.import_line().replace(good, &bad).as_bytes());
        assert_eq!(refused.code(), 6, "{refused:?}");
    }
    fs::write(deployment.file("sim.json"), sim.import_line()).unwrap();
    let se = path("sim.json");
    let mut keys: Vec<(&str, Vec<u8>)> = vec![("K", octets(&sim.k)), ("OPc", octets(&sim.opc))];
    let card = Milenage::new(&secret(&sim.k), &secret(&sim.opc));
    for _ in 0..3 {
        let ran = run(&["--json", "client", "bootstrap", "--se", &se], b"");
        ran.expect_success();
        let token = TokenId::parse(ran.json_lines()[0]["token"].as_str().unwrap()).unwrap();
        let made = card.f2345(token.rand());
        keys.push(("CK", made.ck.expose().to_vec()));
        keys.push(("IK", made.ik.expose().to_vec()));
    }
    // Not among what was written: this command prints a key because it was told to.
    let shown =
        deployment.obf(&["--json", "client", "bootstrap", "--se", &se, "--show-key", "track.example"]);
    keys.push(("key of an application", octets(shown.json_lines()[0]["key"].as_str().unwrap())));
    works(run(&["--json", "token", "list", "--device", &sim.imsi], b""));
    works(run(&["--json", "audit", "export"], b""));
    works(run(&["--json", "kms", "status"], b""));
    works(run(&["kms", "rotate", "--full"], b""));
    works(run(&["backup", &path("rs.backup")], b""));
    works(run(&["device", "revoke", &sim.imsi], b""));

    collect(deployment.dir(), &mut written);
    for server in deployment.servers() {
        assert!(server.terminate().success());
        written.push(("a server's log".into(), server.log().into_bytes()));
    }
    // Once more after the end, when the write-ahead logs have gone into the databases.
    collect(deployment.dir(), &mut written);
    let kek = fs::read_to_string(deployment.file("kek.hex")).unwrap();
    keys.push(("KEK", octets(kek.trim())));
    keys.extend(data_keys(&deployment).into_iter().map(|key| ("data key", key)));
    keys.extend(sealing_keys(&deployment, kek.trim()).into_iter().map(|key| ("sealing key", key)));
    for wanted in ["KEK", "data key", "sealing key", "key of an application", "CK"] {
        assert!(keys.iter().any(|(name, _)| *name == wanted), "{wanted}");
    }
    for place in ["resource.db", "auth.db", "rs.backup", "run", "audit export", "a server's log"] {
        assert!(written.iter().any(|(name, content)| name.contains(place) && content.len() > 20), "{place}");
    }
    let log = |(name, content): &&(String, Vec<u8>)| name == "a server's log" && has(content, b"TRACE");
    assert_eq!(written.iter().filter(log).count(), 2);
    for (what, key) in &keys {
        // Of longer keys the halves: whoever finds one knows that the whole is there.
        for part in key.chunks(16) {
            let spelled = spellings(part);
            for (place, content) in &written {
                let found = spelled.iter().any(|spelling| has(content, spelling));
                assert!(!found, "{place} has a {what} in clear");
            }
        }
    }
    let sim_file = fs::read(deployment.file("sim.json")).unwrap();
    assert!(spellings(&keys[0].1).iter().any(|spelling| has(&sim_file, spelling)), "the search finds one");
}

/// Every file with a secret of a deployment is read by the same rule by whoever reads it: servers, commands, both ends of a wire.
#[test]
fn whitespace_around_a_secret_in_a_file_is_none_of_it_for_anybody() {
    let mut deployment = Deployment::init_with(Path::new(env!("CARGO_BIN_EXE_obf")), &[]);
    for name in ["radius.secret", "kek.hex", "admin.token"] {
        let path = deployment.file(name);
        let secret = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!(" {} \r\n", secret.trim())).unwrap();
    }
    deployment.serve("resource", &[]);
    deployment.serve("auth", &[]);
    let sim = Sim::number(1);
    deployment.obf_with_input(&["device", "import", "-"], sim.import_line().as_bytes()).expect_success();
    fs::write(deployment.file("sim.json"), sim.import_line()).unwrap();
    let bootstrap = |deployment: &Deployment| {
        let se = deployment.file("sim.json");
        deployment.obf(&["client", "bootstrap", "--se", se.to_str().unwrap()]).expect_success().to_owned()
    };
    bootstrap(&deployment);
    // Without what stands around it, it is the same secret: one end may be edited and the other not.
    let secret = fs::read_to_string(deployment.file("radius.secret")).unwrap();
    fs::write(deployment.file("radius.secret"), secret.trim()).unwrap();
    deployment.servers().pop().unwrap().terminate();
    deployment.serve("auth", &[]);
    bootstrap(&deployment);
}

fn data_keys(deployment: &Deployment) -> Vec<Vec<u8>> {
    let store = ResourceDb::open(&Options::new(deployment.file("data/resource.db"))).unwrap();
    let kek = fs::read_to_string(deployment.file("kek.hex")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let kept = runtime.block_on(store.data_keys()).unwrap();
    // By hand: the key management system shows none.
    let opened = |key: &DataKey| {
        let opener = SealingKey::new(SealingKey::id_of(&key.wrapped).unwrap(), &secret(kek.trim()));
        let associated = [&b"obf data key\0"[..], &key.id.to_be_bytes()].concat();
        opener.open(&associated, &key.wrapped).unwrap().to_vec()
    };
    kept.iter().map(opened).collect()
}

/// Those with which the Authentication Server seals challenges, unwrapped as `obf-auth` does.
fn sealing_keys(deployment: &Deployment, kek: &str) -> Vec<Vec<u8>> {
    let database = obf_store::rusqlite::Connection::open(deployment.file("data/auth.db")).unwrap();
    let mut statement = database.prepare("SELECT id, wrapped FROM sealing_keys").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
    let vault = SealingKey::new(1, &secret(kek));
    rows.map(|row| {
        let (id, wrapped) = row.unwrap();
        let associated = [b"obf-auth sealing\0".as_slice(), &id.to_be_bytes()].concat();
        vault.open(&associated, &wrapped).unwrap().to_vec()
    })
    .collect()
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn secret<const N: usize>(hex: &str) -> Secret<N> {
    Secret::new(octets(hex).try_into().unwrap())
}

fn has(content: &[u8], part: &[u8]) -> bool {
    let mut rest = content;
    while let Some(at) = rest.iter().position(|octet| *octet == part[0]) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

/// As octets, hex digits of both cases, numbers as `Debug` lists them, and base64 at each of its three alignments as far
/// as that does not depend on what stands around.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
    let numbers = secret.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let base64 = [0, 1, 2].map(|skipped| {
        let groups = secret[skipped..].as_chunks::<3>().0.iter();
        groups.flat_map(|[a, b, c]| six_bits([*a, *b, *c])).collect::<Vec<u8>>()
    });
    let plain = [secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes(), numbers.into_bytes()];
    plain.into_iter().chain(base64).collect()
}

fn six_bits([a, b, c]: [u8; 3]) -> [u8; 4] {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift) as usize % 64])
}

fn collect(directory: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if !KEY_FILES.iter().any(|name| path.ends_with(name)) {
            into.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}
