//! Writing.

use super::{END, LAST, MAC, MAC_KEY_LEN, MAGIC, ROW, VERSION, wrapping};
use crate::{
    Draw,
    record::{Hex, KeyRecord},
    transport::{MacAlgorithm, MacKey, TransportKey},
};
use obf_types::{IdentityKind, SecretBytes};
use std::{
    fmt::Write as _,
    io::{self, Write},
};

const HEADING: &str = "imsi,impi,iccid,eid,deveui,imei,algorithm,technology,k,opc,amf,sqn,mac";
const KINDS: [IdentityKind; 6] = [
    IdentityKind::Imsi,
    IdentityKind::Impi,
    IdentityKind::Iccid,
    IdentityKind::Eid,
    IdentityKind::DevEui,
    IdentityKind::Imei,
];

/// Writes records as lines.
pub struct CsvWriter<W> {
    output: W,
    key: TransportKey,
    mac: MacKey,
    written: u64,
    line: String,
}

impl<W: Write> CsvWriter<W> {
    /// Writes what stands before the first record.
    ///
    /// # Errors
    /// The output's, or of `draw`.
    pub fn open(mut output: W, key: TransportKey, draw: &mut Draw<'_>) -> io::Result<Self> {
        let mut mac_key = vec![0; MAC_KEY_LEN];
        draw(&mut mac_key)?;
        let mac = MacKey::new(MacAlgorithm::HmacSha256, SecretBytes::new(mac_key));
        let wrapped = key.encrypt(key.key_wrap(), mac.key(), draw)?;
        let name: String = key.name().chars().filter(|c| !c.is_control() && *c != ',').collect();
        let algorithm = wrapping(key.key_wrap().key_len());
        writeln!(output, "{MAGIC},{VERSION},{name},{algorithm},{MAC},{}", Hex(&wrapped))?;
        writeln!(output, "{HEADING}")?;
        Ok(Self { output, key, mac, written: 0, line: String::new() })
    }

    /// Writes one record.
    ///
    /// # Errors
    /// The output's; or a value has a comma, which this format cannot carry.
    pub fn write(&mut self, record: &KeyRecord) -> io::Result<()> {
        let line = &mut self.line;
        line.clear();
        for kind in KINDS {
            let value = record.identity(kind).map_or("", |identity| identity.value());
            if value.contains(',') {
                return Err(io::Error::other(format!("{}: a comma cannot be written as CSV", kind.name())));
            }
            line.push_str(value);
            line.push(',');
        }
        let (algorithm, technology) = (record.algorithm.name(), record.technology.name());
        let wrap =
            |secret: &SecretBytes| self.key.encrypt(self.key.key_wrap(), secret.expose(), &mut |_| Ok(()));
        let (k, c) = (wrap(&record.k)?, wrap(&record.c)?);
        let amf = record.amf.as_ref().map_or(&[][..], |amf| amf);
        let sqn = record.sqn.as_ref().map_or(&[][..], |sqn| sqn);
        let secrets = (Hex(&k), Hex(&c));
        write!(line, "{algorithm},{technology},{},{},{},{}", secrets.0, secrets.1, Hex(amf), Hex(sqn))
            .map_err(io::Error::other)?;
        let mac = self.mac.mac(&[ROW, HEADING.as_bytes(), b"\n", line.as_bytes()]);
        writeln!(self.output, "{line},{}", Hex(&mac))?;
        self.written += 1;
        Ok(())
    }

    /// Writes the last line and hands back the output.
    ///
    /// # Errors
    /// The output's.
    pub fn finish(mut self) -> io::Result<W> {
        let count = self.written.to_string();
        let mac = self.mac.mac(&[LAST, count.as_bytes()]);
        writeln!(self.output, "{END},{count},{}", Hex(&mac))?;
        self.output.flush()?;
        Ok(self.output)
    }
}
