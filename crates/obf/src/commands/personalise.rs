//! `obf client personalise`: a software secure element made from a key file, as a SIM's maker makes a SIM (SPEC C1).

use super::kms::Transport;
use crate::{
    cli::Context,
    failure::{Failure, Outcome},
};
use clap::Args;
use obf_client::SoftwareSe;
use obf_keyfile::{Format, KeyRecord, Reader, TransportKey};
use std::{fs::File, io::BufReader, path::PathBuf};

/// Make a software secure element from a record of a key file.
#[derive(Args)]
#[command(after_help = "Example:\n  \
    obf kms create --imsi 001010000500000 --count 10 --format pskc --transport-key maker.key --out maker.pskc\n  \
    obf client personalise maker.pskc --transport-key maker.key --identity 001010000500003 --se sim.json")]
pub struct Personalise {
    /// The key file: PSKC, or CSV if its name ends so.
    key_file: PathBuf,
    /// Whose record: any of its identities.
    #[arg(long, value_name = "IDENTITY")]
    identity: String,
    /// The secure element's file, which must not be there yet.
    #[arg(long, value_name = "FILE")]
    se: PathBuf,
    /// The key that the file's secrets are encrypted under.
    #[command(flatten)]
    transport: Transport,
}

impl Personalise {
    /// Does it.
    pub fn run(self, context: &Context) -> Outcome {
        let Some((name, hex)) = self.transport.read()? else {
            return Err(Failure::usage("--transport-key FILE is needed"));
        };
        let key = TransportKey::from_octets(&name, hex.as_bytes())
            .ok_or_else(|| Failure::bad_data("bad-transport-key", "16 or 32 octets are needed"))?;
        let csv = self.key_file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        let format = if csv { Format::Csv } else { Format::Pskc };
        let file = File::open(&self.key_file).map_err(|error| Failure::file(&self.key_file, &error))?;
        let bad = |error: &dyn std::fmt::Display| {
            Failure::bad_data("bad-key-file", format_args!("{}: {error}", self.key_file.display()))
        };
        let reader = Reader::open(format, BufReader::new(file), key).map_err(|fault| bad(&fault))?;
        let is_it = |record: &KeyRecord| record.identities.iter().any(|known| known.value() == self.identity);
        for entry in reader {
            let record = entry.map_err(|fault| bad(&fault))?.record;
            if is_it(&record) {
                let made = SoftwareSe::personalise(&self.se, record.to_json().as_bytes());
                made.map_err(|error| Failure::bad_data("bad-secure-element", error))?;
                super::done(context, "secure-element", &self.se.display().to_string(), "personalised");
                return Ok(());
            }
        }
        Err(bad(&format_args!("it has no record of {}", self.identity)))
    }
}
