//! The examples of `docs/wires.md`.

use std::collections::BTreeMap;

/// One worked example.
pub struct Example {
    pub name: String,
    pub label: String,
    given: BTreeMap<String, String>,
    results: BTreeMap<String, String>,
}

/// The document.
pub fn page() -> String {
    include_str!("../../../../docs/wires.md").to_owned()
}

/// All examples in order.
pub fn examples() -> Vec<Example> {
    let page = page();
    page.split("\n```example ")
        .skip(1)
        .map(|block| Example::parse(block.split("\n```").next().unwrap()))
        .collect()
}

impl Example {
    fn parse(block: &str) -> Self {
        let (head, body) = block.split_once('\n').unwrap();
        let (name, label) = head.split_once(' ').unwrap_or((head, ""));
        let mut example = Self {
            name: name.to_owned(),
            label: label.to_owned(),
            given: BTreeMap::new(),
            results: BTreeMap::new(),
        };
        for line in body.replace("\n    ", "").lines() {
            let (target, line) = match line.strip_prefix("-> ") {
                Some(line) => (&mut example.results, line),
                None => (&mut example.given, line),
            };
            let (key, value) = line.split_once('=').unwrap();
            assert!(target.insert(key.trim().to_owned(), value.trim().to_owned()).is_none(), "{key} twice");
        }
        assert!(!example.results.is_empty(), "{head} states no result");
        example
    }

    fn raw(&self, key: &str) -> &str {
        self.given.get(key).unwrap_or_else(|| panic!("{} {} has no {key}", self.name, self.label))
    }

    pub fn has(&self, key: &str) -> bool {
        self.given.contains_key(key)
    }

    pub fn hex(&self, key: &str) -> Vec<u8> {
        unhex(self.raw(key))
    }

    pub fn array<const N: usize>(&self, key: &str) -> [u8; N] {
        self.hex(key).try_into().unwrap()
    }

    pub fn text(&self, key: &str) -> String {
        serde_json::from_str(self.raw(key)).unwrap()
    }

    pub fn number(&self, key: &str) -> u64 {
        self.raw(key).strip_prefix('#').unwrap().parse().unwrap()
    }

    /// `plain salt salt`
    pub fn secret(&self, key: &str) -> (Vec<u8>, [u8; 2]) {
        let (plain, salt) = self.raw(key).split_once(" salt ").unwrap();
        (unhex(plain), unhex(salt).try_into().unwrap())
    }

    /// Every result stated is one of these, and each of these is stated.
    pub fn results_are(&self, computed: &[(&str, Value)]) {
        let computed: BTreeMap<String, String> =
            computed.iter().map(|(key, value)| ((*key).to_owned(), value.shown())).collect();
        assert_eq!(self.results, computed, "{} {}", self.name, self.label);
    }
}

/// A result as the document writes it.
pub enum Value {
    Octets(Vec<u8>),
    Text(String),
    Number(u64),
}

impl Value {
    fn shown(&self) -> String {
        match self {
            Self::Octets(octets) => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
            Self::Text(text) => format!("{text:?}"),
            Self::Number(number) => format!("#{number}"),
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}
