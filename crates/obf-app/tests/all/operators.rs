//! One process, several applications, several operators (SPEC R21; WIRES "Notices"): each Authentication Server is asked
//! about its own tokens only, and one that is away or hostile delays and ends nothing of another's.

use crate::server::{LONG, Operator, app, closed, connect, tell, token_of, track, until};
use obf_app::{
    Application, ApplicationSettings, AsDirectory, ListenError, Listener, ListenerSettings, NoKey, Session,
};
use obf_net::{
    Clock, OffsetClock, Stopper,
    psk::{PskConnectError, PskStream, Versions},
};
use obf_radius::Code;
use obf_token::TokenId;
use obf_types::{AppId, Refusal, UaId};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const APPS: [&str; 2] = ["track.example", "fleet.example"];
/// The Ua id of OSCORE (33.220 H.2, private).
const OSCORE: UaId = UaId([0xFF, 0x4F, 0x42, 0x46, 0x01]);

fn fleet() -> AppId {
    app("fleet.example")
}

/// Two operators, two applications on one listener.
struct World {
    clock: Arc<OffsetClock>,
    one: Operator,
    two: Operator,
    track: Application,
    fleet: Application,
    servers: AsDirectory,
    listener: Listener,
    group: Stopper,
}

impl World {
    async fn new() -> Self {
        Self::with(ListenerSettings::new("127.0.0.1:0".parse().unwrap())).await
    }

    async fn with(listening: ListenerSettings) -> Self {
        let clock = Arc::new(OffsetClock::new());
        let mut one = Operator::new("as.one.example", &clock).await;
        let mut two = Operator::new("as.two.example", &clock).await;
        let group = Stopper::new();
        let settings = vec![one.settings(&APPS), {
            let mut settings = two.settings(&APPS);
            settings.stale_grace = 60;
            settings
        }];
        let on = Arc::clone(&clock) as Arc<dyn Clock>;
        let servers = AsDirectory::start(settings, &on, &group.running()).unwrap();
        let [track, fleet] = APPS.map(|name| Application::new(ApplicationSettings::new(app(name)), &servers));
        let applications = vec![track.clone(), fleet.clone()];
        let listener = Listener::bind(applications, listening, &group.running()).await.unwrap();
        one.start().await;
        two.start().await;
        let world = Self { clock, one, two, track, fleet, servers, listener, group };
        world.up(&[true, true]).await;
        world
    }

    /// Waits until both applications see the two Authentication Servers so.
    async fn up(&self, wanted: &[bool]) {
        for application in [&self.track, &self.fleet] {
            until("the links", || application.servers().map(|server| server.up).eq(wanted.iter().copied()))
                .await;
        }
    }

    async fn connect(&self, app: &AppId, token: TokenId) -> Result<PskStream<TcpStream>, PskConnectError> {
        let connecting = connect(self.listener.address(), app, Versions::Both, token);
        tokio::time::timeout(LONG, connecting).await.unwrap()
    }

    /// A device with its session.
    async fn session(&mut self, app: &AppId, token: TokenId) -> (PskStream<TcpStream>, Session) {
        let device = self.connect(app, token).await.unwrap();
        (device, tokio::time::timeout(LONG, self.listener.accept()).await.unwrap().unwrap())
    }
}

/// What the device sends comes in at the session.
async fn alive(device: &mut PskStream<TcpStream>, session: &mut Session) {
    device.write_all(b"x").await.unwrap();
    let mut octet = [0];
    tokio::time::timeout(LONG, session.stream.read_exact(&mut octet)).await.unwrap().unwrap();
}

