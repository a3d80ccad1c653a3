//! `obf device import`: a file of any size in bounded memory, its report while it goes, where to go on if it broke off.

use super::kms::Transport;
use crate::{
    admin::{Admin, Node, Report},
    cli::Context,
    failure::{Failure, Outcome},
};
use clap::Args;
use hyper::body::Bytes;
use indicatif::{ProgressBar, ProgressStyle};
use obf_admin::resource::devices::{CSV, ImportedLine, JSON_LINES, PSKC};
use serde_json::json;
use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

const EXAMPLES: &str = r#"One JSON object a line:
  {"imsi":"001010000000001","iccid":"8988211000000000018","algorithm":"milenage",
   "k":"465b5ce8b199b49faa5f0a2ee238a6bc","opc":"cd63cb71954a9f4e48a5994e37a02baf"}
  "op" instead of "opc"; "algorithm":"tuak" with "topc"; "amf" and "sqn" are optional.

  obf device import sims.jsonl
  vendor-tool | obf device import -
  obf device import maker.xml --transport-key maker.key

What broke off can be sent again whole, the same again changes nothing; or from the line that the error names."#;

/// Octets of a piece that is sent.
const PIECE: usize = 64 * 1024;
/// Pieces that may wait for a slow server.
const WAITING: usize = 16;

/// Which file, and from where on.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Import {
    /// The file, or - for standard input.
    file: PathBuf,
    /// Go on at this line: those before it are in.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    from_line: u64,
    /// jsonl, csv or pskc; by the file's ending if absent, otherwise jsonl.
    #[arg(long, value_parser = ["jsonl", "csv", "pskc"])]
    format: Option<String>,
    /// The transport key of a key file.
    #[command(flatten)]
    transport: Transport,
}

impl Import {
    /// Does it.
    pub async fn run(self, context: &Context) -> Outcome {
        let kind = self.media_type();
        let key = self.transport.read()?.map(|(name, key)| Zeroizing::new(format!("{name}:{}", *key)));
        if kind != JSON_LINES && (key.is_none() || self.from_line > 1) {
            let text = "a key file needs --transport-key FILE, and is always sent whole";
            return Err(Failure::usage(text));
        }
        let (mut input, length) = open(&self.file)?;
        let skipped =
            skip(&mut input, self.from_line - 1).map_err(|error| Failure::file(&self.file, &error))?;
        let empty = input.fill_buf().map_err(|error| Failure::file(&self.file, &error))?.is_empty();
        let admin = Admin::of(&context.configuration()?, Node::Resource)?;
        let mut progress =
            ImportProgress { context, first: self.from_line, ..ImportProgress::new(context, length) };
        if !empty {
            progress.bar.set_position(skipped);
            let (sender, pieces) = mpsc::channel(WAITING);
            let bar = progress.bar.clone();
            // A read of standard input cannot be cancelled; the process does not wait for it.
            let reader = thread::spawn(move || send(input, &sender, &bar));
            let ended = match admin
                .stream("/v1/devices:import", kind, key.as_deref().map(String::as_str), pieces)
                .await
            {
                Ok(mut report) => progress.follow(&mut report).await,
                Err(failure) => Err(failure),
            };
            progress.bar.finish_and_clear();
            let last = progress.last;
            ended.map_err(|failure| self.go_on(failure, last))?;
            if let Ok(Err(error)) = reader.join() {
                return Err(self.go_on(Failure::file(&self.file, &error), last));
            }
        }
        progress.end()
    }

    fn media_type(&self) -> &'static str {
        let ending = self.file.extension().and_then(|ending| ending.to_str());
        match self.format.as_deref().or(ending) {
            Some("csv") => CSV,
            Some("pskc" | "xml") => PSKC,
            _ => JSON_LINES,
        }
    }

    /// Where to go on after `last`, the last line that the server has reported.
    fn go_on(&self, failure: Failure, last: Option<u64>) -> Failure {
        match last {
            Some(last) if self.media_type() == JSON_LINES => {
                failure.next(format!("obf device import {} --from-line {}", self.file.display(), last + 1))
            }
            _ => failure,
        }
    }
}

type Input = BufReader<Box<dyn Read + Send>>;

/// The file and its length, if it has one.
fn open(file: &Path) -> Result<(Input, Option<u64>), Failure> {
    if file == Path::new("-") {
        return Ok((BufReader::with_capacity(PIECE, Box::new(io::stdin())), None));
    }
    let failed = |error| Failure::file(file, &error);
    let opened = std::fs::File::open(file).map_err(failed)?;
    let length = opened.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len());
    Ok((BufReader::with_capacity(PIECE, Box::new(opened)), length))
}

/// Passes over so many lines; their octets.
fn skip(input: &mut Input, lines: u64) -> io::Result<u64> {
    let mut octets = 0;
    for _ in 0..lines {
        let mut line = Zeroizing::new(Vec::new());
        octets += input.read_until(b'\n', &mut line)? as u64;
    }
    Ok(octets)
}

fn send(mut input: Input, pieces: &mpsc::Sender<Bytes>, bar: &ProgressBar) -> io::Result<()> {
    loop {
        let piece = input.fill_buf()?;
        let length = piece.len();
        if length == 0 || pieces.blocking_send(Bytes::copy_from_slice(piece)).is_err() {
            return Ok(());
        }
        input.consume(length);
        bar.inc(length as u64);
    }
}

/// What has become of the lines so far, as the user is shown it.
struct ImportProgress<'a> {
    context: &'a Context,
    bar: ProgressBar,
    first: u64,
    good: u64,
    bad: u64,
    last: Option<u64>,
}

impl<'a> ImportProgress<'a> {
    fn new(context: &'a Context, length: Option<u64>) -> Self {
        let bar = if context.out.json || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            length.map_or_else(ProgressBar::new_spinner, ProgressBar::new)
        };
        let template = match length {
            Some(_) => "{bar:40} {percent}% {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}",
            None => "{spinner} {bytes} {bytes_per_sec} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { context, bar, first: 1, good: 0, bad: 0, last: None }
    }

    /// Shows the report, line by line as it comes.
    async fn follow(&mut self, report: &mut Report<'_>) -> Outcome {
        while let Some(mut line) = report.next_as::<ImportedLine>().await? {
            line.line += self.first - 1;
            self.last = Some(line.line);
            match &line.error {
                Some(_) => self.bad += 1,
                None => self.good += 1,
            }
            if self.context.out.json || line.error.is_some() {
                let text = || format!("line {}: {}", line.line, line.error.as_deref().unwrap_or_default());
                self.bar.suspend(|| self.context.out.say(&json!(line), text));
            }
            if (self.good + self.bad).is_multiple_of(1000) {
                self.bar.set_message(format!("{} imported, {} refused", self.good, self.bad));
            }
        }
        Ok(())
    }

    fn end(self) -> Outcome {
        let Self { good, bad, .. } = self;
        self.context.out.remark(|| format!("{good} imported, {bad} refused"));
        if bad == 0 {
            return Ok(());
        }
        let text = format!("{bad} of {} lines were refused; the others went in", good + bad);
        Err(Failure::bad_data("import-lines", text))
    }
}
