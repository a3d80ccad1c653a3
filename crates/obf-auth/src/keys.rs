//! Reference point RPO: an application asks for the key of one token, for itself and one security protocol (SPEC P3, R16,
//! R17, R20). Each request is authorised, and its key derived, afresh; Ks stays here.

use crate::{
    locator::{Locator, Served},
    notices_out::NoticesOut,
    random::draw,
    resource_server::RprError,
    table::LiveToken,
    tokens::Tokens,
};
use obf_net::{
    Clock,
    radius::{Handler, Origin},
};
use obf_radius::{Request, Vendor};
use obf_rpo::{KeyGrant, KeyRequest, RpoOperation, RpoRequest, grant, refuse};
use obf_token::{AppKey, Obf1Context, derive};
use obf_types::{Domain, GlobalIdentity, KeySchema, Lifetime, Refusal, UnixTime};
use std::sync::Arc;

/// Octets of a usual answer.
const USUAL_ANSWER: usize = 256;

/// Answers what comes in on RPO.
#[derive(Debug)]
pub(crate) struct KeyServer {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) vendor: Vendor,
    /// The Authentication Server's: P5 of `obf-1`.
    pub(crate) domain: Domain,
    pub(crate) locator: Arc<Locator>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) notices: NoticesOut,
}

impl Handler for KeyServer {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(USUAL_ANSWER);
        let refusal = match RpoRequest::decode(&request, self.vendor) {
            Ok(RpoRequest::Heartbeat) => {
                grant::done(&request, &mut out);
                return Some(out);
            }
            Ok(RpoRequest::Operation { instance, operation: RpoOperation::Resume(resume) }) => {
                match self.notices.resume(resume.app, instance, &origin).await {
                    Ok(()) => {
                        grant::done(&request, &mut out);
                        return Some(out);
                    }
                    Err(refusal) => refusal,
                }
            }
            Ok(RpoRequest::Operation { operation: RpoOperation::Key(wanted), .. }) => {
                let now = self.clock.now();
                match self.key(&wanted, &origin, now).await {
                    Ok(grant) => match grant.encode(&request, self.vendor, now, draw(), &mut out) {
                        Ok(()) => return Some(out),
                        Err(error) => {
                            tracing::error!(%error, app = %wanted.app, "an answer on RPO does not fit");
                            Refusal::MalformedRequest
                        }
                    },
                    Err(refusal) => refusal,
                }
            }
            Err(refusal) => refusal,
        };
        tracing::debug!(peer = %origin.address, names = ?origin.names, %refusal, "rpo");
        refuse(&request, self.vendor, refusal, &mut out);
        Some(out)
    }
}

impl KeyServer {
    async fn key(&self, wanted: &KeyRequest, origin: &Origin, now: UnixTime) -> Result<KeyGrant, Refusal> {
        let table = self.locator.table();
        // Unknown and foreign tokens share one code (WIRES).
        let served = table.of_domain(wanted.token.domain()).ok_or(Refusal::UnknownToken)?;
        let registration = served.applications.of_peer(&wanted.app, &origin.names).await?;
        if !registration.ua_classes.iter().any(|class| class.covers(wanted.ua)) {
            return Err(Refusal::ProtocolNotRegistered);
        }
        self.may_issue(served)?;
        let watch = self.tokens.watch();
        let token = self.tokens.live(&wanted.token, now).await?;
        let facts = token.facts();
        let identity = token.identity().ok_or(Refusal::UnknownToken)?;
        let terms = match given(&token, wanted, now) {
            Some(terms) => terms,
            None => {
                let terms = self.asked(served, wanted, &token, &identity, now).await?;
                // It gets a key beyond what came with the token: it is to be told when that ends.
                self.tokens.note_fetch(&wanted.token, &wanted.app).await?;
                terms
            }
        };
        if watch.saw(&identity, &wanted.token) {
            // Were it this token that ended meanwhile, its notice could overtake the key.
            self.tokens.live(&wanted.token, now).await?;
        }
        drop(watch);
        let key = self.derived(wanted, &token, &identity).ok_or(Refusal::UnknownToken)?;
        Ok(KeyGrant {
            key,
            expires: terms.until.min(facts.expires),
            bootstrapped_at: facts.bootstrapped_at,
            schema: facts.schema,
            settings: terms.settings,
            device: registration.discloses_identity.then_some(identity),
        })
    }

    /// WIRES "A lost notice must not leave access open": whoever was not heard lately may have ended anything.
    fn may_issue(&self, served: &Served) -> Result<(), Refusal> {
        if !served.server.is_fresh() {
            return Err(Refusal::ResourceServerUnreachable);
        }
        if self.tokens.is_fresh() { Ok(()) } else { Err(Refusal::StorageFailed) }
    }

    /// What the Resource Server decides now for this device and application.
    async fn asked(
        &self,
        served: &Served,
        wanted: &KeyRequest,
        token: &LiveToken,
        device: &GlobalIdentity,
        now: UnixTime,
    ) -> Result<Terms, Refusal> {
        let answer = served.server.right(device, &wanted.app).await.map_err(|error| match error {
            RprError::Refused(Refusal::UnknownIdentity) => Refusal::NotPermitted,
            other => other.refusal(),
        })?;
        if answer.device.epoch > token.facts().epoch {
            // The notice that says so is on the way, or was lost: it is acted on already. Of the token's device, whatever
            // the answer calls it: a server speaks for its own devices only.
            self.tokens.end_devices(vec![(device.clone(), answer.device.epoch)], now).await.map_err(
                |error| {
                    tracing::error!(%error, "a device's tokens cannot be ended");
                    Refusal::StorageFailed
                },
            )?;
            return Err(Refusal::TokenRevoked);
        }
        let right = answer.rights.list.into_iter().find(|right| right.app == wanted.app);
        let right = right.ok_or(Refusal::NotPermitted)?;
        Ok(Terms::new(now.plus(right.lifetime), right.local_validity, right.settings, now))
    }

    /// The application's key: the only form in which anything of Ks leaves.
    fn derived(&self, wanted: &KeyRequest, token: &LiveToken, identity: &GlobalIdentity) -> Option<AppKey> {
        let facts = token.facts();
        let ks = self.tokens.ks(token)?;
        let naf = wanted.naf();
        Some(match facts.schema {
            KeySchema::GbaMe => derive::gba_me(&ks, token.rand(), token.user_name(), &naf),
            KeySchema::Obf1 => {
                let context = Obf1Context {
                    rand: token.rand(),
                    identity,
                    technology: facts.technology,
                    as_domain: &self.domain,
                    counter: facts.counter,
                    method: facts.method,
                };
                derive::obf_1(&ks, &context, &naf)
            }
        })
    }
}

/// What the Resource Server said: until when the application may have what it gets, and this user's settings there.
struct Terms {
    until: UnixTime,
    settings: Box<[u8]>,
}

impl Terms {
    /// With a local validity the application has to fetch again before the right ends (SPEC C11).
    fn new(until: UnixTime, local_validity: Option<Lifetime>, settings: Box<[u8]>, now: UnixTime) -> Self {
        let until = local_validity.map_or(until, |validity| until.min(now.plus(validity)));
        Self { until, settings }
    }
}

/// What it said when the token was made, as far as that covers the application and is not over.
fn given(token: &LiveToken, wanted: &KeyRequest, now: UnixTime) -> Option<Terms> {
    let right = token.rights.find(&wanted.app)?;
    let until = token.facts().rights_at.plus(right.lifetime);
    (until > now).then(|| Terms::new(until, right.local_validity, right.settings.clone(), now))
}
