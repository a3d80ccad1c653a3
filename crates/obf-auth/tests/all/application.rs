//! An application: the client half of RPO over RADIUS/TLS, which takes its notices.

use super::deployment::Deployment;
use obf_net::{
    Clock as _, OffsetClock, Stopper,
    certificates::{self, CertificateFiles},
    radius::{
        AskError, Connection, Handler, LinkEvents, Origin, RadiusTlsClient, TlsClientSettings,
        TlsServerAddress,
    },
};
use obf_radius::{AnswerError, AttributeWriter, Code, Request, Vendor, notice};
use obf_rpo::{KeyGrant, KeyRequest, Resume, RpoOperation, TokenNotice};
use obf_token::TokenId;
use obf_types::{AppId, Refusal, UaId};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

const VENDOR: Vendor = Vendor::DOCUMENTATION;
const TIME: Duration = Duration::from_secs(15);

pub struct Application {
    pub client: RadiusTlsClient,
    pub notices: mpsc::UnboundedReceiver<TokenNotice>,
    app: AppId,
    _stopper: Stopper,
}

struct Events {
    app: AppId,
    instance: String,
    resumes: bool,
    clock: Arc<OffsetClock>,
    told: mpsc::UnboundedSender<TokenNotice>,
}

impl Application {
    /// Connects to a node, as the application with that certificate, and resumes.
    pub async fn connect(deployment: &Deployment, node: usize, app: &str, certificate: &str) -> Self {
        Self::connect_as(deployment, node, app, certificate, "instance-1", true).await
    }

    pub async fn connect_as(
        deployment: &Deployment,
        node: usize,
        app: &str,
        certificate: &str,
        instance: &str,
        resumes: bool,
    ) -> Self {
        let own = CertificateFiles {
            chain: deployment.file(&format!("{certificate}.pem")),
            key: deployment.file(&format!("{certificate}.key")),
        };
        let tls = certificates::mutual_client(&own, &deployment.file("ca.pem")).unwrap();
        let address = deployment.auth_address(node, "rpo");
        let server = TlsServerAddress::new(address, "as.obf.example");
        let (told, notices) = mpsc::unbounded_channel();
        let app = AppId::new(app).unwrap();
        let events = Events {
            app: app.clone(),
            instance: instance.into(),
            resumes,
            clock: deployment.clock.clone(),
            told,
        };
        let stopper = Stopper::new();
        let settings = TlsClientSettings::new(vec![server], tls);
        let client = RadiusTlsClient::start(settings, &stopper.running(), Arc::new(events));
        tokio::time::timeout(TIME, client.connected()).await.expect("connected in time").unwrap();
        Self { client, notices, app, _stopper: stopper }
    }

    pub async fn key(&self, token: &TokenId, ua: UaId) -> Result<KeyGrant, Refusal> {
        self.key_for(self.app.clone(), token, ua).await
    }

    pub async fn key_for(&self, app: AppId, token: &TokenId, ua: UaId) -> Result<KeyGrant, Refusal> {
        let operation = RpoOperation::Key(KeyRequest { token: token.clone(), app, ua });
        let reply =
            self.client.ask(Code::AccessRequest, &attributes(&operation, "instance-1"), TIME).await.unwrap();
        KeyGrant::decode(&reply, VENDOR).map_err(|error| match error {
            AnswerError::Refused(refusal) => refusal,
            AnswerError::Malformed(malformed) => panic!("{malformed}"),
        })
    }

    /// The next notice, within the second that the issue allows from the revocation to the closed socket.
    pub async fn told(&mut self) -> TokenNotice {
        tokio::time::timeout(TIME, self.notices.recv()).await.expect("told in time").unwrap()
    }
}

impl Handler for Events {
    async fn handle(&self, request: Request, _: Origin) -> Option<Vec<u8>> {
        let told = TokenNotice::decode(&request, VENDOR, self.clock.now()).unwrap();
        let _ = self.told.send(told);
        let mut out = Vec::new();
        notice::acknowledge(&request, &mut out);
        Some(out)
    }
}

impl LinkEvents for Events {
    async fn connected(&self, connection: &Connection) -> Result<(), AskError> {
        if !self.resumes {
            return Ok(());
        }
        let operation = RpoOperation::Resume(Resume { app: self.app.clone() });
        let reply =
            connection.ask(Code::AccessRequest, &attributes(&operation, &self.instance), TIME).await?;
        assert_eq!(reply.accepted(VENDOR), Ok(()));
        Ok(())
    }
}

fn attributes(operation: &RpoOperation, instance: &str) -> Vec<u8> {
    let mut attributes = Vec::new();
    operation.encode(VENDOR, instance, &mut AttributeWriter::for_request(&mut attributes)).unwrap();
    attributes
}
