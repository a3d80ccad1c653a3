//! The steps: what each does, and what it verifies.

use super::{
    capture::{self, Card},
    frames::{self, Frame},
    sabotage::Sabotage,
    story::{Verified, ensure},
    tracking::{Conversation, DeviceType, Event},
    wire::Wire,
    world::{self, CardKeys, FLEET, LIFETIME, OTHER, TRACK, VEHICLE, World},
};
use crate::{
    admin::Node,
    application_server::{self, ApplicationServer, Service},
    commands::client::failed,
    failure::Failure,
};
use obf_ais140::{Alert, Command, Dialect, Message, Position, compose, message::Report};
use obf_app::{Application, ApplicationSettings, AsDirectory, AsSettings};
use obf_client::{AppStream, AssociationStore, AuthenticationServer, Client, Settings, SoftwareSe};
use obf_net::{
    Stopper,
    certificates::{self, CertificateFiles},
    http::HttpClient,
    psk::{PskConnector, Versions},
    radius::{TlsClientSettings, TlsServerAddress},
};
use obf_token::TokenId;
use obf_types::{Refusal, Secret};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TIME: Duration = Duration::from_secs(10);
/// From the command to the closed socket (issue: ≤ 1 s).
const REVOKED_WITHIN: Duration = Duration::from_secs(1);
/// An address inside a command; it must not be seen between vehicle and server.
const NEW_SERVER: &str = "203.0.113.7";

/// Everybody in the story.
pub struct Scene {
    sabotage: Option<Sabotage>,
    world: World,
    other_card: CardKeys,
    vehicle: Client,
    track: Application,
    fleet: ApplicationServer,
    stopper: Stopper,
    lanes: Vec<Lane>,
    stream: Option<AppStream>,
}

/// Devices of one type: their listener, the wire to it, the frames that they send.
struct Lane {
    devices: DeviceType,
    wire: Wire,
    frames: Vec<Frame>,
}

impl Scene {
    /// Two SIMs and two applications are registered over the admin API; the applications start.
    pub async fn set(world: World, sabotage: Option<Sabotage>, place: &mut Option<Self>) -> Verified {
        let vehicle_card = CardKeys::draw(VEHICLE, "8988211000000000018")?;
        let other_card = CardKeys::draw(OTHER, "8988211000000000026")?;
        vehicle_card.write_se(&world.file("vehicle.json"), sabotage == Some(Sabotage::WrongKey))?;
        world.provision(&[&vehicle_card, &other_card], sabotage != Some(Sabotage::NoGrant)).await?;
        let vehicle = vehicle(&world)?;
        let stopper = Stopper::new();
        let running = stopper.running();
        let servers = AsDirectory::start(vec![server(&world, TRACK)?], &world.clock, &running);
        let servers = servers.map_err(|error| Failure::other("track", error))?;
        let track = Application::new(ApplicationSettings::new(world::app(TRACK)?), &servers);
        let fleet = ApplicationServer::start(fleet_settings(&world)?, &world.clock).await?;
        let mut lanes: Vec<Lane> = Vec::new();
        for frame in frames::all().ok_or_else(|| Failure::other("demo", "the vectors cannot be read"))? {
            match lanes.iter_mut().find(|lane| lane.devices.dialect == frame.dialect) {
                Some(lane) => lane.frames.push(frame),
                None => {
                    let devices = DeviceType::listen(&track, frame.dialect.clone(), &running).await?;
                    let wire = Wire::to(devices.address).await?;
                    lanes.push(Lane { devices, wire, frames: vec![frame] });
                }
            }
        }
        for application in fleet.applications().iter().chain([&track]) {
            let up = tokio::time::timeout(TIME, application.ready()).await;
            let unlinked = format_args!("{} has no link to the Authentication Server", application.id());
            ensure(up.is_ok(), unlinked)?;
        }
        let facts = vec![
            format!("{VEHICLE} may use {TRACK}; nobody may use {FLEET}"),
            format!("{TRACK}: {} device types, a listener each", lanes.len()),
        ];
        *place =
            Some(Self { sabotage, world, other_card, vehicle, track, fleet, stopper, lanes, stream: None });
        Ok(facts)
    }

