//! Steps: each said, timed, and verified; the first that does not hold ends the story.

use crate::{
    failure::{Exit, Failure},
    output::Output,
};
use serde_json::json;
use std::{fmt, time::Instant};

/// Tells the story.
pub struct Story {
    out: Output,
    begun: Instant,
    steps: u32,
}

/// What a step found, or what did not hold.
pub type Verified = Result<Vec<String>, Failure>;

impl Story {
    /// Begins.
    pub fn begin(out: Output) -> Self {
        out.remark(|| {
            "The AIS-140 story, on loopback, with real sockets. Times are this machine's.\n".to_owned()
        });
        Self { out, begun: Instant::now(), steps: 0 }
    }

    /// One step. `name` is stable (scripts and tests read it), `claim` says what is shown; what `verify` returns are
    /// the facts that were checked.
    ///
    /// # Errors
    /// The step did not hold: exit code 1, and its name in the text.
    pub async fn step(
        &mut self,
        name: &str,
        claim: &str,
        verify: impl Future<Output = Verified>,
    ) -> Result<(), Failure> {
        self.steps += 1;
        let begun = Instant::now();
        let outcome = verify.await;
        let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
        let number = self.steps;
        match outcome {
            Ok(facts) => {
                let said = json!({
                    "event": "step", "number": number, "name": name, "claim": claim, "held": true,
                    "ms": milliseconds.round(), "facts": facts,
                });
                self.out.say(&said, || {
                    let facts: String = facts.iter().map(|fact| format!("\n        {fact}")).collect();
                    format!("{number:>2}. ✓ {claim}  [{name}, {milliseconds:.0} ms]{facts}")
                });
                Ok(())
            }
            Err(failure) => {
                let said = json!({
                    "event": "step", "number": number, "name": name, "claim": claim, "held": false,
                    "ms": milliseconds.round(), "why": failure.text,
                });
                self.out.say(&said, || format!("{number:>2}. ✗ {claim}  [{name}, {milliseconds:.0} ms]"));
                let text = format!("step {name} did not hold: {} [{}]", failure.text, failure.code);
                Err(Failure { exit: Exit::Other, code: "demo-step".to_owned(), text, next: failure.next })
            }
        }
    }

    /// Every step held.
    pub fn end(&self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let said = json!({"event": "done", "steps": self.steps, "held": true, "ms": (seconds * 1e3).round()});
        self.out.say(&said, || format!("\nAll {} steps held, in {seconds:.1} s.", self.steps));
    }
}

/// A fact that must hold.
///
/// # Errors
/// It does not.
pub fn ensure(holds: bool, otherwise: impl fmt::Display) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::other("not-so", otherwise)) }
}
