//! The scenarios of the benchmarks as exact counts of WebAssembly instructions.
//!
//! A count depends on the guest's code alone: not on the machine, nor on what else it does, nor on where the guest's heap
//! begins (`tests/all/heap_start.rs`). So counts are kept in a file, [`file()`], and what has drifted from it by more than
//! [`TOLERANCE`], to either side, fails. They do depend on the compiler that built the guests, so the file has a set for
//! each compiler. By a compiler that it does not know, counts are held to those of the others, within
//! [`TOLERANCE_OF_OTHERS`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use guest_host::{Engine, EngineConfig, Instance, Residue, RestorePolicy, RestoreStrategy};
use host_harness::inspect::built_with;

use crate::guests;
use crate::heaps::{HEAPS, Heap, Workload};

/// Share of a recorded count by which one may differ: 2%.
pub const TOLERANCE: Tolerance = Tolerance { thousandths: 20 };

/// The same, where the recorded counts are of guests that another compiler built: 50%. Optimisers differ, but one that
/// makes half as much again of a scenario has not optimised what it should have.
pub const TOLERANCE_OF_OTHERS: Tolerance = Tolerance { thousandths: 500 };

/// The command that writes the file anew.
const COMMAND: &str = "cargo xtask bench --instructions";

/// Instructions of each scenario, by its name.
pub type Counts = BTreeMap<String, u64>;

/// The recorded counts of each compiler, by what `rustc --version` says of it.
pub type Recorded = BTreeMap<String, Counts>;

/// Where counts are recorded.
#[must_use]
pub fn file() -> PathBuf {
    guests::root().join("benches/instructions.json")
}

/// How far a count may be from what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// Thousandths of the recorded count.
    pub thousandths: u64,
}

impl Tolerance {
    fn allows(self, recorded: u64, found: u64) -> bool {
        u128::from(recorded.abs_diff(found)) * 1000 <= u128::from(recorded) * u128::from(self.thousandths)
    }
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.thousandths / 10)
    }
}

/// Functions of the guest `bench` that are counted.
const FUNCTIONS: [&str; 6] =
    ["do_nothing", "one_key", "one_get", "one_get_long_string", "one_get_one_intent", "read_1000_rows"];

/// Functions of the same guest on the exttinygo contract that are counted.
const OTHER_CONTRACT: [&str; 4] = ["do_nothing", "one_get", "five_steps", "read_1000_rows"];

/// Allocators that the guest `bench` is built with.
const ALLOCATORS: [&str; 5] = ["leaking", "bump-reset", "freelist", "wee", "system"];

/// An engine that counts instructions.
///
/// # Errors
/// The machine refuses it.
pub fn counting_engine() -> Result<Engine> {
    let mut config = EngineConfig::default();
    config.fuel = true;
    Ok(Engine::new(&config)?)
}

/// What one run took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Instructions.
    pub instructions: u64,
    /// Pages of 64 KiB that memory had afterwards, which is the most that it had.
    pub pages: u64,
    /// Times that the allocator grew memory, where it says so.
    pub grows: Option<u64>,
}

/// Runs a function of an instance, restored before each run, until it has its pages; two runs from there on must be
/// the same.
///
/// Virtual growth takes other instructions where pages must be added than where a restore has left them.
fn run_repeatedly(instance: &mut Instance, name: &str) -> Result<Run> {
    let function = instance.guest().function(name)?;
    let mut run = || -> Result<Run> {
        instance.restore()?;
        let stats = *instance.invoke(function)?.stats();
        Ok(Run {
            instructions: stats.instructions.context("the engine counts no instructions")?,
            pages: stats.pages,
            grows: stats.allocations.and_then(|allocations| allocations.grows),
        })
    };
    let [first, second, third] = [run()?, run()?, run()?];
    ensure!(second == third, "{name} of {} is not the same each time: {second:?}, {third:?}", instance.guest().name());
    // What an allocator says that it has grown is for memory as a fresh instance has it.
    Ok(Run { grows: first.grows, ..second })
}

/// Runs a function of a guest that has a heap, on a workload's data.
///
/// # Errors
/// The guest has not been built, or the function fails.
pub fn run_workload(engine: &Engine, workload: Workload, heap: Heap, function: &str) -> Result<Run> {
    let told = || format!("{} with {}", workload.name(), heap.name);
    run_repeatedly(&mut workload.instance(engine, heap).with_context(told)?, function).with_context(told)
}

/// What was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The compiler that built the guests.
    pub compiler: String,
    /// The counts.
    pub counts: Counts,
}

