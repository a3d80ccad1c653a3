//! The Authentication Servers that a process knows: the token's id says which of them it is of (SPEC R21).

use crate::link::AsLink;
use obf_net::{Clock, Running, radius::TlsClientSettings};
use obf_radius::Vendor;
use obf_rpa::LocalPolicy;
use obf_token::TokenId;
use obf_types::Domain;
use std::{fmt, sync::Arc, time::Duration};

/// One Authentication Server: the nodes of one operator that share a domain.
#[derive(Clone, Debug)]
pub struct AsSettings {
    /// Its domain: tokens `…@<rs>.<domain>` are its own, and no others. `None`, for a process that knows one
    /// Authentication Server only: every token is taken to it.
    pub domain: Option<Domain>,
    /// Its addresses in order of preference, the trust anchors of its certificate, and the own certificate: its
    /// dNSNames are registered there for every application of this process.
    pub rpo: TlsClientSettings,
    /// Distinguishes the running instances of an application (NAS-Identifier), 1 to 253 octets. Never the same for two
    /// processes at once: what one of them has acknowledged would not be sent to the other.
    pub instance: String,
    /// The enterprise number that attributes stand under.
    pub vendor: Vendor,
    /// For an answer.
    pub fetch_time: Duration,
    /// Keys asked for at once; beyond it none is asked for.
    pub max_fetches: usize,
    /// Seconds that its known keys go on while it cannot be reached (WIRES "A lost notice must not leave access open").
    pub stale_grace: u32,
}

impl AsSettings {
    /// 5 s for an answer, 4,096 fetches at once, 15 minutes of grace, the documentation enterprise number, an instance
    /// of its own.
    pub fn new(domain: Domain, rpo: TlsClientSettings) -> Self {
        Self { domain: Some(domain), ..Self::only(rpo) }
    }

    /// The same for a process that knows one Authentication Server only, whatever its domain.
    pub fn only(rpo: TlsClientSettings) -> Self {
        Self {
            domain: None,
            rpo,
            instance: new_instance(),
            vendor: Vendor::DOCUMENTATION,
            fetch_time: Duration::from_secs(5),
            max_fetches: 4096,
            stale_grace: LocalPolicy::DEFAULT_STALE_GRACE,
        }
    }
}

/// A number that no other running instance has.
fn new_instance() -> String {
    let mut number = [0; 8];
    if getrandom::fill(&mut number).is_err() {
        number = u64::from(std::process::id()).to_be_bytes();
    }
    format!("{:016x}", u64::from_be_bytes(number))
}

/// Why Authentication Servers do not make a directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// No Authentication Server is configured.
    #[error("no Authentication Server is configured")]
    Empty,
    /// Two have one domain: addresses of one Authentication Server belong together.
    #[error("{0} is configured twice: the addresses of one Authentication Server stand together")]
    Twice(Domain),
    /// Of several, each has to say which tokens are its own.
    #[error("of several Authentication Servers each needs its domain")]
    NoDomain,
    /// An instance is empty or too long.
    #[error("an instance has 1 to 253 octets")]
    Instance,
}

/// The Authentication Servers of a process, one link to each, shared by all its applications. Cheap to clone.
#[derive(Clone)]
pub struct AsDirectory(Arc<Directory>);

struct Directory {
    domains: Arc<AsDomains>,
    links: Box<[Arc<AsLink>]>,
}

impl AsDirectory {
    /// Connects to each in the background and stays connected until the group of `running` is told to finish; sessions
    /// are cut then. Nothing of one waits for another.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn start(
        servers: Vec<AsSettings>,
        clock: &Arc<dyn Clock>,
        running: &Running,
    ) -> Result<Self, DirectoryError> {
        if servers.iter().any(|server| !(1..=253).contains(&server.instance.len())) {
            return Err(DirectoryError::Instance);
        }
        let domains = servers.iter().map(|server| server.domain.clone()).collect();
        let domains = Arc::new(AsDomains::new(domains)?);
        let links = servers
            .into_iter()
            .enumerate()
            .map(|(number, server)| AsLink::start(number, &domains, server, Arc::clone(clock), running))
            .collect();
        Ok(Self(Arc::new(Directory { domains, links })))
    }

    pub(crate) fn links(&self) -> &[Arc<AsLink>] {
        &self.0.links
    }

    /// The number of the Authentication Server that a token is of.
    pub(crate) fn of(&self, token: &TokenId) -> Option<usize> {
        self.0.domains.of(token)
    }
}

impl fmt::Debug for AsDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsDirectory").field(&self.0.domains).finish()
    }
}

/// The domains of Authentication Servers, by number.
#[derive(Debug)]
pub(crate) struct AsDomains(Box<[Option<Domain>]>);

impl AsDomains {
    fn new(domains: Box<[Option<Domain>]>) -> Result<Self, DirectoryError> {
        match &*domains {
            [] => return Err(DirectoryError::Empty),
            [_] => {}
            several => {
                for (number, domain) in several.iter().enumerate() {
                    let domain = domain.as_ref().ok_or(DirectoryError::NoDomain)?;
                    if several.iter().skip(number + 1).flatten().any(|other| other == domain) {
                        return Err(DirectoryError::Twice(domain.clone()));
                    }
                }
            }
        }
        Ok(Self(domains))
    }

    /// Whose a token is: that of the longest domain which the token's ends in, label by label.
    pub(crate) fn of(&self, token: &TokenId) -> Option<usize> {
        let own = |domain: &Option<Domain>| match domain {
            Some(domain) => token.rs(domain).map(|_| domain.as_str().len()),
            None => Some(0),
        };
        let candidates =
            self.0.iter().enumerate().filter_map(|(number, domain)| Some((own(domain)?, number)));
        candidates.max().map(|(_, number)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains(names: &[&str]) -> Result<AsDomains, DirectoryError> {
        AsDomains::new(names.iter().map(|name| Some(Domain::new(name).unwrap())).collect())
    }

    fn of(domains: &AsDomains, domain: &str) -> Option<usize> {
        domains.of(&TokenId::new([1; 16], Domain::new(domain).unwrap()))
    }

    #[test]
    fn r21_a_token_is_of_the_server_whose_domain_its_own_ends_in_label_by_label() {
        let domains = domains(&["as.one.example", "as.two.example", "deep.as.one.example"]).unwrap();
        for (domain, server) in [
            ("rs.as.one.example", Some(0)),
            ("rs.as.two.example", Some(1)),
            ("rs.deep.as.one.example", Some(2)),
            ("deep.as.one.example", Some(0)),
            ("as.one.example", None),
            ("rs.xas.one.example", None),
            ("xas.one.example", None),
            ("rs.as.three.example", None),
            ("as.two.example.rs.example", None),
        ] {
            assert_eq!(of(&domains, domain), server, "{domain}");
        }
    }

    #[test]
    fn every_server_of_several_has_a_domain_of_its_own() {
        assert_eq!(domains(&[]).unwrap_err(), DirectoryError::Empty);
        let twice = domains(&["a.example", "b.example", "a.example"]).unwrap_err();
        assert_eq!(twice, DirectoryError::Twice(Domain::new("a.example").unwrap()));
        let unnamed = [None, Some(Domain::new("a.example").unwrap())];
        assert_eq!(AsDomains::new(unnamed.into()).unwrap_err(), DirectoryError::NoDomain);
        let only = AsDomains::new([None].into()).unwrap();
        assert_eq!(of(&only, "rs.any.example"), Some(0));
    }
}