    /// Neither a plain frame nor a made-up token gets anywhere (W1).
    pub async fn demand(&mut self) -> Verified {
        let lane = lane(&mut self.lanes)?;
        let frame = lane.frames.first().map(|frame| frame.raw.clone()).unwrap_or_default();
        let mut plain = obf_net::connect(lane.devices.address, TIME).await.map_err(broken)?;
        plain.write_all(frame.as_bytes()).await.map_err(broken)?;
        let answer = tokio::time::timeout(TIME, plain.read_to_end(&mut Vec::new())).await;
        ensure(answer.is_ok(), "a plain frame was not turned away")?;
        ensure(lane.devices.is_quiet(), "a plain frame was listened to")?;

        let domain = format!("rs.{}", self.world.domain()?);
        let unknown =
            TokenId::parse(&format!("IyMjIyMjIyMjIyMjIyMjIw==@{domain}")).map_err(Failure::usage)?;
        let connector =
            PskConnector::new(Versions::default(), &[]).map_err(|error| Failure::other("openssl", error))?;
        let stream = obf_net::connect(lane.devices.address, TIME).await.map_err(broken)?;
        let refused =
            connector.connect(stream, &world::app(TRACK)?, &unknown, |_| Some(Secret::new([7; 32]))).await;
        ensure(refused.is_err(), "a made-up token was accepted")?;
        Ok(vec![
            "a plain frame: connection closed, nothing decoded".to_owned(),
            format!("a made-up token: {}", refused.err().map(|error| error.to_string()).unwrap_or_default()),
        ])
    }

    /// W2: mutual authentication, and a token on both sides.
    pub async fn bootstrap(&mut self) -> Verified {
        let association = self.vehicle.bootstrap().await.map_err(|error| failed(&error, None))?;
        let live = self.world.live_tokens(VEHICLE).await?;
        ensure(
            live.contains(&association.id.to_string()),
            "the Authentication Server does not list the token",
        )?;
        let wanted = format!(".{}", self.world.domain()?);
        ensure(association.id.domain().as_str().ends_with(&wanted), "the token's id names another domain")?;
        Ok(vec![
            format!("token {}", association.id),
            format!(
                "{}, keys by {}, until {}",
                association.method.algorithm_name(),
                association.schema.name(),
                association.expires
            ),
        ])
    }

    /// W1: the token's key sets up TLS.
    pub async fn connect(&mut self) -> Verified {
        let mut refusals = self.track.refusals();
        refusals.mark_unchanged();
        let connected = connect(&self.vehicle, lane(&mut self.lanes)?).await;
        let (stream, conversation) = connected.map_err(|failure| {
            let reason = refusals.borrow().as_ref().map(|refused| refused.refusal.to_string());
            Failure { text: format!("{} ({})", failure.text, reason.unwrap_or_default()), ..failure }
        })?;
        Ok(vec![format!("{}, {}, as {}", stream.version(), stream.suite(), conversation.token)])
    }

    /// U1–U4, U12: each frame on a connection of its device type.
    pub async fn frames(&mut self) -> Verified {
        let (mut decoded, mut refused, mut octets) = (0, 0, 0);
        for lane in &mut self.lanes {
            let (mut stream, mut conversation) = connect(&self.vehicle, lane).await?;
            if self.sabotage == Some(Sabotage::MessageAltered) {
                lane.wire.alter_next();
            }
            for frame in &lane.frames {
                stream.write_all(format!("{}\r\n", frame.raw).as_bytes()).await.map_err(broken)?;
                stream.flush().await.map_err(broken)?;
                match conversation.event().await? {
                    Event::Report(outcome) => {
                        frame.check(&outcome).map_err(|text| Failure::other("frame", text))?
                    }
                    other => return Err(unexpected(&format!("{other:?} instead of {}", frame.raw))),
                }
                if frame.refused() {
                    refused += 1
                } else {
                    decoded += 1
                }
                ensure(!lane.wire.saw(imei_in(&frame.raw).as_bytes()), "an IMEI was readable on the wire")?;
            }
            octets += lane.wire.octets();
            stream.shutdown().await.map_err(broken)?;
            let Event::Closed { ignored: 0 } = conversation.event().await? else {
                return Err(unexpected("packets were ignored"));
            };
        }
        Ok(vec![
            format!("{decoded} decoded to their meaning, {refused} refused naming the field"),
            format!("no IMEI in the {octets} octets that passed on the wires"),
        ])
    }

