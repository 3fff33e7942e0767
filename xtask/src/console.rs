//! What the person in front of it sees: progress on a terminal, plain lines elsewhere.
//!
//! All of it goes to standard error; standard output is for what a task is asked for.

use std::{
    env,
    ffi::OsStr,
    io::{self, BufRead, BufReader, IsTerminal, Write},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use guest_build::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Shows what is being done.
#[derive(Clone)]
pub(crate) struct Console {
    /// The spinner, on a terminal.
    spinner: Option<ProgressBar>,
    /// The step that what begins is a part of; empty where the task has none.
    step: Arc<Mutex<String>>,
    /// The lines of [`Self::warn`].
    warnings: Arc<Mutex<Vec<String>>>,
}

impl Console {
    pub(crate) fn new() -> Self {
        let is_interactive = io::stderr().is_terminal()
            && env::var_os("TERM").is_none_or(|term| term != "dumb")
            && env::var_os("CI").is_none();
        Self { spinner: is_interactive.then(spinner), step: Arc::default(), warnings: Arc::default() }
    }

    /// Says that a step begins; what begins from now on is told as a part of it.
    pub(crate) fn begin_step(&self, step: &str) {
        self.set_step("");
        self.begin(step);
        self.set_step(step);
    }

    fn set_step(&self, step: &str) {
        // A thread that panicked while it held the name left a name all the same.
        let mut current = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        step.clone_into(&mut current);
    }

    /// Says that `what` begins.
    pub(crate) fn begin(&self, what: &str) {
        let step = self.step.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let what = if step.is_empty() { what.to_owned() } else { format!("{step}: {what}") };
        match &self.spinner {
            Some(spinner) => {
                spinner.set_prefix(what);
                spinner.set_message("");
                spinner.reset_elapsed();
                spinner.enable_steady_tick(Duration::from_millis(100));
            }
            None => eprintln!("==> {what}"),
        }
    }

    /// Takes the spinner away.
    pub(crate) fn end(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.disable_steady_tick();
            spinner.finish_and_clear();
        }
    }

    /// Says something that stays.
    pub(crate) fn say(&self, line: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// Says something that must not be overlooked: a summary repeats it.
    pub(crate) fn warn(&self, line: &str) {
        self.say(&format!("WARNING: {line}"));
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
    }

    /// Everything that [`Self::warn`] said.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where something else's lines of progress go.
    pub(crate) fn progress(&self) -> Progress {
        let console = self.clone();
        Arc::new(move |line: &str| match &console.spinner {
            Some(spinner) => spinner.set_message(line.trim().to_owned()),
            None => eprintln!("{line}"),
        })
    }

    /// Runs a command that must succeed. On a terminal its output is shown only where it fails.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        let told = describe(command);
        let Some(spinner) = &self.spinner else {
            return self.pass_through(command);
        };
        spinner.set_message(told.clone());
        let (succeeded, output) = self.capture(command)?;
        if succeeded {
            return Ok(());
        }
        spinner.suspend(|| io::stderr().write_all(&output)).context("writing to standard error")?;
        bail!("`{told}` failed")
    }

    /// Runs a command that must succeed and speaks for itself.
    pub(crate) fn pass_through(&self, command: &mut Command) -> Result<()> {
        let told = describe(command);
        eprintln!("$ {told}");
        let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot run `{told}`"))?;
        if status.success() { Ok(()) } else { bail!("`{told}` failed ({status})") }
    }

    /// Runs a command and returns whether it succeeded, with all it wrote.
    pub(crate) fn capture(&self, command: &mut Command) -> Result<(bool, Vec<u8>)> {
        let told = describe(command);
        let (reader, writer) = io::pipe().context("making a pipe")?;
        let second = writer.try_clone().context("making a pipe")?;
        if self.spinner.is_some() && wants_color() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(second)
            .spawn()
            .with_context(|| format!("cannot run `{told}`"))?;
        // The command holds the pipe's other end; while it does, reading would never come to an end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut output = Vec::new();
        let mut reader = BufReader::new(reader);
        let mut start = 0;
        while reader.read_until(b'\n', &mut output).context("reading its output")? > 0 {
            if let Some(spinner) = &self.spinner {
                spinner.set_message(String::from_utf8_lossy(&output[start..]).trim().to_owned());
            }
            start = output.len();
        }
        let status = child.wait().with_context(|| format!("waiting for `{told}`"))?;
        Ok((status.success(), output))
    }
}

fn spinner() -> ProgressBar {
    let template = if wants_color() {
        "{spinner:.cyan} {prefix:.bold} {elapsed} {wide_msg:.dim}"
    } else {
        "{spinner} {prefix} {elapsed} {wide_msg}"
    };
    // The template is a constant, and a plain spinner does as well.
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

fn wants_color() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A command as a person would type it, with the program's name alone.
pub(crate) fn describe(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    std::iter::once(name).chain(command.get_args()).map(quote).collect::<Vec<_>>().join(" ")
}

fn quote(argument: &OsStr) -> String {
    let text = argument.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "-_=./,:+@".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_told_as_it_is_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--features", "a b", ""]);
        assert_eq!(describe(&command), "cargo test --features 'a b' ''");
    }

    #[cfg(unix)]
    #[test]
    fn output_is_captured_with_its_verdict() {
        let console = Console { spinner: None, step: Arc::default(), warnings: Arc::default() };
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let (succeeded, output) = console.capture(&mut command).unwrap();
        assert!(!succeeded);
        assert_eq!(output, b"out\nerr\n");
    }
}
