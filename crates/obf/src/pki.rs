//! A development certificate authority, and the certificates of a deployment (`obf init`).

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use std::net::{IpAddr, Ipv4Addr};

/// A certificate chain and its private key, both PEM.
#[derive(Clone)]
pub struct Credential {
    /// The certificate.
    pub certificate: String,
    /// PKCS #8; a secret.
    pub key: String,
}

/// A certificate authority that can issue.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    credential: Credential,
}

impl Authority {
    /// A new authority with a P-256 key, for development and small deployments.
    ///
    /// # Errors
    /// The key could not be drawn.
    pub fn generate(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.distinguished_name = common_name(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        let key_pem = key.serialize_pem();
        Ok(Self { issuer: Issuer::new(params, key), credential: Credential { certificate, key: key_pem } })
    }

    /// Its own certificate and key.
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// A certificate for these names as a server and as a client; with `loopback` for 127.0.0.1 too.
    ///
    /// # Errors
    /// A name is no DNS name, or the key could not be drawn.
    pub fn issue(&self, names: &[String], loopback: bool) -> Result<Credential> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        if let Some(first) = names.first() {
            params.distinguished_name = common_name(first);
        }
        if loopback {
            params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Credential { certificate, key: key.serialize_pem() })
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_chains_to_its_authority() {
        let authority = Authority::generate("OBF development CA").unwrap();
        let leaf = authority.issue(&["track.example".to_owned()], true).unwrap();
        assert!(leaf.certificate.contains("BEGIN CERTIFICATE") && leaf.key.contains("PRIVATE KEY"));
        assert_ne!(authority.credential().certificate, leaf.certificate);
    }
}
