//! The checks of a report as JUnit XML, which programs for continuous integration show.
//!
//! A check is a verdict, a row or a call that failed, a problem of a guest, or a rule of the baseline. Measured rows that did
//! not fail are no checks and stand together as one.

use std::io::{self, Write};

use guest_host::text::printable_within;
use host_harness::baseline::{Change, Comparison, Rule};
use host_harness::measure::{FailedCall, Row};
use host_harness::report::{Content, Report, VerdictReport};
use junit_report::{Duration, ReportBuilder, TestCase, TestCaseBuilder, TestSuite, TestSuiteBuilder};

use super::Exporter;

/// Characters of a name or a message.
const LINE: usize = 1_000;

/// Lines of the text of a failure.
const LINES: usize = 100;

/// Writes JUnit XML.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Junit;

impl Exporter for Junit {
    fn write(&self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let mut suites = vec![suite("host-harness", of_content(report))];
        suites.extend(report.baseline.as_ref().map(|comparison| suite("baseline", of_baseline(comparison))));
        let report = ReportBuilder::new().add_testsuites(suites).build();
        report.write_xml(&mut *out).map_err(io::Error::other)?;
        out.write_all(b"\n")
    }
}

fn suite(name: &str, cases: Vec<TestCase>) -> TestSuite {
    TestSuiteBuilder::new(name).add_testcases(cases).build()
}

fn of_content(report: &Report) -> Vec<TestCase> {
    let class = format!("host-harness.{}", report.command());
    let failed = |name: &str, failure: &FailedCall| {
        failure_of(&class, name, &failure.cause, &failure.message, &[format!("call {}", failure.call)])
    };
    match &report.content {
        Content::Measure(found) | Content::Compare(found) => {
            let mut cases = vec![measured(&class, &found.rows)];
            let failures = found.rows.iter().filter_map(|row| Some((row, row.failure.as_ref()?)));
            cases.extend(failures.map(|(row, failure)| failed(&row_name(row), failure)));
            cases.extend(found.verdicts.iter().map(|verdict| of_verdict(&class, verdict)));
            cases
        }
        Content::Verify(found) => found.verdicts.iter().map(|verdict| of_verdict(&class, verdict)).collect(),
        Content::Run(run) => {
            let name = format!("{} {}", run.guest, run.function);
            let first = run.calls.iter().find_map(|call| call.failure.as_ref());
            vec![match first {
                Some(failure) if run.failed_calls > 0 => failed(&name, failure),
                _ => passed(&class, &name),
            }]
        }
        Content::Replay(replay) => {
            let case = |row: &host_harness::replay::ReplayRow| {
                let name = format!("{} with {}", row.trace, row.allocator);
                row.failure.as_ref().map_or_else(|| passed(&class, &name), |failure| failed(&name, failure))
            };
            replay.rows.iter().map(case).collect()
        }
        Content::Inspect(found) => {
            let problems: Vec<String> = found.problems.iter().chain(&found.instance_error).cloned().collect();
            vec![match problems.first() {
                None => passed(&class, &found.guest),
                Some(first) => failure_of(&class, &found.guest, "problem", first, &problems),
            }]
        }
        Content::Pipe(pipe) => {
            let case = |stage: &host_harness::pipe::StageReport| match &stage.failure {
                Some(failure) if stage.stopped => failed(&stage.stage, failure),
                _ => passed(&class, &stage.stage),
            };
            pipe.stages.iter().map(case).collect()
        }
        Content::Compile(made) => vec![passed(&class, &made.guest)],
        _ => Vec::new(),
    }
}

/// The rows that have figures, as one check: continuous integration counts checks, and figures are none.
fn measured(class: &str, rows: &[Row]) -> TestCase {
    let count = rows.iter().filter(|row| row.failure.is_none()).count();
    passed(class, &format!("{count} of {} rows measured", rows.len()))
}

fn row_name(row: &Row) -> String {
    format!("{} {} restored by {}", row.guest, row.function, row.way())
}

fn of_verdict(class: &str, verdict: &VerdictReport) -> TestCase {
    let name = format!("{} verified, restored by {}", verdict.guest, verdict.way());
    if verdict.passed {
        return passed(class, &name);
    }
    let (word, lines) = verdict.findings();
    let message = lines.first().map_or(word, String::as_str);
    failure_of(class, &name, word, message, &lines)
}

/// A check for each rule; one that failed lists the changes that broke it.
fn of_baseline(comparison: &Comparison) -> Vec<TestCase> {
    const CLASS: &str = "host-harness.baseline";
    if let Some(error) = &comparison.error {
        return vec![failure_of(CLASS, "comparable", "not-comparable", error, &comparison.notes)];
    }
    let case = |rule: &Rule| {
        let lines: Vec<String> = comparison.failing().filter(|change| change.figure == rule.figure).map(line).collect();
        match lines.first() {
            None => passed(CLASS, &rule.text()),
            Some(first) => failure_of(CLASS, &rule.text(), rule.figure.name(), first, &lines),
        }
    };
    comparison.rules.iter().map(case).collect()
}

fn line(change: &Change) -> String {
    let [before, after] = change.shown();
    let percent = change.percent.map(|percent| format!(" ({percent:+}%)")).unwrap_or_default();
    format!("{}: {} was {before}, is {after}{percent}", change.place(), change.figure)
}

fn passed(class: &str, name: &str) -> TestCase {
    TestCaseBuilder::success(&text(name), Duration::ZERO).set_classname(&text(class)).build()
}

fn failure_of(class: &str, name: &str, kind: &str, message: &str, lines: &[String]) -> TestCase {
    let mut trace: Vec<String> = lines.iter().take(LINES).map(|line| text(line)).collect();
    if lines.len() > LINES {
        trace.push(format!("and {} more", lines.len() - LINES));
    }
    // The text must not contain the mark that ends a section of characters.
    let trace = trace.join("\n").replace("]]>", "]] >");
    let mut case = TestCaseBuilder::failure(&text(name), Duration::ZERO, &text(kind), &text(message));
    case.set_classname(&text(class)).set_trace(&trace).build()
}

/// Text of others without the characters that XML has no way to write: they are written as JSON writes them.
fn text(text: &str) -> String {
    printable_within(text, LINE).replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_forbids_is_written_otherwise() {
        let bad = "a\u{0}\u{1b}\u{fffe}\u{ffff}<&\"]]>\n".to_owned();
        let case = failure_of(&bad, &bad, &bad, &bad, std::slice::from_ref(&bad));
        let mut out = Vec::new();
        ReportBuilder::new().add_testsuite(suite("s", vec![case])).build().write_xml(&mut out).unwrap();
        let xml = String::from_utf8(out).unwrap();
        assert!(!xml.contains(|char: char| char.is_control() || char == '\u{fffe}' || char == '\u{ffff}'), "{xml}");
        assert!(xml.contains(r#"name="a\u0000\u001b\ufffe\uffff&lt;&amp;&quot;]]&gt;\n""#), "{xml}");
        assert_eq!(xml.matches("]]>").count(), 1, "only what ends the section: {xml}");
    }

    #[test]
    fn many_lines_are_counted_and_not_listed() {
        let lines = vec!["l".to_owned(); LINES + 5];
        let mut out = Vec::new();
        let case = failure_of("c", "n", "k", "m", &lines);
        ReportBuilder::new().add_testsuite(suite("s", vec![case])).build().write_xml(&mut out).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("l\nand 5 more]]>"));
    }
}
