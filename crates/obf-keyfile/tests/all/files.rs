//! Both formats: what is written is read back, and what is wrong is named.

use crate::common::{counting, faults, file, read, record, records, transport};
use base64ct::{Base64, Encoding as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use obf_keyfile::{
    Cipher, Fault, FileFault, Format, KeyRecord, MAX_RECORD, TransportKey, pskc, pskc::PskcWriter,
};
use obf_types::{Technology, hex};
use proptest::prelude::*;

const FORMATS: [Format; 2] = [Format::Csv, Format::Pskc];

fn ten() -> Vec<KeyRecord> {
    (0..10).map(record).collect()
}

#[test]
fn c1_c2_what_is_written_is_read_back_in_both_formats_and_with_both_key_lengths() {
    for format in FORMATS {
        for length in [16, 32] {
            let key = transport(7, length);
            let written = file(format, &key, &ten());
            assert_eq!(records(read(format, &written, &key)), ten());
            let text = String::from_utf8(written).unwrap();
            assert!(!text.contains(&common_hex(&ten()[0])), "a key in clear");
        }
    }
    let (key, draw) = (transport(7, 32), &mut counting());
    let mut writer = PskcWriter::open(Vec::new(), key.clone(), Cipher::KwAes256, draw).unwrap();
    ten().iter().for_each(|record| writer.write(record, draw).unwrap());
    assert_eq!(records(read(Format::Pskc, &writer.finish().unwrap(), &key)), ten());
}

fn common_hex(record: &KeyRecord) -> String {
    record.k.expose().iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn c2_a_wrong_transport_key_shows_before_any_record() {
    for format in FORMATS {
        for wrong in (0..=255).filter(|octet| *octet != 7) {
            let written = file(format, &transport(7, 32), &ten()[..2]);
            let said = faults(read(format, &written, &transport(wrong, 32)));
            let [said] = said.as_slice() else { panic!("{said:?}") };
            assert!(said.contains("not the one of this file, which is called \"maker-2026\""), "{said}");
        }
        let said = faults(read(format, &file(format, &transport(7, 32), &ten()), &transport(7, 16)));
        assert!(said.len() == 1 && said[0].contains("transport key of 32 octets"), "{said:?}");
    }
}

/// A bad record costs that record: its line is named, the good ones come.
#[test]
fn c2_every_bad_record_is_named_with_its_line_and_reason_and_the_good_ones_come() {
    let key = transport(7, 32);
    for format in FORMATS {
        let text = String::from_utf8(file(format, &key, &ten())).unwrap();
        let (head, wanted) = match format {
            Format::Csv => (2, "mac does not verify"),
            Format::Pskc => (4, "RecordMAC does not verify"),
        };
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        // Another subscriber's identity put on this key.
        lines[head + 3] = lines[head + 3].replacen("001010000000003", "001010000000009", 3);
        let altered = read(format, lines.join("\n").as_bytes(), &key);
        assert_eq!(altered.len(), 10);
        let Err(fault) = &altered[3] else { panic!("taken") };
        assert_eq!(fault.to_string().split(": the").next().unwrap(), format!("line {}: {wanted}", head + 4));
        assert_eq!(altered.iter().filter(|entry| entry.is_ok()).count(), 9);
        assert_eq!(altered[4].as_ref().unwrap().line, head as u64 + 5);
    }
}

#[test]
fn c2_secrets_cannot_be_swapped_between_records_of_pskc() {
    let key = transport(7, 32);
    let text = String::from_utf8(file(Format::Pskc, &key, &ten())).unwrap();
    let secret = |line: &str| line[line.find("<Data>").unwrap()..line.find("</Data>").unwrap()].to_owned();
    let lines: Vec<&str> = text.lines().collect();
    let (first, second) = (secret(lines[4]), secret(lines[5]));
    let swapped = text.replace(&first, "HERE").replace(&second, &first).replace("HERE", &second);
    let said = faults(read(Format::Pskc, swapped.as_bytes(), &key));
    assert!(
        said.len() == 2 && said.iter().all(|fault| fault.contains("RecordMAC does not verify")),
        "{said:?}"
    );
    // Nor by leaving the binding out.
    let stripped: String = swapped
        .split("<Extensions>")
        .enumerate()
        .map(|(at, part)| {
            if at == 0 {
                part.to_owned()
            } else {
                part[part.find("</Extensions>").unwrap() + 13..].to_owned()
            }
        })
        .collect();
    let said = faults(read(Format::Pskc, stripped.as_bytes(), &key));
    assert!(said.len() == 10 && said.iter().all(|fault| fault.contains("RecordMAC is missing")), "{said:?}");
}

#[test]
fn c2_a_file_that_was_cut_short_or_lost_records_says_so() {
    let key = transport(7, 32);
    for format in FORMATS {
        let written = file(format, &key, &ten());
        for length in [written.len() - 12, written.len() / 2, 400] {
            let said = faults(read(format, &written[..length], &key));
            let last = said.last().unwrap();
            assert!(
                ["cut short", "ends before", "does not verify", "no key file"]
                    .iter()
                    .any(|word| last.contains(word)),
                "{length}: {said:?}"
            );
            assert!(
                said.iter().any(|said| said.contains("cut short") || said.contains("ends before")),
                "{said:?}"
            );
        }
    }
    let text = String::from_utf8(file(Format::Csv, &key, &ten())).unwrap();
    let fewer: String =
        text.lines().enumerate().filter(|(at, _)| *at != 5).map(|(_, line)| format!("{line}\n")).collect();
    assert_eq!(
        faults(read(Format::Csv, fewer.as_bytes(), &key)),
        ["line 12: the file has 9 records and says 10: some were removed or added"]
    );
}

#[test]
fn c2_what_is_no_key_file_is_said_to_be_none() {
    let key = transport(7, 32);
    let utf16: Vec<u8> = "\u{FEFF}#obf-keys".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (format, octets, wanted) in [
        (Format::Csv, &b""[..], "no key file in CSV: it ends before"),
        (Format::Csv, b"imsi,k\n", "must begin with #obf-keys"),
        (Format::Csv, &utf16, "UTF-16; save it as UTF-8"),
        (Format::Csv, b"\xff\xff\n", "not UTF-8"),
        (Format::Csv, b"#obf-keys,2,x,A256KW,HS256,00\n", "later version"),
        (Format::Pskc, b"", "does not begin with a KeyContainer"),
        (Format::Pskc, b"<html/>", "does not begin with a KeyContainer"),
        (Format::Pskc, b"PK\x03\x04", "does not begin with a KeyContainer"),
        (Format::Pskc, &utf16, "the XML"),
        (Format::Pskc, b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>", "must be UTF-8"),
        (
            Format::Pskc,
            b"<KeyContainer xmlns='urn:ietf:params:xml:ns:keyprov:pskc' Version='2.0'/>",
            "another version",
        ),
    ] {
        let said = faults(read(format, octets, &key));
        assert!(said.len() == 1 && said[0].contains(wanted), "{wanted}: {said:?}");
    }
}

#[test]
fn c2_document_types_and_entity_bombs_are_refused_without_being_expanded() {
    let key = transport(7, 32);
    let text = String::from_utf8(file(Format::Pskc, &key, &ten())).unwrap();
    let bomb = "<!DOCTYPE bomb [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>\n<KeyContainer ";
    let external = "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">\n<KeyContainer ";
    for document_type in [bomb, external] {
        let bad = text.replacen("<KeyContainer ", document_type, 1);
        assert_eq!(
            faults(read(Format::Pskc, bad.as_bytes(), &key)),
            ["line 2: document types and entities are not taken"]
        );
    }
    for reference in ["&b;", "&#0;"] {
        let bad = text.replacen("<SerialNo>", &format!("<SerialNo>{reference}"), 1);
        let said = faults(read(Format::Pskc, bad.as_bytes(), &key));
        assert!(said.len() == 1, "{said:?}");
    }
    let deep = text.replacen("<DeviceInfo>", &"<a>".repeat(100_000), 1);
    assert!(faults(read(Format::Pskc, deep.as_bytes(), &key))[0].contains("nested too deeply"));
}

#[test]
fn c2_a_huge_record_is_refused_in_little_memory() {
    let key = transport(7, 32);
    let huge = "8".repeat(8 * MAX_RECORD);
    let text = String::from_utf8(file(Format::Csv, &key, &ten())).unwrap();
    let bad = text.replacen("001010000000003,", &format!("{huge},"), 1);
    let entries = read(Format::Csv, bad.as_bytes(), &key);
    assert_eq!(entries.iter().filter(|entry| entry.is_ok()).count(), 9);
    assert_eq!(faults(entries), ["line 6: longer than 65536 octets"]);
    let text = String::from_utf8(file(Format::Pskc, &key, &ten())).unwrap();
    for place in ["<SerialNo>", "<Key Id=\"", "<KeyPackage><!--"] {
        let from = place.trim_end_matches("<!--");
        let bad = text.replacen(from, &format!("{place}{huge}"), 1);
        let entries = read(Format::Pskc, bad.as_bytes(), &key);
        let Some(Err(Fault::File { reason: FileFault::TooLong, .. })) = entries.last() else {
            panic!("{:?}", entries.last())
        };
    }
}

#[test]
fn c2_secrets_in_clear_are_not_taken() {
    let key = transport(7, 32);
    let text = String::from_utf8(file(Format::Pskc, &key, &ten()[..2])).unwrap();
    let start = text.find("<EncryptedValue>").unwrap();
    let end = text.find("</Secret>").unwrap();
    let bad = format!("{}<PlainValue>AAAA</PlainValue>{}", &text[..start], &text[end..]);
    let said = faults(read(Format::Pskc, bad.as_bytes(), &key));
    assert!(said.len() == 1 && said[0].contains("Secret is not encrypted"), "{said:?}");
}

fn mac(key: &[u8], octets: &[u8]) -> Vec<u8> {
    Hmac::<sha2::Sha256>::new_from_slice(key).unwrap().chain_update(octets).finalize().into_bytes().to_vec()
}

/// As this file was written before key files said a technology: without it, under MACs that do not cover it.
fn former(format: Format, key: &TransportKey, records: &[KeyRecord]) -> String {
    let text = String::from_utf8(file(format, key, records)).unwrap();
    // The MAC key is the first that is drawn.
    let mut mac_key = vec![0; 32];
    counting()(&mut mac_key).unwrap();
    match format {
        Format::Csv => {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines[1] = lines[1].replace("technology,", "");
            for at in 2..lines.len() - 1 {
                let row = lines[at].rsplit_once(',').unwrap().0.replace(",3gpp,", ",");
                let mac = mac(&mac_key, &format!("obf-keys row\n{}\n{row}", lines[1]).into_bytes());
                lines[at] = format!("{row},{}", hex::encode(&mac));
            }
            lines.join("\n") + "\n"
        }
        Format::Pskc => {
            let mac_key = [pskc::BOUND.as_slice(), &mac_key].concat();
            let line = |line: &str| {
                let Some((head, rest)) = line.split_once("<obf:Technology>3gpp</obf:Technology>") else {
                    return line.to_owned();
                };
                let between = |from: &str, to: &str| {
                    line.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned()
                };
                let id = between("<Key Id=\"", "\"");
                let algorithm = between("\" Algorithm=\"", "\"");
                let mut parts = vec![id.into_bytes(), algorithm.into_bytes()];
                for identity in line.split("<obf:Identity kind=\"").skip(1) {
                    let (kind, rest) = identity.split_once("\">").unwrap();
                    parts.extend([kind.into(), rest.split_once('<').unwrap().0.into()]);
                }
                let amf = if line.contains("<obf:Amf>") { between("<obf:Amf>", "<") } else { String::new() };
                parts.extend([amf.into_bytes(), between("<obf:Sqn>", "<").into_bytes()]);
                parts.push(Base64::decode_vec(&between("<xenc:CipherValue>", "<")).unwrap());
                let mut bound = b"obf pskc record\n".to_vec();
                for part in parts {
                    bound.extend((part.len() as u32).to_be_bytes());
                    bound.extend(part);
                }
                let (rest, end) = rest.split_once("<obf:RecordMAC>").unwrap();
                let end = end.split_once('<').unwrap().1;
                format!("{head}{rest}<obf:RecordMAC>{}<{end}", Base64::encode_string(&mac(&mac_key, &bound)))
            };
            text.lines().map(|text| line(text) + "\n").collect()
        }
    }
}

#[test]
fn r10_a_file_that_says_no_technology_has_keys_of_a_3gpp_network() {
    let key = transport(7, 32);
    let records_of = |format, text: &str| records(read(format, text.as_bytes(), &key));
    let of_3gpp: Vec<_> =
        ten().into_iter().filter(|record| record.technology == Technology::ThreeGpp).collect();
    assert!(of_3gpp.len() < 10, "some are not");
    for format in FORMATS {
        let former = former(format, &key, &of_3gpp);
        assert!(!former.to_lowercase().contains("technology"), "{former}");
        assert_eq!(records_of(format, &former), of_3gpp);
    }
}

/// Whose key it is cannot be changed or left out on the way, and is known or refused.
#[test]
fn r10_the_technology_is_under_the_records_mac() {
    let key = transport(7, 32);
    for format in FORMATS {
        let text = String::from_utf8(file(format, &key, &ten())).unwrap();
        let own = ten().iter().filter(|record| record.technology == Technology::Standalone).count();
        let altered = match format {
            Format::Csv => [text.replace(",standalone,", ",3gpp,"), text.replace(",standalone,", ",,")],
            Format::Pskc => {
                let own = "<obf:Technology>standalone</obf:Technology>";
                [text.replace("standalone", "3gpp"), text.replace(own, "")]
            }
        };
        for altered in altered {
            let said = faults(read(format, altered.as_bytes(), &key));
            assert!(
                said.len() == own && said.iter().all(|fault| fault.contains("does not verify")),
                "{said:?}"
            );
        }
        let lorawan = KeyRecord { technology: Technology::LoRaWan, ..record(0) };
        let said = faults(read(format, &file(format, &key, &[lorawan]), &key));
        assert!(said.len() == 1 && said[0].contains("3gpp or standalone, for a key of AKA"), "{said:?}");
    }
}

#[test]
fn nothing_of_a_record_or_transport_key_is_printed() {
    let shown = format!("{:?} {:?}", record(1), TransportKey::from_octets("t", &[0xAB; 16]).unwrap());
    assert!(!shown.contains("171") && !shown.to_lowercase().contains("abab"), "{shown}");
    let hex = TransportKey::from_octets("t", b"abababababababababababababababab\n").unwrap();
    assert!(hex == TransportKey::from_octets("t", &[0xAB; 16]).unwrap());
    assert!(TransportKey::from_octets("t", &[0xAB; 15]).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn c2_altered_octets_never_panic_and_never_pass_as_another_key(
        place: prop::sample::Index, octet: u8, csv: bool
    ) {
        let format = if csv { Format::Csv } else { Format::Pskc };
        let key = transport(7, 32);
        let mut written = file(format, &key, &ten());
        let place = place.index(written.len());
        written[place] = octet;
        for entry in read(format, &written, &key).into_iter().flatten() {
            let same = ten().into_iter().any(|known| known.k == entry.record.k && known.c == entry.record.c
                && known.identities == entry.record.identities);
            prop_assert!(same, "{:?}", entry.record.identities);
        }
    }

    #[test]
    fn c2_arbitrary_octets_never_panic(octets: Vec<u8>, csv: bool) {
        let format = if csv { Format::Csv } else { Format::Pskc };
        let _ = read(format, &octets, &transport(7, 32));
    }
}

/// RFC 6030 figure 6: its octets, its key, its secret. It is HOTP's, so that it goes as far as the algorithm.
#[test]
fn rfc_6030_figure_6_decrypts_and_verifies() {
    let text = include_str!("rfc6030_figure_6.xml");
    let key = |digits: &str| TransportKey::from_octets("Pre-shared-key", digits.as_bytes()).unwrap();
    let said = faults(read(Format::Pskc, text.as_bytes(), &key("12345678901234567890123456789012")));
    assert_eq!(said, ["line 21: Algorithm: urn:obf:pskc:milenage or urn:obf:pskc:tuak"]);
    let said = faults(read(Format::Pskc, text.as_bytes(), &key("12345678901234567890123456789013")));
    assert!(said.len() == 1 && said[0].contains("not the one of this file"), "{said:?}");
    // As if its 20 octets were a subscriber's: decrypted, and too few.
    let ours = text.replace("urn:ietf:params:xml:ns:keyprov:pskc:hotp", pskc::MILENAGE);
    let said = faults(read(Format::Pskc, ours.as_bytes(), &key("12345678901234567890123456789012")));
    assert_eq!(said, ["line 21: Secret: 32 (K, OPc) octets are needed, 20 are there"]);
}
