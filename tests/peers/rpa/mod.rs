//! RPA in a whole deployment: the Authentication and Resource Server as processes, the application SDK on its real
//! link, devices that are not ours (`openssl s_client`, `gnutls-cli`) with keys from `obf client bootstrap --show-key`
//! (R13, R16; issue sentence 7).

mod device;
mod gate;
mod operators;

use device::{Bootstrapped, Device};
use gate::Gate;
use obf_app::{Application, ApplicationSettings, AsDirectory, AsSettings, ListenerSettings};
use obf_net::{
    Clock, Stopper, SystemClock,
    certificates::{self, CertificateFiles},
    radius::{TlsClientSettings, TlsServerAddress},
};
use obf_testkit::deployment::{Deployment, Sim};
use obf_types::{AppId, Domain, UaId};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::AsyncWriteExt;

const APP: &str = "track.example";
/// Generous: the machine may be busy. Nothing waits for it when things go well.
pub const LONG: Duration = Duration::from_secs(30);

/// A deployment with one application and one device that may use it.
fn deployment() -> (Deployment, Sim) {
    let mut deployment = Deployment::init(&["--app", APP]);
    deployment.serve("all", &[]);
    deployment.add_app(APP);
    let sim = Sim::number(1);
    deployment.add_device(&sim, &[APP]);
    (deployment, sim)
}

/// The application: an echo server on the SDK.
struct Server {
    application: Application,
    address: SocketAddr,
    group: Stopper,
}

