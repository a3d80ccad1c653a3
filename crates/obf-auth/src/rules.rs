//! Which Resource Server a device belongs to, by its identity as a UE writes it: a prefix of a number, the realm of an
//! IMPI, or a list (SPEC R9, R21). Pure; made from the configuration, and refused there where two servers could claim
//! one device.

use obf_types::{GlobalIdentity, IdentityKind};
use std::collections::HashMap;

/// What one server's section of the configuration says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerRules<'a> {
    /// Where it stands, for errors.
    pub(crate) section: &'a str,
    /// The server's name, for errors.
    pub(crate) name: &'a str,
    /// `kind:digits` each.
    pub(crate) prefixes: &'a [String],
    /// Realms of IMPIs.
    pub(crate) realms: &'a [String],
    /// `kind:value` each.
    pub(crate) identities: &'a [String],
}

impl ServerRules<'_> {
    const fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.realms.is_empty() && self.identities.is_empty()
    }
}

/// Why there are no rules: the key, as it stands in the file, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RuleError {
    pub(crate) key: String,
    pub(crate) reason: String,
}

/// The rules of all Resource Servers. One server alone needs none: it has every device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Sorted, none the beginning of another: so at most one takes a number, and a search by halves finds it.
    prefixes: Vec<(IdentityKind, Box<str>, usize)>,
    /// Lower-case.
    realms: HashMap<Box<str>, usize>,
    /// Sorted.
    identities: Vec<(IdentityKind, Box<str>, usize)>,
    one_for_all: bool,
}

