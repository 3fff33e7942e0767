//! Recommendations from figures that are made up.

use guest_host::InstanceConfig;

use super::*;
use crate::measure::{Counts, FailedCall, Interval, Noise, PerCall, Ratios, Row, RowVerdict, Spread, Times};
use crate::report::{GuestSummary, Settings};

fn report(guests: &[(&str, u64)], rows: Vec<Row>) -> MeasureReport {
    let mut report = MeasureReport::new(Settings::of(&InstanceConfig::default(), true), 20.0);
    report.guests = guests
        .iter()
        .map(|(allocator, wasm_bytes)| GuestSummary {
            guest: format!("shop-{allocator}"),
            allocator: (*allocator).to_owned(),
            wasm_bytes: *wasm_bytes,
            statics_bytes: None,
            built_with: Vec::new(),
            not_admitted: Vec::new(),
            advice: Vec::new(),
        })
        .collect();
    report.rows = rows;
    report
}

/// A row of this allocator, function and way, with its instructions, restored bytes and time.
fn row(allocator: &str, function: &str, way: &str, instructions: u64, restored: u64, time: f64) -> Row {
    let (strategy, residue) = way.split_once(", ").map_or((way, None), |(strategy, residue)| (strategy, Some(residue)));
    let count = |count| PerCall::mean(count, 1);
    let counts = Counts {
        calls: 10,
        instructions: count(instructions.into()),
        restored_bytes: (strategy != "reinstantiate").then(|| count(restored.into())),
        pages_after: 18,
        ..Counts::default()
    };
    let times = Times {
        calls: 2000,
        batch: 10,
        invoke: Spread { p50: time, p99: time },
        interval: Interval { low: time, high: time },
        call: None,
        restore: None,
        ratios: Ratios::default(),
        rounds: vec![time; 20],
    };
    Row {
        guest: format!("shop-{allocator}"),
        function: function.to_owned(),
        strategy: strategy.to_owned(),
        policy: "every-call".to_owned(),
        residue: residue.map(str::to_owned),
        counts: Some(counts),
        times: Some(times),
        failure: None,
        verdict: Some(RowVerdict { passed: true, calls: 300, skipped_calls: 0, seed: 0, differences: 0 }),
    }
}

