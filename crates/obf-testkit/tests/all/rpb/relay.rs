//! A wire tap on RPR: RADIUS/UDP goes through it unchanged, and it counts what the Authentication Server asks.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const ACCESS_REQUEST: u8 = 1;

pub struct Relay {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Between one Authentication Server and the Resource Server at `to`.
    pub fn start(to: SocketAddr) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = front.local_addr().unwrap();
        let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, ended) = (Arc::clone(&asked), Arc::clone(&over));
        let thread = std::thread::spawn(move || run(&front, to, &counter, &ended));
        Self { address, asked, over, thread: Some(thread) }
    }

    /// Access-Requests seen so far.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One socket towards the server for each socket of the client: identifiers are per source port.
fn run(front: &UdpSocket, to: SocketAddr, counter: &AtomicUsize, over: &AtomicBool) {
    let mut behind: Vec<(SocketAddr, UdpSocket)> = Vec::new();
    let mut buffer = [0; 4096];
    front.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    while !over.load(Ordering::SeqCst) {
        if let Ok((length, from)) = front.recv_from(&mut buffer) {
            let known = behind.iter().position(|(client, _)| *client == from).unwrap_or_else(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(to).unwrap();
                socket.set_nonblocking(true).unwrap();
                behind.push((from, socket));
                behind.len() - 1
            });
            if buffer[0] == ACCESS_REQUEST {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            let _ = behind[known].1.send(&buffer[..length]);
        }
        for (client, socket) in &behind {
            while let Ok(length) = socket.recv(&mut buffer) {
                let _ = front.send_to(&buffer[..length], client);
            }
        }
    }
}
