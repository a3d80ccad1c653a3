//! Writing.

use super::{BOUND, DS, MacInput, OURS, PSKC, XENC, uri};
use crate::{
    Draw,
    record::{Hex, KeyRecord},
    text::base64,
    transport::{Cipher, MacAlgorithm, MacKey, TransportKey},
};
use obf_types::{IdentityKind, SecretBytes};
use quick_xml::escape::escape;
use std::io::{self, Write};
use zeroize::Zeroizing;

const MAC_KEY_LEN: usize = 32;

/// Writes records as KeyPackages.
pub struct PskcWriter<W> {
    output: W,
    key: TransportKey,
    cipher: Cipher,
    mac: MacKey,
}

impl<W: Write> PskcWriter<W> {
    /// Writes what stands before the first record.
    ///
    /// # Errors
    /// The output's, of `draw`, or the cipher takes a key of another length.
    pub fn open(mut output: W, key: TransportKey, cipher: Cipher, draw: &mut Draw<'_>) -> io::Result<Self> {
        let mut mac_key = vec![0; BOUND.len() + MAC_KEY_LEN];
        let (head, random) = mac_key.split_at_mut(BOUND.len());
        head.copy_from_slice(BOUND);
        draw(random)?;
        let mac = MacKey::new(MacAlgorithm::HmacSha256, SecretBytes::new(mac_key));
        let sealed = key.encrypt(cipher, mac.key(), draw)?;
        write!(
            output,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<KeyContainer Version=\"1.0\" xmlns=\"{PSKC}\" \
             xmlns:ds=\"{DS}\" xmlns:xenc=\"{XENC}\" xmlns:obf=\"{OURS}\">\n\
             <EncryptionKey><ds:KeyName>{}</ds:KeyName></EncryptionKey>\n\
             <MACMethod Algorithm=\"{}\"><MACKey>",
            escape(key.name()),
            MacAlgorithm::HmacSha256.uri(),
        )?;
        encrypted(&mut output, cipher, &sealed)?;
        output.write_all(b"</MACKey></MACMethod>\n")?;
        Ok(Self { output, key, cipher, mac })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// The output's, or of `draw`.
    pub fn write(&mut self, record: &KeyRecord, draw: &mut Draw<'_>) -> io::Result<()> {
        let (k, c) = (record.k.expose(), record.c.expose());
        let mut secret = Zeroizing::new(Vec::with_capacity(k.len() + c.len()));
        secret.extend_from_slice(k);
        secret.extend_from_slice(c);
        let sealed = self.key.encrypt(self.cipher, &secret, draw)?;
        let amf = record.amf.map(|amf| Hex(&amf).to_string());
        let sqn = record.sqn.map(|sqn| Hex(&sqn).to_string());
        let id = record.identities.first().map_or_else(String::new, |primary| primary.to_string());

        let mut mac_input = MacInput::new();
        mac_input.add(id.as_bytes());
        mac_input.add(uri(record.algorithm).as_bytes());
        for identity in &record.identities {
            mac_input.add(identity.kind().name().as_bytes());
            mac_input.add(identity.value().as_bytes());
        }
        mac_input.add(amf.as_deref().unwrap_or_default().as_bytes());
        mac_input.add(sqn.as_deref().unwrap_or_default().as_bytes());
        mac_input.add(record.technology.name().as_bytes());
        mac_input.add(&sealed);

        let output = &mut self.output;
        output.write_all(b"<KeyPackage>")?;
        if let Some(iccid) = record.identity(IdentityKind::Iccid) {
            write!(output, "<DeviceInfo><SerialNo>{}</SerialNo></DeviceInfo>", iccid.value())?;
        }
        let algorithm = uri(record.algorithm);
        write!(
            output,
            "<Key Id=\"{}\" Algorithm=\"{algorithm}\"><Data><Secret><EncryptedValue>",
            escape(&*id)
        )?;
        encrypted(output, self.cipher, &sealed)?;
        let value_mac = base64(&self.mac.mac(&[&sealed]));
        write!(output, "</EncryptedValue><ValueMAC>{value_mac}</ValueMAC></Secret></Data><Extensions>")?;
        for identity in &record.identities {
            let value = escape(identity.value());
            write!(output, "<obf:Identity kind=\"{}\">{value}</obf:Identity>", identity.kind().name())?;
        }
        write!(output, "<obf:Technology>{}</obf:Technology>", record.technology.name())?;
        if let Some(amf) = amf {
            write!(output, "<obf:Amf>{amf}</obf:Amf>")?;
        }
        if let Some(sqn) = sqn {
            write!(output, "<obf:Sqn>{sqn}</obf:Sqn>")?;
        }
        let record_mac = base64(&self.mac.mac(&[&mac_input.0]));
        writeln!(output, "<obf:RecordMAC>{record_mac}</obf:RecordMAC></Extensions></Key></KeyPackage>")
    }

    /// Writes the end and hands back the output.
    ///
    /// # Errors
    /// The output's.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.write_all(b"</KeyContainer>\n")?;
        self.output.flush()?;
        Ok(self.output)
    }
}

fn encrypted(output: &mut impl Write, cipher: Cipher, sealed: &[u8]) -> io::Result<()> {
    write!(
        output,
        "<xenc:EncryptionMethod Algorithm=\"{}\"/><xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue>\
         </xenc:CipherData>",
        cipher.uri(),
        base64(sealed)
    )
}
