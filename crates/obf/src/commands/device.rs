//! `obf device …`: devices and their keys, at the Resource Server's admin API.

use crate::{
    admin::{Admin, Node, encoded},
    cli::Context,
    failure::{Failure, Outcome},
    files, output,
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
};

const IMPORT_EXAMPLES: &str = r#"One JSON object a line:
  {"imsi":"001010000000001","iccid":"8988211000000000018","algorithm":"milenage",
   "k":"465b5ce8b199b49faa5f0a2ee238a6bc","opc":"cd63cb71954a9f4e48a5994e37a02baf"}
  "op" instead of "opc"; "algorithm":"tuak" with "topc"; "amf" and "sqn" are optional.

  obf device import sims.jsonl
  vendor-tool | obf device import -"#;

const LINES_A_REQUEST: usize = 10_000;

/// Devices and their keys.
#[derive(Subcommand)]
pub enum Device {
    /// Take in many devices, one JSON object a line; bad lines are named, good ones go in.
    #[command(after_help = IMPORT_EXAMPLES)]
    Import {
        /// The file, or - for standard input.
        file: PathBuf,
    },
    /// Take in one device; its keys come from a file or standard input, never from the command line.
    #[command(after_help = "Example:\n  obf device add sim.json")]
    Add {
        /// A file with one JSON object as for import, or - for standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// All devices.
    List,
    /// One device; never its keys.
    Show(Id),
    /// End its tokens and let it bootstrap no more, until resumed.
    Suspend(Id),
    /// Let it bootstrap again.
    Resume(Id),
    /// Forget it and its keys.
    Remove(Id),
    /// End every token of it, everywhere, at once; it may bootstrap again.
    Revoke(Id),
}

/// Which device.
#[derive(Args)]
pub struct Id {
    /// Its primary identity: IMSI, IMPI, ICCID, EID or DevEUI.
    device: String,
}

impl Device {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        let input = match &self {
            Self::Import { file } | Self::Add { file } => Some(read_input(file)?),
            _ => None,
        };
        let admin = Admin::of(&context.configuration()?, Node::Resource)?;
        match self {
            Self::Import { .. } => import(context, &admin, input.unwrap_or_default()).await,
            Self::Add { file } => {
                let record: Value = serde_json::from_slice(&input.unwrap_or_default()).map_err(|error| {
                    Failure::bad_data("bad-record", format_args!("{}: {error}", file.display()))
                })?;
                let added = admin.post("/v1/devices", &record).await?;
                context.out.say(&added, || output::record(&added));
                Ok(())
            }
            Self::List => {
                let rows = super::pages(&admin, "/v1/devices", "devices").await?;
                context.out.table(&rows, &["device", "algorithm", "state", "epoch"]);
                Ok(())
            }
            Self::Show(id) => {
                let device = admin.get(&path(&id.device, "")).await?;
                context.out.say(&device, || output::record(&device));
                Ok(())
            }
            Self::Suspend(id) => act(context, &admin, &id, ":suspend", "suspended").await,
            Self::Resume(id) => act(context, &admin, &id, ":resume", "resumed").await,
            Self::Revoke(id) => act(context, &admin, &id, ":revoke", "revoked").await,
            Self::Remove(id) => {
                admin.delete(&path(&id.device, "")).await?;
                super::done(context, "device", &id.device, "removed");
                Ok(())
            }
        }
    }
}

async fn act(context: &Context, admin: &Admin, id: &Id, verb: &str, done: &str) -> Outcome {
    admin.post(&path(&id.device, verb), &json!({})).await?;
    super::done(context, "device", &id.device, done);
    Ok(())
}

async fn import(context: &Context, admin: &Admin, lines: Vec<u8>) -> Outcome {
    let mut report = Vec::new();
    for (batch, first_line) in batches(&lines) {
        let mut answer = admin.post_lines("/v1/devices:import", batch).await?;
        for line in &mut answer {
            let in_batch = line.get("line").and_then(Value::as_u64).unwrap_or(1);
            if let Some(number) = line.get_mut("line") {
                *number = json!(first_line + in_batch - 1);
            }
        }
        report.append(&mut answer);
    }
    let bad: Vec<&Value> =
        report.iter().filter(|line| line.get("error").is_some_and(|e| !e.is_null())).collect();
    for line in &report {
        let failed = line.get("error").is_some_and(|error| !error.is_null());
        if context.out.json || failed {
            context.out.say(line, || record_line(line));
        }
    }
    context.out.remark(|| format!("{} imported, {} refused", report.len() - bad.len(), bad.len()));
    if bad.is_empty() {
        return Ok(());
    }
    let text = format!("{} of {} lines were refused; the others went in", bad.len(), report.len());
    Err(Failure::bad_data("import-lines", text))
}

/// Lines in requests of bounded size, each with the number of its first line.
fn batches(lines: &[u8]) -> Vec<(Vec<u8>, u64)> {
    let all: Vec<&[u8]> = lines.split_inclusive(|octet| *octet == b'\n').collect();
    let batches = all.chunks(LINES_A_REQUEST).zip((1..).step_by(LINES_A_REQUEST));
    batches.map(|(batch, first_line)| (batch.concat(), first_line)).collect()
}

fn record_line(line: &Value) -> String {
    let field = |name: &str| crate::output::cell(line.get(name));
    format!("line {}: {}", field("line"), field("error"))
}

fn read_input(file: &Path) -> Result<Vec<u8>, Failure> {
    if file != Path::new("-") {
        return files::read(file);
    }
    let mut octets = Vec::new();
    std::io::stdin().read_to_end(&mut octets).map_err(|error| Failure::file(file, &error))?;
    Ok(octets)
}

fn path(device: &str, verb: &str) -> String {
    format!("/v1/devices/{}{verb}", encoded(device))
}