/// Counts every scenario.
///
/// # Errors
/// The guests have not been built, or not all by one compiler; or a call fails, or is not the same the second time.
pub fn count() -> Result<Counted> {
    let engine = counting_engine()?;
    let mut counts = Counts::new();
    let mut compilers = BTreeMap::new();
    let mut count = |scenario: String, instance: &mut Instance, function: &str| -> Result<()> {
        let guest = instance.guest();
        let compiler = built_with(guest.info()).into_iter().find(|tool| tool.starts_with("rustc "));
        let compiler = compiler.with_context(|| format!("{} does not say what compiled it", guest.name()))?;
        compilers.entry(compiler).or_insert_with(|| guest.name().to_owned());
        let run = run_repeatedly(instance, function).with_context(|| scenario.clone())?;
        counts.insert(scenario, run.instructions);
        Ok(())
    };
    for allocator in ALLOCATORS {
        for (strategy, suffix) in [(RestoreStrategy::FullCopy, ""), (RestoreStrategy::DirtyCards, "/barrier")] {
            let config = guests::config(strategy, RestorePolicy::EveryCall, Residue::Scrub);
            let mut instance =
                guests::load(&engine, &format!("bench-{allocator}"))?.instantiate(&config, guests::state()?)?;
            for function in FUNCTIONS {
                count(format!("extensions/{function}/{allocator}{suffix}"), &mut instance, function)?;
            }
            let other = guests::load(&engine, &format!("bench-{allocator}-exttinygo"))?;
            let mut instance = other.instantiate(&config, guests::state()?)?;
            for function in OTHER_CONTRACT {
                count(format!("exttinygo/{function}/{allocator}{suffix}"), &mut instance, function)?;
            }
        }
    }
    for workload in Workload::ALL {
        for heap in HEAPS {
            let scenario = format!("allocators/{}/{}", workload.name(), heap.name);
            count(scenario, &mut workload.instance(&engine, heap)?, workload.function())?;
        }
    }
    let mut compilers = compilers.into_iter();
    match (compilers.next(), compilers.next()) {
        (Some((compiler, _)), None) => Ok(Counted { compiler, counts }),
        (one, other) => bail!(
            "the guests were not all built by the same compiler ({one:?}, {other:?}): build them by `cargo xtask guests`"
        ),
    }
}

/// Reads the recorded counts; none where there is no file.
///
/// # Errors
/// The file cannot be read.
pub fn read() -> Result<Recorded> {
    let path = file();
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a record of counts; `{COMMAND}` writes it", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Recorded::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Writes the recorded counts.
///
/// # Errors
/// The file cannot be written.
pub fn write(recorded: &Recorded) -> Result<()> {
    let path = file();
    let text = serde_json::to_string_pretty(recorded)? + "\n";
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

/// Records counts in the place of the same compiler's. Where those were others, the code has changed, and what is
/// recorded of other compilers is of code that is no more: it is dropped.
pub fn record(recorded: &mut Recorded, counted: Counted) {
    if recorded.get(&counted.compiler).is_some_and(|before| *before != counted.counts) {
        recorded.clear();
    }
    recorded.insert(counted.compiler, counted.counts);
}

/// A scenario that is not as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Another count, beyond the tolerance.
    Count {
        /// The scenario.
        scenario: String,
        /// Its recorded count.
        recorded: u64,
        /// What it takes.
        found: u64,
    },
    /// A scenario that is not recorded.
    New(String),
    /// A recorded scenario that is no more.
    Gone(String),
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { scenario, recorded, found } => {
                let sign = if found < recorded { '-' } else { '+' };
                let thousandths = u128::from(recorded.abs_diff(*found)) * 1000 / u128::from((*recorded).max(1));
                write!(
                    f,
                    "{scenario}: {found} instead of {recorded} ({sign}{}.{}%)",
                    thousandths / 10,
                    thousandths % 10
                )
            }
            Self::New(scenario) => write!(f, "{scenario} is not recorded"),
            Self::Gone(scenario) => write!(f, "{scenario} is recorded, and is no more"),
        }
    }
}

/// How counts are to what is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The compiler whose counts they were held to; `None` where no compiler's are recorded.
    pub recorded_of: Option<String>,
    /// How far they may be from them.
    pub tolerance: Tolerance,
    /// What is beyond.
    pub drifts: Vec<Drift>,
}

/// Holds counts to those that are recorded: of the same compiler, or else of the last in the file.
#[must_use]
pub fn compare(recorded: &Recorded, counted: &Counted) -> Comparison {
    let same = recorded.get_key_value(&counted.compiler);
    let tolerance = if same.is_some() { TOLERANCE } else { TOLERANCE_OF_OTHERS };
    let Some((compiler, recorded)) = same.or_else(|| recorded.last_key_value()) else {
        return Comparison { recorded_of: None, tolerance, drifts: Vec::new() };
    };
    let drift = |(scenario, found): (&String, &u64)| match recorded.get(scenario) {
        Some(recorded) if tolerance.allows(*recorded, *found) => None,
        Some(recorded) => Some(Drift::Count { scenario: scenario.clone(), recorded: *recorded, found: *found }),
        None => Some(Drift::New(scenario.clone())),
    };
    let gone = recorded.keys().filter(|scenario| !counted.counts.contains_key(*scenario));
    let drifts = counted.counts.iter().filter_map(drift).chain(gone.cloned().map(Drift::Gone)).collect();
    Comparison { recorded_of: Some(compiler.clone()), tolerance, drifts }
}

