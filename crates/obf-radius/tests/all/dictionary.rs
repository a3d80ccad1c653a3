//! `docs/dictionary.obf` says what the code does.

use obf_radius::{
    ObfAttribute, Vendor,
    dictionary::{ALGORITHMS, OPERATIONS, SCHEMAS},
};

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
    let in_code: Vec<Vec<String>> = [
        (ObfAttribute::Operation, OPERATIONS),
        (ObfAttribute::Schema, SCHEMAS),
        (ObfAttribute::MinimumAlgorithm, ALGORITHMS),
    ]
    .into_iter()
    .flat_map(|(attribute, values)| {
        values.iter().map(move |(name, number)| {
            vec![attribute.name().to_string(), (*name).to_string(), number.to_string()]
        })
    })
    .collect();
    assert_eq!(lines("VALUE"), in_code);
}
