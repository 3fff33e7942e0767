//! Compilers that work ahead of the steps whose results they make, with what the steps before leave of the processors.
//!
//! Steps come one after the other, and most leave a processor unused in part: tests wait, a large crate is compiled by one thread, a
//! linker runs alone. The workspaces with folders of their own for what they compile do not wait for any of them.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Commands that run one after the other in the background, at the lowest priority. What they print is not shown, nor whether they
/// succeed: the step runs the same command again, where it finds everything done or fails for all to see.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    running: Arc<Mutex<Running>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Running {
    child: Option<Child>,
    stopped: bool,
}

impl Ahead {
    /// Starts the first of the commands; none where there are none.
    pub(crate) fn start(commands: Vec<Command>) -> Self {
        let running = Arc::<Mutex<Running>>::default();
        let of_thread = Arc::clone(&running);
        let run_all = move || {
            for command in commands {
                if !run(&of_thread, command) {
                    break;
                }
            }
        };
        Self { running, thread: (thread::Builder::new().name("ahead".to_owned()).spawn(run_all)).ok() }
    }

    /// Waits until the commands have ended.
    pub(crate) fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // It only waits itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Ahead {
    /// Stops the command that runs, and begins none of the others.
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.stopped = true;
        if let Some(child) = &mut running.child {
            // It may have ended.
            let _ = child.kill();
        }
        drop(running);
        self.wait();
    }
}

/// Runs a command, and says whether the next one may begin.
fn run(running: &Mutex<Running>, command: Command) -> bool {
    let lock = || running.lock().unwrap_or_else(PoisonError::into_inner);
    {
        let mut running = lock();
        if running.stopped {
            return false;
        }
        running.child = at_low_priority(command).spawn().ok();
    }
    // Looked at from time to time, so that it can be killed meanwhile.
    loop {
        let mut running = lock();
        let Some(child) = &mut running.child else { return !running.stopped };
        if !matches!(child.try_wait(), Ok(None)) {
            running.child = None;
            return !running.stopped;
        }
        drop(running);
        thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// The same command, as one that others go before. Where there is no program `nice`, it does not start.
fn at_low_priority(command: Command) -> Command {
    let mut nice = Command::new("nice");
    nice.args(["-n", "19"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        nice.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => nice.env(name, value),
            None => nice.env_remove(name),
        };
    }
    nice.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    nice
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn touch(path: &std::path::Path) -> Command {
        let mut touch = Command::new("touch");
        touch.arg(path);
        touch
    }

    #[test]
    fn all_have_run_after_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut second = touch(std::path::Path::new("second"));
        second.current_dir(folder.path());
        let failing = Command::new("false");
        let mut ahead = Ahead::start(vec![touch(&folder.path().join("first")), failing, second]);
        ahead.wait();
        assert!(folder.path().join("first").exists());
        assert!(folder.path().join("second").exists(), "one that fails does not keep the next from running");
    }

    #[test]
    fn none_runs_on_when_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let mut long = Command::new("sleep");
        long.arg("600");
        let next = folder.path().join("next");
        drop(Ahead::start(vec![long, touch(&next)]));
        assert!(!next.exists());
    }
}
