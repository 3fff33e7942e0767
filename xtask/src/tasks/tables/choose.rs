//! The decision table: situations, the allocator and the strategy for each, and the figures that were measured for them.
//!
//! The book's script makes questions of the columns whose head ends with a question mark, and answers of the words in their
//! cells; [`ANY`] fits every answer. So the table is all that there is to maintain.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::allocators::Workloads;
use super::compare::row;
use super::report::Report;
use super::text::{grouped, time};

/// A cell that fits every answer.
const ANY: &str = "any";

/// The questions: the heads of the first columns.
const QUESTIONS: [&str; 5] = [
    "Can you choose the allocator?",
    "When is the guest restored?",
    "Do calls reuse memory that they freed?",
    "May bytes of earlier calls stay?",
    "How much does a call write?",
];

const EVERY_CALL: &str = "after every call";
const NOW_AND_THEN: &str = "now and then";
const ITS_OWN: &str = "no, it has its own";
const WEE: &str = "no, it names `wee_alloc`";

/// The function of the sample guest that stands for calls that write little, and the one for calls that write much.
const LITTLE: &str = "calc_ordered_items";
const MUCH: &str = "send_mail";

/// The workload whose calls free memory and need it again.
const REUSES: &str = "random";

/// One row of the table.
struct Situation {
    /// An answer for each question.
    answers: [&'static str; QUESTIONS.len()],
    /// The allocator, as reports name it.
    allocator: &'static str,
    /// The strategy, and what happens to residue where the strategy has a choice.
    restored: (&'static str, Option<&'static str>),
    why: &'static str,
    /// The function that was measured.
    function: &'static str,
}

const SITUATIONS: [Situation; 11] = [
    Situation {
        answers: ["yes", EVERY_CALL, "no", "no", "little"],
        allocator: "leaking",
        restored: ("dirty-cards", None),
        why: "An allocation is an addition and a comparison. The restore puts back only what the call wrote.",
        function: LITTLE,
    },
    Situation {
        answers: ["yes", EVERY_CALL, "no", "no", "much"],
        allocator: "leaking",
        restored: ("watermark", Some("scrub")),
        why: "Stores need no marks. The restore puts back everything that the call used.",
        function: MUCH,
    },
    Situation {
        answers: ["yes", EVERY_CALL, "no", "yes", ANY],
        allocator: "bump-reset",
        restored: ("bump-reset", Some("keep")),
        why: "The restore copies the statics and moves the heap pointer back, however much the call allocated.",
        function: MUCH,
    },
    Situation {
        answers: ["yes", EVERY_CALL, "yes", "no", "little"],
        allocator: "freelist",
        restored: ("dirty-cards", None),
        why: "Freed memory serves the next request, so memory stays small. The restore puts back only what the call wrote.",
        function: LITTLE,
    },
    Situation {
        answers: ["yes", EVERY_CALL, "yes", "no", "much"],
        allocator: "freelist",
        restored: ("watermark", Some("scrub")),
        why: "Freed memory serves the next request, so the restore has little heap to zero. Stores need no marks.",
        function: MUCH,
    },
    Situation {
        answers: ["yes", EVERY_CALL, "yes", "yes", ANY],
        allocator: "freelist",
        restored: ("watermark", Some("keep")),
        why: "Freed memory serves the next request. The restore copies statics and snapshotted heap, and zeroes nothing.",
        function: MUCH,
    },
    Situation {
        answers: ["yes", NOW_AND_THEN, ANY, ANY, ANY],
        allocator: "freelist",
        restored: ("watermark", Some("scrub")),
        why: "A bump pointer would run out of memory between two restores. Calls pay for no marks.",
        function: LITTLE,
    },
    Situation {
        answers: [WEE, EVERY_CALL, ANY, ANY, ANY],
        allocator: "wee",
        restored: ("dirty-cards", None),
        why: "The shim has the names of `wee_alloc` and the allocator of freelist: the guest's code stays as it is.",
        function: LITTLE,
    },
    Situation {
        answers: [WEE, NOW_AND_THEN, ANY, ANY, ANY],
        allocator: "wee",
        restored: ("watermark", Some("scrub")),
        why: "The shim exports the control block that `watermark` needs. Calls pay for no marks.",
        function: LITTLE,
    },
    Situation {
        answers: [ITS_OWN, EVERY_CALL, ANY, ANY, ANY],
        allocator: "system",
        restored: ("dirty-cards", None),
        why: "It restores a guest with any allocator exactly, and virtual growth keeps memory from creeping.",
        function: LITTLE,
    },
    Situation {
        answers: [ITS_OWN, NOW_AND_THEN, ANY, ANY, ANY],
        allocator: "system",
        restored: ("full-copy", None),
        why: "Marks would slow down every call, and most calls are not followed by a restore.",
        function: LITTLE,
    },
];

/// The table, with measured figures in its last columns.
///
/// # Errors
///
/// If a row of a situation was not measured.
pub(super) fn table(report: &Report, alone: &Workloads) -> Result<String> {
    let mut text = format!(
        "| {} | take | why | call and restore | with a new instance |\n|{}--:|--:|\n",
        QUESTIONS.join(" | "),
        "---|".repeat(QUESTIONS.len() + 2)
    );
    for situation in &SITUATIONS {
        let (strategy, residue) = situation.restored;
        let residue = residue.map_or_else(String::new, |residue| format!(", {residue}"));
        let _ = writeln!(
            text,
            "| {} | [{}](allocators/{}.md), `{strategy}{residue}` | {}{} | {} |",
            situation.answers.join(" | "),
            situation.allocator,
            situation.allocator,
            situation.why,
            pages(situation, alone)?,
            measured(situation, report)?
        );
    }
    Ok(text)
}

/// How much memory a workload takes that reuses it, where that is the question.
fn pages(situation: &Situation, alone: &Workloads) -> Result<String> {
    if situation.answers[2] != "yes" {
        return Ok(String::new());
    }
    let pages = |allocator: &str| {
        let found = alone.get(REUSES)?.iter().find(|alone| alone.allocator == allocator)?;
        Some(grouped(found.pages))
    };
    let both = pages(situation.allocator).zip(pages("leaking"));
    let (pages, leaking) = both.with_context(|| format!("the workload `{REUSES}` was not measured"))?;
    Ok(format!(" The workload *{REUSES}* takes {pages} pages; with leaking, {leaking}."))
}

/// The cells of figures: a call with its restore, and a call with a new instance.
fn measured(situation: &Situation, report: &Report) -> Result<String> {
    let Situation { answers, allocator, restored: (strategy, residue), function, .. } = situation;
    let times = |strategy: &str, residue: Option<&str>| {
        row(report, allocator, function, strategy, residue)
            .and_then(|row| row.times.as_ref())
            .with_context(|| format!("the report has no times of `{function}` with {allocator}, {strategy}"))
    };
    let restored = times(strategy, *residue)?;
    let call = if answers[1] == NOW_AND_THEN {
        let restore = restored.restore.context("the report has no time of a restore")?;
        format!("{}; a restore {}", time(times("none", None)?.invoke.p50), time(restore.p50))
    } else {
        time(restored.invoke.p50)
    };
    let new = time(times("reinstantiate", None)?.invoke.p50);
    Ok(format!("{call} | {new}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All answers that a question has.
    fn options(question: usize) -> Vec<&'static str> {
        let mut options: Vec<_> = SITUATIONS.iter().map(|situation| situation.answers[question]).collect();
        options.retain(|answer| *answer != ANY);
        options.sort_unstable();
        options.dedup();
        options
    }

    #[test]
    fn all_answers_together_lead_to_one_situation() {
        let mut combinations: Vec<Vec<&str>> = vec![Vec::new()];
        for (question, head) in QUESTIONS.iter().enumerate() {
            assert!(options(question).len() > 1, "{head} has no choice");
            let extended = combinations.iter().flat_map(|begun| {
                options(question).into_iter().map(|answer| begun.iter().copied().chain([answer]).collect())
            });
            combinations = extended.collect();
        }
        for answers in combinations {
            let fits = SITUATIONS.iter().filter(|situation| {
                situation.answers.iter().zip(&answers).all(|(have, given)| *have == ANY || have == given)
            });
            assert_eq!(fits.count(), 1, "{answers:?}");
        }
    }

    #[test]
    fn heads_of_questions_are_questions() {
        assert!(QUESTIONS.iter().all(|question| question.ends_with('?')));
    }
}
