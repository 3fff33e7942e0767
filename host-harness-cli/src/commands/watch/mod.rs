//! `watch`: builds and measures a guest crate again whenever a file of it changes, and shows the difference.
//!
//! Each run is `compare` in a process of its own, which an interrupt ends with this one, and whose failure this one survives.

mod changes;
mod files;
mod words;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use guest_host::text::printable;
use host_harness::report::{Content, MeasureReport, read};

use crate::arguments::Compare;

pub(crate) use words::words_of_a_run;

#[derive(Debug, Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) compare: Compare,
    /// Watch this folder too, such as that of a crate that the guest depends on; may be given more than once.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) also: Vec<PathBuf>,
    /// The command line of each run.
    #[arg(skip)]
    pub(crate) words: Vec<OsString>,
}

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// The run that goes on, to be ended with this process.
static RUNNING: Mutex<Option<Child>> = Mutex::new(None);

/// Ends the run that goes on, before the process ends.
pub(crate) fn stop() {
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(child) = running.as_mut() {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Runs until it is interrupted.
///
/// # Errors
/// The manifest cannot be found, or the harness cannot be started.
pub(crate) fn run(arguments: &Watch) -> Result<()> {
    let manifest = &arguments.compare.guest.manifest_path;
    anyhow::ensure!(
        manifest.is_file(),
        "{}: there is no such file; give the crate with --manifest-path",
        manifest.display()
    );
    let mut watched = files::of_crate(manifest);
    watched.extend(super::compare::state_file(&arguments.compare));
    watched.extend(arguments.also.iter().cloned());
    let mut before: Option<MeasureReport> = None;
    loop {
        // Taken first: what changes while the run goes on starts the next.
        let state = files::State::of(&watched);
        let began = Instant::now();
        match measured(&arguments.words)? {
            Some(report) => {
                let took = began.elapsed().as_secs_f64();
                let text = match &before {
                    None => changes::first(&report),
                    Some(before) => changes::since(before, &report),
                };
                say(&format!("{text}{} in {took:.1} s; waiting for a change, Ctrl-C ends", counted(&report)));
                before = Some(report);
            }
            // The run has said why.
            None => say("nothing was measured; waiting for a change, Ctrl-C ends"),
        }
        state.wait_for_another(&watched, INTERVAL);
    }
}

fn counted(report: &MeasureReport) -> String {
    let failed = report.rows.iter().filter(|row| row.failure.is_some()).count();
    match failed {
        0 => format!("{} rows measured", report.rows.len()),
        _ => format!("{} rows measured, of which {failed} FAILED,", report.rows.len()),
    }
}

/// One run; its report, unless it failed before there was one.
fn measured(words: &[OsString]) -> Result<Option<MeasureReport>> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let mut command = Command::new(program);
    let mut child = command
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("`compare` cannot be started")?;
    let mut stdout = child.stdout.take();
    *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    let mut text = String::new();
    if let Some(stdout) = &mut stdout {
        stdout.read_to_string(&mut text).context("the report of `compare` cannot be read")?;
    }
    let ended: Option<ExitStatus> = {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.take().map(|mut child| child.wait()).transpose().context("`compare` cannot be waited for")?
    };
    if ended.and_then(|status| status.code()).is_none_or(|code| code > 1) || text.is_empty() {
        return Ok(None);
    }
    match read(&text).context("the report of `compare` cannot be read")?.content {
        Content::Compare(report) => Ok(Some(report)),
        _ => Ok(None),
    }
}

/// Prints a text; nobody may be there to read it.
fn say(text: &str) {
    let lines: Vec<_> = text.lines().map(printable).collect();
    let _ = writeln!(std::io::stdout(), "{}", lines.join("\n"));
}
