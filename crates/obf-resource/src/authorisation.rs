//! OBF Authorisation Function (SPEC C11): one pure decision, for the rights told at bootstrap and for the right asked
//! for at key fetch. What nothing permits is refused, and a denial stands over every grant.

use obf_store::resource::{Device, Entitlement, GrantedApplication, State};
use obf_types::{Lifetime, Refusal, Right, UnixTime};

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Permit(Right),
    /// It may not, and why.
    Refuse(Refusal),
}

/// What an operator decides for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Seconds that a verification stays valid after the date by which it was to be repeated; `None`: to its end.
    pub reverify_grace: Option<u64>,
}

/// Whether the device may authenticate at all.
///
/// # Errors
/// [`Refusal::DeviceSuspended`] (it, or its custodian, is not active), [`Refusal::KycExpired`].
pub fn standing(policy: Policy, device: &Device, now: UnixTime) -> Result<(), Refusal> {
    let custodian = device.custodian.as_ref();
    if device.state != State::Active || custodian.is_some_and(|custodian| custodian.state != State::Active) {
        return Err(Refusal::DeviceSuspended);
    }
    match kyc_expiry(policy, device) {
        Some(expiry) if expiry <= now => Err(Refusal::KycExpired),
        _ => Ok(()),
    }
}

/// When the device's KYC ends, if ever: the date in its own record, or the last of its custodian's, whichever is
/// first; where policy says so, the end of the time that a re-verification may be overdue is such a date. A custodian of whom nothing was ever verified sets no end; what asks for a level refuses its devices.
pub fn kyc_expiry(policy: Policy, device: &Device) -> Option<UnixTime> {
    let records = device.custodian.iter().flat_map(|custodian| &custodian.kyc);
    let custodians = records.map(|record| record.counts_until(policy.reverify_grace)).max();
    [device.kyc_expiry, custodians].into_iter().flatten().min()
}

/// Until when the custodian's KYC reaches that level; `None`: not now.
fn kyc_of_level(policy: Policy, device: &Device, level: u8, now: UnixTime) -> Option<UnixTime> {
    let records = device.custodian.iter().flat_map(|custodian| &custodian.kyc);
    let reaching = records.filter(|record| record.level >= level);
    reaching.map(|record| record.counts_until(policy.reverify_grace)).filter(|end| *end > now).max()
}

/// Whether the device may have a key for the application that the entitlement is for.
pub fn decide(policy: Policy, device: &Device, entitlement: &Entitlement, now: UnixTime) -> Decision {
    match permit(policy, device, entitlement, now) {
        Ok(right) => Decision::Permit(right),
        Err(refusal) => Decision::Refuse(refusal),
    }
}

