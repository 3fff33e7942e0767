//! What a process found out, as lines that the process that started it reads.

use std::fmt;
use std::fs;
use std::time::Duration;

/// Figures that the table has in columns.
const COLUMNS: [&str; 4] = ["resident MiB", "anonymous MiB", "areas", "open files"];

/// Names and numbers.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    lines: Vec<(String, f64)>,
}

impl Figures {
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64) {
        self.lines.push((name.into(), value));
    }

    /// Adds median and 99th percentile of times, in microseconds.
    pub(crate) fn add_times(&mut self, name: &str, times: &mut [Duration]) {
        times.sort_unstable();
        for (what, percent) in [("median", 50), ("99%", 99)] {
            let at = times[(times.len() - 1) * percent / 100];
            self.add(format!("{name}, microseconds, {what}"), at.as_secs_f64() * 1e6);
        }
    }

    /// Adds how much memory is resident now, which is less than at the end.
    pub(crate) fn add_resident(&mut self, name: &str) {
        self.add(name, status("VmRSS:"));
    }

    /// Adds what the system says of this process's memory.
    pub(crate) fn add_memory(&mut self) {
        self.add(COLUMNS[0], status("VmRSS:"));
        self.add(COLUMNS[1], status("RssAnon:"));
        let areas = fs::read_to_string("/proc/self/maps").unwrap_or_default().lines().count();
        self.add(COLUMNS[2], areas as f64);
        self.add(COLUMNS[3], fs::read_dir("/proc/self/fd").map_or(0, Iterator::count) as f64);
    }

    pub(crate) fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (name, value) = line.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self { lines: text.lines().filter_map(line).collect() }
    }

    pub(crate) fn get(&self, name: &str) -> f64 {
        self.lines.iter().find(|(found, _)| found == name).map_or(0.0, |(_, value)| *value)
    }

    /// Figures without a column in the table.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.lines.iter().map(|(name, value)| (name.as_str(), *value));
        lines.filter(|(name, _)| !COLUMNS.contains(name))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(name, value)| writeln!(f, "{name}={value}"))
    }
}

/// A line of the process's status, in MiB.
fn status(key: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().map_or(0.0, |kib| kib / 1024.0)
}
