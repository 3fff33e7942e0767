//! How far a query is, and how fast it was.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::physical_plan::ExecutionPlan;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use crate::arguments::Format;

/// How often progress is drawn.
const PERIOD: Duration = Duration::from_millis(100);

/// Where a query is executed, and with it what is known of its progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In this process: the rows that it read are counted.
    Here,
    /// On a cluster, which does not say how many rows it read.
    Cluster,
}

/// The progress of a plan, on standard error.
pub(crate) struct Progress {
    place: Place,
    plan: Arc<dyn ExecutionPlan>,
    began: Instant,
    /// `None` where nobody sees it.
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// The plan begins now.
    pub(crate) fn begin(plan: &Arc<dyn ExecutionPlan>, place: Place, format: Format, quiet: bool) -> Self {
        // Results that come meanwhile on the same terminal would tear the line apart.
        let is_alone = format == Format::Table || !std::io::stdout().is_terminal();
        let is_seen = std::io::stderr().is_terminal() && is_alone && !quiet;
        let bar = is_seen.then(|| {
            let style =
                ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        Self { place, plan: Arc::clone(plan), began: Instant::now(), bar, quiet }
    }

    /// Calls [`Progress::draw`] with each tick until `work` ends.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut ticks = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                _ = ticks.tick() => self.draw(),
            }
        }
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_message(match self.place {
                Place::Here => {
                    let rows = rows_read(self.plan.as_ref());
                    format!("{} rows read, {} rows/s", HumanCount(rows), HumanCount(self.rate(rows)))
                }
                Place::Cluster => format!("{} s", self.began.elapsed().as_secs()),
            });
            bar.tick();
        }
    }

    /// Takes the line away, so that results can be printed.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Says how many rows were read and returned, and how fast.
    pub(crate) fn end(&self, returned: u64) {
        if self.quiet {
            return;
        }
        let (read, seconds) = (rows_read(self.plan.as_ref()), self.began.elapsed().as_secs_f64());
        let rows = if returned == 1 { "row" } else { "rows" };
        let returned = HumanCount(returned);
        let said = match self.place {
            Place::Here => {
                let rate = HumanCount(self.rate(read));
                format!("{} rows read, {returned} returned in {seconds:.3} s: {rate} rows/s", HumanCount(read))
            }
            Place::Cluster => format!("{returned} {rows} returned in {seconds:.3} s"),
        };
        // Nobody may be there to read it.
        let _ = writeln!(std::io::stderr(), "{said}");
    }

    fn rate(&self, rows: u64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a rate for people, which is not negative"
        )]
        let rate = (rows as f64 / self.began.elapsed().as_secs_f64().max(1e-9)) as u64;
        rate
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Rows that the plan's sources returned until now.
fn rows_read(plan: &dyn ExecutionPlan) -> u64 {
    let children = plan.children();
    if children.is_empty() {
        return plan.metrics().and_then(|metrics| metrics.output_rows()).map_or(0, |rows| rows as u64);
    }
    children.into_iter().map(|child| rows_read(child.as_ref())).sum()
}
