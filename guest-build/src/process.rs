//! Running a command with its output captured, its lines reported as they come, and a bound on its time.

use std::{
    io::{self, BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::{Progress, running};

/// The arguments by which cargo and its compilers colour nothing, whatever the environment and cargo's configuration ask for.
///
/// Callers print what was captured, and make it harmless for terminals first: colours would show as escaped characters.
pub(crate) const NO_COLOURS: [&str; 2] = ["--color", "never"];

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The last line of its complaint that says something, for a one-line reason.
    pub(crate) fn reason(&self) -> String {
        let complaint = self
            .stderr
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("error") || line.starts_with("E:"))
            .or_else(|| self.stderr.lines().map(str::trim).rfind(|line| !line.is_empty()));
        match complaint {
            Some(line) => format!("{line} ({})", self.status),
            None => self.status.to_string(),
        }
    }
}

/// Runs `command` to its end or for `limit` at most, whichever comes first; `progress` gets each line of standard error.
///
/// # Errors
///
/// The command cannot be started, or it ran out of time ([`io::ErrorKind::TimedOut`]; it was ended).
pub(crate) fn run(command: &mut Command, limit: Option<Duration>, progress: Option<&Progress>) -> io::Result<Finished> {
    let (mut child, _running) =
        running::start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), start)?;
    let (sender, lines) = mpsc::channel();
    let stdout = child.stdout.take().map(|pipe| thread::spawn(move || read_all(pipe)));
    let stderr = child.stderr.take().map(|pipe| thread::spawn(move || read_lines(pipe, &sender)));

    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let line = match deadline {
            None => lines.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(deadline) => lines.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        };
        match line {
            Ok(line) => {
                if let Some(progress) = progress {
                    progress(&line);
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            // A grandchild may hold the pipes open for longer, so the readers are left behind.
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(end(&mut child, limit)),
        }
    }
    let status = match deadline {
        None => child.wait()?,
        Some(deadline) => loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() >= deadline {
                return Err(end(&mut child, limit));
            }
            thread::sleep(Duration::from_millis(10));
        },
    };
    Ok(Finished {
        status,
        stdout: stdout.and_then(|reader| reader.join().ok()).unwrap_or_default(),
        stderr: stderr.and_then(|reader| reader.join().ok()).unwrap_or_default(),
    })
}

/// Starts it, and waits a little for a program that is just being written, by an update of its own for example.
fn start(command: &mut Command) -> io::Result<Child> {
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
    command.spawn()
}

/// Ends a child that ran out of time, and says so.
fn end(child: &mut Child, limit: Option<Duration>) -> io::Error {
    // Either may fail only because the child has ended by itself in the meantime.
    let _ = child.kill();
    let _ = child.wait();
    let seconds = limit.unwrap_or_default().as_secs_f32();
    io::Error::new(io::ErrorKind::TimedOut, format!("gave no result within {seconds} seconds"))
}

fn read_all(mut pipe: impl Read) -> String {
    let mut bytes = Vec::new();
    // A broken pipe ends the output like its end does.
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read_lines(pipe: impl Read, sender: &mpsc::Sender<String>) -> String {
    let mut pipe = BufReader::new(pipe);
    let mut all = String::new();
    let mut bytes = Vec::new();
    while pipe.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
        let line = String::from_utf8_lossy(&bytes);
        all.push_str(&line);
        // Nobody listens after a timeout; the output is still collected.
        let _ = sender.send(line.trim_end().to_owned());
        bytes.clear();
    }
    all
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_status_and_lines_arrive() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let progress: Progress = {
            let seen = Arc::clone(&seen);
            Arc::new(move |line: &str| seen.lock().unwrap().push(line.to_owned()))
        };
        let finished =
            run(&mut shell("echo out; echo one >&2; echo 'error: two' >&2; exit 3"), None, Some(&progress)).unwrap();
        assert_eq!(finished.stdout, "out\n");
        assert_eq!(finished.stderr, "one\nerror: two\n");
        assert_eq!(finished.status.code(), Some(3));
        assert!(finished.reason().starts_with("error: two"), "{}", finished.reason());
        assert_eq!(*seen.lock().unwrap(), ["one", "error: two"]);
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        for script in ["sleep 60", "exec 1>&- 2>&-; exec sleep 60", "echo error; sleep 60 & wait"] {
            let error = run(&mut shell(script), Some(Duration::from_millis(200)), None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{script}");
        }
    }

    #[test]
    fn a_missing_program_is_an_error() {
        let error = run(&mut Command::new("/nonexistent/program"), None, None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
