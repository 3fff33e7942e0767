//! When, where and with what a report was made.

use serde::{Deserialize, Serialize};

/// When, where and with what a report was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Header {
    /// When, in RFC 3339 and UTC.
    pub date: String,
    /// Version of this harness.
    pub harness: String,
    /// Version of wasmtime.
    pub wasmtime: String,
    /// `release`, or `debug` when this harness was built without optimisation and its times mean little.
    pub build: String,
    /// The machine.
    pub machine: Machine,
    /// The command that made it, as a shell reads it; empty where none did.
    #[serde(default)]
    pub command_line: String,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Machine {
    /// Model of its processor, or its architecture where the system does not tell.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Its operating system.
    pub os: String,
}

impl Header {
    /// The header of a report that is made here and now.
    #[must_use]
    pub fn here_and_now() -> Self {
        let now = jiff::Timestamp::now();
        let whole_seconds = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self {
            date: whole_seconds.to_string(),
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            wasmtime: guest_host::WASMTIME_VERSION.to_owned(),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            machine: Machine::this(),
            command_line: String::new(),
        }
    }

    /// The header in a few lines: what is said, and of what.
    #[must_use]
    pub fn facts(&self) -> Vec<(String, String)> {
        let machine = &self.machine;
        let cores = match machine.cores {
            1 => "1 core".to_owned(),
            cores => format!("{cores} cores"),
        };
        let facts = [
            ("date", self.date.clone()),
            ("machine", format!("{}, {cores}, {}", machine.cpu, machine.os)),
            ("versions", format!("host-harness {} ({} build), wasmtime {}", self.harness, self.build, self.wasmtime)),
        ];
        facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Machine {
    /// The machine that this runs on.
    #[must_use]
    pub fn this() -> Self {
        Self {
            cpu: cpu().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: os().unwrap_or_else(|| std::env::consts::OS.to_owned()),
        }
    }
}

fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let model = info.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == "model name").then(|| value.trim().to_owned())
    });
    model.filter(|model| !model.is_empty())
}

fn os() -> Option<String> {
    let release = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?.trim_matches('"').to_owned();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    Some(if kernel.is_empty() { name } else { format!("{name}, {} {kernel}", std::env::consts::OS) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_date_machine_and_versions() {
        let header = Header::here_and_now();
        assert!(header.date.ends_with('Z') && header.date.len() == 20, "{}", header.date);
        assert!(header.wasmtime.starts_with("48."), "{}", header.wasmtime);
        assert!(!header.machine.cpu.is_empty() && header.machine.cores > 0);
    }
}
