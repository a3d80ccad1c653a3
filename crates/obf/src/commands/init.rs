//! `obf init DIR`: a ready deployment.

use crate::{
    cli::Context,
    configuration::FILE_NAME,
    failure::{Failure, Outcome},
    files,
    pki::{Authority, Credential},
};
use base64ct::{Base64UrlUnpadded, Encoding};
use clap::{Args, ValueEnum};
use obf_types::{AppId, Domain, hex};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, Permissions},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const EXAMPLES: &str = "\
Examples:
  obf init /srv/obf
  obf init /srv/obf --app track.example --app fleet.example
  obf init /tmp/try --ports ephemeral        every listener takes a free port

What it writes: obf.toml, ca.pem and ca.key, as.pem and rs.pem with their keys, a certificate and key in apps/ for
each application, the KEK, the RADIUS secret, admin.token. Secret files are readable by their owner only.";

/// Set up a ready deployment in a directory.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Init {
    /// The directory; made if it is not there.
    dir: PathBuf,
    /// Domain of the Authentication Server; token ids are made under it.
    #[arg(long, default_value = "as.obf.example")]
    domain: Domain,
    /// Name of the Resource Server in token ids: one label.
    #[arg(long, default_value = "rs", value_parser = label)]
    rs: String,
    /// Applications to make a certificate for.
    #[arg(long = "app", default_value = "track.example")]
    apps: Vec<AppId>,
    /// Fixed ports on 127.0.0.1, or port 0: any free one.
    #[arg(long, default_value = "fixed")]
    ports: Ports,
}

/// How ports are chosen.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ports {
    /// The usual ones.
    Fixed,
    /// Free ones, said when the server has taken them.
    Ephemeral,
}

impl Init {
    /// A deployment as `obf demo` and `obf bench` make it.
    pub fn ephemeral(dir: &Path, apps: Vec<AppId>) -> Result<Self, Failure> {
        let domain = Domain::new("as.obf.example").map_err(Failure::usage)?;
        Ok(Self { dir: dir.to_owned(), domain, rs: "rs".to_owned(), apps, ports: Ports::Ephemeral })
    }

    /// Does it and says what to do next.
    pub fn run(self, context: &Context) -> Outcome {
        self.write()?;
        let config = self.dir.join(FILE_NAME);
        let said = json!({"event": "initialised", "config": config, "ca": self.dir.join("ca.pem")});
        context.out.say(&said, || {
            let config = config.display();
            format!(
                "A deployment is ready in {}.\n  next: obf serve all --config {config}",
                self.dir.display()
            )
        });
        Ok(())
    }

    /// Writes every file of the deployment.
    pub fn write(&self) -> Outcome {
        let dir = &self.dir;
        if dir.join(FILE_NAME).exists() || dir.join("ca.pem").exists() {
            let text = format_args!("{} holds a deployment already", dir.display()).to_string();
            return Err(Failure::new(crate::failure::Exit::Usage, "already-initialised", text)
                .next(format!("obf serve all --config {}", dir.join(FILE_NAME).display())));
        }
        for part in [dir.clone(), dir.join("data"), dir.join("apps")] {
            fs::create_dir_all(&part)
                .and_then(|()| fs::set_permissions(&part, Permissions::from_mode(0o700)))
                .map_err(|error| Failure::file(&part, &error))?;
        }
        self.write_certificates()?;
        files::write_secret(&dir.join("kek.hex"), hex::encode(&drawn::<32>()?).as_bytes())?;
        files::write_secret(&dir.join("radius.secret"), hex::encode(&drawn::<32>()?).as_bytes())?;
        let token = Base64UrlUnpadded::encode_string(&drawn::<32>()?);
        files::write_secret(&dir.join("admin.token"), token.as_bytes())?;
        let hash = hex::encode(&Sha256::digest(token.as_bytes()));
        let addresses = Addresses::of(self.ports)?;
        files::write_public(&dir.join(FILE_NAME), self.configuration(&addresses, &hash).as_bytes())
    }

