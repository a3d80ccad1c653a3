//! What TLS-PSK protects on RPA, each way: somebody on the wire neither reads, nor changes, nor repeats what is sent
//! (SPEC U2–U4 for the server, U6–U8 for the device).

use obf_net::psk::{
    Accepted, KeyQuery, KeySource, PskAcceptor, PskConnector, PskServer, PskStream, Versions,
};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Domain};
use std::{net::Ipv4Addr, sync::Arc};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};

const POSITION: &[u8] = b"$NRM,position of a vehicle";
const COMMAND: &[u8] = b"SET PIP:203.0.113.7";
/// Octets of a record's header, which is in clear: kind, version, length.
const HEADER: usize = 5;
const PIPE: usize = 1 << 16;

struct OneKey;

impl KeySource for OneKey {
    type Grant = ();

    async fn key(&self, _: KeyQuery) -> Option<(AppKey, ())> {
        Some((AppKey::new([7; 32]), ()))
    }
}

/// One end: its stream, and the wire behind it as somebody between the two sees it.
struct End {
    stream: PskStream<DuplexStream>,
    wire: DuplexStream,
}

/// Device and server after their handshake; from then on nothing passes that the test does not pass on.
async fn connected(versions: Versions) -> (End, End) {
    let (app, domain) = (AppId::new("track.example").unwrap(), Domain::new("rs1.as.example").unwrap());
    let token = TokenId::new([1; 16], domain);
    let acceptor = PskAcceptor::new(PskServer::new(vec![app.clone()])).unwrap();
    let connector = PskConnector::new(versions, &[]).unwrap();
    let keys = Arc::new(OneKey);
    let ((device, mut of_device), (server, mut of_server)) = (duplex(PIPE), duplex(PIPE));
    let handshake = async {
        tokio::join!(
            connector.connect(device, &app, &token, |_| Some(AppKey::new([7; 32]))),
            acceptor.accept(server, Ipv4Addr::LOCALHOST.into(), &keys)
        )
    };
    let (device, server) = tokio::select! {
        both = handshake => both,
        ended = copy_bidirectional(&mut of_device, &mut of_server) => panic!("{ended:?}"),
    };
    let Accepted { stream, .. } = server.unwrap();
    (End { stream: device.unwrap().stream, wire: of_device }, End { stream, wire: of_server })
}

impl End {
    /// Sends it, and takes it off the wire.
    async fn sent(&mut self, text: &[u8]) -> Vec<u8> {
        self.stream.write_all(text).await.unwrap();
        self.stream.flush().await.unwrap();
        let mut record = Vec::with_capacity(PIPE);
        self.wire.read_buf(&mut record).await.unwrap();
        assert_eq!(record.len(), HEADER + usize::from(u16::from_be_bytes([record[3], record[4]])));
        record
    }

    /// What it makes of a record.
    async fn given(&mut self, record: &[u8]) -> std::io::Result<Vec<u8>> {
        self.wire.write_all(record).await.unwrap();
        let mut text = Vec::with_capacity(PIPE);
        self.stream.read_buf(&mut text).await?;
        Ok(text)
    }
}

/// Device to server, or a command back.
fn ordered((device, server): (End, End), back: bool) -> (End, End, &'static [u8]) {
    if back { (server, device, COMMAND) } else { (device, server, POSITION) }
}

#[tokio::test]
async fn u3_u4_u7_u8_nobody_between_reads_or_repeats_what_is_sent_either_way() {
    for versions in [Versions::Tls13, Versions::Tls12] {
        for back in [false, true] {
            let (mut from, mut to, text) = ordered(connected(versions).await, back);
            let record = from.sent(text).await;
            assert!(!record.windows(8).any(|part| text.windows(8).any(|clear| clear == part)));
            assert_eq!(to.given(&record).await.unwrap(), text);
            let again = to.given(&record).await;
            assert!(again.is_err(), "{versions:?}, back: {back}: {again:?}");
        }
    }
}

#[tokio::test]
async fn u2_u6_whatever_is_changed_on_the_way_is_not_believed_either_way() {
    for versions in [Versions::Tls13, Versions::Tls12] {
        for back in [false, true] {
            let (mut from, _, text) = ordered(connected(versions).await, back);
            let length = from.sent(text).await.len();
            for at in (HEADER..length).step_by(5).chain([length - 1]) {
                let (mut from, mut to, text) = ordered(connected(versions).await, back);
                let mut record = from.sent(text).await;
                record[at] ^= 1;
                let given = to.given(&record).await;
                assert!(given.is_err(), "{versions:?}, back: {back}, octet {at}: {given:?}");
            }
        }
    }
}
