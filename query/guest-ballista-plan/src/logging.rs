//! The log of the programs: lines on standard error.

use log::{LevelFilter, Log, Metadata, Record};

/// Writes what [`log`] is given to standard error.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{} {}: {}", record.level(), record.target(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Begins to log to standard error what is at least as important as `level`. Does nothing if the process logs already.
pub fn log_to_stderr(level: LevelFilter) {
    if log::set_logger(&StandardError).is_ok() {
        log::set_max_level(level);
    }
}

/// Reads a level from the command line.
///
/// # Errors
/// If there is none of this name.
pub fn log_level(name: &str) -> Result<LevelFilter, String> {
    name.parse().map_err(|_| format!("`{name}` is no level; use error, warn, info, debug, trace or off"))
}