fn one(report: &MeasureReport) -> Recommendation {
    let mut all = recommend(report, &Weights::default()).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn names(recommendation: &Recommendation) -> Vec<String> {
    recommendation.ranking.iter().map(|other| format!("{} {}", other.pick.allocator, other.pick.way())).collect()
}

const GUESTS: [(&str, u64); 2] = [("leaking", 59_000), ("bump-reset", 60_000)];

fn rows() -> Vec<Row> {
    vec![
        row("leaking", "calc", "none", 17_000, 0, 300.0),
        row("leaking", "calc", "reinstantiate", 17_000, 0, 20_000.0),
        row("leaking", "calc", "watermark, scrub", 17_000, 4_000, 330.0),
        row("bump-reset", "calc", "watermark, scrub", 17_400, 4_000, 331.0),
        row("bump-reset", "calc", "bump-reset, keep", 17_400, 400, 310.0),
    ]
}

#[test]
fn the_least_work_comes_first_and_the_alternatives_say_what_they_cost() {
    let found = one(&report(&GUESTS, rows()));
    let order = ["bump-reset bump-reset, keep", "leaking watermark, scrub", "bump-reset watermark, scrub"];
    assert_eq!(names(&found)[..3], order);
    assert_eq!(names(&found)[3], "leaking reinstantiate", "a new instance has no work to compare");
    assert_eq!((found.decided_by, found.best.work), (DecidedBy::Counts, Some(17_500.0)));
    assert_eq!(found.headline(), "Use bump-reset (feature `alloc-bump-reset`), restored by `bump-reset, keep`.");
    let when: Vec<When> = found.alternatives.iter().map(|other| other.when).collect();
    assert_eq!(when, [When::NoResidue], "it is the runner-up and the smallest, too");
    let second = &found.alternatives[0];
    assert_eq!((second.pick.way().as_str(), second.work_ratio), ("watermark, scrub", Some(1.0286)));
    let reasons = found.reasons(&Settings::of(&InstanceConfig::default(), true));
    let told = |name: &str| reasons.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    assert_eq!(told("work"), "17,400 instructions a call, and 400 bytes restored");
    assert_eq!(
        told("if residue must not stay"),
        "leaking by `watermark, scrub`: 102.9% of the work, 106% of the time, 1000 B smaller"
    );
    assert!(told("decided by").starts_with("exact counts: the next takes 102.9% of the work, and times agree"));
    assert!(found.cautions.is_empty(), "{:?}", found.cautions);
}

#[test]
fn a_clearly_faster_one_wins_and_one_within_the_margin_or_the_noise_does_not() {
    let with = |time: f64, noise: &dyn Fn(usize) -> f64| {
        let mut rows = rows();
        let times = rows[3].times.as_mut().unwrap();
        times.rounds = (0..20).map(|round| time * noise(round)).collect();
        one(&report(&GUESTS, rows))
    };
    let faster = with(200.0, &|_| 1.0);
    assert_eq!((names(&faster)[0].as_str(), faster.decided_by), ("bump-reset watermark, scrub", DecidedBy::Times));
    assert_eq!(with(290.0, &|_| 1.0).decided_by, DecidedBy::Counts, "6% is within the margin");
    // The median is far below, but not in enough of the rounds.
    assert_eq!(with(200.0, &|round| if round < 11 { 1.0 } else { 2.0 }).decided_by, DecidedBy::Counts);
}

#[test]
fn rounds_that_the_machine_slows_down_for_all_change_nothing() {
    let quiet = one(&report(&GUESTS, rows()));
    let mut rows = rows();
    for row in &mut rows {
        row.times.as_mut().unwrap().rounds.iter_mut().step_by(3).for_each(|time| *time *= 4.0);
    }
    let mut noisy = report(&GUESTS, rows);
    noisy.noise = Some(Noise { fast: 12.0, slow: 48.0 });
    let noisy = one(&noisy);
    assert_eq!((names(&noisy), noisy.decided_by), (names(&quiet), quiet.decided_by));
    assert_eq!(noisy.alternatives[0].time_ratio, quiet.alternatives[0].time_ratio);
    assert!(noisy.cautions[0].contains("noisy: the same empty call took from 12 to 48 ns"), "{:?}", noisy.cautions);
}

#[test]
fn equal_work_is_decided_by_residue_and_then_by_size() {
    let found = one(&report(
        &GUESTS,
        vec![
            row("leaking", "calc", "watermark, keep", 10_000, 0, 300.0),
            row("leaking", "calc", "watermark, scrub", 10_000, 40, 300.0),
            row("bump-reset", "calc", "watermark, scrub", 10_000, 8, 300.0),
        ],
    ));
    assert_eq!(found.decided_by, DecidedBy::Tie);
    let order = ["leaking watermark, scrub", "bump-reset watermark, scrub", "leaking watermark, keep"];
    assert_eq!(names(&found), order);
}

#[test]
fn a_tie_says_how_many_do_the_same_work_and_what_decided() {
    let decision = |rows: &[(&str, &str)]| {
        let rows = rows.iter().map(|(allocator, way)| row(allocator, "calc", way, 10_000, 0, 300.0)).collect();
        let reasons = one(&report(&GUESTS, rows)).reasons(&Settings::of(&InstanceConfig::default(), true));
        reasons.into_iter().find(|(name, _)| *name == "decided by").unwrap().1
    };
    let same = "a tie: 2 ways do the same work within 1%, and";
    // A new instance has no work that could be the same.
    let sizes = [("leaking", "reinstantiate"), ("leaking", "watermark, keep"), ("bump-reset", "watermark, keep")];
    assert_eq!(decision(&sizes), format!("{same} its module is the smallest"));
    let residue = [("bump-reset", "watermark, keep"), ("bump-reset", "watermark, scrub")];
    assert_eq!(decision(&residue), format!("{same} it leaves no residue"));
    let nothing = [("leaking", "dirty-cards"), ("leaking", "watermark, scrub")];
    assert_eq!(decision(&nothing), format!("{same} they differ in nothing that counts"));
}

#[test]
fn what_fails_or_differs_is_not_ranked() {
    let mut rows = rows();
    rows[4].verdict = Some(RowVerdict { passed: false, calls: 3, skipped_calls: 0, seed: 0, differences: 2 });
    rows[3].failure = Some(FailedCall::by_host("out-of-memory", "out of memory".to_owned(), 3));
    let found = one(&report(&GUESTS, rows));
    assert_eq!(names(&found), ["leaking watermark, scrub", "leaking reinstantiate"]);
    let reasons: Vec<&str> = found.excluded.iter().map(|excluded| excluded.reason.as_str()).collect();
    assert_eq!(reasons, ["`calc` failed: out of memory", "verification found differences"]);
}

#[test]
fn what_is_not_proved_comes_behind_what_is() {
    let mut rows = rows();
    rows[4].verdict = Some(RowVerdict { passed: false, calls: 300, skipped_calls: 0, seed: 0, differences: 0 });
    let found = one(&report(&GUESTS, rows.clone()));
    assert_eq!(names(&found)[0], "leaking watermark, scrub");
    for row in &mut rows {
        row.verdict = None;
    }
    assert_eq!(one(&report(&GUESTS, rows)).cautions, ["nothing was verified"]);
}

#[test]
fn functions_count_by_their_weights() {
    let rows = vec![
        row("leaking", "often", "full-copy", 1_000, 0, 10.0),
        row("leaking", "rarely", "full-copy", 9_000, 0, 90.0),
        row("bump-reset", "often", "full-copy", 2_000, 0, 20.0),
        row("bump-reset", "rarely", "full-copy", 1_000, 0, 10.0),
    ];
    let report = report(&GUESTS, rows);
    let best = |weights: &Weights| recommend(&report, weights).unwrap().remove(0).best;
    assert_eq!(best(&Weights::default()).allocator, "bump-reset");
    let pick = best(&"often=99,rarely=1".parse().unwrap());
    assert_eq!((pick.allocator.as_str(), pick.instructions), ("leaking", 1080.0));
    assert_eq!(pick.time.map(|time| time.median), Some(10.8));
    let error = recommend(&report, &"never=1".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("no function `never`") && error.contains("`often`"), "{error}");
}

#[test]
fn a_function_that_fails_everywhere_is_left_out_and_named() {
    let mut rows = rows();
    for allocator in ["leaking", "bump-reset"] {
        let mut failing = row(allocator, "refuse", "watermark, scrub", 1, 0, 1.0);
        failing.failure = Some(FailedCall::by_host("guest-error", "no".to_owned(), 1));
        rows.push(failing);
    }
    let found = one(&report(&GUESTS, rows));
    assert_eq!(found.functions, [WeighedFunction { function: "calc".to_owned(), share: 1.0 }]);
    assert_eq!(found.cautions, ["left out, as every call failed: `refuse`"]);
}

#[test]
fn guests_with_other_functions_have_answers_of_their_own() {
    let mut rows = rows();
    rows.push(row("wee", "other", "full-copy", 5, 0, 1.0));
    let guests = [("leaking", 59_000), ("bump-reset", 60_000), ("wee", 1_000)];
    let all = recommend(&report(&guests, rows), &Weights::default()).unwrap();
    let heads: Vec<String> = all.iter().map(Recommendation::headline).collect();
    assert_eq!(heads.len(), 2);
    assert_eq!(heads[1], "Restore shop-wee by `full-copy`.");
    assert_eq!(all[1].decided_by, DecidedBy::Alone);
    assert!(recommend(&report(&[], Vec::new()), &Weights::default()).unwrap().is_empty());
}