impl Rules {
    /// The rules of these servers; a server is known by its place among them from then on.
    ///
    /// # Errors
    /// An invalid rule; two rules that take the same device for different servers (both are named); a server without rules.
    pub(crate) fn new(servers: &[ServerRules<'_>]) -> Result<Self, RuleError> {
        let mut rules = Self {
            prefixes: Vec::new(),
            realms: HashMap::new(),
            identities: Vec::new(),
            one_for_all: matches!(servers, [only] if only.is_empty()),
        };
        if rules.one_for_all {
            return Ok(rules);
        }
        for (place, server) in servers.iter().enumerate() {
            if server.is_empty() {
                let reason = "which devices are its own? prefixes, realms or identities: one at least, as there are several servers";
                return Err(error(servers, place, "prefixes", reason));
            }
            rules.read(servers, place)?;
        }
        rules.sort_prefixes(servers)?;
        rules.sort_identities(servers)?;
        rules.compare_realms(servers)?;
        Ok(rules)
    }

    /// The server of a device, by a user name as it travels on RPB and RPR; `None`: no rule takes it.
    pub(crate) fn server(&self, user_name: &str) -> Option<usize> {
        if self.one_for_all {
            return Some(0);
        }
        let (kind, value) = parts(user_name)?;
        self.find(kind, value)
    }

    /// The server of a device by one of its identities.
    pub(crate) fn server_of(&self, identity: &GlobalIdentity) -> Option<usize> {
        if self.one_for_all { Some(0) } else { self.find(identity.kind(), identity.value()) }
    }

    fn find(&self, kind: IdentityKind, value: &str) -> Option<usize> {
        let listed = self.identities.binary_search_by(|(k, v, _)| (*k, &**v).cmp(&(kind, value)));
        if let Some((.., server)) = listed.ok().and_then(|at| self.identities.get(at)) {
            return Some(*server);
        }
        if kind != IdentityKind::Impi {
            return self.by_prefix(kind, value);
        }
        let (user, realm) = value.split_once('@')?;
        // A stack buffer: this stands in the way of every bootstrap.
        let mut lower = [0; GlobalIdentity::MAX_LEN];
        let lower = lower.get_mut(..realm.len())?;
        lower.copy_from_slice(realm.as_bytes());
        lower.make_ascii_lowercase();
        let by_realm = std::str::from_utf8(lower).ok().and_then(|realm| self.realms.get(realm));
        // The IMPI derived from an IMSI is that device (TS 23.003 13.3).
        by_realm.copied().or_else(|| {
            let imsi = is_derived(user, realm).then_some(user)?;
            self.find(IdentityKind::Imsi, imsi)
        })
    }

    fn by_prefix(&self, kind: IdentityKind, value: &str) -> Option<usize> {
        // Only the last prefix that is not behind the value can be its beginning, since none begins another.
        let behind = self.prefixes.partition_point(|(k, prefix, _)| (*k, &**prefix) <= (kind, value));
        let (k, prefix, server) = self.prefixes.get(behind.checked_sub(1)?)?;
        (*k == kind && value.starts_with(&**prefix)).then_some(*server)
    }

    fn read(&mut self, servers: &[ServerRules<'_>], place: usize) -> Result<(), RuleError> {
        let Some(server) = servers.get(place) else {
            return Ok(());
        };
        for text in server.prefixes {
            let (kind, prefix) = prefix(text).ok_or_else(|| {
                error(
                    servers,
                    place,
                    "prefixes",
                    format_args!("{text:?} is not kind:digits, for example imsi:00101"),
                )
            })?;
            self.prefixes.push((kind, prefix.into(), place));
        }
        for realm in server.realms {
            if realm.is_empty() || realm.contains('@') || !realm.bytes().all(|octet| octet.is_ascii_graphic())
            {
                return Err(error(
                    servers,
                    place,
                    "realms",
                    format_args!("{realm:?} is not what stands behind the @ of an IMPI"),
                ));
            }
            if let Some(other) = self.realms.insert(realm.to_ascii_lowercase().into(), place)
                && other != place
            {
                return Err(overlap(servers, (place, "realms", realm), (other, "realms", realm)));
            }
        }
        for text in server.identities {
            let identity = text.parse::<GlobalIdentity>().map_err(|reason| {
                let reason = format_args!("{text:?} is not an identity as kind:value: {reason}");
                error(servers, place, "identities", reason)
            })?;
            self.identities.push((identity.kind(), identity.value().into(), place));
        }
        Ok(())
    }

    /// Drops a server's prefixes that another prefix of the same server covers; between servers that is an error.
    fn sort_prefixes(&mut self, servers: &[ServerRules<'_>]) -> Result<(), RuleError> {
        self.prefixes.sort_unstable();
        let mut kept: Vec<(IdentityKind, Box<str>, usize)> = Vec::with_capacity(self.prefixes.len());
        for (kind, prefix, server) in self.prefixes.drain(..) {
            match kept.last() {
                Some((k, shorter, other)) if *k == kind && prefix.starts_with(&**shorter) => {
                    if *other != server {
                        let (one, two) = (tagged(kind, &prefix), tagged(kind, shorter));
                        return Err(overlap(servers, (server, "prefixes", &one), (*other, "prefixes", &two)));
                    }
                }
                _ => kept.push((kind, prefix, server)),
            }
        }
        self.prefixes = kept;
        Ok(())
    }

    fn sort_identities(&mut self, servers: &[ServerRules<'_>]) -> Result<(), RuleError> {
        let mut identities = std::mem::take(&mut self.identities);
        identities.sort_unstable();
        for (kind, value, server) in &identities {
            // What the other rules say of it, before it is itself among them.
            if let Some(other) = self.find(*kind, value).filter(|other| other != server) {
                let key = if *kind == IdentityKind::Impi { "realms or prefixes" } else { "prefixes" };
                let identity = tagged(*kind, value);
                return Err(overlap(servers, (*server, "identities", &identity), (other, key, &identity)));
            }
        }
        let twice = identities.windows(2).find_map(|pair| match pair {
            [(k, v, one), (kind, value, two)] if (k, v) == (kind, value) && one != two => {
                Some((*kind, value, *one, *two))
            }
            _ => None,
        });
        if let Some((kind, value, one, two)) = twice {
            let identity = tagged(kind, value);
            return Err(overlap(servers, (two, "identities", &identity), (one, "identities", &identity)));
        }
        identities.dedup();
        self.identities = identities;
        // An IMPI and the IMSI that it is derived from, each in a list.
        for (_, impi, server) in self.identities.iter().filter(|(kind, ..)| *kind == IdentityKind::Impi) {
            let imsi =
                impi.split_once('@').filter(|(user, realm)| is_derived(user, realm)).map(|(user, _)| user);
            if let Some(imsi) = imsi
                && let Some(other) = self.find(IdentityKind::Imsi, imsi).filter(|other| other != server)
            {
                let (impi, imsi) = (tagged(IdentityKind::Impi, impi), tagged(IdentityKind::Imsi, imsi));
                return Err(overlap(servers, (*server, "identities", &impi), (other, "identities", &imsi)));
            }
        }
        Ok(())
    }

    /// The realm of IMPIs that are derived from IMSIs takes the same devices as the IMSIs' prefix does.
    fn compare_realms(&self, servers: &[ServerRules<'_>]) -> Result<(), RuleError> {
        for (realm, server) in &self.realms {
            for network in networks(realm) {
                let taken = self.taken_of(&self.prefixes, &network).or_else(|| {
                    let from = self
                        .prefixes
                        .partition_point(|(k, p, _)| (*k, &**p) <= (IdentityKind::Imsi, network.as_str()));
                    let (kind, shorter, other) = self.prefixes.get(from.checked_sub(1)?)?;
                    (*kind == IdentityKind::Imsi && network.starts_with(&**shorter))
                        .then_some((&**shorter, *other))
                });
                let listed = self.taken_of(&self.identities, &network);
                for (key, taken) in [("prefixes", taken), ("identities", listed)] {
                    if let Some((value, other)) = taken.filter(|(_, other)| other != server) {
                        let imsi = tagged(IdentityKind::Imsi, value);
                        return Err(overlap(servers, (*server, "realms", realm), (other, key, &imsi)));
                    }
                }
            }
        }
        Ok(())
    }

    /// The first of those IMSIs, or beginnings of IMSIs, that are of that network.
    fn taken_of<'a>(
        &self,
        sorted: &'a [(IdentityKind, Box<str>, usize)],
        network: &str,
    ) -> Option<(&'a str, usize)> {
        let from = sorted.partition_point(|(k, value, _)| (*k, &**value) < (IdentityKind::Imsi, network));
        let (kind, value, server) = sorted.get(from)?;
        (*kind == IdentityKind::Imsi && value.starts_with(network)).then_some((&**value, *server))
    }
}

/// The kind and value of a user name: `kind:value`, an IMPI by its `@`, a number by its length. Whether it is a valid
/// identity is for the Resource Server to say; here it is only told whose it is.
fn parts(user_name: &str) -> Option<(IdentityKind, &str)> {
    if let Some(named) = IdentityKind::split(user_name) {
        return Some(named);
    }
    if user_name.contains('@') {
        return Some((IdentityKind::Impi, user_name));
    }
    let digits = user_name.bytes().all(|octet| octet.is_ascii_digit());
    let kind = match user_name.len() {
        6..=15 if digits => IdentityKind::Imsi,
        16 => IdentityKind::DevEui,
        18..=20 if digits => IdentityKind::Iccid,
        32 if digits => IdentityKind::Eid,
        _ => return None,
    };
    Some((kind, user_name))
}

/// `kind:digits`, the digits of that kind; an IMPI has a realm instead.
fn prefix(text: &str) -> Option<(IdentityKind, &str)> {
    let (kind, prefix) = IdentityKind::split(text)?;
    let digit = |octet: u8| match kind {
        IdentityKind::DevEui => octet.is_ascii_hexdigit(),
        _ => octet.is_ascii_digit(),
    };
    (kind != IdentityKind::Impi && prefix.bytes().all(digit)).then_some((kind, prefix))
}

/// MCC and MNC in `ims.mnc<MNC>.mcc<MCC>.3gppnetwork.org` (TS 23.003 13.2).
fn home_of(realm: &str) -> Option<(&str, &str)> {
    let rest = after(realm, "ims.mnc")?;
    let (mnc, rest) = rest.split_at_checked(3)?;
    let rest = after(rest, ".mcc")?;
    let (mcc, rest) = rest.split_at_checked(3)?;
    rest.eq_ignore_ascii_case(".3gppnetwork.org").then_some((mcc, mnc))
}

fn after<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(beginning.len())?;
    head.eq_ignore_ascii_case(beginning).then_some(rest)
}

/// Whether `user@realm` is the IMPI of the IMSI `user`. An MNC of two digits is written with a zero before it.
fn is_derived(user: &str, realm: &str) -> bool {
    home_of(realm).is_some_and(|(mcc, mnc)| {
        let rest = user.strip_prefix(mcc).unwrap_or_default();
        rest.starts_with(mnc) || mnc.strip_prefix('0').is_some_and(|mnc| rest.starts_with(mnc))
    })
}

/// How the IMSIs of the network that a realm names may begin: with an MNC of three digits, or of two.
fn networks(realm: &str) -> Vec<String> {
    let Some((mcc, mnc)) = home_of(realm) else {
        return Vec::new();
    };
    let short = mnc.strip_prefix('0').map(|mnc| format!("{mcc}{mnc}"));
    std::iter::once(format!("{mcc}{mnc}")).chain(short).collect()
}

fn tagged(kind: IdentityKind, value: &str) -> String {
    format!("{}:{value}", kind.name())
}

fn error(servers: &[ServerRules<'_>], place: usize, key: &str, reason: impl std::fmt::Display) -> RuleError {
    let (section, name) = servers.get(place).map_or(("", ""), |server| (server.section, server.name));
    RuleError { key: format!("{section}.{key}"), reason: format!("{name}: {reason}") }
}

/// One rule, and the other server's that takes the same device: (server, key, rule) each.
fn overlap(servers: &[ServerRules<'_>], one: (usize, &str, &str), other: (usize, &str, &str)) -> RuleError {
    let (section, name) = servers.get(other.0).map_or(("", ""), |server| (server.section, server.name));
    let reason = format!(
        "{:?} takes devices of {:?} in {section}.{} ({name}): a device has one Resource Server",
        one.2, other.2, other.1
    );
    error(servers, one.0, one.1, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (prefixes, realms, identities) of each server, separated by spaces.
    fn rules(servers: &[(&str, &str, &str)]) -> Result<Rules, RuleError> {
        let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let sections = ["resource_servers[0]", "resource_servers[1]"];
        let lists: Vec<_> = servers.iter().map(|(a, b, c)| (list(a), list(b), list(c))).collect();
        let servers: Vec<_> = lists
            .iter()
            .zip(sections)
            .map(|((prefixes, realms, identities), section)| ServerRules {
                section,
                name: "rs",
                prefixes,
                realms,
                identities,
            })
            .collect();
        Rules::new(&servers)
    }

    #[test]
    fn r21_a_device_is_its_servers_however_its_identity_is_written() {
        let rules = rules(&[
            ("imsi:00101 imsi:001 iccid:8991", "", "impi:alice@private.example"),
            (
                "imsi:40445 deveui:70B3 eid:",
                "Operator.example ims.mnc045.mcc404.3gppnetwork.org",
                "imsi:405010000000001",
            ),
        ])
        .unwrap();
        for (user_name, server) in [
            ("001010000000001", Some(0)),
            ("imsi:001010000000001", Some(0)),
            ("001010000000001@ims.mnc001.mcc001.3gppnetwork.org", Some(0)),
            ("001010000000001@IMS.mnc010.mcc001.3gppnetwork.org", Some(0)),
            // Not the IMPI of that IMSI, so nobody's.
            ("001010000000001@ims.mnc002.mcc001.3gppnetwork.org", None),
            ("001010000000001@other.example", None),
            ("89910000000000000000", Some(0)),
            ("iccid:89910000000000000000", Some(0)),
            ("alice@private.example", Some(0)),
            ("bob@private.example", None),
            ("bob@OPERATOR.example", Some(1)),
            ("404450000000001", Some(1)),
            ("404450000000001@ims.mnc045.mcc404.3gppnetwork.org", Some(1)),
            ("anyone@ims.mnc045.mcc404.3gppnetwork.org", Some(1)),
            ("405010000000001", Some(1)),
            ("405010000000001@ims.mnc001.mcc405.3gppnetwork.org", Some(1)),
            ("405010000000002", None),
            ("70B3D57ED0000001", Some(1)),
            ("89049032123451234512345678901235", Some(1)),
            ("limited@nobody.invalid", None),
            ("", None),
            ("imsi:", None),
            ("x:1", None),
        ] {
            assert_eq!(rules.server(user_name), server, "{user_name}");
        }
        let iccid = GlobalIdentity::new(IdentityKind::Iccid, "89910000000000000000").unwrap();
        assert_eq!(rules.server_of(&iccid), Some(0));
    }

    #[test]
    fn one_server_alone_has_every_device_unless_it_says_which() {
        let all = rules(&[("", "", "")]).unwrap();
        assert_eq!((all.server("anything"), all.server("")), (Some(0), Some(0)));
        let some = rules(&[("imsi:00101", "", "")]).unwrap();
        assert_eq!((some.server("001010000000001"), some.server("404450000000001")), (Some(0), None));
    }

    #[test]
    fn rules_that_take_one_device_for_two_servers_are_refused_with_both_places() {
        const DERIVED: &str = "impi:001010000000001@ims.mnc001.mcc001.3gppnetwork.org";
        let realm = "ims.mnc001.mcc001.3gppnetwork.org";
        for (one, other, key) in [
            (("imsi:001", "", ""), ("imsi:00101", "", ""), "prefixes"),
            (("imsi:00101", "", ""), ("imsi:00101", "", ""), "prefixes"),
            (("imsi:", "", ""), ("imsi:00101", "", ""), "prefixes"),
            (("imsi:00101", "", ""), ("", "", "imsi:001010000000001"), "identities"),
            (("", "", "imsi:001010000000001"), ("", "", "imsi:001010000000001"), "identities"),
            (("", "A.example", ""), ("", "a.EXAMPLE", ""), "realms"),
            (("", "a.example", ""), ("", "", "impi:x@a.example"), "identities"),
            (("imsi:00101", "", ""), ("", realm, ""), "realms"),
            (("imsi:001", "", ""), ("", realm, ""), "realms"),
            (("imsi:001001", "", ""), ("", realm, ""), "realms"),
            (("imsi:00101777", "", ""), ("", realm, ""), "realms"),
            (("", "", "imsi:001010000000001"), ("", realm, ""), "realms"),
            (("", "", "imsi:001010000000001"), ("", "", DERIVED), "identities"),
            (("imsi:00101", "", ""), ("", "", DERIVED), "identities"),
        ] {
            let refused = rules(&[one, other]).unwrap_err();
            assert_eq!(refused.key, format!("resource_servers[1].{key}"), "{one:?} {other:?}");
            assert!(refused.reason.contains("resource_servers[0]."), "{refused:?}");
            assert!(rules(&[("imsi:99999", "", ""), other]).is_ok(), "{other:?}");
        }
        // One server may say a thing twice.
        assert!(
            rules(&[("imsi:001 imsi:00101 imsi:001", realm, "imsi:001010000000001"), ("imsi:404", "", "")])
                .is_ok()
        );
    }

    #[test]
    fn servers_without_rules_and_rules_that_are_none_are_named() {
        for (servers, key) in [
            ([("imsi:001", "", ""), ("", "", "")], "resource_servers[1].prefixes"),
            ([("imsi:001", "", ""), ("00101", "", "")], "resource_servers[1].prefixes"),
            ([("impi:a", "", ""), ("imsi:1", "", "")], "resource_servers[0].prefixes"),
            ([("imsi:x", "", ""), ("imsi:1", "", "")], "resource_servers[0].prefixes"),
            ([("", "a@b", ""), ("imsi:1", "", "")], "resource_servers[0].realms"),
            ([("", "", "imsi:1"), ("imsi:1", "", "")], "resource_servers[0].identities"),
        ] {
            assert_eq!(rules(&servers).unwrap_err().key, key, "{servers:?}");
        }
    }
}
