//! What the tests of key files share.
#![allow(dead_code, reason = "not every test uses all of it")]

use obf_keyfile::{Algorithm, Entry, Fault, Format, KeyRecord, Reader, TransportKey, Writer};
use obf_types::{GlobalIdentity, IdentityKind, SecretBytes, Technology};

pub fn transport(octet: u8, length: usize) -> TransportKey {
    TransportKey::new("maker-2026", SecretBytes::new(vec![octet; length])).unwrap()
}

/// No randomness: octets that count up, so that files of tests can be compared.
pub fn counting() -> impl FnMut(&mut [u8]) -> std::io::Result<()> {
    let mut next = 0u8;
    move |octets| {
        octets.iter_mut().for_each(|octet| {
            next = next.wrapping_mul(5).wrapping_add(17);
            *octet = next;
        });
        Ok(())
    }
}

pub fn record(number: u64) -> KeyRecord {
    let identity = |kind, value: String| GlobalIdentity::new(kind, &value).unwrap();
    let identities = vec![
        identity(IdentityKind::Imsi, format!("{:015}", 1_010_000_000_000 + number)),
        identity(IdentityKind::Iccid, format!("89882{:014}", number)),
    ];
    let octets = |salt: u64, length: usize| {
        let seed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(salt).to_be_bytes();
        SecretBytes::new(seed.into_iter().cycle().take(length).collect())
    };
    let tuak = number % 3 == 2;
    let (algorithm, k, c) = if tuak { (Algorithm::Tuak, 32, 32) } else { (Algorithm::Milenage, 16, 16) };
    let record = KeyRecord::new(identities, algorithm, octets(1, k), octets(2, c)).unwrap();
    let technology = if number % 4 == 1 { Technology::Standalone } else { Technology::ThreeGpp };
    let amf = number.is_multiple_of(2).then_some([0, 1]);
    KeyRecord { technology, amf, sqn: Some([0, 0, 0, 0, 0, 32]), ..record }
}

pub fn file(format: Format, key: &TransportKey, records: &[KeyRecord]) -> Vec<u8> {
    let draw = &mut counting();
    let mut writer = Writer::open(format, Vec::new(), key.clone(), draw).unwrap();
    records.iter().for_each(|record| writer.write(record, draw).unwrap());
    writer.finish().unwrap()
}

pub fn read(format: Format, octets: &[u8], key: &TransportKey) -> Vec<Result<Entry, Fault>> {
    match Reader::open(format, octets, key.clone()) {
        Ok(reader) => reader.collect(),
        Err(fault) => vec![Err(fault)],
    }
}

pub fn records(read: Vec<Result<Entry, Fault>>) -> Vec<KeyRecord> {
    read.into_iter().map(|entry| entry.unwrap().record).collect()
}

pub fn faults(read: Vec<Result<Entry, Fault>>) -> Vec<String> {
    read.into_iter().filter_map(|entry| entry.err().map(|fault| fault.to_string())).collect()
}
