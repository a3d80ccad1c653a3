//! The one place that draws at random.

/// Octets from the operating system.
///
/// # Panics
/// If the operating system has no randomness: nothing can be issued safely then.
#[expect(clippy::expect_used, reason = "a system without randomness cannot issue anything")]
pub(crate) fn draw<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    getrandom::fill(&mut octets).expect("the operating system provides randomness");
    octets
}
