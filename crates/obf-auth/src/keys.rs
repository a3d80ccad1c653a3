//! Reference point RPO: an application asks for the key of one token, for itself and one security protocol (SPEC P3, R16,
//! R17, R20). Each request is authorised, and its key derived, afresh; Ks stays here.

use crate::{
    node::Node, notices_out::NoticesOut, random::draw, resource_server::RprError, tokens::LiveToken,
};
use obf_net::radius::{Handler, Origin};
use obf_radius::Request;
use obf_rpo::{Ask, Inquiry, KeyGrant, KeyRequest, grant, refuse};
use obf_store::auth::TokenStore;
use obf_token::{AppKey, Obf1Context, derive};
use obf_types::{GlobalIdentity, KeySchema, Lifetime, Refusal, UnixTime};
use std::sync::Arc;

/// Octets of a usual answer.
const USUAL_ANSWER: usize = 256;

/// Answers what comes in on RPO.
#[derive(Debug)]
pub(crate) struct KeyServer {
    pub(crate) node: Arc<Node>,
    pub(crate) notices: NoticesOut,
}

impl Handler for KeyServer {
    async fn handle(&self, request: Request, origin: Origin) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(USUAL_ANSWER);
        let node = &self.node;
        let refusal = match Inquiry::decode(&request, node.vendor) {
            Ok(Inquiry::Heartbeat) => {
                grant::done(&request, &mut out);
                return Some(out);
            }
            Ok(Inquiry::Ask { instance, ask: Ask::Resume(resume) }) => {
                match self.notices.resume(resume.app, instance, &origin).await {
                    Ok(()) => {
                        grant::done(&request, &mut out);
                        return Some(out);
                    }
                    Err(refusal) => refusal,
                }
            }
            Ok(Inquiry::Ask { ask: Ask::Key(wanted), .. }) => {
                let now = node.now();
                match key(node, &wanted, &origin, now).await {
                    Ok(grant) => match grant.encode(&request, node.vendor, now, draw(), &mut out) {
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
        refuse(&request, node.vendor, refusal, &mut out);
        Some(out)
    }
}

async fn key(node: &Node, wanted: &KeyRequest, origin: &Origin, now: UnixTime) -> Result<KeyGrant, Refusal> {
    let registration = node.applications.of_peer(&wanted.app, &origin.names).await?;
    if !registration.ua_classes.iter().any(|class| class.covers(wanted.ua)) {
        return Err(Refusal::ProtocolNotRegistered);
    }
    if !node.resource_server.is_fresh() {
        return Err(Refusal::ResourceServerUnreachable);
    }
    if !node.feed.is_fresh() {
        return Err(Refusal::StorageFailed);
    }
    let watch = node.feed.watch();
    let token = node.token(&wanted.token, now).await?;
    let facts = token.facts();
    let identity = token.identity().ok_or(Refusal::UnknownToken)?;
    let permitted = permitted(node, wanted, &token, now).await?;
    if watch.saw(&identity, &wanted.token) {
        // Were it this token that ended meanwhile, its notice could overtake the key.
        node.token(&wanted.token, now).await?;
    }
    drop(watch);
    let key = derived(node, wanted, &token, &identity).ok_or(Refusal::UnknownToken)?;
    Ok(KeyGrant {
        key,
        expires: permitted.until.min(facts.expires),
        bootstrapped_at: facts.bootstrapped_at,
        schema: facts.schema,
        settings: permitted.settings,
        device: registration.discloses_identity.then_some(identity),
    })
}

struct Permitted {
    until: UnixTime,
    settings: Box<[u8]>,
}

/// What the Resource Server decided for this device and application: with the vector, or else now.
async fn permitted(
    node: &Node,
    wanted: &KeyRequest,
    token: &LiveToken,
    now: UnixTime,
) -> Result<Permitted, Refusal> {
    if let Some(right) = token.rights.find(&wanted.app) {
        let until = token.facts().rights_at.plus(right.lifetime);
        if until > now {
            let until = locally(until, right.local_validity, now);
            return Ok(Permitted { until, settings: right.settings.clone() });
        }
    }
    let device = token.identity().ok_or(Refusal::UnknownToken)?;
    let answer = node.resource_server.right(&device, &wanted.app).await.map_err(|error| match error {
        RprError::Refused(Refusal::UnknownIdentity) => Refusal::NotPermitted,
        other => other.refusal(),
    })?;
    if answer.device.epoch > token.facts().epoch {
        // Its notice is on the way, or was lost; what it says holds already.
        node.store.end_devices(vec![(answer.device.identity, answer.device.epoch)], now).await.map_err(
            |error| {
                tracing::error!(%error, "a device's tokens cannot be ended");
                Refusal::StorageFailed
            },
        )?;
        return Err(Refusal::TokenRevoked);
    }
    let right =
        answer.rights.list.into_iter().find(|right| right.app == wanted.app).ok_or(Refusal::NotPermitted)?;
    let until = now.plus(right.lifetime);
    let until = answer.device.kyc_expiry.map_or(until, |end| until.min(end));
    if until <= now {
        return Err(Refusal::KycExpired);
    }
    // It gets a key beyond what came with the token: it is to be told when that ends.
    match node.store.fetched(wanted.token.clone(), wanted.app.clone()).await {
        Ok(true) => {}
        // Another node ended it, and this one has not heard of it yet: nobody would tell this application.
        Ok(false) => return Err(Refusal::TokenRevoked),
        Err(error) => {
            tracing::error!(%error, "a fetch cannot be recorded");
            return Err(Refusal::StorageFailed);
        }
    }
    Ok(Permitted { until: locally(until, right.local_validity, now), settings: right.settings })
}

/// Until when the application may use what it gets now: it may have to fetch again before the right ends (SPEC C11).
fn locally(until: UnixTime, validity: Option<Lifetime>, now: UnixTime) -> UnixTime {
    validity.map_or(until, |validity| until.min(now.plus(validity)))
}

/// The application's key: the only form in which anything of Ks leaves.
fn derived(node: &Node, wanted: &KeyRequest, token: &LiveToken, identity: &GlobalIdentity) -> Option<AppKey> {
    let facts = token.facts();
    let ks = node.table.ks(token)?;
    let naf = wanted.naf();
    Some(match facts.schema {
        KeySchema::GbaMe => derive::gba_me(&ks, token.rand(), token.user_name(), &naf),
        KeySchema::Obf1 => {
            let context = Obf1Context {
                rand: token.rand(),
                identity,
                technology: facts.technology,
                as_domain: &node.domain,
                counter: facts.counter,
                method: facts.method,
            };
            derive::obf_1(&ks, &context, &naf)
        }
    })
}
