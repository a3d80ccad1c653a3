//! R11 against a real peer: our client side logs in at lighttpd. Needs the package `lighttpd`.

use obf_digest::{Algorithm, AuthenticationInfo, Challenge, Credentials, Qop, exchange::userhash};
use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const USER: &str = "Mufasa";
const PASSWORD: &[u8] = b"Circle \x01 of \xff Life";
const REALM: &str = "http-auth@example.org";

struct Lighttpd(Child);

impl Drop for Lighttpd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts lighttpd on a port that was free a moment ago; another one if somebody took it meanwhile.
fn start(directory: &Path, algorithm: Algorithm) -> (Lighttpd, u16) {
    let hash = algorithm.hash;
    let ha1 = hash.hex(&[USER.as_bytes(), b":", REALM.as_bytes(), b":", PASSWORD]);
    let hidden = userhash(hash, USER.as_bytes(), REALM.as_bytes());
    let users = format!("{USER}:{REALM}:{}:{}\n", ha1.as_str(), hidden.as_str());
    std::fs::write(directory.join("users"), users).unwrap();
    std::fs::write(directory.join("index.html"), "welcome").unwrap();
    let at = directory.display();
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            r#"server.modules = ("mod_auth", "mod_authn_file")
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{at}"
index-file.names = ("index.html")
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{at}/users"
auth.require = ("/" => ("method" => "digest", "realm" => "{REALM}", "require" => "valid-user",
                        "algorithm" => "{algorithm}", "userhash" => "enable"))
"#
        );
        std::fs::write(directory.join("lighttpd.conf"), configuration).unwrap();
        let child = Command::new("/usr/sbin/lighttpd")
            .args(["-D", "-f"])
            .arg(directory.join("lighttpd.conf"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("lighttpd did not start ({error}): install the package lighttpd"));
        let mut lighttpd = Lighttpd(child);
        let deadline = Instant::now() + Duration::from_secs(10);
        while lighttpd.0.try_wait().unwrap().is_none() && Instant::now() < deadline {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return (lighttpd, port);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    panic!("lighttpd takes no connections")
}

type Headers = Vec<(String, Vec<u8>)>;

fn get(port: u16, authorization: Option<&[u8]>) -> (u16, Headers, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut request = b"GET /?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".to_vec();
    if let Some(value) = authorization {
        request.extend(b"Authorization: ");
        request.extend(value);
        request.extend(b"\r\n");
    }
    request.extend(b"\r\n");
    stream.write_all(&request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let headers = head.lines().skip(1).filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.as_bytes().to_vec()))
    });
    (head[9..12].parse().unwrap(), headers.collect(), answer[end + 4..].to_vec())
}

#[test]
fn we_log_in_at_lighttpd_with_a_binary_password_and_a_hashed_name() {
    for algorithm in [Algorithm::MD5, Algorithm::SHA_256] {
        let directory = std::env::temp_dir().join(format!("obf-digest-{}-{algorithm}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (_lighttpd, port) = start(&directory, algorithm);
        let (status, headers, _) = get(port, None);
        assert_eq!(status, 401);
        let offers: Vec<_> = headers
            .iter()
            .filter(|(name, _)| name == "www-authenticate")
            .map(|(_, value)| value.as_slice())
            .collect();
        let challenges = Challenge::parse_all(offers).unwrap();
        let challenge = challenges.iter().find(|challenge| challenge.algorithm == algorithm).unwrap();
        assert!(challenge.offers(Qop::Auth) && challenge.userhash);

        for hidden in [false, true] {
            let uri = b"/?a=b";
            let mut credentials =
                Credentials::answering(challenge, USER.as_bytes(), uri, Some(Qop::Auth), b"0a4f113b");
            let digits = userhash(algorithm.hash, USER.as_bytes(), REALM.as_bytes());
            if hidden {
                credentials.username = obf_digest::Username::Hashed(Cow::Borrowed(digits.as_bytes()));
            }
            credentials.sign(USER.as_bytes(), PASSWORD, b"GET", b"");
            let (status, headers, body) = get(port, Some(&credentials.to_header().unwrap()));
            assert_eq!((status, body.as_slice()), (200, b"welcome".as_slice()), "{algorithm} {hidden}");
            for (_, value) in headers.iter().filter(|(name, _)| name == "authentication-info") {
                AuthenticationInfo::parse(value).unwrap();
            }
            credentials.sign(USER.as_bytes(), b"Circle of life", b"GET", b"");
            assert_eq!(get(port, Some(&credentials.to_header().unwrap())).0, 401);
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
