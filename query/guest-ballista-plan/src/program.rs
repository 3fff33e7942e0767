//! The parts that the programs of schedulers and executors have in common: options, the log, and the runtime.

use clap::Args;
use log::{LevelFilter, Log, Metadata, Record};

/// Writes what [`log`] is given to standard error.
struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{} {}: {}", record.level(), record.target(), printable(&record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// A message that no terminal obeys, and of which only the first line looks like one: names in it are those that clients gave.
fn printable(message: &str) -> String {
    let mut shown = String::with_capacity(message.len());
    for character in message.chars() {
        match character {
            '\n' => shown.push_str("\n    "),
            _ if character.is_control() => shown.extend(character.escape_default()),
            _ => shown.push(character),
        }
    }
    shown
}

/// Options that both programs have.
#[derive(Debug, Clone, Args)]
pub struct ProgramOptions {
    /// Address to listen at.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: String,
    /// Least important messages in the log: error, warn, info, debug, trace, or off for none.
    #[arg(long, value_name = "LEVEL", default_value = "warn", value_parser = log_level)]
    pub log: LevelFilter,
}

impl ProgramOptions {
    /// Runs a program to its end, with a log on standard error, on threads that have room for plans: these are read and optimized
    /// recursively.
    ///
    /// # Errors
    /// Those of the program, and if it gets no threads.
    pub fn run(&self, program: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        const STACK: usize = 32 << 20;
        // A process that logs already goes on to do so.
        if log::set_logger(&StandardError).is_ok() {
            log::set_max_level(self.log);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK).build()?;
        runtime.block_on(program)
    }
}

fn log_level(name: &str) -> Result<LevelFilter, String> {
    name.parse().map_err(|_| format!("`{name}` is no level; use error, warn, info, debug, trace or off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_terminal_obeys_a_message_and_its_lines_are_told_apart() {
        assert_eq!(printable("größe\n\u{1b}[2J"), "größe\n    \\u{1b}[2J");
    }
}
