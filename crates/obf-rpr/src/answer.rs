//! What a Resource Server answers.

use crate::{Rights, request::octet};
use obf_aka::{AkaVector, SecretOutput};
use obf_radius::{
    AnswerError, AttributeWriter, Code, Malformed, ObfAttribute, Packet, PutError, Reply, ReplyBuilder,
    Request, Vendor,
    dictionary::{MS_MPPE_RECV_KEY, MS_MPPE_SEND_KEY},
};
use obf_token::{Algorithm, Mode, Technology};
use obf_types::{AppId, Epoch, GlobalIdentity, MAX_SETTINGS, MncLength, UaClass, UnixTime};

/// What an Authentication Server authenticates a device with, by mode. A mode is added here with the code that serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthenticationData {
    /// A vector; CK and IK have 128 bits.
    Aka(AkaVector),
}

impl AuthenticationData {
    /// The mode that it is for.
    pub const fn mode(&self) -> Mode {
        match self {
            Self::Aka(_) => Mode::Aka,
        }
    }
}

/// Authentication data and all that the Authentication Server must know of the device: one round trip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorAnswer {
    /// What the device authenticates with.
    pub data: AuthenticationData,
    /// The technology that its credential is of (P4 of `obf-1`).
    pub technology: Technology,
    /// The device.
    pub device: DeviceFacts,
    /// What it may do: as many rights as fit.
    pub rights: Rights,
}

/// Rights without a vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightsAnswer {
    /// The device.
    pub device: DeviceFacts,
    /// Those wanted, as many as fit.
    pub rights: Rights,
}

/// What the registry says of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its registered primary identity.
    pub identity: GlobalIdentity,
    /// Its revocation epoch.
    pub epoch: Epoch,
    /// When its custodian's KYC ends; `None` if it does not.
    pub kyc_expiry: Option<UnixTime>,
    /// How many digits the MNC in its IMSI has; `None` if it has no IMSI.
    pub mnc_length: Option<MncLength>,
    /// The weakest digest algorithm that it may use.
    pub minimum_algorithm: Algorithm,
}

/// An application's registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationAnswer {
    /// The application.
    pub app: AppId,
    /// dNSNames of the certificates that may ask for its keys.
    pub cert_names: Vec<String>,
    /// The security protocols it speaks.
    pub ua_classes: Vec<UaClass>,
    /// Security settings of users whose right has none of its own; at most [`MAX_SETTINGS`] octets.
    pub settings: Box<[u8]>,
    /// Whether it is told the device's identity.
    pub discloses_identity: bool,
}

/// Writes the answer to a heartbeat into `out`, which is emptied.
pub fn alive(request: &Request, out: &mut Vec<u8>) {
    request.reply(Code::AccessAccept, out).finish();
}

impl VectorAnswer {
    /// Writes the Access-Accept into `out`, which is emptied. `salts` are two random numbers that differ.
    ///
    /// # Errors
    /// [`PutError`]: a value is too long for its attribute, or the request's Proxy-State leaves no room.
    pub fn encode(
        &self,
        request: &Request,
        vendor: Vendor,
        salts: [[u8; 2]; 2],
        out: &mut Vec<u8>,
    ) -> Result<(), PutError> {
        let mut reply = request.reply(Code::AccessAccept, out);
        let AuthenticationData::Aka(vector) = &self.data;
        put_vector(vector, vendor, distinct(salts), &mut reply)?;
        let to = reply.attributes();
        to.put_integer(vendor.attribute(ObfAttribute::Mode), u32::from(self.data.mode() as u8))?;
        to.put_integer(vendor.attribute(ObfAttribute::Technology), u32::from(self.technology as u8))?;
        self.device.encode(vendor, to)?;
        self.rights.encode(vendor, to)?;
        reply.finish();
        Ok(())
    }

    /// Reads the answer to a [`crate::VectorRequest`].
    ///
    /// # Errors
    /// [`AnswerError::Refused`] with the Resource Server's reason, [`AnswerError::Malformed`] if it is no answer.
    pub fn decode(reply: &Reply, vendor: Vendor) -> Result<Self, AnswerError> {
        reply.accepted(vendor)?;
        let packet = reply.packet();
        // A Resource Server that says neither knows AKA of a 3GPP network only.
        let mode = octet(&packet, vendor, ObfAttribute::Mode, Mode::from_number)?.unwrap_or(Mode::Aka);
        let technology = octet(&packet, vendor, ObfAttribute::Technology, Technology::from_number)?;
        let data = match mode {
            Mode::Aka => AuthenticationData::Aka(vector(reply, &packet, vendor)?),
            Mode::GbaDigest | Mode::Pki | Mode::Join => return Err(Malformed("OBF-Mode").into()),
        };
        Ok(Self {
            data,
            technology: technology.unwrap_or(Technology::ThreeGpp),
            device: DeviceFacts::decode(&packet, vendor)?,
            rights: Rights::decode(&packet, vendor)?,
        })
    }
}

