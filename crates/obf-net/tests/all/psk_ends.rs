//! Both ends of TLS-PSK, with keys that are made up.
#![allow(dead_code, reason = "not every test uses all of it")]

use obf_net::psk::{
    Accepted, KeyQuery, KeySource, PskAcceptError, PskAcceptor, PskConnectError, PskConnector, PskServer,
    Versions,
};
use obf_token::{AppKey, TokenId};
use obf_types::{AppId, Domain, UaId};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
};

/// Generous: the machine may be busy. Nothing waits for it when things go well.
pub const LONG: Duration = Duration::from_secs(30);

pub fn app() -> AppId {
    AppId::new("track.example").unwrap()
}

pub fn token(n: u8) -> TokenId {
    TokenId::new([n; 16], Domain::new("rs1.as.example").unwrap())
}

/// A key for each (token, Ua id), as a key derivation gives.
pub fn key(token: &TokenId, ua: UaId) -> AppKey {
    let mut octets = [token.rand()[0]; 32];
    octets[..5].copy_from_slice(&ua.0);
    AppKey::new(octets)
}

pub fn hex(key: &AppKey) -> String {
    key.expose().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Knows the tokens 1 to 9; token 5 only when told so.
#[derive(Default)]
pub struct Keys {
    pub asked: AtomicUsize,
    pub five: Notify,
}

impl KeySource for Keys {
    type Grant = UaId;

    async fn key(&self, query: KeyQuery) -> Option<(AppKey, UaId)> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(query.app, app());
        match query.need.token.rand()[0] {
            5 => self.five.notified().await,
            1..=9 => {}
            _ => return None,
        }
        Some((key(&query.need.token, query.need.ua), query.need.ua))
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub keys: Arc<Keys>,
    pub outcomes: mpsc::UnboundedReceiver<Result<UaId, PskAcceptError>>,
}

/// An echo server; says how each handshake ended.
pub async fn serve(settings: PskServer) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let keys = Arc::new(Keys::default());
    let (sender, outcomes) = mpsc::unbounded_channel();
    let acceptor = PskAcceptor::new(settings).unwrap();
    let source = Arc::clone(&keys);
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let (acceptor, source, sender) = (acceptor.clone(), Arc::clone(&source), sender.clone());
            tokio::spawn(async move {
                match acceptor.accept(stream, peer.ip(), &source).await {
                    Ok(Accepted { stream, grant, ua, .. }) => {
                        assert_eq!(grant, ua);
                        let _ = sender.send(Ok(ua));
                        let (mut reader, mut writer) = tokio::io::split(stream);
                        let _ = tokio::io::copy(&mut reader, &mut writer).await;
                        let _ = writer.shutdown().await;
                    }
                    Err(error) => {
                        let _ = sender.send(Err(error));
                    }
                }
            });
        }
    });
    Server { address, keys, outcomes }
}

impl Server {
    pub async fn outcome(&mut self) -> Result<UaId, PskAcceptError> {
        tokio::time::timeout(LONG, self.outcomes.recv()).await.unwrap().unwrap()
    }
}

pub async fn connect(
    address: SocketAddr,
    versions: Versions,
    token: TokenId,
    wrong: bool,
) -> Result<UaId, PskConnectError> {
    let stream = TcpStream::connect(address).await.unwrap();
    let own = token.clone();
    let derive = move |ua| Some(if wrong { AppKey::new([0xEE; 32]) } else { key(&own, ua) });
    let connector = PskConnector::new(versions, &[]).unwrap();
    let mut connected = connector.connect(stream, &app(), &token, derive).await?;
    connected.stream.write_all(b"to and fro").await.unwrap();
    let mut back = [0; 10];
    connected.stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"to and fro");
    Ok(connected.ua)
}