    /// The text of `obf.toml`, with the comments that a reader needs.
    fn configuration(&self, at: &Addresses, administrator: &str) -> String {
        let Self { domain, rs, .. } = self;
        let Addresses { rpb, rpo, auth_admin, das, rpr, resource_admin } = at;
        format!(
            r#"# A deployment of the Open Bootstrap Framework. Paths are relative to this file; secrets stand in files of
# their own. Start it with: obf serve all --config obf.toml

[admin]                          # how `obf device`, `obf app`, `obf grant` and `obf token` reach the servers
ca_file = "ca.pem"
token_file = "admin.token"

[auth]                           # the Authentication Server
domain = "{domain}"              # realm on RPB, tail of every token id; devices must resolve it
node = 0                         # 0 to 31, different for each node of the domain
database = "data/auth.db"
kek_file = "kek.hex"

[auth.rpb]                       # devices bootstrap here
listen = "{rpb}"
cert_file = "as.pem"
key_file = "as.key"

[auth.rpo]                       # applications fetch keys here; their certificates are registered by `obf app add`
listen = "{rpo}"
cert_file = "as.pem"
key_file = "as.key"
client_ca_file = "ca.pem"

[auth.das]                       # the Resource Server tells revocations here
listen = "{das}"

[auth.admin]
listen = "{auth_admin}"
cert_file = "as.pem"
key_file = "as.key"
token_sha256 = "{administrator}"

[auth.resource_server]
name = "{rs}"                      # token ids are made under {rs}.{domain}
transport = "udp"                # RADIUS/UDP is for one host; "tls" between hosts
servers = ["{rpr}"]
secret_file = "radius.secret"

[resource]                       # the Resource Server
database = "data/resource.db"
kek_file = "kek.hex"

[resource.rpr]
listen = "{rpr}"

[resource.admin]
listen = "{resource_admin}"
cert_file = "rs.pem"
key_file = "rs.key"
token_sha256 = "{administrator}"

# [resource.hlr]                 # an existing HLR (GSUP) in which subscribers live; their devices have `"source":"hlr"`
# address = "127.0.0.1:4222"
# ipa_name = "obf-rs-0"          # different for each node: the HLR keeps an IND for each name

[[resource.auth_servers]]        # who may ask, and where revocations are told
domain = "{domain}"
node = 0
address = "127.0.0.1"
secret_file = "radius.secret"
das = "{das}"
"#
        )
    }

    fn write_certificates(&self) -> Outcome {
        let failed = |error: anyhow::Error| Failure::other("certificates", format_args!("{error:#}"));
        let authority = Authority::generate("OBF development CA").map_err(failed)?;
        let mut written = vec![(self.dir.join("ca"), authority.credential().clone())];
        let domain = self.domain.as_str();
        let names = [domain.to_owned(), format!("{}.{domain}", self.rs), "localhost".to_owned()];
        written.push((self.dir.join("as"), authority.issue(&names, true).map_err(failed)?));
        let rs_names = [format!("{}.{domain}", self.rs), "localhost".to_owned()];
        written.push((self.dir.join("rs"), authority.issue(&rs_names, true).map_err(failed)?));
        for app in &self.apps {
            let credential = authority.issue(&[app.to_string()], false).map_err(failed)?;
            written.push((self.dir.join("apps").join(app.as_str()), credential));
        }
        for (stem, Credential { certificate, key }) in written {
            files::write_public(&with_suffix(&stem, ".pem"), certificate.as_bytes())?;
            files::write_secret(&with_suffix(&stem, ".key"), key.as_bytes())?;
        }
        Ok(())
    }
}

/// `track.example` and `.pem` make `track.example.pem`: the name's own dots stay.
fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn drawn<const N: usize>() -> Result<[u8; N], Failure> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).map_err(|error| Failure::other("randomness", error))?;
    Ok(octets)
}

/// The listeners of a deployment.
struct Addresses {
    rpb: SocketAddr,
    rpo: SocketAddr,
    auth_admin: SocketAddr,
    das: SocketAddr,
    rpr: SocketAddr,
    resource_admin: SocketAddr,
}

impl Addresses {
    fn of(ports: Ports) -> Result<Self, Failure> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match ports {
            Ports::Fixed => Ok(Self {
                rpb: at(8443),
                rpo: at(2083),
                auth_admin: at(8444),
                das: at(3799),
                rpr: at(1812),
                resource_admin: at(8445),
            }),
            // The two that the other node must know before either runs are chosen now.
            Ports::Ephemeral => Ok(Self {
                rpb: at(0),
                rpo: at(0),
                auth_admin: at(0),
                das: at(free_udp_port()?),
                rpr: at(free_udp_port()?),
                resource_admin: at(0),
            }),
        }
    }
}

/// A UDP port that is free now, below the range from which systems draw ephemeral ones, so that it stays free.
fn free_udp_port() -> Result<u16, Failure> {
    for _ in 0..1000 {
        let port = 10_000 + u16::from_le_bytes(drawn::<2>()?) % 20_000;
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::other("ports", "no free UDP port was found"))
}

fn label(text: &str) -> Result<String, String> {
    let domain = Domain::new(text).map_err(|error| error.to_string())?;
    if text.contains('.') { Err("one label, without a dot".to_owned()) } else { Ok(domain.to_string()) }
}
