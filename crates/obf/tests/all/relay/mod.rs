//! A relay between a command and its server that lets so much of the answer through, and then waits.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

const LONG: Duration = Duration::from_secs(120);

/// Of one connection.
pub struct Relay {
    address: SocketAddr,
    begun: Receiver<()>,
    go_on: Sender<()>,
}

impl Relay {
    /// Passes on what the command sends, and the first `octets` of the answer.
    pub fn start(server: SocketAddr, octets: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ((has_begun, begun), (go_on, goes_on)) = (channel(), channel());
        thread::spawn(move || {
            let (command, _) = listener.accept().unwrap();
            let server = TcpStream::connect(server).unwrap();
            let (mut from_command, mut to_server) =
                (command.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from_command, &mut to_server));
            pass(&server, &command, octets);
            has_begun.send(()).unwrap();
            let () = goes_on.recv().unwrap();
            pass(&server, &command, usize::MAX);
            let _ = command.shutdown(Shutdown::Both);
        });
        Self { address, begun, go_on }
    }

    /// Where the command connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the command has got its part of the answer.
    pub fn wait_until_begun(&self) {
        self.begun.recv_timeout(LONG).expect("an answer begins");
    }

    /// Passes on what else there is, to the end.
    pub fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }
}

/// At most so many octets, to the end or to the first error at the latest.
fn pass(mut from: &TcpStream, mut to: &TcpStream, mut octets: usize) {
    let mut piece = [0; 16 * 1024];
    while octets > 0 {
        let most = octets.min(piece.len());
        match from.read(&mut piece[..most]) {
            Ok(count @ 1..) if to.write_all(&piece[..count]).is_ok() => octets -= count,
            _ => return,
        }
    }
}
