//! OBF Authorisation Function (SPEC C11): one pure decision, for the rights told at bootstrap and for the right asked
//! for at key fetch.

use obf_store::resource::{ApplicationState, Device, DeviceState, GrantedApplication};
use obf_types::{AppId, Lifetime, Refusal, UnixTime};

/// What a device may do at an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// The application.
    pub app: AppId,
    /// How long a key may live from now on: the least of grant and KYC (WIRES "Lifetime"), the Authentication
    /// Server's own maximum apart.
    pub lifetime: Lifetime,
    /// Security settings of this user at this application, octets as registered.
    pub settings: Vec<u8>,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Permit(Right),
    /// It may not, and why.
    Refuse(Refusal),
}

/// Whether the device may authenticate at all.
///
/// # Errors
/// [`Refusal::DeviceSuspended`], [`Refusal::KycExpired`].
pub fn standing(device: &Device, now: UnixTime) -> Result<(), Refusal> {
    if device.state != DeviceState::Active {
        return Err(Refusal::DeviceSuspended);
    }
    match device.kyc_expiry {
        Some(expiry) if expiry <= now => Err(Refusal::KycExpired),
        _ => Ok(()),
    }
}

/// Whether the device may have a key for the application it was granted (`None`: it was not, or there is no such
/// application).
pub fn decide(device: &Device, granted: Option<&GrantedApplication>, now: UnixTime) -> Decision {
    match permit(device, granted, now) {
        Ok(right) => Decision::Permit(right),
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn permit(device: &Device, granted: Option<&GrantedApplication>, now: UnixTime) -> Result<Right, Refusal> {
    standing(device, now)?;
    let GrantedApplication { grant, application } = granted.ok_or(Refusal::NotPermitted)?;
    if grant.device != device.id || grant.app != application.id {
        return Err(Refusal::NotPermitted);
    }
    if application.state != ApplicationState::Active {
        return Err(Refusal::ApplicationSuspended);
    }
    let ends = [grant.expires_at, device.kyc_expiry];
    let remaining = ends.into_iter().flatten().map(|end| end.since(now)).min();
    let remaining = remaining.map_or(Some(Lifetime::CEILING), |seconds| {
        let seconds = seconds.min(Lifetime::CEILING.seconds().into());
        Lifetime::from_seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
    });
    let remaining = remaining.ok_or(Refusal::NotPermitted)?;
    Ok(Right {
        app: grant.app.clone(),
        lifetime: grant.lifetime.map_or(remaining, |lifetime| lifetime.min(remaining)),
        settings: grant.settings.clone().unwrap_or_else(|| application.settings.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_store::resource::{AkaAlgorithm, Application, DeviceId, Grant};
    use obf_types::{Epoch, HomeNetwork};
    use proptest::prelude::*;

    fn device(id: i64, state: DeviceState, kyc_expiry: Option<u64>) -> Device {
        Device {
            id: DeviceId::from_cursor(id),
            identities: Vec::new(),
            home_network: HomeNetwork::TwoDigitMnc,
            algorithm: AkaAlgorithm::Milenage,
            wrapped_key: Vec::new(),
            amf: [0; 2],
            initial_sqn: 0,
            sqn: 0,
            epoch: Epoch(0),
            state,
            minimum_algorithm: 1,
            kyc_expiry: kyc_expiry.map(UnixTime),
            custodian: None,
            created_at: UnixTime(0),
        }
    }

    fn granted(
        device: i64,
        state: ApplicationState,
        lifetime: Option<u32>,
        expires_at: Option<u64>,
        settings: Option<Vec<u8>>,
    ) -> GrantedApplication {
        let app = AppId::new("track.example").unwrap();
        let grant = Grant {
            device: DeviceId::from_cursor(device),
            app: app.clone(),
            lifetime: lifetime.and_then(Lifetime::from_seconds),
            expires_at: expires_at.map(UnixTime),
            settings,
            created_at: UnixTime(0),
        };
        let application = Application {
            id: app,
            cert_names: Vec::new(),
            ua_classes: Vec::new(),
            settings: vec![7],
            discloses_identity: false,
            state,
            created_at: UnixTime(0),
        };
        GrantedApplication { grant, application }
    }

    proptest! {
        /// SPEC C11, R7: permitted exactly if device, KYC, grant and application all say so; never for longer than
        /// any of them, never for another device's grant.
        #[test]
        fn permits_exactly_what_everything_permits(
            now in 1000u64..2000, active: bool, app_active: bool, is_granted: bool, own: bool,
            kyc in prop::option::of(0u64..200_000), lifetime in prop::option::of(1u32..=86_400),
            expires in prop::option::of(0u64..200_000), settings in prop::option::of(any::<Vec<u8>>()),
        ) {
            let state = if active { DeviceState::Active } else { DeviceState::Suspended };
            let app_state = if app_active { ApplicationState::Active } else { ApplicationState::Suspended };
            let device = device(1, state, kyc);
            let grant = granted(if own { 1 } else { 2 }, app_state, lifetime, expires, settings.clone());
            let decision = decide(&device, is_granted.then_some(&grant), UnixTime(now));
            let alive = |end: Option<u64>| end.is_none_or(|end| end > now);
            let expected = match () {
                () if !active => Some(Refusal::DeviceSuspended),
                () if !alive(kyc) => Some(Refusal::KycExpired),
                () if !is_granted || !own => Some(Refusal::NotPermitted),
                () if !app_active => Some(Refusal::ApplicationSuspended),
                () if !alive(expires) => Some(Refusal::NotPermitted),
                () => None,
            };
            match (decision, expected) {
                (Decision::Refuse(refusal), expected) => prop_assert_eq!(Some(refusal), expected),
                (Decision::Permit(right), expected) => {
                    prop_assert_eq!(expected, None);
                    let seconds = u64::from(right.lifetime.seconds());
                    let bounds = [Some(86_400), lifetime.map(u64::from), kyc.map(|k| k - now), expires.map(|e| e - now)];
                    prop_assert_eq!(Some(seconds), bounds.into_iter().flatten().min());
                    prop_assert_eq!(right.settings, settings.unwrap_or(vec![7]));
                }
            }
        }
    }
}
