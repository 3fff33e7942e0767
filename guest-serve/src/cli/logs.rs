//! `serve logs`: prints the log of a guest.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use guest_host::text::printable;
use serde_json::Value;

use crate::error::ServeError;
use crate::folder::{GuestFolder, GuestName};
use crate::monitor::Writer;
use crate::monitor::ring::RingReader;

/// How often the log is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// Print the log of a guest.
#[derive(Debug, Parser)]
#[command(name = "host-harness serve logs", bin_name = "host-harness serve logs", max_term_width = 100)]
pub(super) struct Logs {
    /// The folder of the guests.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The guest.
    #[arg(value_name = "GUEST")]
    guest: String,
    /// Print lines as they come, until Ctrl-C.
    #[arg(long)]
    follow: bool,
    /// Print the lines as they are in the file: each an object of JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the log.
///
/// # Errors
/// If there is no such guest, or its log cannot be read.
pub(super) fn run(arguments: &Logs) -> Result<(), ServeError> {
    let folder = GuestFolder::open(&arguments.folder)?;
    let guest: GuestName = arguments.guest.parse()?;
    let path = Writer::log(&folder.own(), &guest);
    if !path.exists() && !folder.config_file(&guest).exists() {
        return Err(ServeError::NoGuest { name: guest.to_string(), folder: folder.path().to_owned() });
    }
    let mut reader = RingReader::new(&path);
    loop {
        let lines = reader.read().map_err(ServeError::io("read the log", &path))?;
        if print(&lines, arguments.json).is_err() || !arguments.follow {
            // Nobody reads any more.
            return Ok(());
        }
        std::thread::sleep(INTERVAL);
    }
}

fn print(lines: &str, is_json: bool) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match is_json {
        true => stdout.write_all(lines.as_bytes())?,
        false => lines.lines().try_for_each(|line| writeln!(stdout, "{}", for_people(line)))?,
    }
    stdout.flush()
}

/// A line of the file as people read it.
fn for_people(line: &str) -> String {
    let parsed: Value = serde_json::from_str(line).unwrap_or_default();
    let text = |key: &str| parsed[key].as_str().map(printable);
    match (text("time"), text("level"), text("tenant"), text("function"), text("line")) {
        (Some(time), Some(level), Some(tenant), Some(function), Some(line)) => {
            format!("{time} {level:<5} {tenant} {function}: {line}")
        }
        // Written by another version.
        _ => printable(line).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_harmless() {
        let line =
            r#"{"time":"2026-01-01T00:00:00.000Z","level":"info","tenant":"blue","function":"f","line":"a\nb\u001b"}"#;
        assert_eq!(for_people(line), "2026-01-01T00:00:00.000Z info  blue f: a\\nb\\u001b");
        assert_eq!(for_people("other\u{1b}"), "other\\u001b");
    }
}
