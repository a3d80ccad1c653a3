//! R11 against a real peer: curl's digest client talks to our server side, with names and passwords that need quoting.
//! Needs the package `curl`.

use obf_digest::{Algorithm, AuthenticationInfo, Challenge, Credentials, Qop, Username, exchange::userhash};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

struct Login {
    user: &'static str,
    password: &'static str,
    realm: &'static [u8],
}

const LOGINS: [Login; 5] = [
    Login { user: "Mufasa", password: "Circle of Life", realm: b"http-auth@example.org" },
    Login { user: "a\"b\\c", password: "x\"y\\z", realm: b"test" },
    Login { user: "user", password: "with:colons:and, commas", realm: b"a, b=\"" },
    Login { user: "J\u{e4}s\u{f8}n Doe", password: "Secret, or not?", realm: b"api@example.org" },
    Login { user: "back\\\\slash", password: "", realm: b"r\\" },
];

/// Serves connections until one request has been authenticated; returns how.
fn serve(
    listener: &TcpListener,
    challenge: &Challenge<'_>,
    login: &Login,
    body: &[u8],
) -> Result<(), String> {
    for _ in 0..4 {
        let (stream, _) = listener.accept().map_err(|error| error.to_string())?;
        if converse(&stream, challenge, login, body)? {
            return Ok(());
        }
    }
    Err("curl gave up".into())
}

fn converse(
    mut stream: &TcpStream,
    challenge: &Challenge<'_>,
    login: &Login,
    body: &[u8],
) -> Result<bool, String> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).unwrap() == 0 {
            return Ok(false);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split(' ');
        let (method, uri) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let (mut authorization, mut length) = (None, 0);
        loop {
            let mut header = Vec::new();
            reader.read_until(b'\n', &mut header).unwrap();
            let header = header.strip_suffix(b"\r\n").unwrap();
            if header.is_empty() {
                break;
            }
            let colon = header.iter().position(|b| *b == b':').unwrap();
            let (name, value) = (&header[..colon], &header[colon + 2..]);
            if name.eq_ignore_ascii_case(b"authorization") {
                authorization = Some(value.to_vec());
            } else if name.eq_ignore_ascii_case(b"content-length") {
                length = String::from_utf8_lossy(value).parse().unwrap();
            }
        }
        let mut received = vec![0; length];
        reader.read_exact(&mut received).unwrap();
        let Some(authorization) = authorization else {
            let mut answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nWWW-Authenticate: ".to_vec();
            answer.extend(challenge.to_header().unwrap());
            answer.extend(b"\r\n\r\n");
            stream.write_all(&answer).unwrap();
            continue;
        };
        let shown = String::from_utf8_lossy(&authorization).into_owned();
        let credentials = Credentials::parse(&authorization).map_err(|error| format!("{error}: {shown}"))?;
        let expected = if challenge.userhash {
            let hidden = userhash(challenge.algorithm.hash, login.user.as_bytes(), login.realm);
            matches!(&credentials.username, Username::Hashed(name) if hidden.matches(name))
        } else {
            matches!(&credentials.username, Username::Plain(name) if **name == *login.user.as_bytes())
        };
        assert_eq!((&*credentials.uri, &*credentials.realm), (uri.as_bytes(), login.realm), "{shown}");
        assert!(expected && received == body, "{shown}");
        let user = login.user.as_bytes();
        if !credentials.verify(user, login.password.as_bytes(), method.as_bytes(), &received) {
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
            return Err(format!("wrong response: {shown}"));
        }
        let exchange = credentials.exchange(user);
        let rspauth = exchange.rspauth(&exchange.ha1(login.password.as_bytes()), b"welcome");
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nAuthentication-Info: ".to_vec();
        answer.extend(AuthenticationInfo::answering(&credentials, &rspauth).to_header().unwrap());
        answer.extend(b"\r\n\r\nwelcome");
        stream.write_all(&answer).unwrap();
        return Ok(true);
    }
}

fn curl(port: u16, user: &str, password: &str, body: &[u8]) -> String {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--max-time",
        "10",
        "--digest",
        "--user",
        &format!("{user}:{password}"),
    ]);
    if !body.is_empty() {
        command.args(["--data-binary", std::str::from_utf8(body).unwrap()]);
    }
    let output = command
        .arg(format!("http://127.0.0.1:{port}/dir/index.html?q=1"))
        .env_remove("http_proxy")
        .output()
        .unwrap_or_else(|error| panic!("curl did not start ({error}): install the package curl"));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn challenge(algorithm: Algorithm, login: &Login) -> Challenge<'_> {
    Challenge {
        auth: true,
        auth_int: false,
        ..Challenge::auth_int(
            algorithm,
            login.realm,
            b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            b"o\\paque\"",
        )
    }
}

#[test]
fn curl_logs_in_with_every_algorithm_it_knows() {
    let session = |algorithm| Algorithm { session: true, ..algorithm };
    for algorithm in
        [Algorithm::MD5, session(Algorithm::MD5), Algorithm::SHA_256, session(Algorithm::SHA_256)]
    {
        for login in &LOGINS {
            for hidden in [false, true] {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let port = listener.local_addr().unwrap().port();
                let mut challenge = challenge(algorithm, login);
                challenge.userhash = hidden;
                std::thread::scope(|scope| {
                    let served = scope.spawn(|| serve(&listener, &challenge, login, b""));
                    let output = curl(port, login.user, login.password, b"");
                    assert_eq!(output, "welcome", "{algorithm} {}", login.user);
                    served.join().unwrap().unwrap();
                });
            }
        }
    }
}

#[test]
fn curl_with_a_wrong_password_is_refused() {
    let login = &LOGINS[0];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let challenge = challenge(Algorithm::SHA_256, login);
    std::thread::scope(|scope| {
        let served = scope.spawn(|| serve(&listener, &challenge, login, b""));
        assert_eq!(curl(port, login.user, "Circle of life", b""), "");
        assert!(served.join().unwrap().unwrap_err().starts_with("wrong response"));
    });
    assert!(challenge.offers(Qop::Auth));
}
