//! A shell that follows the steps of a page. What it starts ends with it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::page::Step;

/// Longer than anything here takes, so that what hangs fails. The first build for wasm32 may compile the standard library.
const PATIENCE: Duration = Duration::from_secs(500);

/// Longer than what was asked to end needs for it.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The beginning of a line that no command prints. Behind it are a command's exit status and the folder that it led to.
const END: &str = "--- the command ended with";

/// Reads commands from standard input, each ended by a NUL, and runs them as they are, in one shell. None of them reads the next.
const LOOP: &str = r#"exec 3<&0 </dev/null
while IFS= read -r -d '' -u 3 command; do
    eval "$command"
    printf '\n%s %s %s\n' "$END" "$?" "$PWD"
    echo "$END" >&2
done"#;

/// Variables of this process that the commands see. Another cargo may have set others, and theirs is to be a user's.
const KEPT: [&str; 6] = ["CARGO_HOME", "HOME", "LANG", "RUSTUP_HOME", "TMPDIR", "USER"];

/// A shell in a folder.
pub(crate) struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    error_lines: Receiver<String>,
    /// Standard error of all commands.
    errors: String,
    /// The folder of the next command.
    folder: PathBuf,
}

impl Shell {
    /// In this folder, with the programs of the folder `programs`.
    pub(crate) fn start(folder: &Path, programs: &Path) -> Self {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-c", LOOP]).current_dir(folder).process_group(0);
        let kept = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept).env("CARGO_NET_OFFLINE", "true").env("END", END);
        command.env("PATH", format!("{}:{}", programs.display(), std::env::var("PATH").unwrap()));
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut bash = pipes.spawn().unwrap();
        let lines = lines_of(bash.stdout.take().unwrap());
        let error_lines = lines_of(bash.stderr.take().unwrap());
        let (input, errors) = (bash.stdin.take().unwrap(), String::new());
        Self { input, bash, lines, error_lines, errors, folder: folder.to_owned() }
    }

    /// The folder that the commands led to.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the file of a step, or runs its command.
    ///
    /// # Errors
    /// The file cannot be written, the command fails, or it prints something else than the page says.
    pub(crate) fn follow(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::File { path, text } => {
                let path = self.folder.join(path);
                fs::create_dir_all(path.parent().unwrap_or(&path))
                    .and_then(|()| fs::write(&path, text))
                    .map_err(|error| format!("{}: {error}", path.display()))
            }
            Step::Run { command, expected } => {
                let (printed, status) = self.run(command, expected.len())?;
                let is_as_said = expected.is_empty() || printed == *expected;
                if status == 0 && is_as_said {
                    return Ok(());
                }
                let (printed, errors) = (printed.join("\n"), &self.errors);
                Err(format!(
                    "$ {command}\n{printed}\n\nstatus {status}; the page says:\n{}\n\n{errors}",
                    expected.join("\n")
                ))
            }
        }
    }

    /// Runs a command; returns the lines that it printed, and its exit status. One that goes on in the background has as many lines as are
    /// expected.
    fn run(&mut self, command: &str, expected: usize) -> Result<(Vec<String>, i32), String> {
        self.input.write_all(format!("{command}\0").as_bytes()).map_err(|error| format!("$ {command}\n{error}"))?;
        let least = if command.ends_with('&') { expected } else { 0 };
        let (mut printed, mut status) = (Vec::<String>::new(), None);
        while status.is_none() || printed.len() < least {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                self.errors.extend(self.error_lines.try_iter().map(|line| line + "\n"));
                return Err(format!("$ {command}\n{}\n\nno end came\n\n{}", printed.join("\n"), self.errors));
            };
            let Some(end) = line.strip_prefix(END) else {
                printed.push(line);
                continue;
            };
            // The line break before the end, where the output ended with one.
            printed.pop_if(|line| line.is_empty());
            let (ended, folder) = end.trim_start().split_once(' ').unwrap();
            (status, self.folder) = (Some(ended.parse().unwrap()), folder.into());
        }
        let errors = self.error_lines.iter().take_while(|line| line != END);
        self.errors.extend(errors.map(|line| line + "\n"));
        Ok((printed, status.unwrap_or_default()))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The shell and what it started are a group. A compiler is in one of its own, which the program that started it ends.
        let group = format!("-{}", self.bash.id());
        let signal = |signal: &str| Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        let _ = signal("-TERM");
        let began = Instant::now();
        while signal("-0").is_ok_and(|status| status.success()) && began.elapsed() < LAST_WORDS {
            let _ = self.bash.try_wait();
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = signal("-KILL");
        let _ = self.bash.wait();
    }
}

/// The lines of an output, read as they come so that nobody waits for a reader.
fn lines_of(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        // The shell may have been dropped.
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    lines
}
