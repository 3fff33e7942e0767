//! Progress on standard error: a bar where that is a terminal, otherwise lines that say each step and when it began.
//!
//! Lines come once a second at most: commands that end sooner say nothing, so that scripts keep their logs short.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use guest_host::text::{printable, printable_within};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::arguments::Verbosity;

/// How long a step may last before a line says that it goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// The shortest time between two steps' lines, and before the first.
const PAUSE: Duration = Duration::from_secs(1);

/// Characters of a line that is printed where there is no terminal.
const LINE: usize = 200;

/// The reason that a step gives for its length while cargo compiles the standard library.
const STANDARD_LIBRARY: &str =
    "the standard library is compiled first, which takes some minutes once for each target folder";

/// Where the time in lines counts from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How much is shown, for the whole process.
static VERBOSITY: OnceLock<Verbosity> = OnceLock::new();

/// Sets how much is shown, once and before any work. The time in lines counts from here.
pub(crate) fn show(verbosity: Verbosity) {
    LazyLock::force(&START);
    // The first to set it is the command line.
    let _ = VERBOSITY.set(verbosity);
}

fn verbosity() -> Verbosity {
    VERBOSITY.get().copied().unwrap_or_default()
}

/// Work of known length, or without one.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Where a line says each step; `None` where a bar shows it, or nothing does.
    lines: Option<Lines>,
}

impl Progress {
    /// Work in so many steps.
    pub(crate) fn steps(steps: u64) -> Self {
        Self::styled(ProgressBar::new(steps), "{bar:30} {pos}/{len} {wide_msg}")
    }

    /// Work of unknown length.
    pub(crate) fn spinner() -> Self {
        Self::styled(ProgressBar::new_spinner(), "{spinner} {wide_msg}")
    }

    fn styled(bar: ProgressBar, template: &str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        if verbosity() == Verbosity::Quiet || !is_terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            let lines = (verbosity() != Verbosity::Quiet).then(|| Lines::new(bar.clone()));
            return Self { bar, lines };
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, lines: None }
    }

    /// Says what is being done: a step that a user waits for, not one of its many calls or rows.
    pub(crate) fn doing(&self, what: impl AsRef<str>) {
        let what = printable(what.as_ref()).into_owned();
        if let Some(lines) = &self.lines {
            lines.step(&what);
        }
        self.bar.set_message(what);
    }

    /// Shows a line with `--verbose`, and keeps it above the bar.
    pub(crate) fn say(&self, line: impl FnOnce() -> String) {
        if verbosity() != Verbosity::Verbose {
            return;
        }
        let line = printable(&line()).into_owned();
        match &self.lines {
            Some(lines) => locked(&lines.step).say(&line),
            None => self.bar.println(&line),
        }
    }

    /// A step is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }

    /// A handle for callbacks that outlive a borrow.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    /// A receiver of what a running compiler says: shown beside the bar, and kept above it with `--verbose`.
    pub(crate) fn listener(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let bar = self.bar.clone();
        let step = self.lines.as_ref().map(|lines| Arc::clone(&lines.step));
        move |line| {
            let line = printable(line.trim()).into_owned();
            if guest_build::begins_standard_library(&line) {
                match &step {
                    Some(step) => locked(step).add(STANDARD_LIBRARY),
                    None => bar.println(STANDARD_LIBRARY),
                }
            }
            if verbosity() == Verbosity::Verbose && !line.is_empty() {
                match &step {
                    Some(step) => locked(step).say(&line),
                    None => bar.println(&line),
                }
            }
            bar.set_message(line);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The step that lines speak of.
struct Step {
    what: String,
    /// When it began, counted from the start; `None` once a line has said so.
    unsaid: Option<Duration>,
    /// When the last line was printed, or the first might have been.
    last_line: Instant,
}

impl Step {
    /// Says that the step has begun, unless a line does already.
    fn say_begun(&mut self) {
        if let Some(begun) = self.unsaid.take() {
            self.say_at(begun, &self.what.clone());
        }
    }

    /// Adds to the step why it lasts, and says it.
    fn add(&mut self, why: &str) {
        self.what = format!("{}; {why}", self.what);
        let begun = self.unsaid.take().unwrap_or_else(|| START.elapsed());
        self.say_at(begun, &self.what.clone());
    }

    /// Prints a line.
    fn say(&mut self, text: &str) {
        self.say_at(START.elapsed(), text);
    }

    fn say_at(&mut self, time: Duration, text: &str) {
        self.last_line = Instant::now();
        let seconds = time.as_secs_f64();
        // Nobody may be there to read it.
        let _ = writeln!(std::io::stderr(), "[{seconds:.1}s] {}", printable_within(text, LINE));
    }
}

/// The step, also after a thread that had it panicked: it is only text.
fn locked(step: &Mutex<Step>) -> MutexGuard<'_, Step> {
    step.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lines in place of a bar: one for each step, and one now and then while a step lasts.
struct Lines {
    step: Arc<Mutex<Step>>,
    /// Dropping it ends the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    fn new(bar: ProgressBar) -> Self {
        let step = Arc::new(Mutex::new(Step { what: String::new(), unsaid: None, last_line: *START }));
        let (end, ended) = mpsc::channel::<()>();
        let shared = Arc::clone(&step);
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(PAUSE / 4) == Err(RecvTimeoutError::Timeout) {
                let mut step = locked(&shared);
                let silent = step.last_line.elapsed();
                if silent >= PAUSE {
                    step.say_begun();
                }
                if silent >= SIGN_OF_LIFE && step.last_line.elapsed() >= SIGN_OF_LIFE && !step.what.is_empty() {
                    let text = still(&step.what, bar.position(), bar.length(), &bar.message());
                    step.say(&text);
                }
            }
        });
        Self { step, end: Some(end), thread: Some(thread) }
    }

    fn step(&self, what: &str) {
        let mut step = locked(&self.step);
        what.clone_into(&mut step.what);
        step.unsaid = Some(START.elapsed());
        if verbosity() == Verbosity::Verbose {
            step.say_begun();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It only prints; a report does not depend on it.
            let _ = thread.join();
        }
    }
}

/// The line that says that a step goes on, and how far it is.
fn still(what: &str, done: u64, of: Option<u64>, message: &str) -> String {
    let mut text = format!("still {what}");
    if let Some(of) = of.filter(|of| *of > 0) {
        text.push_str(&format!(" ({done} of {of})"));
    }
    if !message.is_empty() && message != what {
        text.push_str(&format!(": {message}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_says_how_far_a_step_is() {
        assert_eq!(still("verifying shop", 120, Some(300), "verifying shop"), "still verifying shop (120 of 300)");
        assert_eq!(still("compiling shop", 0, None, "Compiling serde v1"), "still compiling shop: Compiling serde v1");
        assert_eq!(still("measuring f", 0, Some(0), ""), "still measuring f");
    }

    #[test]
    fn a_step_says_that_the_standard_library_is_compiled() {
        let progress = Progress::spinner();
        // Standard error of a test may be a terminal, which has a bar in place of lines.
        let Some(lines) = &progress.lines else { return };
        let listener = progress.listener();
        progress.doing("building shop with allocator system");
        let step = || lines.step.lock().unwrap().what.clone();
        listener("   Compiling proc-macro2 v1.0.0");
        assert_eq!(step(), "building shop with allocator system");
        listener("   Compiling core v0.0.0 (/usr/lib/rustlib/src/rust/library/core)");
        assert_eq!(step(), format!("building shop with allocator system; {STANDARD_LIBRARY}"));
    }
}
