//! Devices against a whole deployment, every node and the application a process of its own: a stock UE in Python, and
//! `obf client`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod application;
mod client;
mod hlr;
mod python_ue;

use application::Application;
use obf_testkit::deployment::Deployment;
use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

const APP: &str = "track.example";

/// Generous: the machine may be busy. Nothing waits for it when things go well.
const LONG: Duration = Duration::from_secs(60);

/// A deployment with one application that echoes.
fn deployment() -> (Deployment, Application) {
    let mut deployment = Deployment::init(&["--app", APP]);
    deployment.serve("all", &[]);
    deployment.add_app(APP);
    let application = Application::run(&deployment, &["--echo"]);
    (deployment, application)
}

fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody may be interested any more.
            let _ = sender.send(line);
        }
    });
    receiver
}
