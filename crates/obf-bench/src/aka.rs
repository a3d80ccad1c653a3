//! AKA vectors in memory: ours and libosmocore's, each in its own process, a new subscriber each time.

use crate::{
    measure::{alternate, output_of, own_thread_seconds, pinned},
    report::{Comparison, Limit},
};
use anyhow::{Context, Result, ensure};
use clap::Args;
use obf_aka::{Algorithm, Amf, Sqn, generate_vector};
use obf_types::Secret;
use serde_json::Value;
use std::{cell::RefCell, env::current_exe, fs, process::Command};

/// The whole baseline program.
const BASELINE: &str = include_str!("../../../benches/baseline/osmocore_aka.c");

/// Arguments.
#[derive(Args, Clone, Debug)]
pub struct Aka {
    /// Vectors a round.
    #[arg(long, default_value_t = 2_000_000)]
    pub count: u64,
}

impl Aka {
    /// Compares vectors a CPU second.
    ///
    /// # Errors
    /// `gcc` or `libosmocore-dev` is missing.
    pub fn compare(&self, rounds: u32) -> Result<Comparison> {
        let dir = tempfile::tempdir()?;
        let (source, program) = (dir.path().join("osmocore_aka.c"), dir.path().join("osmocore_aka"));
        fs::write(&source, BASELINE)?;
        let mut compiler = Command::new("gcc");
        compiler.arg("-O2").arg(&source).arg("-o").arg(&program).args(["-losmogsm", "-losmocore"]);
        output_of(&mut compiler, "gcc libosmocore-dev")?;
        let own = current_exe()?;
        let count = self.count.to_string();
        let sums = RefCell::new(Vec::new());
        let run = |command: &mut Command| {
            let (rate, sum) = rate(command)?;
            sums.borrow_mut().push(sum);
            Ok(rate)
        };
        let rounds = alternate(
            rounds,
            || run(pinned(0, &own).args(["bench", "child", "aka", "--count", &count])),
            || run(pinned(0, &program).arg(&count)),
        )?;
        let sums = sums.into_inner();
        ensure!(
            sums.windows(2).all(|pair| pair.first() == pair.last()),
            "the two computed different vectors"
        );
        Ok(Comparison {
            name: "aka",
            unit: "million vectors a CPU second",
            baseline: "libosmocore osmo_auth_gen_vec".into(),
            rounds,
            limit: Limit::AtLeast(5.0),
            notes: vec![("vectors a round", count)],
        })
    }

    /// The measured loop itself, in its own process: prints one JSON line as the baseline does.
    ///
    /// # Errors
    /// The kernel does not tell CPU time.
    pub fn child(&self) -> Result<()> {
        let start = own_thread_seconds()?;
        let mut sum = 0u64;
        for number in 0..self.count {
            let [k, opc, rand] = [0, 0x5a, 0].map(|fill| numbered(number, fill));
            let algorithm = Algorithm::milenage(&Secret::new(k), &Secret::new(opc));
            let sqn = Sqn::new((number << 5) & 0xFFFF_FFFF_FFFF).context("48 bits")?;
            let vector = generate_vector(&algorithm, &rand, sqn, Amf::clearing_separation_bit([0, 0]));
            sum += u64::from(vector.xres.expose().first().copied().unwrap_or(0));
        }
        let seconds = own_thread_seconds()? - start;
        println!("{{\"vectors\":{},\"cpu_s\":{seconds:.6},\"sum\":{sum}}}", self.count);
        Ok(())
    }
}

/// 16 octets whose first 8 are the number, little-endian, as the baseline makes its keys.
fn numbered(number: u64, fill: u8) -> [u8; 16] {
    let mut octets = [fill; 16];
    octets.iter_mut().zip(number.to_le_bytes()).for_each(|(slot, octet)| *slot = octet);
    octets
}

/// Million vectors a CPU second, and the sum over the XRES that proves that both did the same work.
fn rate(command: &mut Command) -> Result<(f64, f64)> {
    let printed = output_of(command, "util-linux")?;
    let line: Value = serde_json::from_str(printed.lines().next().context("the child's line")?)?;
    let figure = |name: &str| line.get(name).and_then(Value::as_f64).context("the child's line");
    Ok((figure("vectors")? / figure("cpu_s")? / 1e6, figure("sum")?))
}
