//! HTTP with limits: what a stranger can make large, slow or many (issue sentence 3), and draining.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use obf_net::{
    ConnectionLimits, Drained, Stopper,
    certificates::{self, CertificateError, CertificateFiles},
    http::{HttpClient, HttpClientError, HttpLimits, read_body, serve},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

const LONG: Duration = Duration::from_secs(30);

struct Server {
    address: SocketAddr,
    stopper: Stopper,
    go_on: Arc<Notify>,
    asked: Arc<Notify>,
}

/// Answers with the body it got; `/slow` only when told so.
async fn server(limits: HttpLimits, tls: Option<Arc<rustls::ServerConfig>>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stopper, go_on, asked) = (Stopper::new(), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, say) = (Arc::clone(&go_on), Arc::clone(&asked));
    let handler = move |request: Request<hyper::body::Incoming>, _| {
        let (told, say) = (Arc::clone(&told), Arc::clone(&say));
        async move {
            say.notify_one();
            if request.uri().path() == "/slow" {
                told.notified().await;
            }
            match read_body(request.into_body(), 100, Duration::from_millis(300)).await {
                Ok(body) => Response::new(Full::new(body)),
                Err(error) => Response::new(Full::new(Bytes::from(error.to_string()))),
            }
        }
    };
    let running = stopper.running();
    stopper.running().spawn(serve(listener, tls, limits, running, handler));
    Server { address, stopper, go_on, asked }
}

async fn everything(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn say(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(text.as_bytes()).await;
    everything(&mut stream).await
}

#[tokio::test]
async fn heads_bodies_and_time_are_bounded() {
    let limits = HttpLimits { head_time: Duration::from_millis(500), ..HttpLimits::default() };
    let server = server(limits, None).await;
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    assert!(say(server.address, &long).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(100));
    assert!(say(server.address, &many).await.starts_with("HTTP/1.1 431"));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length:";
    let body = say(server.address, &format!("{head} 101\r\n\r\n{}", "x".repeat(101))).await;
    assert!(body.ends_with("body too long"), "{body}");
    let slow = say(server.address, &format!("{head} 10\r\n\r\nhalf")).await;
    assert!(slow.ends_with("did not come in time"), "{slow}");
    // A head that never ends.
    let head = say(server.address, "GET / HTTP/1.1\r\nHost:").await;
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408"), "{head}");
    assert_eq!(server.stopper.stop(LONG).await, Drained::Finished);
}

#[tokio::test]
async fn connections_of_one_source_are_counted() {
    let connections = ConnectionLimits { total: 10, per_source: 2 };
    let server = server(HttpLimits { connections, ..HttpLimits::default() }, None).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut client = HttpClient::connect(server.address, "x", None, LONG).await.unwrap();
        client.send(Request::get("/").header("host", "x").body(Full::default()).unwrap()).await.unwrap();
        held.push(client);
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(everything(&mut third).await, "");
    held.clear();
    // The place comes back when the server has seen the connection close.
    let again = async {
        loop {
            let request = Request::get("/").header("host", "x").body(Full::default()).unwrap();
            if let Ok(mut client) = HttpClient::connect(server.address, "x", None, LONG).await
                && client.send(request).await.is_ok()
            {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, again).await.unwrap();
    server.stopper.stop(LONG).await;
}

#[tokio::test]
async fn a_request_under_way_is_answered_while_draining() {
    let server = server(HttpLimits::default(), None).await;
    let address = server.address;
    let asking = tokio::spawn(async move { say(address, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await });
    server.asked.notified().await;
    let idle = TcpStream::connect(address).await.unwrap();
    let stopping = tokio::spawn(server.stopper.stop(LONG));
    server.go_on.notify_one();
    let answer = asking.await.unwrap();
    // And the connection was closed behind it, otherwise `say` would not have returned.
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(stopping.await.unwrap(), Drained::Finished);
    drop(idle);
}

#[tokio::test]
async fn https_with_certificates_from_files_and_clear_errors_about_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let key = rcgen::KeyPair::generate().unwrap();
    let own = rcgen::CertificateParams::new(vec!["as.example".into()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(file("as.pem"), own.pem()).unwrap();
    std::fs::write(file("as.key"), key.serialize_pem()).unwrap();
    let files = CertificateFiles { chain: file("as.pem"), key: file("as.key") };
    let server = server(HttpLimits::default(), Some(certificates::server(&files).unwrap())).await;
    let tls = certificates::client(&file("as.pem")).unwrap();
    let mut client =
        HttpClient::connect(server.address, "as.example", Some(Arc::clone(&tls)), LONG).await.unwrap();
    let request = Request::post("/").header("host", "as.example").body(Full::from("there and back")).unwrap();
    assert_eq!(client.send(request).await.unwrap().body(), "there and back");
    let other = HttpClient::connect(server.address, "other.example", Some(tls), LONG).await;
    assert!(matches!(other, Err(HttpClientError::Tls { .. })), "{other:?}");
    drop(client);
    server.stopper.stop(LONG).await;

    std::fs::write(file("empty.pem"), "nothing").unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(file("other.key"), other.serialize_pem()).unwrap();
    for (chain, key, says) in [
        ("none.pem", "as.key", "none.pem"),
        ("empty.pem", "as.key", "empty.pem"),
        ("as.pem", "empty.pem", "empty.pem"),
        ("as.pem", "other.key", "as.pem"),
    ] {
        let files = CertificateFiles { chain: file(chain), key: file(key) };
        let error: CertificateError = certificates::server(&files).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
