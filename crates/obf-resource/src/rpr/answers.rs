//! What is answered: vector and rights in one round trip, resynchronisation, rights, registrations.

use super::IndPartition;
use crate::{
    authorisation::{self, Decision, Policy},
    registry::administrators::{self, Shown},
    vectors::{SqnAuthority, VectorSource as _, Vectors},
};
use obf_admin_http::Administrators;
use obf_aka::{Sqn, SqnLayout, SqnLimits};
use obf_net::Clock;
use obf_radius::{PutError, Request, Vendor};
use obf_rpr::{
    AdministratorAnswer, AdministratorCredential, ApplicationAnswer, AuthenticationData, Resynchronisation,
    Rights, RightsAnswer, RightsRequest, RightsSelector, RprClient, RprOperation, VectorAnswer,
    answer::DeviceFacts,
};
use obf_store::{
    StoreError,
    resource::{Application, Device, Entitlement, KeyUse, ResourceDb, RightsPage, State, Taken, WithRights},
};
use obf_token::Mode;
use obf_types::{AppId, GlobalIdentity, IdentityKind, MncLength, Refusal, Right, UnixTime};
use std::sync::Arc;

/// Rights read at once: about as many as fit one packet.
const PAGE: u32 = 128;

#[derive(Debug)]
pub struct Answerer {
    pub store: ResourceDb,
    pub vectors: Vectors,
    pub ind_partition: IndPartition,
    pub clock: Arc<dyn Clock>,
    pub vendor: Vendor,
    pub policy: Policy,
    /// Those of the configuration.
    pub administrators: Administrators,
}

impl Answerer {
    /// Writes the Access-Accept into `out`, or says why not. A vector is there only after its SQN, or that its
    /// source was to make one, has been fsynced.
    pub async fn answer(
        &self,
        packet: &Request,
        client: &RprClient,
        name: &Arc<str>,
        operation: RprOperation,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match operation {
            RprOperation::Vector(request) => {
                if request.mode != Mode::Aka {
                    return Err(Refusal::UnsupportedOperation);
                }
                let identity = identity_of(&request.user_name)?;
                let ind = self.ind_partition.ind(client.node);
                let key_use = KeyUse { actor: name.clone(), at: self.clock.now() };
                let taken = match &request.resynchronisation {
                    None => self.take(identity, ind, key_use).await?,
                    Some(resynchronisation) => {
                        self.resynchronise(identity, ind, key_use, resynchronisation).await?
                    }
                };
                let Taken { subscriber, rights } = taken;
                let vector = self.vectors.vector(&subscriber, request.resynchronisation.as_ref()).await?;
                let rights = self.rights(&subscriber.device, rights).await?;
                let answer = VectorAnswer {
                    data: AuthenticationData::Aka(vector),
                    technology: subscriber.credential.technology,
                    device: self.facts(&subscriber.device)?,
                    rights,
                };
                let salts = salts()?;
                answer.encode(packet, self.vendor, salts, out).map_err(|error| too_large(&error))
            }
            RprOperation::Rights(request) => {
                let (device, rights) = self.selected_rights(request).await?;
                let answer = RightsAnswer { device: self.facts(&device)?, rights };
                answer.encode(packet, self.vendor, out).map_err(|error| too_large(&error))
            }
            RprOperation::Application(request) => {
                let application =
                    self.store.application(request.app).await.map_err(|error| failed(&error))?;
                let answer = registration(application.ok_or(Refusal::ApplicationNotRegistered)?)?;
                answer.encode(packet, self.vendor, out).map_err(|error| too_large(&error))
            }
            RprOperation::Administrator(request) => {
                let answer = self.administrator(request.credential).await?;
                answer.encode(packet, self.vendor, out).map_err(|error| too_large(&error))
            }
        }
    }

    /// The administrator with that credential: of this server's configuration, or registered here. Unknown and out of use
    /// are one answer.
    async fn administrator(
        &self,
        credential: AdministratorCredential,
    ) -> Result<AdministratorAnswer, Refusal> {
        let shown = match credential {
            AdministratorCredential::TokenSha256(hash) => {
                if let Some(configured) = self.administrators.of_token(&hash) {
                    let (name, role) = ((*configured.name).to_owned(), configured.role.name().to_owned());
                    return Ok(AdministratorAnswer { name, role });
                }
                Shown::Token(hash)
            }
            AdministratorCredential::Certificate(names) => Shown::Certificate(names),
        };
        let found = administrators::find(&self.store, shown).await.map_err(|error| failed(&error))?;
        let found = found.filter(|found| found.out_of_use.is_none()).ok_or(Refusal::UnknownIdentity)?;
        Ok(AdministratorAnswer { name: found.account.id, role: found.account.role })
    }

