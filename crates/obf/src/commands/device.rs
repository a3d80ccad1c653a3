//! `obf device import` and `obf device add`: the commands on devices that read files. The others are described.

use super::device_import::Import;
use crate::{
    admin::{Admin, Node},
    cli::Context,
    failure::{Failure, Outcome},
    files, output,
};
use clap::Subcommand;
use serde_json::Value;
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Devices and their keys.
#[derive(Subcommand)]
pub enum Device {
    /// Take in many devices, JSON lines or a key file; bad lines are named, good ones go in.
    Import(Import),
    /// Take in one device; its keys come from a file or standard input, never from the command line.
    #[command(after_help = "Example:\n  obf device add sim.json")]
    Add {
        /// A file with one JSON object as for import, or - for standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
}

impl Device {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Import(import) => import.run(context).await,
            Self::Add { file } => {
                let input = read_input(&file)?;
                let admin = Admin::of(&context.configuration()?, Node::Resource)?;
                let record: Value = serde_json::from_slice(&input).map_err(|error| {
                    Failure::bad_data("bad-record", format_args!("{}: {error}", file.display()))
                })?;
                let added = admin.post("/v1/devices", &record).await?;
                context.out.say(&added, || output::record(&added));
                Ok(())
            }
        }
    }
}

fn read_input(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if file != Path::new("-") {
        return files::read(file).map(Zeroizing::new);
    }
    let mut octets = Zeroizing::new(Vec::new());
    std::io::stdin().read_to_end(&mut octets).map_err(|error| Failure::file(file, &error))?;
    Ok(octets)
}
