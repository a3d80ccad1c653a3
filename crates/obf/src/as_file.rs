//! An Authentication Server as an application server is told of it: `obf app run --as FILE`, one file for each operator.
//!
//! Paths are relative to the file. Unknown keys are refused; every error names the file and the key.

use crate::{failure::Failure, files};
use obf_app::{AsSettings, Domain, LocalPolicy, Vendor};
use obf_net::{
    certificates::{self, CertificateError, CertificateFiles},
    radius::{TlsClientSettings, TlsServerAddress},
};
use serde::Deserialize;
use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The keys of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AsFile {
    /// The Authentication Server's domain: tokens `…@<rs>.<domain>` are its own.
    domain: String,
    /// `host:port` of its RPO listeners, in order of preference.
    servers: Vec<String>,
    /// The dNSName in its certificate; the domain if absent.
    server_name: Option<String>,
    /// Trust anchors of its certificate, PEM.
    ca_file: PathBuf,
    /// The own certificate, PEM: its dNSNames are registered there for the applications.
    cert_file: PathBuf,
    /// Its private key, PEM.
    key_file: PathBuf,
    /// Seconds that known keys go on while it cannot be reached; 900 if absent.
    stale_grace: Option<u32>,
    /// The enterprise number that attributes stand under, if not the one of documentation.
    vendor: Option<u32>,
    /// Distinguishes the running instances of an application; if absent, a new one at each start.
    instance: Option<String>,
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, or a key is missing, unknown or wrong.
pub fn read(path: &Path) -> Result<AsSettings, Failure> {
    let text = String::from_utf8(files::read(path)?);
    let text = text.map_err(|_| wrong(path, "not UTF-8 text"))?;
    let file: AsFile = toml::from_str(&text).map_err(|error| wrong(path, error))?;
    let key =
        |name: &'static str| move |error: &dyn fmt::Display| wrong(path, format_args!("{name}: {error}"));
    let domain = Domain::new(&file.domain).map_err(|error| key("domain")(&error))?;
    let name = file.server_name.unwrap_or(file.domain);
    check_name(&name).map_err(|error| key("server_name")(&error))?;
    let servers =
        file.servers.iter().map(|server| address(server, &name).map_err(|error| key("servers")(&error)));
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() {
        return Err(key("servers")(&"at least one host:port is needed"));
    }
    if file.instance.as_ref().is_some_and(|instance| !(1..=253).contains(&instance.len())) {
        return Err(key("instance")(&"1 to 253 octets are needed"));
    }
    let base = path.parent().unwrap_or(Path::new(""));
    let own = CertificateFiles { chain: base.join(file.cert_file), key: base.join(file.key_file) };
    let ca = base.join(file.ca_file);
    let tls = certificates::mutual_client(&own, &ca).map_err(|error| {
        let of = match &error {
            CertificateError::Pem { path, .. } | CertificateError::Unusable { path, .. } if *path == ca => {
                "ca_file"
            }
            CertificateError::Pem { path, .. } if *path == own.key => "key_file",
            _ => "cert_file",
        };
        key(of)(&error)
    })?;
    let mut settings = AsSettings::new(domain, TlsClientSettings::new(servers, tls));
    settings.stale_grace = file.stale_grace.unwrap_or(LocalPolicy::DEFAULT_STALE_GRACE);
    settings.vendor = file.vendor.map_or(Vendor::DOCUMENTATION, Vendor);
    if let Some(instance) = file.instance {
        settings.instance = instance;
    }
    Ok(settings)
}

/// A server of `text` (`host:port`), known by `name`, or else by its host.
///
/// # Errors
/// What is wrong with it.
pub fn server(text: &str, name: Option<&str>) -> Result<TlsServerAddress, String> {
    let (host, _) = split(text)?;
    let name = name.unwrap_or(host);
    check_name(name)?;
    address(text, name)
}

fn address(text: &str, name: &str) -> Result<TlsServerAddress, String> {
    split(text).map(|_| TlsServerAddress::new(text, name))
}

fn split(text: &str) -> Result<(&str, u16), String> {
    let malformed = || format!("{text}: expected host:port");
    let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
    let port = port.parse().map_err(|_| malformed())?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() { Err(malformed()) } else { Ok((host, port)) }
}

/// Names of one label (`localhost`) are certified too.
fn check_name(name: &str) -> Result<(), String> {
    if name.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Domain::new(name).map(drop).map_err(|error| format!("{name}: {error}"))
}

fn wrong(path: &Path, error: impl fmt::Display) -> Failure {
    Failure::new(crate::failure::Exit::Usage, "configuration", format_args!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "domain = \"as.one.example\"\nservers = [\"127.0.0.1:2083\", \"rpo.one.example:2083\"]\n\
                        ca_file = \"ca.pem\"\ncert_file = \"own.pem\"\nkey_file = \"own.key\"\n";

    /// A directory with a CA and a certificate, and that file.
    fn read_text(text: &str) -> Result<AsSettings, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["track.example".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        for (file, content) in
            [("ca.pem", &certificate), ("own.pem", &certificate), ("own.key", &key.serialize_pem())]
        {
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        std::fs::write(folder.path().join("broken.pem"), "nothing").unwrap();
        let path = folder.path().join("one.toml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_file_says_all_of_an_authentication_server() {
        let settings = read_text(GOOD).unwrap();
        assert_eq!(settings.domain.unwrap().as_str(), "as.one.example");
        let servers = settings.rpo.servers;
        assert_eq!(servers[1], TlsServerAddress::new("rpo.one.example:2083", "as.one.example"));
        assert_eq!(settings.stale_grace, 900);
        let more =
            format!("{GOOD}server_name = \"localhost\"\nstale_grace = 60\nvendor = 1\ninstance = \"a\"\n");
        let settings = read_text(&more).unwrap();
        assert_eq!((settings.stale_grace, settings.vendor, settings.instance.as_str()), (60, Vendor(1), "a"));
        assert_eq!(settings.rpo.servers[0].name, "localhost");
    }

    #[test]
    fn every_error_names_the_file_and_the_key() {
        for (good, bad, key) in [
            ("as.one.example", "as.One.example", "domain: "),
            ("domain = \"as.one.example\"", "", "domain"),
            ("servers = [\"127.0.0.1:2083\", \"rpo.one.example:2083\"]", "servers = []", "servers: "),
            ("127.0.0.1:2083", "127.0.0.1", "servers: 127.0.0.1: expected host:port"),
            ("127.0.0.1:2083", "[::1]:x", "servers: [::1]:x: "),
            ("cert_file", "cert_fil", "cert_fil"),
            ("ca.pem", "none.pem", "ca_file: "),
            ("ca.pem", "broken.pem", "ca_file: "),
            ("own.pem", "none.pem", "cert_file: "),
            ("own.key", "broken.pem", "key_file: "),
            ("\nca_file", "\nserver_name = \"-\"\nca_file", "server_name: "),
            ("\nca_file", "\ninstance = \"\"\nca_file", "instance: "),
            ("\nca_file", "\nstale_grace = -1\nca_file", "stale_grace"),
        ] {
            assert!(GOOD.contains(good), "{good}");
            let failure = read_text(&GOOD.replace(good, bad)).unwrap_err();
            assert_eq!(failure.code, "configuration", "{bad}");
            assert!(failure.text.contains("one.toml: "), "{}", failure.text);
            assert!(failure.text.contains(key), "{key}: {}", failure.text);
        }
        let failure = read(Path::new("no/such/file.toml")).unwrap_err();
        assert!(failure.text.contains("no/such/file.toml"), "{}", failure.text);
    }
}
