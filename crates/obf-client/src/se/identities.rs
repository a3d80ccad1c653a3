//! What a secure element says it is.

use obf_types::{GlobalIdentity, IdentityKind, MncLength};

/// The identities of a secure element, unchanged (SPEC R9): a card has an IMSI, an ICCID, perhaps an IMPI, and says how long
/// its network's MNC is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identities {
    known: Vec<GlobalIdentity>,
    mnc_length: Option<MncLength>,
}

impl Identities {
    /// Which of several is the one to bootstrap with, if the settings name none.
    const RANK: [IdentityKind; 6] = {
        use IdentityKind::{DevEui, Eid, Iccid, Imei, Impi, Imsi};
        [Impi, Imsi, Iccid, Eid, Imei, DevEui]
    };

    /// These; of one kind the first is meant. `mnc_length`: the length of the MNC, if the element says it (EF_AD octet 4,
    /// TS 31.102 4.2.18).
    pub const fn new(known: Vec<GlobalIdentity>, mnc_length: Option<MncLength>) -> Self {
        Self { known, mnc_length }
    }

    /// The one of that kind.
    pub fn of(&self, kind: IdentityKind) -> Option<&GlobalIdentity> {
        self.known.iter().find(|identity| identity.kind() == kind)
    }

    /// The one under which the element is registered, as far as it can know: its IMPI if it has one, which only an ISIM or its
    /// maker's intent gives it, else its IMSI, ICCID, EID, IMEI, DevEUI, whichever comes first. Any of those that a Resource
    /// Server knows is good for bootstrapping, but P1 of `gba-me` is the one that was used.
    pub fn registered(&self) -> Option<&GlobalIdentity> {
        Self::RANK.into_iter().find_map(|kind| self.of(kind))
    }

    /// The IMPI, if need be the one derived from the IMSI (TS 23.003 13.3), which servers of other makers want; `None` if the
    /// element does not say the length of the MNC.
    pub fn impi(&self) -> Option<GlobalIdentity> {
        let derived = || self.mnc_length?.impi_of(self.of(IdentityKind::Imsi)?).ok();
        self.of(IdentityKind::Impi).cloned().or_else(derived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(tagged: &str) -> GlobalIdentity {
        tagged.parse().unwrap()
    }

    #[test]
    fn the_impi_stands_before_the_imsi_and_the_imsi_before_the_rest() {
        let all = [
            "deveui:0011223344556677",
            "imei:490154203237518",
            "eid:89001012012341234012345678901224",
            "iccid:8988211000000000018",
            "imsi:001010000000001",
            "impi:me@ims.example",
        ]
        .map(identity);
        for (last, registered) in all.iter().enumerate() {
            let known = Identities::new(all[..=last].to_vec(), None);
            assert_eq!(known.registered(), Some(registered));
        }
        assert_eq!(Identities::default().registered(), None);
    }

    #[test]
    fn an_impi_is_derived_where_the_mncs_length_is_known() {
        let imsi = identity("imsi:001010000000001");
        let of = |known, network| Identities::new(known, network).impi().map(|impi| impi.value().to_owned());
        let imsi_only = || vec![imsi.clone()];
        assert_eq!(of(imsi_only(), None), None);
        assert_eq!(
            of(imsi_only(), Some(MncLength::Two)).as_deref(),
            Some("001010000000001@ims.mnc001.mcc001.3gppnetwork.org")
        );
        assert_eq!(
            of(imsi_only(), Some(MncLength::Three)).as_deref(),
            Some("001010000000001@ims.mnc010.mcc001.3gppnetwork.org")
        );
        let own = vec![imsi.clone(), identity("impi:me@ims.example")];
        assert_eq!(of(own, Some(MncLength::Two)).as_deref(), Some("me@ims.example"));
    }
}
