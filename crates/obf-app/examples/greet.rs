//! An application that greets each device by who it is. In a directory that `obf init` made, while `obf serve all` runs:
//! `cargo run -p obf-app --example greet -- . track.example as.obf.example 127.0.0.1:2083 127.0.0.1:4433`

use obf_app::{AppId, Application, ApplicationSettings, AsDirectory, AsSettings, Domain};
use obf_app::{Listener, ListenerSettings, Session};
use obf_net::certificates::{CertificateFiles, mutual_client};
use obf_net::radius::{TlsClientSettings, TlsServerAddress};
use obf_net::{Clock, Running, Stopper, SystemClock};
use std::{error::Error, io, path::Path, sync::Arc};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

pub(crate) async fn listener(args: &[String], running: &Running) -> Result<Listener, Box<dyn Error>> {
    let [dir, app, domain, rpo, listen] = args else { return Err("DIR APP DOMAIN RPO LISTEN".into()) };
    let [ca, chain, key] = ["ca.pem".into(), format!("apps/{app}.pem"), format!("apps/{app}.key")]
        .map(|name| Path::new(dir).join(name));
    let tls = mutual_client(&CertificateFiles { chain, key }, &ca)?;
    let rpo = TlsClientSettings::new(vec![TlsServerAddress::new(rpo, domain)], tls);
    let (server, clock) = (AsSettings::new(Domain::new(domain)?, rpo), Arc::new(SystemClock));
    let servers = AsDirectory::start(vec![server], &(clock as Arc<dyn Clock>), running)?;
    let apps = vec![Application::new(ApplicationSettings::new(AppId::new(app)?), &servers)];
    Ok(Listener::bind(apps, ListenerSettings::new(listen.parse()?), running).await?)
}

pub(crate) async fn greet(session: Session) -> io::Result<()> {
    let who = session.grant.device().map_or_else(|| session.token.to_string(), ToString::to_string);
    let (mut stream, mut line) = (BufReader::new(session.stream), String::new());
    stream.read_line(&mut line).await?;
    stream.write_all(format!("{who} says {line}").as_bytes()).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (args, stopper): (Vec<String>, _) = (std::env::args().skip(1).collect(), Stopper::new());
    let mut listener = listener(&args, &stopper.running()).await?;
    while let Some(session) = listener.accept().await {
        tokio::spawn(greet(session));
    }
    Ok(())
}
