//! The link to the Authentication Server: first what was missed, then keys; notices act at once.

use crate::{keys::Keys, sessions::Sessions};
use obf_net::{
    Clock,
    radius::{AskError, Connection, ConnectionEnded, Handler, LinkEvents, Origin},
};
use obf_radius::{AttributeWriter, Request, notice};
use obf_rpo::{AnswerError, Ask, Resume, TokenNotice, Vendor};
use obf_types::AppId;
use std::{sync::Arc, time::Duration};

/// What an application knows and holds, shared by its link, its listeners and its sessions.
#[derive(Debug)]
pub struct Link {
    pub app: AppId,
    pub instance: String,
    pub vendor: Vendor,
    pub clock: Arc<dyn Clock>,
    pub keys: Keys,
    pub sessions: Sessions,
    /// For an answer of the Authentication Server.
    pub time: Duration,
}

impl Link {
    /// The attributes of a question.
    pub fn encode(&self, ask: &Ask) -> Option<Vec<u8>> {
        let mut attributes = Vec::with_capacity(256);
        ask.encode(self.vendor, &self.instance, &mut AttributeWriter::for_request(&mut attributes)).ok()?;
        Some(attributes)
    }
}

impl Handler for Link {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        let (mut out, now) = (Vec::new(), self.clock.now());
        match TokenNotice::decode(&request, self.vendor, now) {
            Ok(notice) => {
                if notice.app == self.app {
                    self.keys.end_token(&notice.token, now);
                    let ended = self.sessions.end_token(&notice.token);
                    tracing::info!(token = %notice.token, sessions = ended, "token ended");
                }
                notice::acknowledge(&request, &mut out);
            }
            Err(error) => {
                tracing::warn!(%error, "notice refused");
                notice::refuse(&request, error.cause(), &mut out);
            }
        }
        Some(out)
    }
}

impl LinkEvents for Link {
    async fn connected(&self, connection: &Connection) -> Result<(), AskError> {
        self.keys.connected();
        let outcome = self.resume(connection).await;
        match outcome {
            Ok(()) => self.keys.resumed(),
            Err(_) => self.keys.disconnected(self.clock.now()),
        }
        outcome
    }

    fn disconnected(&self, reason: &ConnectionEnded) {
        tracing::warn!(?reason, "Authentication Server lost");
        self.keys.disconnected(self.clock.now());
    }
}

impl Link {
    async fn resume(&self, connection: &Connection) -> Result<(), AskError> {
        let ask = Ask::Resume(Resume { app: self.app.clone() });
        let attributes = self.encode(&ask).ok_or(AskError::Unreachable)?;
        let reply = connection.ask(obf_radius::Code::AccessRequest, &attributes, self.time).await?;
        reply.accepted(self.vendor).map_err(|error| {
            match error {
                AnswerError::Refused(refusal) => {
                    tracing::error!(%refusal, app = %self.app, "refused by the Authentication Server")
                }
                AnswerError::Malformed(error) => {
                    tracing::error!(%error, "no answer of an Authentication Server")
                }
            }
            AskError::Unreachable
        })
    }
}
