//! `kill -9` at random moments: whatever challenge the software secure element answered, it never answers again.

use obf_aka::{Algorithm, Amf, CounterScheme, Sqn, generate_vector};
use obf_client::{
    KeyIndex, SoftwareSe,
    se::{Aka as _, AkaAnswer},
};
use obf_types::Secret;
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

/// Set for the process that is killed: the element's file and the SQN to begin behind.
const FILE: &str = "OBF_TEST_SE_FILE";
const BEHIND: &str = "OBF_TEST_SE_BEHIND";

#[test]
fn what_was_answered_before_kill_9_is_refused_afterwards() {
    if let Some(file) = std::env::var_os(FILE) {
        let behind = std::env::var(BEHIND).unwrap().parse().unwrap();
        return answer_for_ever(Path::new(&file), Sqn::new(behind).unwrap());
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("se.json");
    let zeros = "00".repeat(16);
    let record =
        format!(r#"{{"imsi":"001010000000001","algorithm":"milenage","k":"{zeros}","opc":"{zeros}"}}"#);
    fs::write(&file, record).unwrap();
    let mut behind = Sqn::default();
    for answers in [1, 2, 7, 20, 3] {
        behind = kill_after(answers, &file, behind);
        let se = SoftwareSe::open(&file).unwrap();
        let replayed = authenticate(&se, behind);
        assert!(matches!(replayed, AkaAnswer::SynchronisationFailure { .. }), "{behind}: {replayed:?}");
        // One more may have been answered without our hearing of it; the one after that is certainly fresh.
        behind = next(next(behind));
        let fresh = authenticate(&se, behind);
        assert!(matches!(fresh, AkaAnswer::HandedOut { .. }), "{behind}: {fresh:?}");
    }
}

/// Starts this test in its other role, kills it after so many answers, and says the last SQN whose answer was heard of.
fn kill_after(answers: usize, file: &Path, behind: Sqn) -> Sqn {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::what_was_answered_before_kill_9_is_refused_afterwards", "--nocapture"])
        .env(FILE, file)
        .env(BEHIND, behind.number().to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut answered = lines.filter_map(|line| line.strip_prefix("answered ")?.parse().ok());
    let seen = answered.by_ref().take(answers).last().expect("the child answers");
    child.kill().unwrap();
    child.wait().unwrap();
    // It went on until the signal came.
    Sqn::new(answered.last().unwrap_or(seen)).unwrap()
}

fn answer_for_ever(file: &Path, mut sqn: Sqn) {
    let se = SoftwareSe::open(file).unwrap();
    loop {
        sqn = next(sqn);
        let answer = authenticate(&se, sqn);
        assert!(matches!(answer, AkaAnswer::HandedOut { .. }), "{sqn}: {answer:?}");
        println!("answered {}", sqn.number());
    }
}

fn authenticate(se: &SoftwareSe, sqn: Sqn) -> AkaAnswer {
    let home = Algorithm::milenage(&Secret::new([0; 16]), &Secret::new([0; 16]));
    let vector = generate_vector(&home, &[5; 16], sqn, Amf::ZERO);
    se.authenticate(KeyIndex::SUBSCRIBER, &vector.rand, &vector.autn, obf_token::Algorithm::AkaV2Sha256)
        .unwrap()
}

fn next(sqn: Sqn) -> Sqn {
    CounterScheme::default().next(sqn, 0).unwrap()
}
