//! tshark decodes what the real binary puts on the wires. The TLS secrets come from key logs of the peers' ends: nothing
//! of ours writes any.

use crate::live::{APP, Live, TLS_1_2_PSK_AES128_GCM, TLS_1_3};
use obf_testkit::peer::{
    capture::{Capture, radius_in_stream},
    program,
};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

/// Lines of a followed stream once it has something of each direction: seven around it, one a piece.
const FOLLOWED: usize = 9;

/// RPB (SPEC P2): the Python UE bootstraps; two requests, a challenge for each algorithm, a BootstrappingInfo.
#[test]
fn p2_tshark_reads_a_bootstrap_of_the_python_ue() {
    let live = Live::start();
    let address = live.deployment.endpoint("auth", "rpb");
    let capture = Capture::start(&format!("tcp port {}", address.port()));
    let keys = capture.directory().join("keys");
    let ue = live.python_ue(&live.sim, &keys);

    let mut tls = decrypted(&keys, address.port(), "http");
    tls.extend(["-T", "fields", "-E", "separator=|", "-E", "aggregator=;"].map(String::from));
    for field in [
        "http.request.method",
        "http.response.code",
        "http.content_type",
        "http.authorization",
        "http.www_authenticate",
        "http.authbasic",
    ] {
        tls.extend(["-e".to_owned(), field.to_owned()]);
    }
    let arguments: Vec<&str> = tls.iter().map(String::as_str).collect();
    let rows = capture.read(&arguments, 4);
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.split('|').collect()).collect();
    let [first, challenge, second, done] = rows.as_slice() else { panic!("{rows:#?}") };
    assert_eq!((first[0], second[0]), ("GET", "GET"));
    assert!(first[3].starts_with("Digest username=\"001010000000001\""), "{first:?}");
    assert!(first[3].contains("response=\"\"") && second[3].contains("qop=auth-int"), "{rows:#?}");
    assert_eq!((challenge[1], done[1]), ("401", "200"));
    for algorithm in ["algorithm=AKAv1-MD5", "algorithm=AKAv2-SHA-256"] {
        assert!(challenge[4].contains(algorithm), "{challenge:?}");
    }
    assert!(done[2].starts_with("application/vnd.3gpp.bsf+xml"), "{done:?}");
    assert!(ue.token.ends_with("@rs.as.obf.example"));
}

/// RPO (SPEC P3): RADIUS/TLS by `openssl s_client` as transport, packets of our encoding inside.
#[test]
fn p3_tshark_reads_a_key_fetch_and_its_authenticators() {
    let live = Live::start();
    let ue = live.python_ue(&live.sim, Path::new("/dev/null"));
    let address = live.deployment.endpoint("auth", "rpo");
    let capture = Capture::start(&format!("tcp port {}", address.port()));
    let keys = capture.directory().join("keys");
    let request = key_request(&ue.token);
    let reply = over_s_client(&live, &address.to_string(), &keys, &request);

    let mut follow = decrypted(&keys, address.port(), "tls");
    follow.extend(["-q", "-z", "follow,tls,raw,0"].map(String::from));
    let arguments: Vec<&str> = follow.iter().map(String::as_str).collect();
    let stream = capture.read(&arguments, FOLLOWED);
    let [asked, answered] = directions(&stream, address.port());
    assert_eq!((&asked, &answered), (&request, &reply), "tshark saw the same octets inside TLS");

    let fields = [
        "radius.code",
        "radius.User_Name",
        "radius.OBF_Application",
        "radius.authenticator.valid",
        "radius.avp.type",
        "radius.OBF_Schema",
    ];
    let packets = radius_in_stream(capture.directory(), &[asked, answered], "radsec", &fields);
    let [asked, answered] = packets.as_slice() else { panic!("{packets:#?}") };
    assert_eq!(asked[..3], ["1", ue.token.as_str(), APP]);
    assert_eq!((answered[0].as_str(), answered[3].as_str()), ("2", "1"), "Response Authenticator valid");
    assert!(asked[4].starts_with("80,") && answered[4].starts_with("80,"), "Message-Authenticator first");
    assert_eq!(answered[5], "1", "gba-me: a stock UE offers nothing else");
}