async fn application(deployment: &Deployment, rpo: SocketAddr) -> Server {
    let file = |ending: &str| deployment.file(&format!("apps/{APP}.{ending}"));
    let own = CertificateFiles { chain: file("pem"), key: file("key") };
    let tls = certificates::mutual_client(&own, &deployment.file("ca.pem")).unwrap();
    let rpo = TlsClientSettings::new(vec![TlsServerAddress::new(rpo, "as.obf.example")], tls);
    let server = AsSettings::new(Domain::new("as.obf.example").unwrap(), rpo);
    let (group, clock) = (Stopper::new(), Arc::new(SystemClock) as Arc<dyn Clock>);
    let servers = AsDirectory::start(vec![server], &clock, &group.running()).unwrap();
    let application = Application::new(ApplicationSettings::new(AppId::new(APP).unwrap()), &servers);
    let listening = ListenerSettings::new("127.0.0.1:0".parse().unwrap());
    let mut listener = application.listen(listening, &group.running()).await.unwrap();
    let address = listener.address();
    tokio::spawn(async move {
        while let Some(session) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = tokio::io::split(session.stream);
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
    tokio::time::timeout(LONG, application.ready()).await.expect("a link to the Authentication Server");
    Server { application, address, group }
}

impl Server {
    async fn shutdown(self) {
        self.group.stop(LONG).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_devices_that_are_not_ours_are_echoed() {
    let (deployment, sim) = deployment();
    let application = application(&deployment, deployment.endpoint("auth", "rpo")).await;
    let (gcm, chacha) = (UaId::tls12(0x00A8), UaId::tls12(0xCCAC));
    let at = application.address;
    for (peer, ua) in [
        (Device::openssl(at, &["-tls1_3"]), UaId::TLS13_PSK),
        (Device::openssl(at, &["-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256"]), gcm),
        (Device::openssl(at, &["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"]), chacha),
        (
            Device::gnutls(at, "NORMAL:-VERS-ALL:+VERS-TLS1.3:-KX-ALL:+PSK:+DHE-PSK:+ECDHE-PSK"),
            UaId::TLS13_PSK,
        ),
        (Device::gnutls(at, "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+PSK:-CIPHER-ALL:+AES-128-GCM"), gcm),
    ] {
        let device = Bootstrapped::new(&deployment, &sim, APP, ua);
        peer.start(&device).expect_echo("from a device that is not ours").await;
    }
    // The key of one security protocol opens no other.
    let device = Bootstrapped::new(&deployment, &sim, APP, gcm);
    Device::openssl(at, &["-tls1_3"]).start(&device).expect_closed().await;
    application.shutdown().await;
}

/// From the command to the closed socket at most 1 s, whatever ends the application's use of the token (SPEC R16, C11),
/// not counting what starting the command costs: that is measured with another command of the same kind.
#[tokio::test(flavor = "multi_thread")]
async fn r16_whatever_ends_the_use_of_a_token_closes_the_socket_within_a_second() {
    let (deployment, _) = deployment();
    let application = application(&deployment, deployment.endpoint("auth", "rpo")).await;
    for (number, ends) in (2..).zip(["token", "device", "grant", "denial"]) {
        let sim = Sim::number(number);
        deployment.add_device(&sim, &[APP]);
        let device = Bootstrapped::new(&deployment, &sim, APP, UaId::TLS13_PSK);
        let s_client = || Device::openssl(application.address, &["-tls1_3"]);
        let mut peer = s_client().start(&device);
        peer.expect_echo("before").await;
        let began = Instant::now();
        deployment.obf(&["token", "show", &device.token]).expect_success();
        let command = began.elapsed();
        let arguments = match ends {
            "token" => vec!["token", "revoke", &device.token],
            "device" => vec!["device", "revoke", &sim.imsi],
            "grant" => vec!["grant", "remove", "--device", &sim.imsi, "--app", APP],
            _ => vec!["denial", "add", "--device", &sim.imsi, "--app", APP],
        };
        let began = Instant::now();
        let (ended, ()) = tokio::join!(
            tokio::task::spawn_blocking({
                let mut obf = std::process::Command::new(obf_testkit::deployment::binary());
                obf.args(arguments)
                    .env("OBF_CONFIG", deployment.config())
                    .stdout(std::process::Stdio::null());
                move || obf.status()
            }),
            peer.expect_closed()
        );
        assert!(ended.unwrap().unwrap().success(), "{ends}");
        let took = began.elapsed().saturating_sub(command);
        assert!(took <= Duration::from_secs(1), "{ends}: {took:?} beside {command:?} for the command");
        s_client().start(&device).expect_closed().await;
    }
    application.shutdown().await;
}

/// An application that was away learns on reconnecting what ended, before it accepts that token again.
#[tokio::test(flavor = "multi_thread")]
async fn r16_an_application_that_was_away_learns_it_on_reconnecting() {
    let (deployment, sim) = deployment();
    let gate = Gate::open(deployment.endpoint("auth", "rpo")).await;
    let application = application(&deployment, gate.address()).await;
    let device = Bootstrapped::new(&deployment, &sim, APP, UaId::TLS13_PSK);
    let s_client = || Device::openssl(application.address, &["-tls1_3"]);
    let mut peer = s_client().start(&device);
    peer.expect_echo("before").await;
    gate.close();
    tokio::time::timeout(LONG, application.application.away()).await.unwrap();
    // Known keys go on for the grace.
    let mut meanwhile = s_client().start(&device);
    meanwhile.expect_echo("meanwhile").await;
    deployment.obf(&["token", "revoke", &device.token]).expect_success();
    peer.expect_echo("it does not know yet").await;
    gate.reopen();
    peer.expect_closed().await;
    meanwhile.expect_closed().await;
    tokio::time::timeout(LONG, application.application.ready()).await.unwrap();
    let mut again = s_client().start(&device);
    again.expect_closed().await;
    application.shutdown().await;
}

/// A stalled Authentication Server holds up the handshake that needs it, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn r13_a_stalled_key_fetch_blocks_no_other_handshake() {
    let (deployment, sim) = deployment();
    let gate = Gate::open(deployment.endpoint("auth", "rpo")).await;
    let application = application(&deployment, gate.address()).await;
    let other = Sim::number(2);
    deployment.add_device(&other, &[APP]);
    let known = Bootstrapped::new(&deployment, &sim, APP, UaId::TLS13_PSK);
    let unknown = Bootstrapped::new(&deployment, &other, APP, UaId::TLS13_PSK);
    let s_client = || Device::openssl(application.address, &["-tls1_3"]);
    s_client().start(&known).expect_echo("known now").await;
    gate.stall();
    let mut waiting = s_client().start(&unknown);
    for n in 0..3 {
        let mut peer = s_client().start(&known);
        peer.expect_echo(&format!("number {n}")).await;
    }
    assert!(waiting.is_waiting());
    gate.go_on();
    waiting.expect_echo("at last").await;
    application.shutdown().await;
}

/// C11: a device without a grant for the application gets no key, so the application knows none.
#[tokio::test(flavor = "multi_thread")]
async fn c11_a_device_without_a_grant_does_not_get_in() {
    let (deployment, _) = deployment();
    let application = application(&deployment, deployment.endpoint("auth", "rpo")).await;
    let stranger = Sim::number(3);
    deployment.add_device(&stranger, &[]);
    let device = Bootstrapped::new(&deployment, &stranger, APP, UaId::TLS13_PSK);
    let mut peer = Device::openssl(application.address, &["-tls1_3"]).start(&device);
    peer.expect_closed().await;
    deployment.obf(&["grant", "add", "--device", &stranger.imsi, "--app", APP]).expect_success();
    application.shutdown().await;
}
