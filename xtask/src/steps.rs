//! Steps that run one after the other, and the summary of how each went.

use std::env;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::console::Console;
use crate::folders;

/// How a step went.
#[derive(Debug)]
enum Outcome {
    Passed,
    Failed(anyhow::Error),
    /// Left out because a step that it needs had failed.
    Skipped(&'static str),
}

/// The steps of one task.
pub(crate) struct Steps<'a> {
    console: &'a Console,
    planned: usize,
    done: Vec<(&'static str, Outcome, Duration)>,
}

impl<'a> Steps<'a> {
    /// None done yet of `planned`.
    pub(crate) fn new(console: &'a Console, planned: usize) -> Self {
        Self { console, planned, done: Vec::new() }
    }

    /// Runs a step, unless one of the steps that it `needs` failed or was left out.
    pub(crate) fn run(&mut self, name: &'static str, needs: &[&str], step: impl FnOnce() -> Result<()>) {
        let missing = self
            .done
            .iter()
            .find(|(done, outcome, _)| needs.contains(done) && !matches!(outcome, Outcome::Passed))
            .map(|(done, ..)| *done);
        if let Some(missing) = missing {
            self.console.say(&format!("{name}: left out, because {missing} failed"));
            self.done.push((name, Outcome::Skipped(missing), Duration::ZERO));
            return;
        }
        self.console.begin_step(&format!("[{}/{}] {name}", self.done.len() + 1, self.planned));
        let begun = Instant::now();
        let outcome = match step() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                self.console.say(&format!("{name}: {error:#}"));
                self.console.say(&free_space());
                Outcome::Failed(error)
            }
        };
        self.done.push((name, outcome, begun.elapsed()));
    }

    /// Whether every step passed.
    pub(crate) fn passed(&self) -> bool {
        self.done.iter().all(|(_, outcome, _)| matches!(outcome, Outcome::Passed))
    }

    /// A line for each step; for one that failed also why, and the command that runs it alone. Warnings follow.
    pub(crate) fn summary(&self, task: &str) -> String {
        let mut text = String::new();
        for (name, outcome, took) in &self.done {
            let seconds = took.as_secs_f64();
            let line = match outcome {
                Outcome::Passed => format!("  {name:<12} passed   {seconds:>7.1} s"),
                Outcome::Failed(_) => format!("  {name:<12} FAILED   {seconds:>7.1} s"),
                Outcome::Skipped(missing) => format!("  {name:<12} left out, because {missing} failed"),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        }
        let total: f64 = self.done.iter().map(|(.., took)| took.as_secs_f64()).sum();
        let passed = self.count(|outcome| matches!(outcome, Outcome::Passed));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        let _ = writeln!(
            text,
            "{} steps in {total:.0} s: {passed} passed, {failed} failed, {skipped} left out",
            self.done.len()
        );
        for (name, outcome, _) in &self.done {
            if let Outcome::Failed(error) = outcome {
                let reason = format!("{error:#}");
                let first = reason.lines().next().unwrap_or_default();
                let _ = writeln!(text, "{name}: {first}\n  again: cargo xtask {task} --only {name}");
            }
        }
        for warning in self.console.warnings() {
            let _ = writeln!(text, "WARNING: {warning}");
        }
        text
    }

    fn count(&self, is: impl Fn(&Outcome) -> bool) -> usize {
        self.done.iter().filter(|(_, outcome, _)| is(outcome)).count()
    }
}

/// The free space where steps build, and where tests make temporary folders. A test that fails as a disk is full says so in words of its own,
/// if at all.
fn free_space() -> String {
    let told = Command::new("df").arg("-h").args([folders::root(), env::temp_dir()]).output();
    match told {
        Ok(told) => format!("free space:\n{}", String::from_utf8_lossy(&told.stdout).trim_end()),
        Err(error) => format!("free space: unknown ({error})"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    #[cfg(unix)]
    fn free_space_is_told_of_both_folders() {
        let told = free_space();
        // A heading and a line for each.
        assert!(told.starts_with("free space:\n") && told.lines().count() == 4, "{told}");
    }

    #[test]
    fn what_needs_a_failed_step_is_left_out_and_the_rest_runs() {
        let console = Console::new();
        let mut steps = Steps::new(&console, 4);
        let mut ran = Vec::new();
        steps.run("guests", &[], || bail!("no linker\nmore"));
        steps.run("tests", &["guests"], || {
            ran.push("tests");
            Ok(())
        });
        steps.run("features", &["tests"], || {
            ran.push("features");
            Ok(())
        });
        steps.run("fmt", &["absent"], || {
            ran.push("fmt");
            Ok(())
        });
        let (passed, summary) = (steps.passed(), steps.summary("test"));
        assert_eq!(ran, ["fmt"]);
        assert!(!passed);
        assert!(summary.contains("1 passed, 1 failed, 2 left out"), "{summary}");
        assert!(summary.contains("guests: no linker\n"), "{summary}");
        assert!(summary.contains("cargo xtask test --only guests"), "{summary}");
    }

    #[test]
    fn all_passed_says_so() {
        let console = Console::new();
        let mut steps = Steps::new(&console, 1);
        steps.run("fmt", &[], || Ok(()));
        console.warn("guests in Zig are left out");
        assert!(steps.passed());
        let summary = steps.summary("test");
        assert!(summary.contains("1 passed, 0 failed"), "{summary}");
        assert!(summary.ends_with("WARNING: guests in Zig are left out\n"), "{summary}");
    }
}
