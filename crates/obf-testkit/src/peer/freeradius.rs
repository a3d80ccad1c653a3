//! FreeRADIUS as a proxy in front of a RADIUS server of ours.

use super::{Peer, free_udp_port, program, radclient::write_dictionaries};
use std::net::{Ipv4Addr, SocketAddr};

/// A proxy that hands every Access-Request on.
pub struct FreeRadius {
    /// Where it takes requests.
    pub address: SocketAddr,
    peer: Peer,
    _directory: tempfile::TempDir,
}

impl FreeRadius {
    /// Starts it: clients on loopback share `client_secret` with it, `server` shares `server_secret`. It signs what it
    /// hands on (Debian's version does so only when told).
    ///
    /// # Panics
    /// It does not start; the message has its log.
    pub fn proxy(client_secret: &str, server: SocketAddr, server_secret: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        write_dictionaries(directory.path());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_udp_port()));
        let config = configuration(address.port(), client_secret, server, server_secret)
            .replace("DIRECTORY", directory.path().to_str().expect("a path in UTF-8"));
        std::fs::write(directory.path().join("radiusd.conf"), config).expect("a writable directory");
        let path = directory.path().to_str().expect("a path in UTF-8");
        let arguments = ["-f", "-l", "stdout", "-xx", "-n", "radiusd", "-d", path, "-D", path];
        let peer = Peer::start(&program("freeradius", "freeradius"), &arguments, "Ready to process requests");
        Self { address, peer, _directory: directory }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.peer.log()
    }
}

fn configuration(port: u16, client_secret: &str, server: SocketAddr, server_secret: &str) -> String {
    let (host, server_port) = (server.ip(), server.port());
    format!(
        r#"
name = radiusd
logdir = DIRECTORY
run_dir = DIRECTORY
pidfile = DIRECTORY/radiusd.pid
libdir = /usr/lib/freeradius
proxy_requests = yes
security {{
    allow_core_dumps = no
}}
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 2
}}
client loopback {{
    ipaddr = 127.0.0.1
    secret = "{client_secret}"
    require_message_authenticator = yes
}}
home_server ours {{
    type = auth
    ipaddr = {host}
    port = {server_port}
    secret = "{server_secret}"
    require_message_authenticator = yes
    status_check = status-server
    response_window = 10
}}
home_server_pool ours {{
    type = fail-over
    home_server = ours
}}
realm ours {{
    auth_pool = ours
    nostrip
}}
modules {{
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
        update control {{
            Proxy-To-Realm := "ours"
        }}
    }}
    pre-proxy {{
        update proxy-request {{
            Message-Authenticator := 0x00
        }}
    }}
}}
"#
    )
}