    async fn take(&self, identity: GlobalIdentity, ind: u8, key_use: KeyUse) -> Result<Taken, Refusal> {
        let now = key_use.at;
        let policy = self.policy;
        let permit = move |device: &Device| authorisation::standing(policy, device, now);
        let taken =
            self.store.take_sqn(identity, Mode::Aka, ind, WithRights { limit: PAGE }, key_use, permit).await;
        taken.map_err(|error| failed(&error))?
    }

    /// MAC-S first, which uses the key and so is in the audit before, then (device, RAND) durably, then SQN_HE := SQN_MS
    /// only if the next SQN would be refused (TS 33.102 6.3.5; WIRES "Resynchronisation"). Where the
    /// source has the key, only (device, RAND) is ours to keep: one AUTS moves its SQN once at most.
    async fn resynchronise(
        &self,
        identity: GlobalIdentity,
        ind: u8,
        key_use: KeyUse,
        resynchronisation: &Resynchronisation,
    ) -> Result<Taken, Refusal> {
        let now = key_use.at;
        let policy = self.policy;
        let permit = move |device: &Device| authorisation::standing(policy, device, now);
        let found = self.store.begin_resynchronisation(identity, Mode::Aka, key_use.clone(), permit).await;
        let subscriber = found.map_err(|error| failed(&error))??;
        let authority = self.vectors.authority(&subscriber, resynchronisation).await?;
        let adopt = move |sqn: u64| match authority {
            SqnAuthority::Ours(sqn_ms) => Sqn::new(sqn).is_none_or(|sqn_he| {
                SqnLayout::DEFAULT.resynchronise(SqnLimits::DEFAULT, sqn_he, sqn_ms) != sqn_he
            }),
            SqnAuthority::Source => false,
        };
        let sqn_ms = match authority {
            SqnAuthority::Ours(sqn_ms) => sqn_ms.number(),
            SqnAuthority::Source => 0,
        };
        let (rand, with) = (resynchronisation.rand, WithRights { limit: PAGE });
        let taken = self.store.resynchronise(subscriber, rand, sqn_ms, adopt, ind, with, key_use).await;
        taken.map_err(|error| failed(&error))?
    }

    async fn selected_rights(&self, request: RightsRequest) -> Result<(Device, Rights), Refusal> {
        let identity = identity_of(&request.user_name)?;
        let now = self.clock.now();
        let after = match request.selector {
            RightsSelector::First => None,
            RightsSelector::After(app) => Some(app),
            RightsSelector::Only(app) => {
                let found = self.store.right(identity, app, now).await.map_err(|error| failed(&error))?;
                let (device, entitlement) = found.ok_or(Refusal::UnknownIdentity)?;
                return match authorisation::decide(self.policy, &device, &entitlement, now) {
                    Decision::Permit(right) => Ok((device, Rights { list: vec![right], more: false })),
                    Decision::Refuse(refusal) => Err(refusal),
                };
            }
        };
        let found = self.store.rights(identity, after, PAGE, now).await.map_err(|error| failed(&error))?;
        let (device, page) = found.ok_or(Refusal::UnknownIdentity)?;
        authorisation::standing(self.policy, &device, now)?;
        let rights = self.rights(&device, page).await?;
        Ok((device, rights))
    }

    /// The rights among a page of grants; if none of them is one, among the next pages: an empty list with more behind
    /// it would leave the client without a cursor to go on from.
    async fn rights(&self, device: &Device, mut page: RightsPage) -> Result<Rights, Refusal> {
        let now = self.clock.now();
        loop {
            let list: Vec<Right> = page
                .grants
                .iter()
                .filter_map(|entitlement| {
                    match authorisation::decide(self.policy, device, entitlement, now) {
                        Decision::Permit(right) => Some(right),
                        Decision::Refuse(_) => None,
                    }
                })
                .collect();
            let last = page.grants.last().and_then(Entitlement::app).cloned();
            match (last, device.primary()) {
                (Some(last), Some(primary)) if list.is_empty() && page.more => {
                    page = self.next_page(primary.clone(), last, now).await?;
                }
                _ => return Ok(Rights { list, more: page.more }),
            }
        }
    }

