//! Keys by the batch: made and handed out as key files, taken in from them, and nowhere in clear in what is written.

use bytes::Bytes;
use obf_keyfile::{Algorithm, Format, KeyRecord, Reader, TransportKey, Writer};
use obf_kms::{Envelope, Kms, LocalKek, Settings, creation::Batch};
use obf_net::{Clock, SystemClock};
use obf_resource::{
    provisioning::{
        creation::{Created, create},
        ingest::{Row, read_key_file},
    },
    registry::{DeviceRecord, Registration, Registry},
};
use obf_store::{
    Options,
    resource::{Change, DataKey, Device, KeyEnvelope, ResourceDb},
};
use obf_token::SealingKey;
use obf_types::{IdentityKind, MncLength, Secret, SecretBytes};
use std::{path::Path, sync::Arc, time::Duration};

const NETWORK: MncLength = MncLength::Two;
const KEK: &[u8; 32] = b"a key-encryption key of 32 octet";
const FORMATS: [Format; 2] = [Format::Csv, Format::Pskc];

fn kek() -> LocalKek {
    LocalKek::new(&Secret::new(*KEK))
}

fn transport(octet: u8) -> TransportKey {
    TransportKey::new("maker-2026", SecretBytes::new(vec![octet; 32])).unwrap()
}

struct World {
    dir: tempfile::TempDir,
    store: ResourceDb,
    kms: Kms,
    registry: Registry,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let store = ResourceDb::open(&Options::new(dir.path().join("rs.db"))).unwrap();
    let settings = Settings { lease: Duration::from_secs(60), records_per_key: 1000 };
    let kms = Kms::open(store.clone(), Arc::new(SystemClock), vec![Arc::new(kek())], settings).await.unwrap();
    let registry = Registry::new(store.clone(), kms.clone(), Arc::new([]));
    World { dir, store, kms, registry }
}

impl World {
    async fn create(&self, batch: Batch, format: Format) -> (Created, Vec<u8>) {
        let mut file = Vec::new();
        let take = |piece: Vec<u8>| {
            file.extend_from_slice(&piece);
            std::future::ready(true)
        };
        let now = || SystemClock.now();
        let made = create(&self.registry, batch, NETWORK, (format, transport(7)), now, take).await.unwrap();
        (made, file)
    }

    /// As the import does it: octets in pieces, rows in batches.
    async fn ingest(&self, format: Format, file: Vec<u8>, key: TransportKey) -> Vec<(u64, String)> {
        let (octets, mut rows) = read_key_file(format, key, NETWORK);
        let feeding = tokio::spawn(async move {
            for piece in file.chunks(1000) {
                if octets.send(Bytes::copy_from_slice(piece)).await.is_err() {
                    return;
                }
            }
        });
        let mut said = Vec::new();
        while let Some(batch) = rows.recv().await {
            let (mut lines, mut records) = (Vec::new(), Vec::new());
            for Row { line, record } in batch {
                match record {
                    Ok(record) => {
                        lines.push(line);
                        records.push(record);
                    }
                    Err(error) => said.push((line, error.to_string())),
                }
            }
            let outcomes = self.registry.register(records, SystemClock.now()).await.unwrap();
            for (line, outcome) in lines.into_iter().zip(outcomes) {
                said.push((
                    line,
                    match outcome {
                        Ok(Registration::Added) => "added".into(),
                        Ok(Registration::Unchanged) => "unchanged".into(),
                        Err(error) => error.to_string(),
                    },
                ));
            }
        }
        feeding.await.unwrap();
        said
    }
}