#[tokio::test]
async fn r21_devices_of_two_operators_come_in_at_one_listener_each_asked_for_at_its_own() {
    let mut world = World::new().await;
    // The same RAND: only the domain tells them apart.
    let tokens = [world.one.token(7), world.two.token(7)];
    for (token, domain) in tokens.iter().zip(["as.one.example", "as.two.example"]) {
        for application in [track(), fleet()] {
            let (mut device, mut session) = world.session(&application, token.clone()).await;
            assert_eq!((&session.token, &session.app), (token, &application));
            assert_eq!(session.grant.server().unwrap().as_str(), domain);
            alive(&mut device, &mut session).await;
        }
    }
    assert_eq!((world.one.fetched(), world.two.fetched()), (2, 2));
    // A domain that is not configured: an unknown identity, and nobody is asked.
    for domain in ["as.three.example", "xas.one.example"] {
        let refused = world.connect(&track(), token_of(7, domain)).await;
        assert!(matches!(refused, Err(PskConnectError::KeyNotAccepted)), "{refused:?}");
        let refused = world.track.key(&token_of(7, domain), OSCORE).await;
        assert_eq!(refused.unwrap_err(), NoKey::UnknownServer);
    }
    assert_eq!((world.one.fetched(), world.two.fetched()), (2, 2));
    // Which application, a device has to say.
    let refused = world.connect(&app("other.example"), world.one.token(7)).await;
    assert!(matches!(refused, Err(PskConnectError::Refused(112))), "{refused:?}");
}

#[tokio::test]
async fn r16_applications_share_a_connection_and_each_is_told_its_own() {
    let mut world = World::new().await;
    assert_eq!(world.one.server.connections.load(Ordering::SeqCst), 1);
    assert_eq!(world.one.server.resumed.load(Ordering::SeqCst), 2);
    let token = world.one.token(1);
    let (mut of_track, mut track_session) = world.session(&track(), token.clone()).await;
    let (mut of_fleet, _fleet_session) = world.session(&fleet(), token.clone()).await;
    world.one.server.revoke(&fleet(), token.clone()).await;
    closed(&mut of_fleet).await;
    alive(&mut of_track, &mut track_session).await;
    // An application that is not in this process has nothing to end: acknowledged.
    let connection = world.one.server.connection_of(&track()).unwrap();
    let code = tell(&connection, &app("other.example"), token.clone(), world.clock.now()).await;
    assert_eq!(code, Code::DisconnectAck);
    alive(&mut of_track, &mut track_session).await;
    world.one.server.revoke(&track(), token).await;
    closed(&mut of_track).await;
    assert_eq!(world.one.server.connections.load(Ordering::SeqCst), 1);
}

/// What ended while the process was away is told to each application before it accepts that token again.
#[tokio::test]
async fn r16_each_application_that_was_away_learns_its_own_notices_first() {
    let mut world = World::new().await;
    let token = world.one.token(1);
    let (mut of_track, _track_session) = world.session(&track(), token.clone()).await;
    let (mut of_fleet, mut fleet_session) = world.session(&fleet(), token.clone()).await;
    world.one.stop().await;
    world.up(&[false, true]).await;
    world.one.server.revoke(&track(), token.clone()).await;
    alive(&mut of_fleet, &mut fleet_session).await;
    world.one.start().await;
    closed(&mut of_track).await;
    world.up(&[true, true]).await;
    assert!(world.one.server.stored.lock().unwrap().is_empty());
    let refused = world.connect(&track(), token.clone()).await;
    assert!(matches!(refused, Err(PskConnectError::KeyNotAccepted)), "{refused:?}");
    alive(&mut of_fleet, &mut fleet_session).await;
    assert_eq!(world.one.server.resumed.load(Ordering::SeqCst), 4);
}

/// A session outlives every handle of its application; a notice still ends it, and the application that is gone then is
/// not there to be told.
#[tokio::test]
async fn r16_a_notice_reaches_the_session_of_an_application_that_was_dropped() {
    let world = World::new().await;
    let third = Application::new(ApplicationSettings::new(fleet()), &world.servers);
    let listening = ListenerSettings::new("127.0.0.1:0".parse().unwrap());
    let mut listener = third.listen(listening, &world.group.running()).await.unwrap();
    let token = world.one.token(3);
    let named = fleet();
    let connecting = connect(listener.address(), &named, Versions::Both, token.clone());
    let (device, session) = tokio::join!(connecting, listener.accept());
    let (mut device, session) = (device.unwrap(), session.unwrap());
    drop((third, listener));
    world.one.server.revoke(&fleet(), token).await;
    closed(&mut device).await;
    drop(session);
    // The other application of that id is served on.
    assert!(world.connect(&fleet(), world.one.token(4)).await.is_ok());
}

