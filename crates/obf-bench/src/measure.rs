//! CPU time of processes, pinned children, alternating rounds.

use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Clock ticks a second in `/proc`: USER_HZ, 100 on every Linux architecture that matters (proc(5)).
const USER_HZ: f64 = 100.0;

/// User and system time that a process (all its threads, past ones too) has used so far, seconds; resolution 10 ms.
///
/// # Errors
/// There is no such process.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat =
        fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The command name in parentheses may hold anything; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').context("/proc stat line")?;
    let mut ticks = fields.split_ascii_whitespace().skip(11);
    let mut next = || ticks.next().and_then(|field| field.parse::<f64>().ok()).context("/proc stat line");
    Ok((next()? + next()?) / USER_HZ)
}

/// Time this thread has been on a CPU, seconds, to the nanosecond.
///
/// # Errors
/// The kernel has no schedstat.
pub fn own_thread_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").context("schedstat")?;
    let nanoseconds: f64 = stat.split_ascii_whitespace().next().context("schedstat")?.parse()?;
    Ok(nanoseconds / 1e9)
}

/// Resident memory of a process, octets.
///
/// # Errors
/// There is no such process.
pub fn resident_octets(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// A command that runs on one core only (`taskset`, util-linux), so that the load generator keeps the other.
pub fn pinned(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program).stdin(Stdio::null());
    command
}

/// A command that runs on every core, whichever this process keeps to.
///
/// # Errors
/// The kernel does not say which there are.
pub fn on_all_cores(program: &Path) -> Result<Command> {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").context("which cores there are")?;
    let mut command = Command::new("taskset");
    command.args(["-c", online.trim()]).arg(program).stdin(Stdio::null());
    Ok(command)
}

/// Whether somebody else's program is there: a command that cannot find its own says so in words of its own.
///
/// # Errors
/// It is not; the message says what to install.
pub fn installed(program: &str, package: &str) -> Result<()> {
    // Daemons lie where only the administrator's PATH leads.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    if directories.any(|directory| directory.join(program).is_file()) {
        return Ok(());
    }
    bail!("{program} is not installed: apt-get install {package}")
}

/// Keeps this process, the load generator, on one core: the servers have the other to themselves.
///
/// # Errors
/// There is no such core, or no taskset.
pub fn keep_to(core: usize) -> Result<()> {
    let own = std::process::id().to_string();
    output_of(
        Command::new("taskset").args(["--all-tasks", "--cpu-list", "--pid", &core.to_string(), &own]),
        "util-linux",
    )
    .context("a measurement takes two cores, one for the servers and one for their load")?;
    Ok(())
}

/// Runs a command to its end and gives what it printed.
///
/// # Errors
/// It cannot be started (the message names the Debian package), or fails.
pub fn output_of(command: &mut Command, package: &str) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command
        .output()
        .with_context(|| format!("{} cannot be started: apt-get install {package}", program.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Ours and the baseline, once each a round, the order turning every round.
///
/// # Errors
/// The first failure of either ends it.
pub fn alternate(
    rounds: u32,
    mut ours: impl FnMut() -> Result<f64>,
    mut baseline: impl FnMut() -> Result<f64>,
) -> Result<Vec<(f64, f64)>> {
    (0..rounds)
        .map(|round| {
            if round % 2 == 0 {
                let first = ours()?;
                Ok((first, baseline()?))
            } else {
                let first = baseline()?;
                Ok((ours()?, first))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_time_of_this_process_grows_with_work() {
        let (process, thread) = (cpu_seconds(std::process::id()).unwrap(), own_thread_seconds().unwrap());
        let mut sum = 0u64;
        while own_thread_seconds().unwrap() < thread + 0.05 {
            sum = (0..100_000).fold(sum, |sum, i| std::hint::black_box(sum ^ i));
        }
        assert!(cpu_seconds(std::process::id()).unwrap() >= process + 0.03);
        assert!(resident_octets(std::process::id()).unwrap() > 100_000);
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        installed("taskset", "util-linux").unwrap();
        let missing = installed("no-such-daemon", "no-such-package").unwrap_err();
        assert_eq!(missing.to_string(), "no-such-daemon is not installed: apt-get install no-such-package");
    }

    #[test]
    fn ours_and_the_baseline_go_first_in_turns() {
        let order = std::cell::RefCell::new(String::new());
        let say = |c| {
            order.borrow_mut().push(c);
            Ok(1.0)
        };
        alternate(3, || say('o'), || say('b')).unwrap();
        assert_eq!(*order.borrow(), "obboob");
    }
}
