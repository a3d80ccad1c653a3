//! Where a running server really listens, said in the deployment's directory: ports may be ephemeral.

use crate::{failure::Failure, files};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// One listener, exactly as `obf serve --json` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Always `listening`.
    pub event: String,
    /// Which wire: `rpb`, `rpo`, `rpr`, `admin` …
    pub point: String,
    /// The address it took.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Which node listens: `auth` or `resource`.
    pub node: String,
}

/// The listeners of one node.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Endpoints {
    listeners: Vec<Endpoint>,
}

impl Endpoints {
    /// From what a node's handle says.
    pub fn new(node: &str, listeners: impl IntoIterator<Item = (String, SocketAddr, bool)>) -> Self {
        let listeners = listeners
            .into_iter()
            .map(|(point, address, tls)| Endpoint {
                event: "listening".to_owned(),
                point,
                address,
                tls,
                node: node.to_owned(),
            })
            .collect();
        Self { listeners }
    }

    /// The listeners, in the order in which the node named them.
    pub fn listeners(&self) -> &[Endpoint] {
        &self.listeners
    }

    /// The address of a point.
    pub fn address(&self, point: &str) -> Option<SocketAddr> {
        self.listeners.iter().find(|listener| listener.point == point).map(|listener| listener.address)
    }

    /// What a server running in `directory` wrote.
    pub fn read(directory: &Path, node: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(file(directory, node)).ok()?).ok()
    }

    /// Writes them; the file goes when the returned guard is dropped.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn publish(&self, directory: &Path, node: &str) -> Result<Published, Failure> {
        let path = file(directory, node);
        if let Some(run) = path.parent() {
            fs::create_dir_all(run).map_err(|error| Failure::file(run, &error))?;
        }
        let content = serde_json::to_vec(self).map_err(|error| Failure::other("endpoints", error))?;
        files::replace(&path, &content)?;
        Ok(Published { path, content })
    }
}

/// Endpoints that are there to be found; withdrawn on drop, unless another process has published its own since.
pub struct Published {
    path: PathBuf,
    content: Vec<u8>,
}

impl Drop for Published {
    fn drop(&mut self) {
        if fs::read(&self.path).is_ok_and(|content| content == self.content) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn file(directory: &Path, node: &str) -> PathBuf {
    directory.join("run").join(format!("{node}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_found_while_the_server_runs() {
        let dir = tempfile::tempdir().unwrap();
        let address: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let published =
            Endpoints::new("auth", [("rpb".to_owned(), address, true)]).publish(dir.path(), "auth").unwrap();
        assert_eq!(Endpoints::read(dir.path(), "auth").unwrap().address("rpb"), Some(address));
        assert_eq!(Endpoints::read(dir.path(), "resource").map(|e| e.listeners.len()), None);
        drop(published);
        assert!(Endpoints::read(dir.path(), "auth").is_none());
    }

    #[test]
    fn a_process_that_ends_leaves_the_endpoints_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let publish = |port: u16| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            Endpoints::new("auth", [("rpb".to_owned(), address, true)]).publish(dir.path(), "auth").unwrap()
        };
        let former = publish(1);
        let later = publish(2);
        drop(former);
        assert_eq!(Endpoints::read(dir.path(), "auth").unwrap().address("rpb").map(|a| a.port()), Some(2));
        drop(later);
    }

    #[test]
    fn a_listening_line_is_the_contract() {
        let address: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let endpoints = Endpoints::new("auth", [("rpb".to_owned(), address, true)]);
        assert_eq!(
            serde_json::to_string(&endpoints.listeners[0]).unwrap(),
            r#"{"event":"listening","point":"rpb","address":"127.0.0.1:8443","tls":true,"node":"auth"}"#
        );
    }
}