fn entries(format: Format, file: &[u8]) -> Vec<KeyRecord> {
    Reader::open(format, file, transport(7)).unwrap().map(|entry| entry.unwrap().record).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_keys_are_made_for_a_range_registered_and_handed_out_under_the_transport_key() {
    let world = world().await;
    for (format, first, algorithm) in [
        (Format::Csv, "001010000001000", Algorithm::Milenage),
        (Format::Pskc, "001010000002000", Algorithm::Tuak),
    ] {
        let iccid = format!("8988211{}", &first[4..]);
        let batch = Batch::new(first, Some(&iccid), 600, algorithm).unwrap();
        let (made, file) = world.create(batch.clone(), format).await;
        assert_eq!((made.created, made.refused), (600, 0));
        let entries = entries(format, &file);
        assert_eq!(entries.len(), 600);
        for record in entries.iter().step_by(37) {
            let imsi = record.identity(IdentityKind::Imsi).unwrap();
            let device = world.registry.device(imsi.value()).await.unwrap();
            // The secure element is made from the file, and has the key that the registry has.
            let personalised = DeviceRecord::parse(record.to_json().as_bytes(), NETWORK).unwrap();
            assert!(world.kms.is_key_of(personalised.source.key().unwrap(), kept(&device)).await.unwrap());
            let iccid = record.identity(IdentityKind::Iccid).unwrap();
            assert_eq!(world.registry.device(iccid.value()).await.unwrap().id, device.id);
        }
        // The same range again: no secure element gets a second key, and none of them is in the file.
        let (again, file) = world.create(batch.clone(), format).await;
        assert_eq!((again.created, again.refused, again.examples.len()), (0, 600, 20));
        assert!(again.examples[0].1.contains("registered already"), "{:?}", again.examples[0]);
        assert!(self::entries(format, &file).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_a_key_file_goes_in_with_every_bad_record_named_and_again_changes_nothing() {
    let source = world().await;
    let batch = Batch::new("001010000000001", Some("898821100000000001"), 700, Algorithm::Milenage).unwrap();
    let records = entries(Format::Csv, &source.create(batch, Format::Csv).await.1);
    for format in FORMATS {
        let mut file = written(format, &records);
        let text = String::from_utf8(file.clone()).unwrap();
        let at = text.find("001010000000300").unwrap();
        file[at] = b'9';
        let target = world().await;
        let said = target.ingest(format, file.clone(), transport(7)).await;
        let bad: Vec<_> = said.iter().filter(|(_, said)| said != "added").collect();
        let line = text[..at].matches('\n').count() as u64 + 1;
        assert_eq!((said.len(), bad.len(), bad[0].0), (700, 1, line), "{bad:?}");
        assert!(bad[0].1.contains("does not verify"), "{bad:?}");
        let again = target.ingest(format, file.clone(), transport(7)).await;
        assert_eq!(again.iter().filter(|(_, said)| said == "unchanged").count(), 699);
        let wrong = target.ingest(format, file, transport(8)).await;
        assert!(wrong.len() == 1 && wrong[0].1.contains("the transport key is not the one"), "{wrong:?}");
    }
}

fn written(format: Format, records: &[KeyRecord]) -> Vec<u8> {
    let draw = &mut |octets: &mut [u8]| getrandom::fill(octets).map_err(std::io::Error::other);
    let mut writer = Writer::open(format, Vec::new(), transport(7), draw).unwrap();
    records.iter().for_each(|record| writer.write(record, draw).unwrap());
    writer.finish().unwrap()
}

/// Keys of every kind, in everything that the key management system writes or says.
#[tokio::test(flavor = "multi_thread")]
async fn r8_nothing_that_the_kms_writes_has_a_key_in_clear() {
    let world = world().await;
    let batch = Batch::new("001010000000001", None, 20, Algorithm::Milenage).unwrap();
    let mut said: Vec<(String, Vec<u8>)> = Vec::new();
    let (made, csv) = world.create(batch.clone(), Format::Csv).await;
    let records = entries(Format::Csv, &csv);
    said.push(("pskc".into(), written(Format::Pskc, &records)));
    said.push(("csv".into(), csv));
    let actor = "test".into();
    let change = Change { actor, reason: "".into(), addressees: Arc::new([]), at: SystemClock.now() };
    let rotation = world.kms.rotate(true, change).await.unwrap();
    let status = world.kms.status().await.unwrap();
    said.push(("rotation".into(), serde_json::to_vec(&rotation).unwrap()));
    said.push(("status".into(), serde_json::to_vec(&status).unwrap()));
    let device = world.registry.device("001010000000001").await.unwrap();
    let record = DeviceRecord::parse(records[0].to_json().as_bytes(), NETWORK).unwrap();
    let sealer = world.kms.sealer(1).await.unwrap();
    let keys = (transport(7), &records, kek(), &world.kms, &device, &record, sealer, &batch, &made);
    said.push(("debug".into(), format!("{keys:?}").into_bytes()));
    collect(world.dir.path(), &mut said);
    assert!(said.iter().any(|(name, content)| name.contains("rs.db") && content.len() > 4096));

    let mut secrets: Vec<(&str, Vec<u8>)> = Vec::new();
    for record in &records {
        secrets.push(("K", record.k.expose().to_vec()));
        secrets.push(("OPc", record.c.expose().to_vec()));
    }
    secrets.push(("transport key", vec![7; 32]));
    secrets.push(("KEK", KEK.to_vec()));
    let data_keys = world.store.data_keys().await.unwrap();
    assert_eq!(data_keys.len(), 2);
    for key in &data_keys {
        secrets.push(("data key", data_key(key)));
    }
    for (name, secret) in &secrets {
        for (place, content) in &said {
            for spelling in spellings(secret) {
                let found = content.windows(spelling.len()).any(|window| window == spelling);
                assert!(!found, "{place} has a {name} in clear");
            }
        }
    }
    // The search finds what is there.
    let json = records[0].to_json();
    assert!(
        spellings(records[0].k.expose())
            .iter()
            .any(|part| json.as_bytes().windows(part.len()).any(|w| w == part))
    );
}

/// A data key in clear, opened by hand: the key management system shows none.
fn data_key(key: &DataKey) -> Vec<u8> {
    let kek = SealingKey::new(SealingKey::id_of(&key.wrapped).unwrap(), &Secret::new(*KEK));
    let associated = [&b"obf data key\0"[..], &key.id.to_be_bytes()].concat();
    kek.open(&associated, &key.wrapped).unwrap().to_vec()
}

fn kept(device: &Device) -> Envelope<'_> {
    let KeyEnvelope { algorithm, wrapped } = device.credentials[0].envelope().unwrap();
    Envelope { primary: device.primary().unwrap(), algorithm: *algorithm, octets: wrapped }
}

/// As octets, hex digits of both cases, numbers as `Debug` lists them, and base64 up to where it depends on what follows.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|octet| format!("{octet:02x}")).collect();
    let numbers = secret.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    vec![
        secret.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        numbers.into_bytes(),
        base64(secret),
    ]
}

fn base64(secret: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = secret.as_chunks::<3>().0.iter();
    groups
        .flat_map(|[a, b, c]| {
            let bits = u32::from_be_bytes([0, *a, *b, *c]);
            [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift) as usize % 64])
        })
        .collect()
}

fn collect(directory: &Path, into: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        into.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
}