impl Comparison {
    /// What it amounts to, in words.
    ///
    /// # Errors
    /// The same, where something has drifted or nothing is recorded.
    pub fn verdict(&self, counted: &Counted) -> Result<String> {
        let Self { recorded_of, tolerance, drifts } = self;
        let Some(recorded_of) = recorded_of else {
            bail!("no counts are recorded; `{COMMAND}` writes {}", file().display());
        };
        let of = if *recorded_of == counted.compiler {
            format!("those of {recorded_of}")
        } else {
            format!(
                "those of {recorded_of}, as none are recorded of {}; `{COMMAND}` adds them, and then they are held to \
                 {TOLERANCE}",
                counted.compiler
            )
        };
        if drifts.is_empty() {
            return Ok(format!("{} counts are within {tolerance} of {of}", counted.counts.len()));
        }
        let lines: String = drifts.iter().map(|drift| format!("\n  {drift}")).collect();
        bail!(
            "{} of {} counts have drifted by more than {tolerance} from {of}:{lines}\nwhere that is meant, \
             `{COMMAND}` writes benches/instructions.json anew",
            drifts.len(),
            counted.counts.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(compiler: &str, counts: &[(&str, u64)]) -> Counted {
        let counts = counts.iter().map(|(scenario, count)| ((*scenario).to_owned(), *count)).collect();
        Counted { compiler: compiler.to_owned(), counts }
    }

    fn recorded() -> Recorded {
        let mut recorded = Recorded::new();
        record(&mut recorded, counted("rustc 1", &[("small", 30), ("large", 100_000)]));
        recorded
    }

    fn judge(compiler: &str, counts: &[(&str, u64)]) -> Result<String, String> {
        let counted = counted(compiler, counts);
        compare(&recorded(), &counted).verdict(&counted).map_err(|error| error.to_string())
    }

    #[test]
    fn a_drift_of_three_percent_fails_to_either_side_and_two_percent_do_not() {
        for within in [98_000, 100_000, 102_000] {
            judge("rustc 1", &[("small", 30), ("large", within)]).unwrap();
        }
        for beyond in [97_000, 97_999, 102_001, 103_000] {
            judge("rustc 1", &[("small", 30), ("large", beyond)]).unwrap_err();
        }
        // 2% of a small count is less than one instruction.
        judge("rustc 1", &[("small", 31), ("large", 100_000)]).unwrap_err();
    }

    #[test]
    fn a_drift_is_told_with_scenario_size_and_command() {
        let told = judge("rustc 1", &[("small", 29), ("large", 103_000)]).unwrap_err();
        assert!(told.contains("2 of 2 counts have drifted by more than 2%"), "{told}");
        assert!(told.contains("large: 103000 instead of 100000 (+3.0%)"), "{told}");
        assert!(told.contains("small: 29 instead of 30 (-3.3%)"), "{told}");
        assert!(told.contains("`cargo xtask bench --instructions`"), "{told}");
    }

    #[test]
    fn scenarios_that_come_and_go_are_told() {
        let told = judge("rustc 1", &[("small", 30), ("medium", 7)]).unwrap_err();
        assert!(
            told.contains("medium is not recorded") && told.contains("large is recorded, and is no more"),
            "{told}"
        );
    }

    #[test]
    fn another_compiler_is_held_to_the_recorded_one_less_strictly_and_said_to_be_another() {
        let told = judge("rustc 2", &[("small", 45), ("large", 50_000)]).unwrap();
        assert!(told.contains("within 50% of those of rustc 1, as none are recorded of rustc 2"), "{told}");
        for beyond in [46, 14] {
            judge("rustc 2", &[("small", beyond), ("large", 100_000)]).unwrap_err();
        }
        let nothing = counted("rustc 1", &[("small", 30)]);
        assert!(compare(&Recorded::new(), &nothing).verdict(&nothing).is_err(), "a check without a record is none");
    }

    #[test]
    fn counts_of_other_compilers_are_kept_while_the_code_is_the_same() {
        let mut recorded = recorded();
        record(&mut recorded, counted("rustc 2", &[("small", 32), ("large", 99_000)]));
        record(&mut recorded, counted("rustc 1", &[("small", 30), ("large", 100_000)]));
        assert_eq!(recorded.keys().collect::<Vec<_>>(), ["rustc 1", "rustc 2"]);
        record(&mut recorded, counted("rustc 1", &[("small", 30), ("large", 90_000)]));
        assert_eq!(recorded.keys().collect::<Vec<_>>(), ["rustc 1"]);
    }
}