#[tokio::test]
async fn an_operator_that_is_away_delays_and_ends_nothing_of_the_others() {
    let mut world = World::new().await;
    let (mut first, mut first_session) = world.session(&track(), world.one.token(1)).await;
    let (mut second, mut second_session) = world.session(&track(), world.two.token(1)).await;
    world.two.stop().await;
    world.up(&[true, false]).await;
    // New devices of the one come in while one of the other waits in vain.
    let address = world.listener.address();
    let token = world.two.token(2);
    let waiting = tokio::spawn(async move { connect(address, &track(), Versions::Both, token).await });
    let (mut new, mut new_session) = world.session(&fleet(), world.one.token(2)).await;
    assert!(!waiting.is_finished());
    alive(&mut new, &mut new_session).await;
    // Its known keys go on for its own grace.
    alive(&mut second, &mut second_session).await;
    world.clock.advance(70);
    closed(&mut second).await;
    alive(&mut first, &mut first_session).await;
    assert!(waiting.await.unwrap().is_err());
    world.two.start().await;
    world.up(&[true, true]).await;
    let _back = world.session(&track(), world.two.token(2)).await;
}

#[tokio::test]
async fn an_application_that_one_operator_does_not_know_is_served_by_the_other() {
    let mut world = World::new().await;
    world.two.stop().await;
    world.up(&[true, false]).await;
    world.two.server.strangers.lock().unwrap().insert(track());
    world.two.start().await;
    until("fleet is welcome", || world.fleet.servers().all(|server| server.up)).await;
    assert!(!world.track.servers().all(|server| server.up));
    let _fleet = world.session(&fleet(), world.two.token(1)).await;
    let _track = world.session(&track(), world.one.token(1)).await;
    assert!(world.connect(&track(), world.two.token(1)).await.is_err());
    // Registered meanwhile: no new connection is needed.
    let connections = world.two.server.connections.load(Ordering::SeqCst);
    world.two.server.strangers.lock().unwrap().clear();
    world.up(&[true, true]).await;
    let _track = world.session(&track(), world.two.token(1)).await;
    assert_eq!(world.two.server.connections.load(Ordering::SeqCst), connections);
}

#[tokio::test]
async fn a_hostile_operator_ends_no_token_of_anothers() {
    let mut world = World::new().await;
    let (mut device, mut session) = world.session(&track(), world.one.token(1)).await;
    let connection = world.two.server.connection_of(&track()).unwrap();
    for token in [world.one.token(1), token_of(1, "as.three.example")] {
        assert_eq!(tell(&connection, &track(), token, world.clock.now()).await, Code::DisconnectNak);
    }
    alive(&mut device, &mut session).await;
    let fetched = world.one.fetched();
    let _known = world.session(&track(), world.one.token(1)).await;
    assert_eq!(world.one.fetched(), fetched, "the key is known on");
    // An answer that names another's token is none.
    world.two.server.names_others.store(true, Ordering::SeqCst);
    assert_eq!(world.track.key(&world.two.token(5), OSCORE).await.unwrap_err(), NoKey::Away);
    assert!(world.connect(&track(), world.two.token(5)).await.is_err());
}

/// Notices as fast as they go for as long as the test runs, most of them about another's tokens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_notices_holds_up_nothing_of_anothers() {
    let mut world = World::new().await;
    let (mut device, mut session) = world.session(&track(), world.one.token(1)).await;
    let connection = world.two.server.connection_of(&track()).unwrap();
    let now = world.clock.now();
    let flood: Vec<_> = (0..32)
        .map(|n| {
            let (connection, foreign, own) = (connection.clone(), world.one.token(1), world.two.token(n));
            tokio::spawn(async move {
                loop {
                    assert_eq!(tell(&connection, &track(), foreign.clone(), now).await, Code::DisconnectNak);
                    assert_eq!(tell(&connection, &track(), own.clone(), now).await, Code::DisconnectAck);
                }
            })
        })
        .collect();
    let began = Instant::now();
    for n in 10..40 {
        let (mut new, mut new_session) = world.session(&track(), world.one.token(n)).await;
        alive(&mut new, &mut new_session).await;
    }
    alive(&mut device, &mut session).await;
    assert!(began.elapsed() < LONG, "{:?}", began.elapsed());
    assert!(flood.iter().all(|sender| !sender.is_finished()));
    flood.iter().for_each(tokio::task::JoinHandle::abort);
}

