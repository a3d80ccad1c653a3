//! A device that connects to an application and exchanges a line. In a directory that `obf init` made, while `obf serve all` and
//! the application run, with the import's line of its SIM in `sim.json`:
//! `cargo run -p obf-client --example connect -- sim.json https://127.0.0.1:8443 ca.pem track.example 127.0.0.1:4433 hello`

use obf_client::{AssociationStore, AuthenticationServer, Client, Settings, SoftwareSe};
use obf_types::AppId;
use std::{error::Error, sync::Arc};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// What the application answers to the line.
///
/// # Errors
/// Whatever keeps the device from being connected.
pub async fn exchange(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let [se, server, ca, app, address, line] = *arguments else {
        return Err("SE-FILE AS-URL CA-FILE APP ADDRESS LINE".into());
    };
    let server = AuthenticationServer::parse(server)?.with_ca(ca);
    let store = Arc::new(AssociationStore::in_memory());
    let client = Client::new(Settings::new(server), Arc::new(SoftwareSe::open(se)?), store)?;
    // Bootstraps first; a client that is kept has its token for the next connection.
    let mut stream = BufReader::new(client.connect(&AppId::new(app)?, address).await?);
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    print!("{}", exchange(&arguments).await?);
    Ok(())
}