/// RPA (SPEC P1, R13): `openssl s_client` with the Python UE's keys at `obf app run`, TLS 1.3 and 1.2.
#[test]
fn p1_tshark_reads_tls_psk_sessions_and_what_they_carry() {
    let live = Live::start();
    let ue = live.python_ue(&live.sim, Path::new("/dev/null"));
    let (application, address) = live.echo();
    for (version, suite, ua, number) in [
        ("-tls1_3", "-ciphersuites=TLS_AES_128_GCM_SHA256", TLS_1_3, "0x1301"),
        ("-tls1_2", "-cipher=PSK-AES128-GCM-SHA256", TLS_1_2_PSK_AES128_GCM, "0x00a8"),
    ] {
        let capture = Capture::start(&format!("tcp port {}", address.port()));
        let keys = capture.directory().join("keys");
        let (option, value) = suite.split_once('=').unwrap();
        let identity = format!("3GPP-bootstrapping;{}", ue.token);
        let mut device = Command::new(program("openssl", "openssl"));
        device.args(["s_client", "-quiet", "-connect", &address.to_string(), "-servername", APP, version]);
        device.args([option, value, "-psk_identity", &identity, "-psk", ue.key(ua)]);
        let line = b"position of vehicle 7\n";
        let echoed =
            exchange(device.arg("-keylogfile").arg(&keys), line, |answer| answer.len() >= line.len());
        assert_eq!(echoed, line, "{}", application.log());

        let mut follow = decrypted(&keys, address.port(), "tls");
        follow.extend(["-q", "-z", "follow,tls,raw,0"].map(String::from));
        let arguments: Vec<&str> = follow.iter().map(String::as_str).collect();
        let stream = capture.read(&arguments, FOLLOWED);
        assert_eq!(directions(&stream, address.port()), [line.to_vec(), line.to_vec()], "{version}");

        let hello = |kind: &str, field: &str| {
            let show = format!("tls.handshake.type == {kind}");
            let decode = format!("tcp.port=={},tls", address.port());
            capture.read(&["-d", &decode, "-Y", &show, "-T", "fields", "-e", field], 1)
        };
        assert_eq!(hello("2", "tls.handshake.ciphersuite"), [number], "one ServerHello, with that suite");
        assert_eq!(hello("1", "tls.handshake.extensions_server_name"), [APP]);
        if version == "-tls1_3" {
            let hex: String = identity.bytes().map(|octet| format!("{octet:02x}")).collect();
            assert_eq!(hello("1", "tls.handshake.extensions.psk.identity.identity"), [hex]);
            assert_eq!(hello("2", "tls.handshake.extensions.psk.identity.selected"), ["0"]);
            assert_eq!(hello("1", "tls.extension.psk_ke_mode"), ["1"], "psk_dhe_ke");
        }
    }
}

/// What the application's SDK asks, in a packet.
fn key_request(token: &str) -> Vec<u8> {
    use obf_radius::{AttributeWriter, Code, Framing, Pending, Vendor};
    use obf_rpo::{KeyRequest, RpoOperation};
    let operation = RpoOperation::Key(KeyRequest {
        token: token.parse().unwrap(),
        app: APP.parse().unwrap(),
        ua: obf_types::UaId::from_hex(TLS_1_3).unwrap(),
    });
    let (mut attributes, mut packet) = (Vec::new(), Vec::new());
    operation
        .encode(Vendor::DOCUMENTATION, "host1", &mut AttributeWriter::for_request(&mut attributes))
        .unwrap();
    Pending::begin(&Framing::radsec(), Code::AccessRequest, 1, [7; 16], &attributes, &mut packet);
    packet
}

/// Sends a packet through `openssl s_client` with the application's certificate and reads one packet back.
fn over_s_client(live: &Live, address: &str, keys: &Path, packet: &[u8]) -> Vec<u8> {
    let credentials = live.credentials();
    let mut client = Command::new(program("openssl", "openssl"));
    client
        .args(["s_client", "-quiet", "-connect", address, "-servername", credentials.server_name])
        .args(["-alpn", "radius/1.0", "-verify_return_error", "-verify_hostname", credentials.server_name])
        .arg("-CAfile")
        .arg(credentials.ca)
        .arg("-cert")
        .arg(credentials.certificate)
        .arg("-key")
        .arg(credentials.key)
        .arg("-keylogfile")
        .arg(keys);
    exchange(&mut client, packet, |reply| {
        reply.len() >= 4 && reply.len() >= usize::from(u16::from_be_bytes([reply[2], reply[3]]))
    })
}

/// Runs a client, writes to it, reads from it until that is `enough`, and ends it.
fn exchange(client: &mut Command, octets: &[u8], enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = client.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(octets).unwrap();
    stdin.flush().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut answer = Vec::new();
    while !enough(&answer) {
        let piece = output.fill_buf().unwrap();
        if piece.is_empty() {
            let ended = child.wait_with_output().unwrap();
            panic!("the connection ended: {}", String::from_utf8_lossy(&ended.stderr));
        }
        let length = piece.len();
        answer.extend_from_slice(piece);
        output.consume(length);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    answer
}

/// Arguments that make tshark decrypt TLS on a port and show one protocol.
fn decrypted(keys: &Path, port: u16, show: &str) -> Vec<String> {
    let decode = match show {
        "http" => vec!["-d".to_owned(), format!("tls.port=={port},http")],
        _ => Vec::new(),
    };
    let mut arguments = vec!["-d".to_owned(), format!("tcp.port=={port},tls")];
    arguments.extend(decode);
    arguments.extend(["-o".to_owned(), format!("tls.keylog_file:{}", keys.display())]);
    arguments.extend(["-Y".to_owned(), show.to_owned()]);
    arguments
}

/// The octets of `follow,tls,raw`: to the server's port, and from it. Node 0 is whoever spoke first; the lines of node 1
/// begin with a tab.
fn directions(lines: &[String], server: u16) -> [Vec<u8>; 2] {
    let server_first =
        lines.iter().any(|line| line.starts_with("Node 0:") && line.ends_with(&format!(":{server}")));
    let mut streams = [Vec::new(), Vec::new()];
    for line in lines {
        let (stream, hex) = match line.strip_prefix('\t') {
            Some(hex) => (1, hex),
            None => (0, line.as_str()),
        };
        if hex.is_empty() || hex.len() % 2 == 1 || !hex.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            continue;
        }
        let octets = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap());
        streams[stream].extend(octets);
    }
    if server_first {
        streams.reverse();
    }
    streams
}
