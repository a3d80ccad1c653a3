//! A Resource Server's end of RPR with fixed answers, made of `obf-rpr` on a real socket: what the peers decode is our
//! encoding, without a registry behind it.

use obf_aka::{AkaVector, SecretOutput};
use obf_radius::{
    Framing, Request, Vendor,
    exchange::{DuplicateCache, Seen},
};
use obf_rpr::{
    AuthenticationData, Rights, RprOperation, RprRequest, VectorAnswer,
    answer::{DeviceFacts, alive},
    refuse,
};
use obf_token::{Algorithm, Technology};
use obf_types::{
    AppId, Epoch, GlobalIdentity, IdentityKind, Lifetime, MncLength, Refusal, Right, SecretBytes, UnixTime,
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The device that it knows.
pub const IMSI: &str = "001010000000001";
/// CK ‖ IK of its vectors.
pub const KEYS: [u8; 32] = *b"0123456789abcdefghijklmnopqrstuv";
/// XRES of its vectors.
pub const XRES: [u8; 8] = *b"response";

/// Runs until it is dropped.
pub struct Responder {
    pub address: SocketAddr,
    /// Datagrams that were dropped because they were not authentic.
    pub dropped: Arc<AtomicUsize>,
    /// Requests that were acted on.
    pub acted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    pub fn start(secret: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let address = socket.local_addr().unwrap();
        let (dropped, acted) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let stop = Arc::<AtomicBool>::default();
        let framing = Framing::with_secret(SecretBytes::from(secret.as_bytes()));
        let thread = thread::spawn({
            let (dropped, acted, stop) = (Arc::clone(&dropped), Arc::clone(&acted), Arc::clone(&stop));
            move || serve(&socket, &framing, &dropped, &acted, &stop)
        });
        Self { address, dropped, acted, stop, thread: Some(thread) }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What it answers about its device.
pub fn answer() -> VectorAnswer {
    let right = |app: &str, settings: &[u8]| Right {
        app: AppId::new(app).unwrap(),
        lifetime: Lifetime::DEFAULT,
        settings: settings.into(),
        local_validity: None,
    };
    VectorAnswer {
        data: AuthenticationData::Aka(AkaVector {
            rand: [0x11; 16],
            autn: [0x22; 16],
            xres: SecretOutput::from_slice(&XRES).unwrap(),
            ck: SecretOutput::from_slice(&KEYS[..16]).unwrap(),
            ik: SecretOutput::from_slice(&KEYS[16..]).unwrap(),
        }),
        technology: Technology::Standalone,
        device: DeviceFacts {
            identity: GlobalIdentity::new(IdentityKind::Imsi, IMSI).unwrap(),
            epoch: Epoch(1 << 40),
            kyc_expiry: Some(UnixTime(1_900_000_000)),
            mnc_length: Some(MncLength::Two),
            minimum_algorithm: Algorithm::AkaV2Sha256,
        },
        rights: Rights {
            list: vec![right("track.example", &[0xAB; 300]), right("meter.example", b"")],
            more: true,
        },
    }
}

fn serve(
    socket: &UdpSocket,
    framing: &Framing,
    dropped: &AtomicUsize,
    acted: &AtomicUsize,
    stop: &AtomicBool,
) {
    let begun = Instant::now();
    let mut duplicates = DuplicateCache::new(1000);
    let (mut datagram, mut out) = ([0; 5000], Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, source)) = socket.recv_from(&mut datagram) else { continue };
        let Ok(request) = Request::authenticate(framing, &datagram[..length]) else {
            dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        match duplicates.observe(begun.elapsed(), &source, &request) {
            Seen::InProgress => continue,
            Seen::Answered(reply) => {
                socket.send_to(reply, source).unwrap();
                continue;
            }
            Seen::New => {}
        }
        acted.fetch_add(1, Ordering::Relaxed);
        reply_to(&request, &mut out);
        socket.send_to(&out, source).unwrap();
        duplicates.answered(&source, &request, &out);
    }
}

fn reply_to(request: &Request, out: &mut Vec<u8>) {
    let vendor = Vendor::DOCUMENTATION;
    match RprRequest::decode(request, vendor) {
        Ok(RprRequest::Heartbeat) => alive(request, out),
        Ok(RprRequest::Operation(_, RprOperation::Vector(operation)))
            if operation.user_name == IMSI.as_bytes() =>
        {
            answer().encode(request, vendor, [[1, 2], [3, 4]], out).unwrap();
        }
        Ok(_) => refuse(request, vendor, Refusal::UnknownIdentity, out),
        Err(refusal) => refuse(request, vendor, refusal, out),
    }
}