    /// U2, U6: a change is noticed.
    pub async fn tamper(&mut self) -> Verified {
        let lane = lane(&mut self.lanes)?;
        let frame = lane.frames.first().map(|frame| frame.raw.clone()).unwrap_or_default();
        let (mut stream, mut conversation) = connect(&self.vehicle, lane).await?;
        lane.wire.alter_next();
        stream.write_all(format!("{frame}\r\n").as_bytes()).await.map_err(broken)?;
        stream.flush().await.map_err(broken)?;
        match conversation.event().await? {
            Event::Closed { .. } => {
                Ok(vec!["the server closed the connection and decoded nothing".to_owned()])
            }
            other => Err(unexpected(&format!("{other:?} after a changed bit"))),
        }
    }

    /// U5–U8: a command, and its acknowledgement.
    pub async fn command(&mut self) -> Verified {
        let lane = self
            .lanes
            .iter_mut()
            .find(|lane| !lane.devices.dialect.checksums.is_empty() && template(lane).is_some())
            .ok_or_else(|| unexpected("no device type with positions"))?;
        let (stream, mut conversation) = connect(&self.vehicle, lane).await?;
        let command = Command::set("PIP", NEW_SERVER).map_err(Failure::usage)?;
        conversation
            .commands
            .send(command.clone())
            .await
            .map_err(|_| unexpected("the connection is gone"))?;

        let dialect = lane.devices.dialect.clone();
        let position = template(lane).ok_or_else(|| unexpected("no position"))?;
        let device = obey(stream, &dialect, position);
        let (device, report) = tokio::join!(device, conversation.event());
        let (settings, _stream) = device?;
        ensure(
            settings == ("PIP".to_owned(), NEW_SERVER.to_owned()),
            format_args!("the vehicle has {settings:?}"),
        )?;
        let Event::Report(Ok(Message::Position(position))) = report? else {
            return Err(unexpected("no position with alert 12"));
        };
        let change = position.report.as_ref().and_then(|report| report.change.clone());
        ensure(position.track.alert == Some(Alert(12)), "the answer is no alert 12")?;
        ensure(change == Some(command.acknowledgement(TRACK)), format_args!("it acknowledges {change:?}"))?;
        ensure(!lane.wire.saw(NEW_SERVER.as_bytes()), "the command was readable on the wire")?;
        Ok(vec![format!("{command} → alert 12 (PIP, {TRACK})")])
    }

    /// C11: not provisioned, not given.
    pub async fn permission(&mut self) -> Verified {
        let address = self.fleet.address();
        let fleet = self.fleet.applications().first().ok_or_else(|| unexpected("no application"))?;
        let mut refusals = fleet.refusals();
        let connected = self.vehicle.connect(&world::app(FLEET)?, address).await;
        ensure(connected.is_err(), format_args!("{FLEET} was given a key"))?;
        let refused =
            refusals.wait_for(Option::is_some).await.map_err(|_| unexpected("the application ended"))?;
        let refusal = refused.as_ref().map(|refused| refused.refusal);
        ensure(refusal == Some(Refusal::NotPermitted), format_args!("the reason is {refusal:?}"))?;
        Ok(vec![
            format!(
                "the vehicle sees: {}",
                connected.err().map(|error| error.to_string()).unwrap_or_default()
            ),
            format!("{FLEET} is told: {}", Refusal::NotPermitted),
        ])
    }

