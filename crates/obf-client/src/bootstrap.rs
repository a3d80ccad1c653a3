//! One bootstrap over HTTP: the shell around `obf_rpb`'s machine.

use crate::{
    AuthenticationServer, Fault, KeyIndex, SeError, SecureElement,
    se::{Aka, KeptKs},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use http_body_util::Full;
use obf_net::{
    certificates::{self, CertificateError},
    http::{HttpClient, HttpClientError},
};
use obf_rpb::{
    Bootstrap, BootstrapError, ClientStep, SecurityAssociation,
    client::{AkaAnswer, ClientSettings},
    http::{ClientRequest, HttpResponse, THREE_GPP_GBA},
};
use obf_token::Algorithm;
use obf_types::{Domain, KeySchema, Refusal};
use std::{io, sync::Arc, time::Duration};

/// Octets of an answer's body beyond which it is no BootstrappingInfo.
const MAX_BODY: usize = 8 * 1024;

/// Goes into `User-Agent`.
const PRODUCT: &str = concat!("OBF-Client/", env!("CARGO_PKG_VERSION"));

/// What one bootstrap is to do.
#[derive(Clone, Debug)]
pub struct Bootstrapping {
    /// With whom.
    pub server: AuthenticationServer,
    /// As whom: the identity that the secure element is registered under, or another of its identities.
    pub username: String,
    /// The least algorithm accepted.
    pub minimum: Algorithm,
    /// Key schemas offered, the one preferred first; empty: like a UE that never heard of OBF.
    pub schemas: Vec<KeySchema>,
    /// For connecting, and for each exchange.
    pub time: Duration,
}

/// Why there is no security association.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapFailure {
    /// The Authentication Server's name does not resolve.
    #[error("{host} cannot be found: {reason}")]
    Lookup {
        /// The name.
        host: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It cannot be reached, is too slow, is not trusted, or speaks no HTTP.
    #[error(transparent)]
    Http(#[from] HttpClientError),
    /// The machine ended the bootstrap.
    #[error(transparent)]
    Protocol(#[from] BootstrapError),
    /// The server does not say which domain it is of.
    #[error("{host} does not ask for Digest authentication under a realm that is a domain name")]
    NoRealm {
        /// The server.
        host: String,
    },
    /// A body that is no BootstrappingInfo by its length.
    #[error("an answer of {octets} octets, at most {max} are read")]
    LongAnswer {
        /// What came.
        octets: usize,
        /// The most.
        max: usize,
    },
    /// The secure element gave no answer.
    #[error(transparent)]
    SecureElement(#[from] SeError),
    /// The certificate authorities cannot be read.
    #[error(transparent)]
    Certificates(#[from] CertificateError),
    /// The system draws no random octets, or a task was ended.
    #[error("{0}")]
    System(String),
}

impl BootstrapFailure {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Lookup { .. } => Fault::Network,
            Self::Http(HttpClientError::Tls { .. }) => Fault::Authentication,
            Self::Http(HttpClientError::BadAnswer { .. }) => Fault::Server,
            Self::Http(_) => Fault::Network,
            Self::Protocol(error) => fault_of(error),
            Self::NoRealm { .. } | Self::LongAnswer { .. } => Fault::Server,
            Self::SecureElement(_) | Self::Certificates(_) | Self::System(_) => Fault::Local,
        }
    }

    /// The reason that the server gave, where it gave one.
    pub const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Protocol(BootstrapError::Refused(refusal)) => *refusal,
            _ => None,
        }
    }
}

const fn fault_of(error: &BootstrapError) -> Fault {
    use BootstrapError as E;
    match error {
        E::NetworkNotAuthentic
        | E::ServerNotAuthentic
        | E::OfferAltered
        | E::OtherMode
        | E::OtherToken
        | E::OtherRealm
        | E::Rejected
        | E::ResynchronisationFailed
        | E::TooManyChallenges => Fault::Authentication,
        E::Refused(_) | E::Downgrade { .. } => Fault::Refused,
        E::Unavailable { .. } => Fault::Network,
        E::BadSecureElement | E::BadSettings | E::OutOfOrder => Fault::Local,
        _ => Fault::Server,
    }
}

/// Bootstraps: mutual authentication, `rspauth` and the offer of schemas checked.
///
/// # Errors
/// [`BootstrapFailure`]; then there is no association, and what there was before is untouched.
pub async fn bootstrap(
    what: Bootstrapping,
    se: Arc<dyn SecureElement>,
    key: KeyIndex,
) -> Result<SecurityAssociation, BootstrapFailure> {
    let limits = Limits::of(&*se, &what.schemas)?;
    let mut wire = Wire::open(&what.server, what.time).await?;
    let domain = match what.server.domain() {
        Some(domain) => domain.clone(),
        None => wire.ask_domain().await?,
    };
    let mut machine = Bootstrap::new(ClientSettings {
        username: what.username.into(),
        domain,
        minimum: what.minimum,
        strongest: limits.strongest,
        schemas: limits.schemas,
        product: PRODUCT.into(),
    });
    let mut request = machine.first_request()?;
    loop {
        let answer = wire.exchange(request).await?;
        match machine.answer(&borrowed(&answer))? {
            ClientStep::Done(association) => {
                check_schema(&*se, &association)?;
                return Ok(*association);
            }
            ClientStep::Authenticate { rand, autn, algorithm } => {
                let se = Arc::clone(&se);
                let answer = ask(move || {
                    let aka = se.aka().ok_or(SeError::NoAka)?;
                    aka.authenticate(key, &rand, &autn, algorithm)
                });
                request = machine.authenticated(answer.await?, draw()?)?;
            }
        }
    }
}

/// What may be agreed on with this element.
struct Limits {
    strongest: Algorithm,
    schemas: Vec<KeySchema>,
}

impl Limits {
    /// Where CK and IK come out of the element, everything that this process knows; otherwise what the element can compute.
    fn of(se: &dyn SecureElement, wanted: &[KeySchema]) -> Result<Self, SeError> {
        let Some(kept) = se.aka().ok_or(SeError::NoAka)?.kept_ks() else {
            return Ok(Self { strongest: Algorithm::AkaV2Sha256, schemas: wanted.to_vec() });
        };
        let known = |schema: &KeySchema| kept.schemas().contains(schema);
        let schemas: Vec<_> = wanted.iter().copied().filter(known).collect();
        if schemas.is_empty() && !wanted.is_empty() {
            return Err(SeError::OtherSchema);
        }
        Ok(Self { strongest: kept.strongest(), schemas })
    }
}

/// A server that reads no offer chooses `gba-me`, whatever the element knows.
fn check_schema(se: &dyn SecureElement, association: &SecurityAssociation) -> Result<(), SeError> {
    let derives = |kept: &dyn KeptKs| kept.schemas().contains(&association.schema);
    if !association.ks.is_in_element() || se.aka().and_then(Aka::kept_ks).is_some_and(derives) {
        return Ok(());
    }
    Err(SeError::OtherSchema)
}

/// The secure element may block for as long as a disk or a card takes.
async fn ask(
    question: impl FnOnce() -> Result<AkaAnswer, SeError> + Send + 'static,
) -> Result<AkaAnswer, BootstrapFailure> {
    let answer = tokio::task::spawn_blocking(question).await;
    Ok(answer.map_err(|error| BootstrapFailure::System(error.to_string()))??)
}

fn draw() -> Result<[u8; 16], BootstrapFailure> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(|error| BootstrapFailure::System(error.to_string()))?;
    Ok(octets)
}

