//! `docs/dictionary.obf` says what the code does.

use obf_radius::{ObfAttribute, Vendor, dictionary::Operation};
use obf_token::{Algorithm, Mode, Technology};
use obf_types::KeySchema;

fn lines(keyword: &str) -> Vec<Vec<&'static str>> {
    include_str!("../../../../docs/dictionary.obf")
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first() == Some(&keyword))
        .map(|words| words[1..].to_vec())
        .collect()
}

#[test]
fn dictionary_and_code_name_the_same_attributes() {
    assert_eq!(lines("VENDOR"), [vec!["OBF", &Vendor::DOCUMENTATION.0.to_string()]]);
    let in_code: Vec<Vec<String>> = ObfAttribute::ALL
        .iter()
        .map(|attribute| {
            vec![attribute.name().into(), (*attribute as u8).to_string(), attribute.kind().into()]
        })
        .collect();
    assert_eq!(lines("ATTRIBUTE"), in_code);
}

#[test]
fn dictionary_and_code_name_the_same_values() {
    let operations = Operation::ALL.map(|value| (ObfAttribute::Operation, value.name(), value as u32));
    let schemas = KeySchema::ALL.map(|value| (ObfAttribute::Schema, value.name(), value as u32));
    let algorithms = Algorithm::ALL.map(|value| (ObfAttribute::MinimumAlgorithm, value.name(), value as u32));
    let modes = Mode::ALL.map(|value| (ObfAttribute::Mode, value.name(), value as u32));
    let technologies = Technology::ALL.map(|value| (ObfAttribute::Technology, value.name(), value as u32));
    let in_code: Vec<Vec<String>> = operations
        .into_iter()
        .chain(schemas)
        .chain(algorithms)
        .chain(modes)
        .chain(technologies)
        .map(|(attribute, name, number)| vec![attribute.name().into(), name.into(), number.to_string()])
        .collect();
    assert_eq!(lines("VALUE"), in_code);
}