impl RightsAnswer {
    /// Writes the Access-Accept into `out`, which is emptied.
    ///
    /// # Errors
    /// [`PutError`]: a value is too long for its attribute, or the request's Proxy-State leaves no room.
    pub fn encode(&self, request: &Request, vendor: Vendor, out: &mut Vec<u8>) -> Result<(), PutError> {
        let mut reply = request.reply(Code::AccessAccept, out);
        self.device.encode(vendor, reply.attributes())?;
        self.rights.encode(vendor, reply.attributes())?;
        reply.finish();
        Ok(())
    }

    /// Reads the answer to a [`crate::RightsRequest`].
    ///
    /// # Errors
    /// As [`VectorAnswer::decode`].
    pub fn decode(reply: &Reply, vendor: Vendor) -> Result<Self, AnswerError> {
        reply.accepted(vendor)?;
        let packet = reply.packet();
        Ok(Self { device: DeviceFacts::decode(&packet, vendor)?, rights: Rights::decode(&packet, vendor)? })
    }
}

impl ApplicationAnswer {
    /// Writes the Access-Accept into `out`, which is emptied.
    ///
    /// # Errors
    /// [`PutError::Full`]: more names and protocols than 4096 octets hold.
    pub fn encode(&self, request: &Request, vendor: Vendor, out: &mut Vec<u8>) -> Result<(), PutError> {
        let mut reply = request.reply(Code::AccessAccept, out);
        let to = reply.attributes();
        to.put(vendor.attribute(ObfAttribute::Application), self.app.as_str().as_bytes())?;
        to.put_integer(vendor.attribute(ObfAttribute::DisclosesIdentity), self.discloses_identity.into())?;
        for name in &self.cert_names {
            to.put(vendor.attribute(ObfAttribute::CertName), name.as_bytes())?;
        }
        for class in &self.ua_classes {
            to.put_display(vendor.attribute(ObfAttribute::UaClass), class)?;
        }
        to.put_split(vendor.attribute(ObfAttribute::SecuritySettings), &self.settings)?;
        reply.finish();
        Ok(())
    }

    /// Reads the answer to a [`crate::ApplicationRequest`].
    ///
    /// # Errors
    /// As [`VectorAnswer::decode`].
    pub fn decode(reply: &Reply, vendor: Vendor) -> Result<Self, AnswerError> {
        reply.accepted(vendor)?;
        let packet = reply.packet();
        let name = |attribute| vendor.attribute(attribute);
        let app = packet.only(name(ObfAttribute::Application)).map_err(Malformed::from)?;
        let app = app.and_then(text).and_then(|text| AppId::new(text).ok());
        let texts = |attribute: ObfAttribute| {
            packet
                .all(name(attribute))
                .map(move |value| text(value).ok_or(Malformed(attribute.name())))
                .collect::<Result<Vec<_>, _>>()
        };
        let classes = texts(ObfAttribute::UaClass)?.into_iter().map(str::parse).collect::<Result<_, _>>();
        let settings = packet.joined(name(ObfAttribute::SecuritySettings));
        if settings.len() > MAX_SETTINGS {
            return Err(Malformed("OBF-Security-Settings").into());
        }
        Ok(Self {
            app: app.ok_or(Malformed("OBF-Application"))?,
            cert_names: texts(ObfAttribute::CertName)?.into_iter().map(str::to_owned).collect(),
            ua_classes: classes.map_err(|_| Malformed("OBF-Ua-Class"))?,
            settings: settings.into(),
            discloses_identity: packet.integer(name(ObfAttribute::DisclosesIdentity)) == Some(1),
        })
    }
}

impl DeviceFacts {
    fn encode(&self, vendor: Vendor, to: &mut AttributeWriter<'_>) -> Result<(), PutError> {
        let name = |attribute| vendor.attribute(attribute);
        to.put_identity(vendor, &self.identity)?;
        to.put_integer64(name(ObfAttribute::Epoch), self.epoch.0)?;
        if let Some(expiry) = self.kyc_expiry {
            to.put_integer64(name(ObfAttribute::KycExpiry), expiry.0)?;
        }
        if let Some(length) = self.mnc_length {
            to.put_integer(name(ObfAttribute::HomeNetwork), length.digits().into())?;
        }
        to.put_integer(name(ObfAttribute::MinimumAlgorithm), self.minimum_algorithm as u32)
    }

