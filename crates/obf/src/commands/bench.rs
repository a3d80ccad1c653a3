//! `obf bench …`: see the crate `obf-bench`.

use crate::{
    cli::Context,
    failure::{Failure, Outcome},
};
use obf_bench::{Bench, report::Verdict};

/// Measures, says it, and with `--check` judges it.
pub async fn run(bench: Bench, context: &Context) -> Outcome {
    let check = bench.check;
    let verdict = obf_bench::run(&bench, |comparison| {
        context.out.say(&comparison.to_json(), || comparison.to_string());
    })
    .await
    .map_err(|error| Failure::other("bench", format_args!("{error:#}")))?;
    match verdict {
        Verdict::Missed if check => Err(Failure::other("bench-missed", "a limit was missed")),
        _ => Ok(()),
    }
}
