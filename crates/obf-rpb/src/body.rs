//! BootstrappingInfo, the body of the `200` (TS 24.109 annex C), with our element in its `Extension`, which the schema
//! leaves open and other UEs ignore.

use crate::xml::{self, Element};
use alloc::{
    format,
    string::{String, ToString},
};
use obf_token::{Mode, Technology, TokenId, TokenIdError};
use obf_types::{GlobalIdentity, KeySchema, UnixTime};

/// The namespace of TS 24.109 annex C.
pub const GBA_NAMESPACE: &str = "uri:3gpp-gba";
/// The namespace of our element.
pub const OBF_NAMESPACE: &str = "uri:obf-rpb";

/// What the `200` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrappingInfo {
    /// B-TID.
    pub id: TokenId,
    /// When the token expires.
    pub expires: UnixTime,
    /// What an Authentication Server of ours adds.
    pub association: Option<Association>,
}

/// What client and server have to agree on for `obf-1`, and what the server understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// The schema chosen.
    pub schema: KeySchema,
    /// The mode that the device bootstrapped in.
    pub mode: Mode,
    /// The technology that its credential is of.
    pub technology: Technology,
    /// The server's bootstrap counter of this device.
    pub counter: u64,
    /// The device's registered primary identity.
    pub identity: GlobalIdentity,
    /// The offer as it arrived; `None` if none did.
    pub offer: Option<String>,
}

/// Why a body is no BootstrappingInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not XML as read here.
    #[error(transparent)]
    Xml(#[from] xml::XmlError),
    /// Another root element.
    #[error("body is not BootstrappingInfo")]
    Root,
    /// B-TID is missing or wrong.
    #[error("B-TID: {0}")]
    Id(TokenIdError),
    /// The lifetime is missing or no UTC date.
    #[error("lifetime is missing or no UTC date")]
    Lifetime,
    /// Our element lacks something.
    #[error("the association element lacks something or has it malformed")]
    Association,
}

impl BootstrappingInfo {
    /// The document.
    pub fn to_xml(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<BootstrappingInfo xmlns=\"{GBA_NAMESPACE}\">\n<btid>{}</btid>\n<lifetime>{}</lifetime>\n",
            self.id, self.expires
        );
        if let Some(association) = &self.association {
            association.write(&mut out);
        }
        out.push_str("</BootstrappingInfo>\n");
        out
    }

    /// Reads a document; unknown elements and attributes are ignored (annex C.1).
    ///
    /// # Errors
    /// [`BodyError`] names what is wrong.
    pub fn parse(document: &[u8]) -> Result<Self, BodyError> {
        let root = xml::parse(document)?;
        if root.local_name() != "BootstrappingInfo" {
            return Err(BodyError::Root);
        }
        let id = root.child("btid").ok_or(BodyError::Id(TokenIdError::Shape))?;
        let id = TokenId::parse(id.text.trim()).map_err(BodyError::Id)?;
        let expires = root.child("lifetime").and_then(|e| UnixTime::from_xs_date_time(e.text.trim()));
        let ours = |element: &&Element| {
            element.name == "association" && element.attribute("xmlns") == Some(OBF_NAMESPACE)
        };
        let association = root
            .child("Extension")
            .and_then(|extension| extension.children.iter().find(ours))
            .map(|element| Association::read(element).ok_or(BodyError::Association))
            .transpose()?;
        Ok(Self { id, expires: expires.ok_or(BodyError::Lifetime)?, association })
    }
}

impl Association {
    fn write(&self, out: &mut String) {
        out.push_str(&format!(
            "<Extension><association xmlns=\"{OBF_NAMESPACE}\" schema=\"{}\" mode=\"{}\" \
             technology=\"{}\" counter=\"{}\" identity=\"",
            self.schema.name(),
            self.mode as u8,
            self.technology as u8,
            self.counter,
        ));
        xml::escape(&self.identity.to_string(), out);
        out.push('"');
        if let Some(offer) = &self.offer {
            out.push_str(" offer=\"");
            xml::escape(offer, out);
            out.push('"');
        }
        out.push_str("/></Extension>\n");
    }

