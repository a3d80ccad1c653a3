//! Two operators, each with an Authentication and a Resource Server, a CA and databases of its own, and one application
//! server that their devices share: `obf app run --as … --as …` (SPEC R21).

use super::{
    APP, LONG,
    device::{Bootstrapped, Device},
};
use obf_testkit::deployment::{Deployment, Sim, binary};
use obf_types::UaId;
use serde_json::Value;
use std::{net::SocketAddr, path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// An operator with one device, and the file that says all of its Authentication Server.
fn operator(domain: &str) -> (Deployment, Sim, PathBuf) {
    let mut deployment = Deployment::init(&["--domain", domain, "--app", APP]);
    deployment.serve("all", &[]);
    deployment.add_app(APP);
    let sim = Sim::number(1);
    deployment.add_device(&sim, &[APP]);
    let rpo = deployment.endpoint("auth", "rpo");
    let text = format!(
        "domain = \"{domain}\"\nservers = [\"127.0.0.1:1\", \"{rpo}\"]\nca_file = \"ca.pem\"\n\
         cert_file = \"apps/{APP}.pem\"\nkey_file = \"apps/{APP}.key\"\n"
    );
    let file = deployment.file("as.toml");
    std::fs::write(&file, text).unwrap();
    (deployment, sim, file)
}

/// `obf app run`, ready, and where devices come in.
async fn application(files: &[&PathBuf]) -> (Child, SocketAddr) {
    let mut command = Command::new(binary());
    command.args(["app", "run", "--json", "--id", APP, "--listen", "127.0.0.1:0", "--echo"]);
    for file in files {
        command.arg("--as").arg(file);
    }
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut address = None;
    let ready = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("obf app run becomes ready");
            let event: Value = serde_json::from_str(&line).unwrap();
            match event["event"].as_str() {
                Some("listening") => address = event["address"].as_str().unwrap().parse().ok(),
                Some("ready") => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(LONG, ready).await.expect("an application server");
    (child, address.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn r21_devices_of_two_operators_are_served_by_one_application_server() {
    let (one, of_one, one_file) = operator("as.one.example");
    let (mut two, of_two, two_file) = operator("as.two.example");
    let (_application, at) = application(&[&one_file, &two_file]).await;
    let s_client = || Device::openssl(at, &["-tls1_3"]);
    let known_to_one = Bootstrapped::new(&one, &of_one, APP, UaId::TLS13_PSK);
    let known_to_two = Bootstrapped::new(&two, &of_two, APP, UaId::TLS13_PSK);
    assert!(known_to_one.token.ends_with("@rs.as.one.example"), "{}", known_to_one.token);
    let mut first = s_client().start(&known_to_one);
    let mut second = s_client().start(&known_to_two);
    first.expect_echo("from a device of the one").await;
    second.expect_echo("from a device of the other").await;
    // Each revokes its own.
    let other = Sim::number(2);
    two.add_device(&other, &[APP]);
    let revoked = Bootstrapped::new(&two, &other, APP, UaId::TLS13_PSK);
    let mut third = s_client().start(&revoked);
    third.expect_echo("not for long").await;
    two.obf(&["token", "revoke", &revoked.token]).expect_success();
    third.expect_closed().await;
    // The one operator's servers die: its known devices go on for the grace, and nothing of the other's is touched.
    two.servers().iter_mut().for_each(obf_testkit::deployment::Server::kill);
    let mut new = s_client().start(&Bootstrapped::new(&one, &of_one, APP, UaId::TLS13_PSK));
    new.expect_echo("while the other is away").await;
    second.expect_echo("known on").await;
    s_client().start(&known_to_two).expect_echo("known again").await;
    one.obf(&["device", "suspend", &of_one.imsi]).expect_success();
    new.expect_closed().await;
    second.expect_echo("still").await;
}

#[test]
fn what_is_wrong_with_a_servers_file_is_said_with_its_name_and_key() {
    let deployment = Deployment::init(&["--app", APP]);
    let file = deployment.file("as.toml");
    std::fs::write(&file, "domain = \"as.one.example\"\nserver = []\n").unwrap();
    let file = file.to_str().unwrap();
    let run = ["app", "run", "--id", APP, "--listen", "127.0.0.1:0"];
    let ran = deployment.obf(&[&run[..], &["--as", file]].concat());
    assert_eq!(ran.code(), 2, "{ran:?}");
    assert!(ran.stderr.contains("as.toml") && ran.stderr.contains("server"), "{ran:?}");
    // Beside the flags of one server it is too much, and neither is too little.
    assert_eq!(deployment.obf(&[&run[..], &["--as", file, "--rpo", "127.0.0.1:1"]].concat()).code(), 2);
    assert_eq!(deployment.obf(&run).code(), 2);
    // One operator twice.
    let good = "domain = \"as.one.example\"\nservers = [\"127.0.0.1:1\"]\nca_file = \"ca.pem\"\n\
                cert_file = \"apps/track.example.pem\"\nkey_file = \"apps/track.example.key\"\n";
    std::fs::write(file, good).unwrap();
    let ran = deployment.obf(&[&run[..], &["--as", file, "--as", file]].concat());
    assert!(ran.code() == 2 && ran.stderr.contains("as.one.example is configured twice"), "{ran:?}");
}