    /// WIRES "Once": a challenge is spent.
    pub async fn replay(&mut self) -> Verified {
        let domain = self.world.domain()?;
        let (k, opc) = self.other_card.octets();
        let mut card = Card::milenage(&Secret::new(*k), &Secret::new(*opc));
        let mut http = self.http().await?;
        let traffic = capture::bootstrap(&mut http, OTHER, &domain, &mut card).await?;
        if self.sabotage == Some(Sabotage::ReplayAllowed) {
            self.world.forget_challenges().await?;
        }
        let second = traffic.requests.last().ok_or_else(|| unexpected("no request"))?;
        let mut http = self.http().await?;
        let answer = capture::send(&mut http, &domain, second).await?;
        ensure(answer.status() == 401, format_args!("the replay was answered {}", answer.status()))?;
        let live = self.world.live_tokens(OTHER).await?;
        ensure(live == [traffic.association.id.to_string()], "the replay changed what is live")?;
        Ok(vec![format!("the same octets again: {}, a new challenge", answer.status())])
    }

    /// A2, A3: keys end with their lifetime.
    pub async fn expiry(&mut self) -> Verified {
        let lane = lane(&mut self.lanes)?;
        let (mut stream, _conversation) = connect(&self.vehicle, lane).await?;
        let former = stream.token().clone();
        self.world.hand.advance(LIFETIME + 1);
        let closed = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut [0; 1])).await;
        ensure(!matches!(closed, Err(_) | Ok(Ok(1))), "the connection outlived its key")?;
        let (stream, _conversation) = connect(&self.vehicle, lane).await?;
        let token = stream.token().clone();
        self.stream = Some(stream);
        ensure(token != former, "the expired token was used again")?;
        let live = self.world.live_tokens(VEHICLE).await?;
        ensure(!live.contains(&former.to_string()), "the expired token is still live")?;
        Ok(vec![
            format!("{LIFETIME} s later: {former} is over, its connection closed"),
            format!("one call later: {token}"),
        ])
    }

    /// R18: revocation reaches the application at once.
    pub async fn revocation(&mut self) -> Verified {
        let mut stream = self.stream.take().ok_or_else(|| unexpected("no connection"))?;
        let token = stream.token().to_string();
        let admin = self.world.admin(Node::Resource)?;
        let begun = Instant::now();
        admin.post(&format!("/v1/devices/{VEHICLE}:revoke"), &json!({})).await?;
        let remaining = REVOKED_WITHIN.saturating_sub(begun.elapsed());
        let closed = tokio::time::timeout(remaining, stream.read(&mut [0; 1])).await;
        let after = begun.elapsed();
        ensure(!matches!(closed, Err(_) | Ok(Ok(1))), "the connection was still open after 1 s")?;
        let live = self.world.live_tokens(VEHICLE).await?;
        ensure(!live.contains(&token), "the token is still live")?;
        Ok(vec![format!("from the command to the closed socket: {} ms", after.as_millis())])
    }

    /// Commands to try while everything is kept running.
    pub fn commands(&self) -> Vec<String> {
        let file = |name: &str| self.world.file(name).display().to_string();
        let config = file(crate::configuration::FILE_NAME);
        let address = self.lanes.first().map(|lane| lane.devices.address.to_string()).unwrap_or_default();
        let se = file("vehicle.json");
        vec![
            format!("export OBF_CONFIG={config}"),
            "obf device list".to_owned(),
            format!("obf client bootstrap --se {se}"),
            format!("obf token list --device {VEHICLE}"),
            format!("obf client connect {TRACK} {address} --se {se}"),
            format!("obf device revoke {VEHICLE}"),
        ]
    }

    /// Everybody goes home.
    pub async fn end(self) {
        drop((self.stream, self.lanes));
        self.fleet.shutdown().await;
        self.stopper.stop(Duration::from_secs(1)).await;
        self.world.end().await;
    }

    async fn http(&self) -> Result<HttpClient, Failure> {
        let address = self.world.address(Node::Auth, "rpb")?;
        let tls =
            certificates::client(&self.world.file("ca.pem")).map_err(|error| Failure::other("tls", error))?;
        HttpClient::connect(address, self.world.domain()?.as_str(), Some(tls), TIME)
            .await
            .map_err(|error| Failure::unreachable("RPB", address, error))
    }
}

