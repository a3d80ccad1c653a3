//! An application that greets each device by who it is. In a directory that `obf init` made, while `obf serve all` runs:
//! `cargo run -p obf-app --example greet -- track.example as.obf.example 127.0.0.1:2083 127.0.0.1:4433`

use obf_app::{AppId, Application, ApplicationSettings, AsDirectory, AsSettings, Domain, Listener, ListenerSettings};
use obf_net::certificates::{CertificateFiles, mutual_client};
use obf_net::{Clock, Stopper, SystemClock, radius::TlsClientSettings, radius::TlsServerAddress};
use std::{error::Error, sync::Arc};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// Answers each device's line, one device after the other, for as long as the listener accepts.
pub async fn greet(mut listener: Listener) {
    while let Some(session) = listener.accept().await {
        let who = session.device.map_or_else(|| session.token.to_string(), |device| device.to_string());
        let (mut stream, mut line) = (BufReader::new(session.stream), String::new());
        if stream.read_line(&mut line).await.is_ok() {
            // It may have gone away: the next one is served all the same.
            let _ = stream.write_all(format!("{who} says {line}").as_bytes()).await;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [app, domain, rpo, listen] = arguments.as_slice() else { return Err("APP DOMAIN RPO LISTEN".into()) };
    let files =
        CertificateFiles { chain: format!("apps/{app}.pem").into(), key: format!("apps/{app}.key").into() };
    let rpo = TlsServerAddress { address: rpo.parse()?, name: domain.clone() };
    let rpo = TlsClientSettings::new(vec![rpo], mutual_client(&files, "ca.pem".as_ref())?);
    let (stopper, clock) = (Stopper::new(), Arc::new(SystemClock) as Arc<dyn Clock>);
    let server = AsSettings::new(Domain::new(domain)?, rpo);
    let servers = AsDirectory::start(vec![server], &clock, &stopper.running())?;
    let application = Application::new(ApplicationSettings::new(AppId::new(app)?), &servers);
    let settings = ListenerSettings::new(listen.parse()?);
    greet(Listener::bind(vec![application], settings, &stopper.running()).await?).await;
    Ok(())
}
