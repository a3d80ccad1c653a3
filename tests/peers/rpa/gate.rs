//! Something between an application and its Authentication Server that can be closed, or stalled.

use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Connections end, and new ones too.
    Closed,
    /// Octets wait.
    Stalled,
}

pub struct Gate {
    address: SocketAddr,
    state: watch::Sender<State>,
}

impl Gate {
    pub async fn open(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                tokio::spawn(async move {
                    if *seen.borrow() == State::Closed {
                        return;
                    }
                    let Ok(server) = TcpStream::connect(behind).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::select! {
                        () = pass(from_client, to_server, seen.clone()) => {}
                        () = pass(from_server, to_client, seen.clone()) => {}
                        _ = seen.wait_for(|state| *state == State::Closed) => {}
                    }
                });
            }
        });
        Self { address, state }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn close(&self) {
        self.state.send_replace(State::Closed);
    }

    pub fn reopen(&self) {
        self.state.send_replace(State::Open);
    }

    pub fn stall(&self) {
        self.state.send_replace(State::Stalled);
    }

    pub fn go_on(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut octets = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut octets).await else { return };
        if state.wait_for(|state| *state != State::Stalled).await.is_err() {
            return;
        }
        if to.write_all(&octets[..count]).await.is_err() {
            return;
        }
    }
}