/// Connects a device of the lane's type; both ends of the connection.
async fn connect(vehicle: &Client, lane: &mut Lane) -> Result<(AppStream, Conversation), Failure> {
    let connected = vehicle.connect(&world::app(TRACK)?, lane.wire.address).await;
    let stream = connected.map_err(|error| failed(&error, None))?;
    let conversation = lane.devices.accept().await?;
    ensure(conversation.token == *stream.token(), "the server names another token")?;
    Ok((stream, conversation))
}

/// What a vehicle's firmware does with a command: checks it, obeys, and reports alert 12.
async fn obey(
    mut stream: AppStream,
    dialect: &Dialect,
    mut position: Position,
) -> Result<((String, String), AppStream), Failure> {
    let (mut line, mut octet) = (Vec::new(), [0]);
    while !line.ends_with(b"\n") {
        let read = tokio::time::timeout(TIME, stream.read_exact(&mut octet)).await;
        read.map_err(|_| unexpected("no command came"))?.map_err(broken)?;
        line.extend_from_slice(&octet);
    }
    let text = String::from_utf8_lossy(&line);
    let command: Command = text.trim().parse().map_err(|error| Failure::other("command", error))?;
    let setting = (command.key().to_owned(), command.value().unwrap_or_default().to_owned());
    position.track.alert = Some(Alert(12));
    if let Some(report) = &mut position.report {
        report.change = Some(command.acknowledgement(TRACK));
    }
    let frame =
        compose::position(dialect, &position).ok_or_else(|| unexpected("the dialect has no positions"))?;
    stream.write_all(&frame).await.map_err(broken)?;
    stream.write_all(b"\r\n").await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    Ok((setting, stream))
}

/// A position that a device of this type has really sent.
fn template(lane: &Lane) -> Option<Position> {
    lane.frames.iter().find_map(|frame| match obf_ais140::decode(&frame.dialect, frame.raw.as_bytes()) {
        Ok(Message::Position(position)) if matches!(position.report, Some(Report { .. })) => Some(*position),
        _ => None,
    })
}

fn lane(lanes: &mut [Lane]) -> Result<&mut Lane, Failure> {
    lanes.first_mut().ok_or_else(|| unexpected("no device type"))
}

/// The longest run of digits of a frame: its IMEI.
fn imei_in(raw: &str) -> &str {
    raw.split(|c: char| !c.is_ascii_digit()).max_by_key(|digits| digits.len()).unwrap_or(raw)
}

fn vehicle(world: &World) -> Result<Client, Failure> {
    let se = SoftwareSe::open(world.file("vehicle.json"))
        .map_err(|error| Failure::other("secure-element", error))?;
    let address = world.address(Node::Auth, "rpb")?;
    let server = AuthenticationServer::parse(&format!("https://{}:{}", world.domain()?, address.port()))
        .map_err(Failure::usage)?
        .at(address)
        .with_ca(world.file("ca.pem"));
    let settings = Settings { clock: Arc::clone(&world.clock), ..Settings::new(server) };
    Client::new(settings, Arc::new(se), Arc::new(AssociationStore::in_memory()))
        .map_err(|error| Failure::other("openssl", error))
}

/// The Authentication Server, as an application with a certificate of its own sees it.
fn server(world: &World, app: &str) -> Result<AsSettings, Failure> {
    let file = |ending: &str| world.file(&format!("apps/{app}.{ending}"));
    let files = CertificateFiles { chain: file("pem"), key: file("key") };
    let tls = certificates::mutual_client(&files, &world.file("ca.pem"))
        .map_err(|error| Failure::other("tls", error))?;
    let (domain, address) = (world.domain()?, world.address(Node::Auth, "rpo")?);
    let server = TlsServerAddress::new(address, domain.to_string());
    Ok(AsSettings::new(domain, TlsClientSettings::new(vec![server], tls)))
}

fn fleet_settings(world: &World) -> Result<application_server::Settings, Failure> {
    Ok(application_server::Settings {
        apps: vec![world::app(FLEET)?],
        listen: ([127, 0, 0, 1], 0).into(),
        servers: vec![server(world, FLEET)?],
        service: Service::Echo,
    })
}

fn broken(error: std::io::Error) -> Failure {
    Failure::other("connection", format_args!("the connection broke: {error}"))
}

fn unexpected(text: &str) -> Failure {
    Failure::other("unexpected", text)
}