    fn decode(packet: &Packet<'_>, vendor: Vendor) -> Result<Self, Malformed> {
        let name = |attribute| vendor.attribute(attribute);
        let kyc_expiry = match packet.only(name(ObfAttribute::KycExpiry))? {
            None => None,
            Some(value) => {
                let octets = value.try_into().map_err(|_| Malformed("OBF-KYC-Expiry"))?;
                Some(UnixTime(u64::from_be_bytes(octets)))
            }
        };
        let mnc_length = match packet.integer(name(ObfAttribute::HomeNetwork)) {
            None => None,
            Some(digits) => Some(MncLength::from_digits(digits.into()).ok_or(Malformed("OBF-Home-Network"))?),
        };
        let epoch = packet.integer64(name(ObfAttribute::Epoch)).ok_or(Malformed("OBF-Epoch"))?;
        let algorithm = packet.integer(name(ObfAttribute::MinimumAlgorithm));
        let algorithm = algorithm.and_then(|number| Algorithm::from_number(number.try_into().ok()?));
        Ok(Self {
            identity: packet.identity(vendor)?.ok_or(Malformed("OBF-Device-Identity"))?,
            epoch: Epoch(epoch),
            kyc_expiry,
            mnc_length,
            minimum_algorithm: algorithm.ok_or(Malformed("OBF-Minimum-Algorithm"))?,
        })
    }
}

fn put_vector(
    AkaVector { rand, autn, xres, ck, ik }: &AkaVector,
    vendor: Vendor,
    [salt, other_salt]: [[u8; 2]; 2],
    reply: &mut ReplyBuilder<'_>,
) -> Result<(), PutError> {
    let mut keys = [0; 2 * SecretOutput::MAX];
    let (ck, ik) = (ck.expose(), ik.expose());
    let length = ck.len() + ik.len();
    keys.iter_mut().zip(ck.iter().chain(ik)).for_each(|(to, from)| *to = *from);
    let keys = obf_types::Secret::new(keys);
    reply.put_secret(MS_MPPE_RECV_KEY, keys.expose().get(..length).unwrap_or_default(), salt)?;
    reply.put_secret(MS_MPPE_SEND_KEY, xres.expose(), other_salt)?;
    let to = reply.attributes();
    to.put(vendor.attribute(ObfAttribute::Rand), rand)?;
    to.put(vendor.attribute(ObfAttribute::Autn), autn)
}

fn vector(reply: &Reply, packet: &Packet<'_>, vendor: Vendor) -> Result<AkaVector, Malformed> {
    let octets = |attribute: ObfAttribute| {
        let value = packet.only(vendor.attribute(attribute))?;
        value.and_then(|value| <[u8; 16]>::try_from(value).ok()).ok_or(Malformed(attribute.name()))
    };
    for name in [MS_MPPE_RECV_KEY, MS_MPPE_SEND_KEY] {
        packet.only(name)?;
    }
    let keys = reply.secret(MS_MPPE_RECV_KEY);
    let halves = keys.as_ref().and_then(|keys| keys.expose().split_at_checked(16));
    let (ck, ik) = halves.filter(|(_, ik)| ik.len() == 16).ok_or(Malformed("MS-MPPE-Recv-Key"))?;
    let xres = reply.secret(MS_MPPE_SEND_KEY).filter(|xres| (4..=32).contains(&xres.expose().len()));
    let xres = xres.and_then(|xres| SecretOutput::from_slice(xres.expose()));
    Ok(AkaVector {
        rand: octets(ObfAttribute::Rand)?,
        autn: octets(ObfAttribute::Autn)?,
        xres: xres.ok_or(Malformed("MS-MPPE-Send-Key"))?,
        ck: SecretOutput::from_slice(ck).ok_or(Malformed("MS-MPPE-Recv-Key"))?,
        ik: SecretOutput::from_slice(ik).ok_or(Malformed("MS-MPPE-Recv-Key"))?,
    })
}

/// Salts that differ also after their top bits have been set (RFC 2548 2.4.2).
fn distinct([salt, mut other]: [[u8; 2]; 2]) -> [[u8; 2]; 2] {
    if (salt[0] | 0x80, salt[1]) == (other[0] | 0x80, other[1]) {
        other[1] ^= 1;
    }
    [salt, other]
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}