    fn read(element: &Element) -> Option<Self> {
        Some(Self {
            schema: KeySchema::from_name(element.attribute("schema")?)?,
            // A server that says neither knows AKA of a 3GPP network only.
            mode: number(element, "mode")?.map_or(Some(Mode::Aka), Mode::from_number)?,
            technology: number(element, "technology")?
                .map_or(Some(Technology::ThreeGpp), Technology::from_number)?,
            counter: element.attribute("counter")?.parse().ok()?,
            identity: element.attribute("identity")?.parse().ok()?,
            offer: element.attribute("offer").map(String::from),
        })
    }
}

/// An attribute that is a number of one octet: `None` if it is something else, `Some(None)` if it is not there.
fn number(element: &Element, name: &str) -> Option<Option<u8>> {
    match element.attribute(name) {
        None => Some(None),
        Some(text) => text.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use obf_types::{Domain, IdentityKind};

    fn info() -> BootstrappingInfo {
        BootstrappingInfo {
            id: TokenId::new([0x23; 16], Domain::new("rs1.as.example").unwrap()),
            expires: UnixTime(1_767_323_045),
            association: Some(Association {
                schema: KeySchema::Obf1,
                mode: Mode::Aka,
                technology: Technology::Standalone,
                counter: 42,
                identity: GlobalIdentity::new(IdentityKind::Impi, "a&<b>@c.example").unwrap(),
                offer: Some("obf-1, gba-me".into()),
            }),
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for association in [info().association, None] {
            let info = BootstrappingInfo { association, ..info() };
            assert_eq!(BootstrappingInfo::parse(info.to_xml().as_bytes()), Ok(info));
        }
    }

    #[test]
    fn ts_24_109_annex_c_as_other_servers_write_it() {
        let document = br#"<?xml version="1.0" encoding="UTF-8"?>
            <gba:BootstrappingInfo xmlns:gba="uri:3gpp-gba" later="1"><!-- x -->
              <gba:btid> IyMjIyMjIyMjIyMjIyMjIw==@bsf.home1.net </gba:btid>
              <gba:lifetime>2026-01-02T03:04:05Z</gba:lifetime>
              <gba:Extension><currenttime>2026-01-01T00:00:00Z</currenttime></gba:Extension>
              <new/>
            </gba:BootstrappingInfo>"#;
        let info = BootstrappingInfo::parse(document).unwrap();
        assert_eq!(info.expires, UnixTime(1_767_323_045));
        assert_eq!(info.association, None);
    }

    #[test]
    fn an_association_that_says_no_mode_and_technology_is_of_aka_and_3gpp() {
        let silent = info().to_xml().replace(" mode=\"1\" technology=\"3\"", "");
        let association = BootstrappingInfo::parse(silent.as_bytes()).unwrap().association.unwrap();
        assert_eq!((association.mode, association.technology), (Mode::Aka, Technology::ThreeGpp));
    }

    #[test]
    fn wrong_parts_of_a_body_are_named() {
        let good = info().to_xml();
        for (from, to, error) in [
            ("BootstrappingInfo", "Other", BodyError::Root),
            ("<lifetime>2", "<lifetime>x", BodyError::Lifetime),
            ("obf-1\"", "obf-9\"", BodyError::Association),
            ("mode=\"1\"", "mode=\"9\"", BodyError::Association),
            ("mode=\"1\"", "mode=\"aka\"", BodyError::Association),
            ("technology=\"3\"", "technology=\"0\"", BodyError::Association),
            ("technology=\"3\"", "technology=\"\"", BodyError::Association),
            ("counter=\"42\"", "counter=\"-1\"", BodyError::Association),
            ("identity=\"impi", "identity=\"imsi", BodyError::Association),
            ("<btid>I", "<btid>", BodyError::Id(TokenIdError::Rand)),
        ] {
            assert_eq!(BootstrappingInfo::parse(good.replace(from, to).as_bytes()), Err(error), "{from}");
        }
        assert!(matches!(BootstrappingInfo::parse(b"<BootstrappingInfo"), Err(BodyError::Xml(_))));
    }
}
