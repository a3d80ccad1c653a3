//! `obf kms rotate` and `obf kms create`: the commands on keys that take their time or write files.

use crate::{
    admin::{Admin, Node, Report},
    cli::Context,
    failure::{Failure, Outcome},
    files::{self, NewFile},
    output,
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use obf_files::SecretFile;
use obf_types::hex;
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroizing;

/// How often a rotation is asked what it is at.
const ASKING: Duration = Duration::from_millis(200);

/// Key management.
#[derive(Subcommand)]
pub enum Kms {
    /// Put the data keys under the configured key-encryption key, and with --full every subscriber key under a new one.
    #[command(
        after_help = "Example:\n  obf kms rotate --full\n\nThe server works on if this command is stopped."
    )]
    Rotate {
        /// Every subscriber key too.
        #[arg(long)]
        full: bool,
    },
    /// Make keys for a range of secure elements, register them, and write their key file.
    #[command(
        after_help = "Example:\n  obf kms create --imsi 001010000500000 --count 1000 --format pskc --transport-key maker.key --out maker.xml"
    )]
    Create(Create),
}

/// Which, and where to.
#[derive(Args)]
pub struct Create {
    /// The first IMSI.
    #[arg(long)]
    imsi: String,
    /// The first ICCID, without its check digit.
    #[arg(long)]
    iccid: Option<String>,
    /// How many.
    #[arg(long)]
    count: u64,
    /// milenage or tuak.
    #[arg(long, default_value = "milenage")]
    algorithm: String,
    /// 3gpp, or standalone for keys that are of no network but yours. The file says it to those who register from it.
    #[arg(long, default_value = "3gpp")]
    technology: String,
    /// csv or pskc.
    #[arg(long, default_value = "pskc")]
    format: String,
    /// The file, which must not be there yet.
    #[arg(long)]
    out: PathBuf,
    /// The key that the file's secrets are encrypted under.
    #[command(flatten)]
    transport: Transport,
}

/// A transport key.
#[derive(Args)]
pub struct Transport {
    /// A file with the transport key: 16 or 32 octets, or as many hex digits twice.
    #[arg(long, value_name = "FILE")]
    pub transport_key: Option<PathBuf>,
    /// What both ends call it; the file's name without its ending if absent.
    #[arg(long, value_name = "NAME", requires = "transport_key")]
    pub transport_key_name: Option<String>,
}

impl Transport {
    /// Its name and its hex digits.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key.
    pub fn read(&self) -> Result<Option<(String, Zeroizing<String>)>, Failure> {
        let Some(file) = &self.transport_key else { return Ok(None) };
        let secret = SecretFile::open(file).map_err(files::secret_failure)?;
        // 16 first: 32 hex digits are a key of 16 octets, not the 32 octets of another.
        let hex = match (secret.key::<16>(), secret.key::<32>()) {
            (Ok(key), _) => hex::encode(key.expose()),
            (_, Ok(key)) => hex::encode(key.expose()),
            _ => {
                let text = format_args!("{}: 16 or 32 octets, or as hex digits", file.display());
                return Err(Failure::bad_data("bad-transport-key", text));
            }
        };
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = self.transport_key_name.clone().or(stem).unwrap_or_default();
        Ok(Some((name, Zeroizing::new(hex))))
    }
}

impl Kms {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Rotate { full } => rotate(context, full).await,
            Self::Create(create) => create.run(context).await,
        }
    }
}

async fn rotate(context: &Context, full: bool) -> Outcome {
    let admin = Admin::of(&context.configuration()?, Node::Resource)?;
    let mut rotation = admin.post("/v1/kms:rotate", &json!({ "full": full })).await?;
    let number = |rotation: &Value, name: &str| rotation.get(name).and_then(Value::as_u64).unwrap_or(0);
    let bar =
        bar(context, Some(number(&rotation, "total")), "{bar:40} {pos}/{len} keys {per_sec} {eta} {msg}");
    while rotation.get("running").and_then(Value::as_bool) == Some(true) {
        tokio::time::sleep(ASKING).await;
        rotation = admin.get("/v1/kms/rotation").await?;
        bar.set_position(number(&rotation, "done"));
        let problem = rotation.get("problem").and_then(Value::as_str).unwrap_or_default();
        bar.set_message(problem.to_owned());
    }
    bar.finish_and_clear();
    context.out.say(&rotation, || output::record(&rotation));
    Ok(())
}

impl Create {
    async fn run(self, context: &Context) -> Outcome {
        let Some((name, key)) = self.transport.read()? else {
            return Err(Failure::usage("--transport-key FILE is needed"));
        };
        let admin = Admin::of(&context.configuration()?, Node::Resource)?;
        let body = json!({
            "imsi": self.imsi, "iccid": self.iccid, "count": self.count, "algorithm": self.algorithm,
            "technology": self.technology, "format": self.format, "transport_key_name": name, "transport_key": *key,
        });
        // Half a key file is none, and what was registered has its keys nowhere else.
        let written = write_file(context, &self.out, admin.download("/v1/kms:create", &body)).await;
        written.map_err(|failure| {
            failure.next(
                "remove what was registered (obf device list, obf device remove), then make the keys anew",
            )
        })?;
        super::done(context, "key-file", &self.out.display().to_string(), "written");
        Ok(())
    }
}

/// Writes an answer into a new file, all of it or no file at all.
pub(super) async fn write_file<'a>(
    context: &Context,
    path: &Path,
    answer: impl Future<Output = Result<Report<'a>, Failure>>,
) -> Outcome {
    let mut file = NewFile::begin(path)?;
    let mut answer = answer.await?;
    let bar = bar(context, None, "{spinner} {bytes} {bytes_per_sec}");
    while let Some(piece) = answer.piece().await? {
        file.write(&piece)?;
        bar.inc(piece.len() as u64);
    }
    bar.finish_and_clear();
    file.finish()
}

pub(super) fn bar(context: &Context, length: Option<u64>, template: &str) -> ProgressBar {
    if context.out.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(ASKING);
    bar
}
