//! The GSUP client against peers that are no HLR or a bad one; osmo-hlr is in `tests/peers`.

use obf_gsup::{Imsi, Limits, PeerName, SendAuthInfoRequest};
use obf_net::{
    Stopper,
    gsup::{GsupClient, GsupClientSettings},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(400);
/// osmo-hlr's question who is there, in its frame.
const WHO: &[u8] = &[0, 3, 0xfe, 4, 1, 0];

fn settings(address: SocketAddr) -> GsupClientSettings {
    let mut settings = GsupClientSettings::new(address, PeerName::new("obf-net-test").unwrap());
    settings.connect_time = Duration::from_secs(1);
    settings.backoff = Duration::from_millis(200);
    settings
}

fn imsi(number: u32) -> Imsi {
    Imsi::new(&format!("00101{number:010}")).unwrap()
}

fn one(number: u32) -> SendAuthInfoRequest {
    SendAuthInfoRequest::one_vector(imsi(number), None)
}

/// A peer that says `words` to everybody, waits for something and says `answer`; then holds the connection.
async fn peer(words: &'static [u8], answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream, words, answer));
        }
    });
    address
}

async fn talk(mut stream: TcpStream, words: &'static [u8], answer: &'static [u8]) {
    let mut heard = vec![0; 4096];
    stream.write_all(words).await.unwrap();
    // The identity comes first, then the first request.
    let mut length = 0;
    while length < 60 {
        match stream.read(&mut heard).await {
            Ok(octets) if octets > 0 => length += octets,
            _ => return,
        }
    }
    let _ = stream.write_all(answer).await;
    while stream.read(&mut heard).await.is_ok_and(|octets| octets > 0) {}
}

/// What a client of such a peer is told.
async fn told(words: &'static [u8], answer: &'static [u8]) -> String {
    let stopper = Stopper::new();
    let mut settings = settings(peer(words, answer).await);
    settings.connect_time = SHORT;
    settings.limits = Limits { patience: SHORT, ..Limits::default() };
    let client = GsupClient::start(settings, &stopper.running());
    let outcome = client.send_auth_info(one(1), Duration::from_secs(5)).await;
    stopper.stop(LONG).await;
    outcome.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_are_no_hlr_are_named() {
    let http = told(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"").await;
    assert!(
        http.ends_with("an IPA frame announces 18516 octets, more than 4096: the peer does not speak GSUP"),
        "{http}"
    );
    let mute = told(b"", b"").await;
    assert!(mute.ends_with("no identity request within 400ms: is this the GSUP port of an HLR?"), "{mute}");
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let stopper = Stopper::new();
    let client = GsupClient::start(settings(nowhere), &stopper.running());
    let refused = client.send_auth_info(one(1), LONG).await.unwrap_err().to_string();
    assert!(refused.starts_with(&format!("the HLR at {nowhere} is away: Connection refused")), "{refused}");
    stopper.stop(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_are_named_and_hang_nobody() {
    // A result for our IMSI without a tuple; a tuple cut short; a refusal without a cause.
    const IMSI: [u8; 10] = [1, 8, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00, 0x00, 0xf1];
    let frame = |message_type: u8, rest: &[u8]| -> &'static [u8] {
        let payload = [&[5, message_type][..], &IMSI, rest].concat();
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        Vec::leak([&length[..], &[0xee], &payload].concat())
    };
    for (answer, words) in [
        (frame(0x0a, &[]), "the HLR's answer cannot be read: authentication tuple is missing"),
        (
            frame(0x0a, &[3, 90, 0x20]),
            "the HLR's answer cannot be read: authentication tuple (0x03) announces 90 octets, 1 are left",
        ),
        (
            frame(0x0a, &[3, 3, 0x20, 1, 1]),
            "the HLR's answer cannot be read: RAND has 1 octets instead of 16",
        ),
        (frame(0x09, &[]), "the HLR's answer cannot be read: cause is missing"),
        (frame(0x09, &[2, 1, 22]), "the HLR refused: cause 22 (congestion)"),
    ] {
        assert_eq!(told(WHO, answer).await, words);
    }
    // Answers about somebody else, or none at all: the connection is given up, so the request fails in its time.
    let other = frame(0x0c, &[]);
    let unanswered = told(WHO, other).await;
    assert!(
        unanswered.ends_with("the request for 001010000000001 was left unanswered")
            || unanswered == "the HLR did not answer in time"
            || unanswered == "the connection to the HLR ended before its answer",
        "{unanswered}"
    );
    let cut = told(WHO, &[0xff, 0xff, 0xee]).await;
    assert!(cut.contains("announces 65535 octets") || cut.contains("ended before its answer"), "{cut}");
}
