//! A whole deployment, every node and the application a process of its own.
#![allow(dead_code, reason = "not every test uses all of it")]

pub mod application;
#[expect(clippy::module_inception)]
pub mod device;

use application::Application;
use obf_testkit::deployment::Deployment;
use std::{
    io::{BufRead, BufReader, Read},
    process::Child,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

pub const APP: &str = "track.example";

/// Generous: the machine may be busy. Nothing waits for it when things go well.
pub const LONG: Duration = Duration::from_secs(60);

/// A deployment with one application that echoes.
pub fn deployment() -> (Deployment, Application) {
    let mut deployment = Deployment::init(&["--app", APP]);
    deployment.serve("all", &[]);
    deployment.add_app(APP);
    let application = Application::run(&deployment, &["--echo"]);
    (deployment, application)
}

pub fn stop(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

pub fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody may be interested any more.
            let _ = sender.send(line);
        }
    });
    receiver
}