/// An Authentication Server that answers nothing takes its part of a listener's look-ups, and none of another's.
#[tokio::test]
async fn an_operator_that_stalls_takes_no_look_up_of_anothers() {
    let mut listening = ListenerSettings::new("127.0.0.1:0".parse().unwrap());
    listening.lookups.per_source = 4;
    let mut world = World::with(listening).await;
    let address = world.listener.address();
    let stalled: Vec<_> = (0..3)
        .map(|_| {
            let token = world.two.token(50);
            tokio::spawn(async move { connect(address, &track(), Versions::Tls13, token).await.map(drop) })
        })
        .collect();
    // Two are looked up, the third is one too many.
    until("the fetches", || world.two.fetched() == 2).await;
    until("the one too many", || stalled.iter().filter(|handshake| handshake.is_finished()).count() == 1)
        .await;
    for n in 1..5 {
        let _session = world.session(&track(), world.one.token(n)).await;
    }
    assert_eq!(world.two.fetched(), 2);
    world.two.server.slow.notify_waiters();
    for handshake in stalled {
        let _ = handshake.await.unwrap();
    }
    // Nothing at all is answered: its links are given up, the other's stay.
    world.two.server.mute.store(true, Ordering::SeqCst);
    world.two.stop().await;
    world.up(&[true, false]).await;
    world.two.start().await;
    let _session = world.session(&track(), world.one.token(9)).await;
    world.two.server.mute.store(false, Ordering::SeqCst);
    world.up(&[true, true]).await;
    let _session = world.session(&track(), world.two.token(9)).await;
}

/// OSCORE, messages, HTTP Digest: a key without a TLS listener.
#[tokio::test]
async fn a_key_is_had_without_a_listener_until_its_token_ends() {
    let mut world = World::new().await;
    let token = world.two.token(1);
    let grant = world.track.key(&token, OSCORE).await.unwrap();
    assert_eq!(grant.key(), &crate::server::key(&token, OSCORE));
    assert_eq!(grant.settings(), b"settings of this user");
    assert_eq!(grant.server().unwrap().as_str(), "as.two.example");
    let again = world.track.key(&token, OSCORE).await.unwrap();
    assert_eq!((again.key(), world.two.fetched()), (grant.key(), 1), "known");
    world.track.key(&token, UaId::TLS13_PSK).await.unwrap();
    assert_eq!(world.two.fetched(), 2, "a key is for one protocol");
    let refused = world.track.key(&world.two.token(200), OSCORE).await.unwrap_err();
    assert_eq!(refused, NoKey::Refused(Some(Refusal::UnknownToken)));
    assert_eq!(world.track.key(&world.two.token(200), OSCORE).await.unwrap_err(), NoKey::Refused(None));
    world.two.server.revoke(&track(), token.clone()).await;
    let refused = world.track.key(&token, OSCORE).await.unwrap_err();
    assert_eq!(refused, NoKey::Refused(Some(Refusal::UnknownToken)));
    let known = world.track.key(&world.two.token(2), OSCORE).await.unwrap();
    world.two.stop().await;
    world.up(&[true, false]).await;
    assert_eq!(world.track.key(&world.two.token(2), OSCORE).await.unwrap().key(), known.key());
    assert_eq!(world.track.key(&world.two.token(3), OSCORE).await.unwrap_err(), NoKey::Away);
    world.clock.advance(61);
    assert_eq!(world.track.key(&world.two.token(2), OSCORE).await.unwrap_err(), NoKey::Away);
}

#[tokio::test]
async fn a_listener_serves_each_application_once() {
    let world = World::new().await;
    let listening = || ListenerSettings::new("127.0.0.1:0".parse().unwrap());
    let running = world.group.running();
    let none = Listener::bind(Vec::new(), listening(), &running).await;
    assert!(matches!(none, Err(ListenError::NoApplication)));
    let twice = Listener::bind(vec![world.track.clone(), world.track.clone()], listening(), &running).await;
    assert!(matches!(twice, Err(ListenError::Twice(app)) if app == track()));
    // Refused or not, nothing of it stays.
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(world.connect(&track(), world.one.token(1)).await.is_ok());
}