/// The connection to the server. It is opened again where the server closes it between two requests.
struct Wire<'a> {
    server: &'a AuthenticationServer,
    authority: HeaderValue,
    time: Duration,
    client: HttpClient,
}

impl<'a> Wire<'a> {
    async fn open(server: &'a AuthenticationServer, time: Duration) -> Result<Self, BootstrapFailure> {
        let authority = HeaderValue::from_str(&server.authority())
            .map_err(|error| BootstrapFailure::System(error.to_string()))?;
        Ok(Self { server, authority, time, client: connect(server, time).await? })
    }

    async fn exchange(&mut self, request: ClientRequest) -> Result<Response<Bytes>, BootstrapFailure> {
        if self.client.is_closed() {
            self.client = connect(self.server, self.time).await?;
        }
        let mut message = Request::new(Full::default());
        // Always `GET /`, as the machine says.
        message.headers_mut().insert(header::HOST, self.authority.clone());
        for (name, value) in request.headers {
            let value = HeaderValue::from_bytes(&value).map_err(|_| BootstrapError::BadSettings)?;
            message.headers_mut().append(HeaderName::from_static(name), value);
        }
        let answer = self.client.send(message).await?;
        match answer.body().len() {
            octets if octets > MAX_BODY => Err(BootstrapFailure::LongAnswer { octets, max: MAX_BODY }),
            _ => Ok(answer),
        }
    }

    /// The realm that the server asks for when nobody has said who they are.
    async fn ask_domain(&mut self) -> Result<Domain, BootstrapFailure> {
        let user_agent = format!("{PRODUCT} {THREE_GPP_GBA}").into_bytes();
        let request = ClientRequest { method: "GET", target: "/", headers: vec![("user-agent", user_agent)] };
        let answer = self.exchange(request).await?;
        let values = answer.headers().get_all(header::WWW_AUTHENTICATE);
        let challenges = obf_digest::Challenge::parse_all(values.iter().map(HeaderValue::as_bytes));
        let realms = challenges
            .into_iter()
            .flatten()
            .filter_map(|challenge| Domain::new(std::str::from_utf8(&challenge.realm).ok()?).ok());
        let host = self.server.host().into();
        realms.into_iter().next().ok_or(BootstrapFailure::NoRealm { host })
    }
}

async fn connect(server: &AuthenticationServer, time: Duration) -> Result<HttpClient, BootstrapFailure> {
    let lost = |reason| BootstrapFailure::Lookup { host: server.host().into(), reason };
    let addresses = tokio::time::timeout(time, server.addresses()).await;
    let addresses = addresses.map_err(|_| lost(io::ErrorKind::TimedOut.into()))?.map_err(lost)?;
    let tls = if server.is_tls() { Some(certificates::client(server.ca())?) } else { None };
    let mut failure = lost(io::Error::new(io::ErrorKind::NotFound, "no address"));
    for address in addresses {
        match HttpClient::connect(address, server.host(), tls.clone(), time).await {
            Ok(client) => return Ok(client),
            // Another address of an untrusted name is not trusted either.
            Err(error @ HttpClientError::Tls { .. }) => return Err(error.into()),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

fn borrowed(answer: &Response<Bytes>) -> HttpResponse<'_> {
    let plain = HttpResponse::new(answer.status().as_u16(), answer.body());
    answer
        .headers()
        .iter()
        .fold(plain, |response, (name, value)| response.with_header(name.as_str(), value.as_bytes()))
}
