//! A ratio, its spread and its limit.

use serde_json::{Value, json};
use std::fmt;

/// What the ratio ours ÷ baseline may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Costs: at most this.
    AtMost(f64),
    /// Rates: at least this.
    AtLeast(f64),
}

impl Limit {
    fn holds(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(limit) => ratio <= limit,
            Self::AtLeast(limit) => ratio >= limit,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit:.2}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit:.2}"),
        }
    }
}

/// Whether every limit of a run held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All of them.
    Held,
    /// At least one was missed.
    Missed,
}

impl Verdict {
    /// Of several comparisons.
    pub fn of(comparisons: &[Comparison]) -> Self {
        if comparisons.iter().all(Comparison::holds) { Self::Held } else { Self::Missed }
    }
}

/// One measurement: a figure of ours and of the baseline for each round.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The measurement's name.
    pub name: &'static str,
    /// What the figures are, for example `CPU µs a bootstrap`.
    pub unit: &'static str,
    /// What ours is compared with.
    pub baseline: String,
    /// (ours, baseline) of each round.
    pub rounds: Vec<(f64, f64)>,
    /// What the median ratio may be.
    pub limit: Limit,
    /// Facts that belong to the figures: counts, fsyncs, versions.
    pub notes: Vec<(&'static str, String)>,
}

impl Comparison {
    /// The median over the rounds of ours ÷ baseline.
    pub fn ratio(&self) -> f64 {
        median(self.ratios())
    }

    /// Whether the median ratio is within the limit; never without a round.
    pub fn holds(&self) -> bool {
        self.limit.holds(self.ratio())
    }

    /// As one JSON object.
    pub fn to_json(&self) -> Value {
        let notes: serde_json::Map<String, Value> =
            self.notes.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let (low, high) = self.spread();
        json!({
            "bench": self.name, "unit": self.unit, "baseline": self.baseline,
            "ours": median(self.rounds.iter().map(|(ours, _)| *ours)),
            "theirs": median(self.rounds.iter().map(|(_, theirs)| *theirs)),
            "ratio": self.ratio(), "lowest": low, "highest": high, "rounds": self.rounds.len(),
            "limit": self.limit.to_string(), "holds": self.holds(), "notes": notes,
        })
    }

    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|(ours, theirs)| ours / theirs)
    }

    fn spread(&self) -> (f64, f64) {
        self.ratios().fold((f64::INFINITY, 0.0), |(low, high), ratio| (low.min(ratio), high.max(ratio)))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.spread();
        let verdict = if self.holds() { "held" } else { "MISSED" };
        writeln!(
            f,
            "{}: ratio {:.3} ({low:.3} to {high:.3} over {} rounds), limit {}: {verdict}",
            self.name,
            self.ratio(),
            self.rounds.len(),
            self.limit
        )?;
        write!(
            f,
            "  {}: ours {:.3}, {} {:.3}",
            self.unit,
            median(self.rounds.iter().map(|(ours, _)| *ours)),
            self.baseline,
            median(self.rounds.iter().map(|(_, theirs)| *theirs))
        )?;
        self.notes.iter().try_for_each(|(name, value)| write!(f, "\n  {name}: {value}"))
    }
}

/// The median; not a number without a value.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => upper,
        n => (upper + sorted.get(n / 2 - 1).copied().unwrap_or(f64::NAN)) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(rounds: Vec<(f64, f64)>, limit: Limit) -> Comparison {
        Comparison { name: "x", unit: "u", baseline: "b".into(), rounds, limit, notes: vec![] }
    }

    #[test]
    fn the_median_ratio_decides() {
        let rounds = vec![(1.0, 1.0), (9.0, 1.0), (3.0, 2.0)];
        assert_eq!(comparison(rounds.clone(), Limit::AtMost(1.5)).ratio(), 1.5);
        assert!(comparison(rounds.clone(), Limit::AtMost(1.5)).holds());
        assert!(!comparison(rounds, Limit::AtLeast(1.6)).holds());
        assert!(!comparison(vec![], Limit::AtMost(1.5)).holds(), "no round, no claim");
        assert_eq!(Verdict::of(&[comparison(vec![], Limit::AtLeast(0.0))]), Verdict::Missed);
    }
}