fn permit(
    policy: Policy,
    device: &Device,
    entitlement: &Entitlement,
    now: UnixTime,
) -> Result<Right, Refusal> {
    standing(policy, device, now)?;
    // Before anything that could permit is looked at.
    if entitlement.denied.is_some_and(|denied| denied.holds(now)) {
        return Err(Refusal::Denied);
    }
    let granted = entitlement.granted.as_ref().ok_or(Refusal::NotPermitted)?;
    let GrantedApplication { terms, application, .. } = granted;
    if granted.device != device.id {
        return Err(Refusal::NotPermitted);
    }
    if application.state != State::Active || application.withheld {
        return Err(Refusal::ApplicationSuspended);
    }
    let kyc_of_level = match application.kyc_level.max(terms.kyc_level) {
        0 => None,
        level => Some(kyc_of_level(policy, device, level, now).ok_or(Refusal::KycLevelTooLow)?),
    };
    let ends = [terms.expires_at, kyc_expiry(policy, device), kyc_of_level];
    let remaining = ends.into_iter().flatten().map(|end| end.since(now)).min();
    let remaining = remaining.map_or(Some(Lifetime::CEILING), |seconds| {
        let seconds = seconds.min(Lifetime::CEILING.seconds().into());
        Lifetime::from_seconds(u32::try_from(seconds).unwrap_or(u32::MAX))
    });
    let remaining = remaining.ok_or(Refusal::NotPermitted)?;
    let limits = [Some(remaining), terms.lifetime, application.max_lifetime];
    Ok(Right {
        app: application.id.clone(),
        lifetime: limits.into_iter().flatten().min().unwrap_or(remaining),
        settings: terms.settings.as_ref().unwrap_or(&application.settings).as_slice().into(),
        local_validity: terms.local_validity,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_store::resource::{Application, Denied, DeviceCustodian, DeviceId, KycStanding, Terms};
    use obf_types::{AppId, Epoch, MncLength};
    use proptest::prelude::*;

    fn device(id: i64, state: State, kyc_expiry: Option<u64>, custodian: Option<DeviceCustodian>) -> Device {
        Device {
            id: DeviceId::from_cursor(id),
            identities: Vec::new(),
            mnc_length: MncLength::Two,
            credentials: Vec::new(),
            epoch: Epoch(0),
            state,
            kyc_expiry: kyc_expiry.map(UnixTime),
            custodian,
            version: 1,
            created_at: UnixTime(0),
            updated_at: UnixTime(0),
        }
    }

    fn granted(
        device: i64,
        state: State,
        withheld: bool,
        kyc_level: u8,
        max: Option<u32>,
        terms: Terms,
    ) -> GrantedApplication {
        let application = Application {
            id: AppId::new("track.example").unwrap(),
            provider: String::new(),
            cert_names: Vec::new(),
            protocols: Vec::new(),
            ua_classes: Vec::new(),
            max_lifetime: max.and_then(Lifetime::from_seconds),
            kyc_level,
            settings: vec![7],
            discloses_identity: false,
            state,
            withheld,
            version: 1,
            created_at: UnixTime(0),
            updated_at: UnixTime(0),
        };
        GrantedApplication { device: DeviceId::from_cursor(device), group: None, terms, application }
    }

    /// None, one for good, or one with an end.
    fn denied() -> impl Strategy<Value = Option<Denied>> {
        let until = prop::option::of((500u64..2500).prop_map(UnixTime));
        prop::option::weighted(0.2, until.prop_map(|until| Denied { until }))
    }

    fn state() -> impl Strategy<Value = State> {
        prop::sample::select(vec![
            State::Active,
            State::Active,
            State::Active,
            State::Registered,
            State::Suspended,
            State::Retired,
        ])
    }

    fn any_custodian() -> impl Strategy<Value = Option<DeviceCustodian>> {
        let date = prop::option::of(0u64..200_000);
        let kyc = prop::collection::vec((1u8..=3, 0u64..200_000, date), 0..3);
        prop::option::of((state(), kyc).prop_map(|(state, kyc)| {
            DeviceCustodian {
                id: "acme".into(),
                state,
                kyc: kyc
                    .into_iter()
                    .map(|(level, end, by)| {
                        let (valid_until, reverify_by) = (UnixTime(end), by.map(UnixTime));
                        KycStanding { record: 1, level, valid_until, reverify_by }
                    })
                    .collect(),
            }
        }))
    }

    proptest! {
        /// SPEC C11, R6, R7: permitted exactly if device, custodian, KYC, grant and application all say so and no denial
        /// holds; never for longer than any of them, never for another device's grant.
        #[test]
        fn permits_exactly_what_everything_permits(
            now in 1000u64..2000, own_state in state(), app_state in state(), is_granted: bool, own: bool,
            withheld in prop::bool::weighted(0.1),
            kyc in prop::option::of(0u64..200_000), custodian in any_custodian(), of_app in 0u8..=3, of_grant in 0u8..=3,
            grace in prop::option::of(0u64..100_000),
            lifetime in prop::option::of(1u32..=86_400), max in prop::option::of(1u32..=86_400),
            expires in prop::option::of(0u64..200_000), settings in prop::option::of(any::<Vec<u8>>()), denied in denied(),
        ) {
            let records = custodian.clone().map(|custodian| custodian.kyc).unwrap_or_default();
            let alive = |end: Option<u64>| end.is_none_or(|end| end > now);
            let level = of_app.max(of_grant);
            let end = |record: &KycStanding| match (record.reverify_by, grace) {
                (Some(by), Some(grace)) => record.valid_until.0.min(by.0 + grace),
                _ => record.valid_until.0,
            };
            let last = |at_least: u8| {
                records.iter().filter(|r| r.level >= at_least).map(end).filter(|end| *end > now).max()
            };
            let held = custodian.as_ref().is_none_or(|custodian| custodian.state == State::Active);
            let terms = Terms {
                lifetime: lifetime.and_then(Lifetime::from_seconds), expires_at: expires.map(UnixTime),
                settings: settings.clone(), local_validity: None, kyc_level: of_grant,
            };
            let device = device(1, own_state, kyc, custodian);
            let grant = granted(if own { 1 } else { 2 }, app_state, withheld, of_app, max, terms);
            let policy = Policy { reverify_grace: grace };
            let entitlement = Entitlement { granted: is_granted.then_some(grant), denied };
            let decision = decide(policy, &device, &entitlement, UnixTime(now));
            let expected = match () {
                () if own_state != State::Active || !held => Some(Refusal::DeviceSuspended),
                () if !alive(kyc) || (!records.is_empty() && last(0).is_none()) => Some(Refusal::KycExpired),
                () if denied.is_some_and(|denied| alive(denied.until.map(|until| until.0))) => Some(Refusal::Denied),
                () if !is_granted || !own => Some(Refusal::NotPermitted),
                () if app_state != State::Active || withheld => Some(Refusal::ApplicationSuspended),
                () if level > 0 && last(level).is_none() => Some(Refusal::KycLevelTooLow),
                () if !alive(expires) => Some(Refusal::NotPermitted),
                () => None,
            };
            match (decision, expected) {
                (Decision::Refuse(refusal), expected) => prop_assert_eq!(Some(refusal), expected),
                (Decision::Permit(right), expected) => {
                    prop_assert_eq!(expected, None);
                    let seconds = u64::from(right.lifetime.seconds());
                    let of_level = if level > 0 { last(level) } else { None };
                    let ends = [kyc, expires, last(0), of_level].map(|end| end.map(|end| end - now));
                    let bounds = [Some(86_400), lifetime.map(u64::from), max.map(u64::from)];
                    prop_assert_eq!(Some(seconds), bounds.into_iter().chain(ends).flatten().min());
                    prop_assert_eq!(right.settings.into_vec(), settings.unwrap_or(vec![7]));
                }
            }
        }

        /// SPEC C11: whatever is granted, on whatever terms, to whatever device: what is denied now is permitted to nobody, and a
        /// denial that is over changes nothing.
        #[test]
        fn c11_no_grant_permits_what_is_denied(
            now in 1000u64..2000, own_state in state(), app_state in state(), custodian in any_custodian(), level in 0u8..=3,
            lifetime in prop::option::of(1u32..=86_400), expires in prop::option::of(0u64..200_000),
            left in prop::option::of(1u64..1_000_000), over in 0u64..1000,
        ) {
            let device = device(1, own_state, None, custodian);
            let terms = Terms {
                lifetime: lifetime.and_then(Lifetime::from_seconds), expires_at: expires.map(UnixTime), ..Terms::default()
            };
            let granted = Some(granted(1, app_state, false, level, None, terms));
            let decide = |denied: Option<Option<u64>>| {
                let denied = denied.map(|until| Denied { until: until.map(UnixTime) });
                let entitlement = Entitlement { granted: granted.clone(), denied };
                decide(Policy::default(), &device, &entitlement, UnixTime(now))
            };
            let denied = decide(Some(left.map(|left| now + left)));
            prop_assert!(matches!(denied, Decision::Refuse(_)), "{:?}", denied);
            if standing(Policy::default(), &device, UnixTime(now)).is_ok() {
                prop_assert_eq!(denied, Decision::Refuse(Refusal::Denied));
            }
            prop_assert_eq!(decide(Some(Some(now - over))), decide(None));
        }
    }
}
