//! What lies between two nodes, watched: relays that remember what passes, and can be told to do harm.

use crate::failure::Failure;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, tcp},
    task::JoinHandle,
};

/// RFC 5176 2.3: Disconnect-Request.
const DISCONNECT_REQUEST: u8 = 40;
/// The longest UDP payload that RADIUS uses is 4096 octets.
const MAX_DATAGRAM: usize = 4096;

/// Any free port of this machine.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// For connecting to the far end.
const TIME: Duration = Duration::from_secs(10);

/// A TCP wire: everything that passes is seen, and nothing is changed unless [`Wire::alter_next`] was called.
pub struct Wire {
    /// Where to connect instead of at the other end.
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
    alter: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Wire {
    /// A wire to `target`.
    ///
    /// # Errors
    /// No socket.
    pub async fn to(target: SocketAddr) -> Result<Self, Failure> {
        let listener = obf_net::listen(LOOPBACK).await.map_err(no_socket)?;
        let address = listener.local_addr().map_err(no_socket)?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let alter = Arc::new(AtomicBool::new(false));
        let (tap, harm) = (Arc::clone(&seen), Arc::clone(&alter));
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(pass(near, target, Arc::clone(&tap), Arc::clone(&harm)));
            }
        });
        Ok(Self { address, seen, alter, task })
    }

    /// Whether these octets passed, in either direction.
    pub fn saw(&self, octets: &[u8]) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.windows(octets.len()).any(|window| window == octets)
    }

    /// How many octets passed.
    pub fn octets(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Changes one bit of what the near end sends next.
    pub fn alter_next(&self) {
        self.alter.store(true, Ordering::SeqCst);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A UDP wire that loses every Disconnect-Request.
pub struct LossyWire {
    /// Where to send instead of to the other end.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl LossyWire {
    /// A wire to `target`.
    ///
    /// # Errors
    /// No socket.
    pub async fn to(target: SocketAddr) -> Result<Self, Failure> {
        let near = obf_net::listen_udp(LOOPBACK).await.map_err(no_socket)?;
        let far = obf_net::listen_udp(LOOPBACK).await.map_err(no_socket)?;
        far.connect(target).await.map_err(no_socket)?;
        let address = near.local_addr().map_err(no_socket)?;
        let task = tokio::spawn(lose_disconnects(near, far));
        Ok(Self { address, task })
    }
}

impl Drop for LossyWire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(near: TcpStream, target: SocketAddr, seen: Arc<Mutex<Vec<u8>>>, alter: Arc<AtomicBool>) {
    let Ok(far) = obf_net::connect(target, TIME).await else { return };
    let _ = near.set_nodelay(true);
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let never = Arc::new(AtomicBool::new(false));
    let out = copy(near_read, far_write, Arc::clone(&seen), alter);
    let back = copy(far_read, near_write, seen, never);
    tokio::join!(out, back);
}

async fn copy(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    seen: Arc<Mutex<Vec<u8>>>,
    alter: Arc<AtomicBool>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let Some(read) = buffer.get_mut(..count) else { break };
        if alter.swap(false, Ordering::SeqCst)
            && let Some(last) = read.last_mut()
        {
            *last ^= 1;
        }
        seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(read);
        if to.write_all(read).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

async fn lose_disconnects(near: UdpSocket, far: UdpSocket) {
    let (mut out, mut back) = ([0; MAX_DATAGRAM], [0; MAX_DATAGRAM]);
    let mut last_sender = None;
    loop {
        tokio::select! {
            received = near.recv_from(&mut out) => {
                let Ok((count, sender)) = received else { return };
                last_sender = Some(sender);
                match out.get(..count) {
                    Some([DISCONNECT_REQUEST, ..]) | None => {}
                    Some(datagram) => drop(far.send(datagram).await),
                }
            }
            received = far.recv(&mut back) => {
                // A port that nobody listens at any more is reported here once; the wire stays.
                let (Ok(count), Some(sender)) = (received, last_sender) else { continue };
                if let Some(datagram) = back.get(..count) {
                    let _ = near.send_to(datagram, sender).await;
                }
            }
        }
    }
}

fn no_socket(error: std::io::Error) -> Failure {
    Failure::other("socket", error)
}
