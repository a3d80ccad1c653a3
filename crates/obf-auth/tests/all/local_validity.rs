//! Local validity (SPEC C11, A2, A3) from the grant to the application: how long it may use a key before it asks again.

use crate::{
    deployment::{DOMAIN, Deployment, Rpr, TRACK},
    device::{Sim, Ue},
};
use obf_app::{
    Application, ApplicationSettings, AsDirectory, AsSettings, Listener, ListenerSettings, Session,
};
use obf_net::{
    Clock, Stopper,
    certificates::{self, CertificateFiles},
    psk::{PskConnector, PskStream, Versions},
    radius::{TlsClientSettings, TlsServerAddress},
};
use obf_rpb::SecurityAssociation;
use obf_types::{AppId, Domain, NafId};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncReadExt, net::TcpStream};

const LONG: Duration = Duration::from_secs(30);

/// The application SDK on its real link.
async fn application(deployment: &Deployment, group: &Stopper) -> (Application, Listener) {
    let own = CertificateFiles {
        chain: deployment.file(&format!("{TRACK}.pem")),
        key: deployment.file(&format!("{TRACK}.key")),
    };
    let tls = certificates::mutual_client(&own, &deployment.file("ca.pem")).unwrap();
    let server = TlsServerAddress::new(deployment.auth_address(0, "rpo"), "as.obf.example");
    let domain = Domain::new(DOMAIN).unwrap();
    let server = AsSettings::new(domain, TlsClientSettings::new(vec![server], tls));
    let clock = Arc::clone(&deployment.clock) as Arc<dyn Clock>;
    let servers = AsDirectory::start(vec![server], &clock, &group.running()).unwrap();
    let application = Application::new(ApplicationSettings::new(AppId::new(TRACK).unwrap()), &servers);
    tokio::time::timeout(LONG, application.ready()).await.expect("a link to the Authentication Server");
    let listening = ListenerSettings::new("127.0.0.1:0".parse().unwrap());
    let listener = application.listen(listening, &group.running()).await.unwrap();
    (application, listener)
}

/// A device connects: both ends of its session.
async fn connect(
    listener: &mut Listener,
    association: &SecurityAssociation,
) -> (PskStream<TcpStream>, Session) {
    let stream = TcpStream::connect(listener.address()).await.unwrap();
    let app = AppId::new(TRACK).unwrap();
    let own = association.clone();
    let key = move |ua| own.app_key(&NafId { app: AppId::new(TRACK).unwrap(), ua });
    let connector = PskConnector::new(Versions::Tls13, &[]).unwrap();
    let (device, session) =
        tokio::join!(connector.connect(stream, &app, &association.id, key), listener.accept());
    (device.unwrap().stream, session.unwrap())
}

#[tokio::test]
async fn c11_a_key_is_used_for_its_local_validity_and_fetched_again_after() {
    let deployment = Deployment::start(Rpr::Tls).await;
    let sim = Sim::new(1);
    deployment.add_device(&sim, &[]).await;
    deployment.grant(&sim, TRACK, json!({ "lifetime": 3600, "local_validity": 300 })).await;
    let begun = deployment.clock.now().0;
    let association = Ue::connect(&deployment, 0).await.bootstrap(&sim).await.unwrap();
    let group = Stopper::new();
    let (application, mut listener) = application(&deployment, &group).await;
    let (mut device, session) = connect(&mut listener, &association).await;
    let first = session.grant.expires();
    let left = first.since(deployment.clock.now());
    assert!((200..=300).contains(&left), "{left} s of a key that is good for 3600");
    // Long after the fetch, a second session still has the key of the first: it ends when that does.
    deployment.clock.advance(left - 10);
    let (mut other, same) = connect(&mut listener, &association).await;
    assert_eq!(same.grant.expires(), first, "the key was fetched again though it was known");
    // Then both end, and the next one makes the application ask again; the right goes on.
    deployment.clock.advance(11);
    for device in [&mut device, &mut other] {
        let mut octets = [0; 16];
        while let Ok(1..) = tokio::time::timeout(LONG, device.read(&mut octets)).await.expect("an end") {}
    }
    let (_device, session) = connect(&mut listener, &association).await;
    assert!(session.grant.expires().0 > first.0 + 200, "{:?} after {first:?}", session.grant.expires());
    // No longer than the right itself.
    let end = begun + 3600;
    deployment.clock.advance(end - 60 - deployment.clock.now().0);
    let (_device, session) = connect(&mut listener, &association).await;
    assert!((end..end + 60).contains(&session.grant.expires().0), "{:?}, {end}", session.grant.expires());
    drop(application);
}
