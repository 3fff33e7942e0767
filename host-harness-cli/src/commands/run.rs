//! `run`.

use anyhow::Result;
use guest_host::{Engine, Function, Instance, LogLines, Metrics, Outcome, StateError};
use host_harness::functions::{Number, is_bare, select};
use host_harness::measure::FailedCall;
use host_harness::report::{CallReport, Content, IntentReport, LogReport, RunReport};

use crate::arguments::{Common, Run};
use crate::progress::Progress;
use crate::source;

/// Calls at the start of a long run that are reported; the last one is reported besides.
const REPORTED: u64 = 10;

pub(crate) fn run(arguments: &Run, common: &Common) -> Result<Content> {
    let file = source::guest(&arguments.guest)?;
    let state = source::state(arguments.state.as_deref())?;
    let mut engine = common.engine()?;
    engine.fuel = true;
    let engine = Engine::new(&engine)?;
    let named = |error| file.error(error);
    let guest = file.load(&engine, common.prepare())?;
    let function = file.function(&guest, &arguments.function)?;

    let mut config = common.config();
    if !arguments.arguments.is_empty() {
        let is_given = config.arguments.get(&arguments.function).is_some();
        anyhow::ensure!(
            !is_given,
            "give the arguments of `{}` behind its name or by --args, not both",
            arguments.function
        );
        config.arguments = config.arguments.of(&arguments.function, arguments.arguments.iter().cloned());
    }
    select(&guest, std::slice::from_ref(&arguments.function), &config.arguments).map_err(named)?;
    config.count = true;
    config.strategy = common.one_strategy("run")?;
    config.metrics = arguments.metrics.is_some().then(Metrics::default);
    let mut instance = guest.instantiate(&config, state).map_err(named)?;

    let progress = Progress::steps(arguments.times);
    progress.doing(format!("calling {} of {}", arguments.function, guest.name()));
    let (mut calls, mut failed_calls) = (Vec::new(), 0);
    for number in 1..=arguments.times {
        let mut call = one_call(&mut instance, function, number)?;
        call.results = call.results.filter(|_| is_bare(&guest));
        failed_calls += u64::from(call.failure.is_some());
        if number <= REPORTED || number == arguments.times {
            calls.push(call);
        }
        progress.step();
    }
    drop(progress);
    if let (Some(destination), Some(metrics)) = (&arguments.metrics, &config.metrics) {
        destination.write(metrics.text().as_bytes())?;
    }
    let mut report =
        RunReport::new(guest.name(), &arguments.function, instance.config(), common.prepare().virtual_growth);
    (report.times, report.failed_calls, report.calls) = (arguments.times, failed_calls, calls);
    Ok(Content::Run(Box::new(report)))
}

/// One call, after which its intents are applied.
fn one_call(instance: &mut Instance, function: Function, number: u64) -> Result<CallReport> {
    let mut report = invoke(instance, function, number)?;
    report.output = String::from_utf8_lossy(instance.last_output()).into_owned();
    report.output_dropped = instance.last_output_dropped();
    Ok(report)
}

fn invoke(instance: &mut Instance, function: Function, number: u64) -> Result<CallReport> {
    let mut report = CallReport::new(number);
    let intents = match instance.invoke(function) {
        Ok(outcome) => {
            fill(&mut report, &outcome)?;
            outcome.intent_bytes().to_vec()
        }
        Err(failure) => {
            report.failure = Some(FailedCall::of(&failure, number));
            report.backtrace = failure.backtrace;
            report.log = log(instance.last_log());
            report.log_dropped = instance.last_log_dropped();
            return Ok(report);
        }
    };
    let applied = match instance.state_mut() {
        Some(state) => state.apply(&intents).map(drop),
        None => Err(StateError::new("the state was lost")),
    };
    if let Err(error) = applied {
        let message = format!("the intents could not be applied, and none of them was: {error}");
        report.failure = Some(FailedCall::by_host("state", message, number));
    }
    Ok(report)
}

fn fill(report: &mut CallReport, outcome: &Outcome<'_>) -> Result<()> {
    for intent in outcome.intents() {
        let intent = intent.map_err(|error| anyhow::anyhow!("an intent cannot be read: {error}"))?;
        report.intents.push(IntentReport::of(&intent)?);
    }
    report.results = Some(outcome.results().iter().filter_map(Number::of).collect());
    report.log = log(outcome.log());
    report.log_dropped = outcome.log_dropped();
    report.counters = Some(*outcome.stats());
    Ok(())
}

fn log(lines: LogLines<'_>) -> Vec<LogReport> {
    lines.map(|(level, line)| LogReport { level: level.name().to_owned(), line: line.to_owned() }).collect()
}
