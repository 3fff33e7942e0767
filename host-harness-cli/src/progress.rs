//! Progress on standard error, where that is a terminal.

use std::time::Duration;

use guest_host::text::printable;
use indicatif::{ProgressBar, ProgressStyle};

/// A bar for work of known length, or a spinner.
pub(crate) struct Progress(ProgressBar);

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
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Says what is being done.
    pub(crate) fn doing(&self, what: impl AsRef<str>) {
        self.0.set_message(printable(what.as_ref()).into_owned());
    }

    /// A step is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    /// A handle for callbacks that outlive a borrow.
    pub(crate) fn bar(&self) -> ProgressBar {
        self.0.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
