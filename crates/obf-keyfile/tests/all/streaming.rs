//! Many records in little memory: written and read through a pipe, so that no file is anywhere as a whole.

use crate::common::{counting, record, transport};
use obf_keyfile::{Format, Reader, Writer};
use obf_testkit::in_own_process;
use std::{
    io::{BufReader, BufWriter, pipe},
    thread,
};

/// Enough that a reader which kept anything of each would show it; OBF_TEST_RECORDS for a measurement.
const RECORDS: u64 = 20_000;
/// Octets that the process may grow by: a record is about 1,000 octets as PSKC.
const GROWTH: u64 = 8 * 1024 * 1024;

#[test]
fn c2_a_million_records_need_no_more_memory_than_a_thousand() {
    if !in_own_process("streaming::c2_a_million_records_need_no_more_memory_than_a_thousand", &[]) {
        return;
    }
    let count =
        std::env::var("OBF_TEST_RECORDS").ok().and_then(|count| count.parse().ok()).unwrap_or(RECORDS);
    for format in [Format::Csv, Format::Pskc] {
        run(format, 1000);
        let before = peak();
        let started = std::time::Instant::now();
        run(format, count);
        let (grown, took) = (peak() - before, started.elapsed());
        println!(
            "{format:?}: {count} records written and read in {took:?}, peak memory grew by {grown} octets"
        );
        assert!(grown < GROWTH, "{format:?}: {grown} octets");
    }
}

fn run(format: Format, count: u64) {
    let (read, write) = pipe().unwrap();
    let writing = thread::spawn(move || {
        let draw = &mut counting();
        let mut writer = Writer::open(format, BufWriter::new(write), transport(7, 32), draw).unwrap();
        (0..count).for_each(|number| writer.write(&record(number), draw).unwrap());
        writer.finish().unwrap();
    });
    let reader = Reader::open(format, BufReader::new(read), transport(7, 32)).unwrap();
    let mut read = 0;
    for entry in reader {
        entry.unwrap();
        read += 1;
    }
    writing.join().unwrap();
    assert_eq!(read, count);
}

/// The most memory this process ever had, octets.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