    async fn next_page(
        &self,
        identity: GlobalIdentity,
        after: AppId,
        now: UnixTime,
    ) -> Result<RightsPage, Refusal> {
        let found =
            self.store.rights(identity, Some(after), PAGE, now).await.map_err(|error| failed(&error))?;
        Ok(found.map(|(_, page)| page).unwrap_or_default())
    }

    fn facts(&self, device: &Device) -> Result<DeviceFacts, Refusal> {
        let identity = device.primary().cloned().ok_or(Refusal::StorageFailed)?;
        let has_imsi = device.identities.iter().any(|identity| identity.kind() == IdentityKind::Imsi);
        Ok(DeviceFacts {
            identity,
            epoch: device.epoch,
            kyc_expiry: authorisation::kyc_expiry(self.policy, device),
            mnc_length: Some(device.mnc_length).filter(|_: &MncLength| has_imsi),
            minimum_algorithm: device
                .active(Mode::Aka)
                .map(|active| active.aka().minimum_algorithm)
                .ok_or(Refusal::UnknownIdentity)?,
        })
    }
}

/// The identity behind a user name. Besides IMSI and IMPI (SPEC R9: as the UE wrote it) the shapes of the other
/// identities are told apart by length and prefix, and `kind:value` names one outright.
fn identity_of(user_name: &[u8]) -> Result<GlobalIdentity, Refusal> {
    let text = std::str::from_utf8(user_name).map_err(|_| Refusal::UnknownIdentity)?;
    if let Some((kind, value)) = IdentityKind::split(text) {
        return GlobalIdentity::new(kind, value).map_err(|_| Refusal::UnknownIdentity);
    }
    let others = [IdentityKind::Iccid, IdentityKind::Eid, IdentityKind::DevEui];
    GlobalIdentity::from_user_name(text)
        .ok()
        .or_else(|| others.into_iter().find_map(|kind| GlobalIdentity::new(kind, text).ok()))
        .ok_or(Refusal::UnknownIdentity)
}

fn registration(application: Application) -> Result<ApplicationAnswer, Refusal> {
    if application.state != State::Active || application.withheld {
        return Err(Refusal::ApplicationSuspended);
    }
    let classes = application.ua_classes.iter().map(|class| class.parse());
    Ok(ApplicationAnswer {
        app: application.id,
        cert_names: application.cert_names,
        ua_classes: classes.collect::<Result<_, _>>().map_err(|_| Refusal::StorageFailed)?,
        settings: application.settings.into(),
        discloses_identity: application.discloses_identity,
    })
}

fn salts() -> Result<[[u8; 2]; 2], Refusal> {
    let mut octets = [0; 4];
    getrandom::fill(&mut octets).map_err(|_| Refusal::Overloaded)?;
    let [a, b, c, d] = octets;
    Ok([[a, b], [c, d]])
}

fn failed(error: &StoreError) -> Refusal {
    tracing::error!(%error, "the store failed");
    if *error == StoreError::Overloaded { Refusal::Overloaded } else { Refusal::StorageFailed }
}

fn too_large(error: &PutError) -> Refusal {
    tracing::warn!(%error, "an answer does not fit its packet");
    Refusal::MalformedRequest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_told_apart_and_never_changed() {
        for (text, kind) in [
            ("001010000000001", IdentityKind::Imsi),
            ("001010000000001@ims.mnc001.mcc001.3gppnetwork.org", IdentityKind::Impi),
            ("8988211000000000018", IdentityKind::Iccid),
            ("89049032123451234512345678901235", IdentityKind::Eid),
            ("70B3D57ED0000001", IdentityKind::DevEui),
        ] {
            let identity = identity_of(text.as_bytes()).unwrap();
            assert_eq!((identity.kind(), identity.value()), (kind, text));
        }
        assert_eq!(identity_of(b"imei:490154203237518").unwrap().kind(), IdentityKind::Imei);
        for unknown in [&b"\xff"[..], b"", b"nobody", b"imei:1"] {
            assert_eq!(identity_of(unknown), Err(Refusal::UnknownIdentity));
        }
    }
}
