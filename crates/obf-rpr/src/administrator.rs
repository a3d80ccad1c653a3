//! Who administers: an Authentication Server asks its Resource Server, which knows the administrators of both.

use obf_radius::{
    AnswerError, AttributeWriter, Code, Malformed, ObfAttribute, Packet, PutError, Reply, Request, Vendor,
    dictionary::{Operation, USER_NAME},
};

/// The most names of one certificate.
pub const MAX_NAMES: usize = 16;

/// What somebody showed who wants to administer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdministratorCredential {
    /// The SHA-256 of a bearer token: of at least 128 random bits, so that the hash tells nobody the token.
    TokenSha256([u8; 32]),
    /// The dNSNames of a client certificate that was verified; 1 to [`MAX_NAMES`].
    Certificate(Vec<String>),
}

/// Which administrator has that credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdministratorRequest {
    /// What was shown.
    pub credential: AdministratorCredential,
}

/// An administrator in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdministratorAnswer {
    /// Its name, for the audit.
    pub name: String,
    /// Its role, as the Resource Server's admin API names it.
    pub role: String,
}

impl AdministratorRequest {
    pub(crate) fn encode(&self, vendor: Vendor, to: &mut AttributeWriter<'_>) -> Result<(), PutError> {
        to.put_integer(vendor.attribute(ObfAttribute::Operation), Operation::Administrator as u32)?;
        match &self.credential {
            AdministratorCredential::TokenSha256(hash) => {
                to.put(vendor.attribute(ObfAttribute::TokenSha256), hash)
            }
            AdministratorCredential::Certificate(names) => names
                .iter()
                .take(MAX_NAMES)
                .try_for_each(|name| to.put(vendor.attribute(ObfAttribute::CertName), name.as_bytes())),
        }
    }

    pub(crate) fn decode(packet: Packet<'_>, vendor: Vendor) -> Result<Self, Malformed> {
        let token = packet.only(vendor.attribute(ObfAttribute::TokenSha256))?;
        let names: Vec<_> = packet.all(vendor.attribute(ObfAttribute::CertName)).collect();
        let credential = match (token, names.as_slice()) {
            (Some(hash), []) => AdministratorCredential::TokenSha256(
                hash.try_into().map_err(|_| Malformed("OBF-Token-SHA-256"))?,
            ),
            (None, names) if (1..=MAX_NAMES).contains(&names.len()) => {
                let name = |name: &&[u8]| text(name).ok_or(Malformed("OBF-Cert-Name"));
                AdministratorCredential::Certificate(names.iter().map(name).collect::<Result<_, _>>()?)
            }
            (None, _) => return Err(Malformed("OBF-Cert-Name")),
            (Some(_), _) => return Err(Malformed("OBF-Token-SHA-256")),
        };
        Ok(Self { credential })
    }
}

impl AdministratorAnswer {
    /// Writes the Access-Accept into `out`, which is emptied.
    ///
    /// # Errors
    /// [`PutError`]: the name or the role is longer than an attribute.
    pub fn encode(&self, request: &Request, vendor: Vendor, out: &mut Vec<u8>) -> Result<(), PutError> {
        let mut reply = request.reply(Code::AccessAccept, out);
        let to = reply.attributes();
        to.put(USER_NAME, self.name.as_bytes())?;
        to.put(vendor.attribute(ObfAttribute::Role), self.role.as_bytes())?;
        reply.finish();
        Ok(())
    }

    /// Reads the answer to an [`AdministratorRequest`].
    ///
    /// # Errors
    /// As [`crate::VectorAnswer::decode`].
    pub fn decode(reply: &Reply, vendor: Vendor) -> Result<Self, AnswerError> {
        reply.accepted(vendor)?;
        let packet = reply.packet();
        let name = packet.only(USER_NAME).map_err(Malformed::from)?.and_then(text);
        let role = packet.only(vendor.attribute(ObfAttribute::Role)).map_err(Malformed::from)?.and_then(text);
        Ok(Self {
            name: name.filter(|name| !name.is_empty()).ok_or(Malformed("User-Name"))?,
            role: role.ok_or(Malformed("OBF-Role"))?,
        })
    }
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}
