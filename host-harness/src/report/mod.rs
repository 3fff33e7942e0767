//! Reports: what a command found, in one document for every format.
//!
//! A [`Report`] is data; its JSON form is that data. [`Section`]s are how it reads: a text or an HTML page prints them.

pub mod baseline;
mod build;
mod data;
mod gather;
mod header;
mod importance;
pub(crate) mod numbers;
mod read;
pub mod recommend;
#[cfg(feature = "schema")]
mod schema;
mod section;
mod views;

pub use crate::intent_report::IntentReport;
pub use build::{BuildReport, BuiltModule, PlainCargoLine};
pub use data::{
    CallReport, CompileReport, GuestSummary, LogReport, MeasureReport, NotAdmitted, ReplayReport, RunReport, Settings,
    VerdictReport, VerifyReport,
};
pub use header::{Header, Machine};
pub use read::{ReadError, read};
#[cfg(feature = "schema")]
pub use schema::schema;
pub use section::{Body, Section, TO_PASTE, Table};

use serde::{Deserialize, Serialize};

use crate::inspect::Inspection;
use crate::pipe::PipeReport;
use baseline::{Change, Comparison};

/// Version of the JSON report's schema. It is raised when a field is taken away or changes its meaning; fields may be
/// added without.
pub const SCHEMA_VERSION: u32 = 3;

/// The findings of a command.
///
/// ```
/// use guest_host::{Engine, EngineConfig, InstanceConfig, PrepareOptions};
/// use host_harness::inspect::inspect;
/// use host_harness::report::{self, Content, Report};
///
/// let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-host/examples/shop.wat")))?;
/// let found = inspect(&engine, "shop", &wasm, PrepareOptions::default(), &InstanceConfig::default())?;
/// let report = Report::new(Content::Inspect(Box::new(found)));
/// assert!(report.passed());
/// // Its JSON form can be read again.
/// let text = serde_json::to_string(&report)?;
/// assert_eq!(report::read(&text)?.command(), "inspect");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Report {
    /// Version of the schema: [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// When, where and with what it was made.
    pub header: Header,
    /// The findings; the field `command` names the command.
    #[serde(flatten)]
    pub content: Content,
    /// The changes since an earlier report; absent where it was compared with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Comparison>,
}

/// The findings, by command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "command", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Content {
    /// By `inspect`.
    Inspect(Box<Inspection>),
    /// By `run`.
    Run(Box<RunReport>),
    /// By `measure`.
    Measure(MeasureReport),
    /// By `verify`.
    Verify(VerifyReport),
    /// By `compare`: measured and verified.
    Compare(MeasureReport),
    /// By `replay`.
    Replay(ReplayReport),
    /// By `compile`.
    Compile(CompileReport),
    /// By `build`.
    Build(Box<BuildReport>),
    /// By `pipe`.
    Pipe(PipeReport),
}

impl Report {
    /// A report that is made here and now.
    #[must_use]
    pub fn new(content: Content) -> Self {
        Self { schema_version: SCHEMA_VERSION, header: Header::here_and_now(), content, baseline: None }
    }

    /// The command that it is of.
    #[must_use]
    pub fn command(&self) -> &'static str {
        match self.content {
            Content::Inspect(_) => "inspect",
            Content::Run(_) => "run",
            Content::Measure(_) => "measure",
            Content::Verify(_) => "verify",
            Content::Compare(_) => "compare",
            Content::Replay(_) => "replay",
            Content::Compile(_) => "compile",
            Content::Build(_) => "build",
            Content::Pipe(_) => "pipe",
        }
    }

    /// Whether no call failed and no check did, that of the baseline included.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.baseline.as_ref().is_none_or(Comparison::passed) && self.content_passed()
    }

    fn content_passed(&self) -> bool {
        match &self.content {
            Content::Inspect(inspection) => {
                let fits = inspection.budget.as_ref().is_none_or(|budget| budget.fits);
                fits && inspection.problems.is_empty() && inspection.instance_error.is_none()
            }
            Content::Run(run) => run.failed_calls == 0,
            Content::Compile(_) => true,
            Content::Build(report) => report.modules.iter().all(|module| module.strategy.is_some()),
            Content::Measure(report) | Content::Compare(report) => report.passed(),
            Content::Verify(report) => report.verdicts.iter().all(|verdict| verdict.passed),
            Content::Replay(report) => report.passed(),
            Content::Pipe(report) => report.passed(),
        }
    }

    /// The report as a reader sees it.
    #[must_use]
    pub fn sections(&self) -> Vec<Section> {
        // With a baseline the question is what changed.
        let mut sections: Vec<Section> = self.baseline.iter().map(views::baseline::section).collect();
        sections.extend(self.content_sections());
        sections
    }

    fn content_sections(&self) -> Vec<Section> {
        match &self.content {
            Content::Inspect(inspection) => views::inspect::sections(inspection),
            Content::Run(run) => views::run::sections(run),
            Content::Compile(compiled) => views::compile::sections(compiled),
            Content::Build(report) => views::build::sections(report),
            Content::Measure(report) | Content::Compare(report) => views::measure::sections(report),
            Content::Verify(report) => {
                let mut sections = views::verify::sections(&report.verdicts);
                sections.extend(views::notes(&report.notes));
                sections.push(views::settings(&report.settings));
                sections
            }
            Content::Replay(report) => views::replay::sections(report),
            Content::Pipe(report) => views::pipe::sections(report),
        }
    }
}

/// The two values of a change, in words and units that people read.
fn change_values(change: &Change) -> [String; 2] {
    [&change.before, &change.after].map(|value| views::baseline::value(change.figure, value.as_ref()))
}
