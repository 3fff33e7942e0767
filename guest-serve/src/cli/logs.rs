//! `serve logs`: prints the log of a guest.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::error::ServeError;
use crate::folder::{GuestFolder, GuestName};
use crate::monitor::ring::RingReader;
use crate::monitor::{Writer, line_for_people};

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
        false => lines.lines().try_for_each(|line| writeln!(stdout, "{}", line_for_people(line)))?,
    }
    stdout.flush()
}
