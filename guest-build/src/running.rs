//! The commands that are running. A program that is interrupted ends them before it ends.
//!
//! A cargo that is ended leaves its compilers running. So a program may have each command started in a process group of its
//! own, which is ended as a whole.

use std::{
    io,
    process::{Child, Command},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The commands that are running.
struct Running {
    /// Whether commands are started in groups of their own.
    in_groups: bool,
    /// Whether the program ends, so that nothing is started any more.
    is_ending: bool,
    /// The group of each command, which has the number of its first process.
    groups: Vec<u32>,
}

static RUNNING: Mutex<Running> = Mutex::new(Running { in_groups: false, is_ending: false, groups: Vec::new() });

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts every later command in a process group of its own, so that [`end_all`] ends it with all that it has started.
///
/// For programs that handle interrupts and call [`end_all`] then: an interrupt that a terminal sends no longer reaches the
/// commands. Has no effect where there are no process groups.
pub fn start_in_groups() {
    running().in_groups = true;
}

/// Ends every command that runs, with all that it has started, and starts none any more. For programs that are about to end.
///
/// Ends nothing unless [`start_in_groups`] was called before the commands were started, nor where there are no process groups.
pub fn end_all() {
    let mut running = running();
    running.is_ending = true;
    for group in running.groups.drain(..) {
        end(group);
    }
}

#[cfg(unix)]
fn end(group: u32) {
    use nix::{
        sys::signal::{Signal, killpg},
        unistd::Pid,
    };
    if let Ok(group) = i32::try_from(group) {
        // It may have ended by itself in the meantime.
        let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
    }
}

#[cfg(not(unix))]
fn end(_: u32) {}

/// A command that runs, until this is dropped.
pub(crate) struct Registered(Option<u32>);

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            running().groups.retain(|known| *known != group);
        }
    }
}

/// Starts a command by `start`, and keeps in mind that it runs.
///
/// # Errors
///
/// That of `start`, or the program ends.
pub(crate) fn start(
    command: &mut Command,
    start: impl FnOnce(&mut Command) -> io::Result<Child>,
) -> io::Result<(Child, Registered)> {
    // Held while the command starts: what ends all of them must not miss it.
    let mut running = running();
    if running.is_ending {
        return Err(io::Error::new(io::ErrorKind::Interrupted, "the program is ending"));
    }
    if !running.in_groups {
        return start(command).map(|child| (child, Registered(None)));
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let child = start(command)?;
    running.groups.push(child.id());
    let registered = Registered(Some(child.id()));
    Ok((child, registered))
}
