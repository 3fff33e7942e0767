//! From arguments to an exit status: parses, runs the command, writes its report where it belongs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches};
use guest_functions::FunctionError;
use guest_host::admission::{ContractError, NoWriteBarrier, Refusal};
use guest_host::blocks::JoinError;
use guest_host::guest_prepare::PrepareError;
use guest_host::text::{printable, printable_lines};
use guest_host::{AdmissionError, CompileError, ConfigError, InputError, LoadError, StartError};
use host_harness::compare::state_file_beside;
use host_harness::pipe::PipeError;
use host_harness::replay::{Numbering, TraceError};
use host_harness::report::Report;

use crate::arguments::{Arguments, Color, Command, Common, Format, Verbosity};
use crate::command_line::command_line;
use crate::commands;
use crate::config;
use crate::gate::Gate;
use crate::output::{Destination, Exporter, Html, Json, Junit, Markdown, Text, hold_writes};
use crate::progress;

/// A check failed, or the guest did.
const FAILED: u8 = 1;

/// Wrong usage, or input that cannot be read.
const BAD_INPUT: u8 = 2;

/// Ended by the user or by a supervisor, as shells number an interrupt.
const INTERRUPTED: i32 = 130;

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    if let Some((program, words)) = commands::program::of(&words) {
        return program.run(words).unwrap_or_else(|error| fail(&error));
    }
    let parser = Arguments::command().color(Color::in_words(words.iter().cloned()));
    let parsed = config::parse(parser, words).and_then(|matches| {
        let mut arguments = Arguments::from_arg_matches(&matches)?;
        if let (Command::Watch(watch), Some((_, matches))) = (&mut arguments.command, matches.subcommand()) {
            watch.words = commands::watch::words_of_a_run(Arguments::command(), matches);
        }
        Ok(arguments)
    });
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(config::Error::Usage(error)) => return refuse(&error),
        Err(error) => return fail(&error.into()),
    };
    progress::show(arguments.common.display.verbosity());
    // Without a handler an interrupt could leave the temporary file of a report behind, and compilers running. That none
    // could be set is no reason to refuse the work.
    let _ = ctrlc::set_handler(|| {
        let _held = hold_writes();
        commands::watch::stop();
        guest_build::end_all();
        std::process::exit(INTERRUPTED);
    })
    .map(|()| guest_build::start_in_groups());
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => fail(&error),
    }
}

/// Prints an error; the exit status says whether the guest or the input is at fault.
fn fail(error: &anyhow::Error) -> ExitCode {
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "error: {}", message(error));
    ExitCode::from(status(error))
}

/// Prints what the parser has to say, which may be help that was asked for.
fn refuse(error: &clap::Error) -> ExitCode {
    // The parser repeats what it was given, in its own colours where there is a terminal.
    let given: Vec<_> = std::env::args_os().collect();
    let harmless = given.iter().all(|word| word.to_str().is_some_and(|word| printable(word) == word));
    let _ = match harmless || !error.use_stderr() {
        true => error.print(),
        false => write!(std::io::stderr(), "{}", printable_lines(&error.render().to_string())),
    };
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(BAD_INPUT))
}

/// The text of an error, and the option or command that helps. It is a single line, except for errors of building a guest,
/// which have the compiler's own lines.
fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    if let Some(hint) = load_error(error).and_then(load_hint).or_else(|| error.downcast_ref().and_then(trace_hint)) {
        text = format!("{text}; {hint}");
    }
    match error.is::<guest_build::Error>() {
        true => printable_lines(&text),
        false => printable(&text).into_owned(),
    }
}

/// How a crate comes to speak a contract.
pub(crate) const ADD_AN_EXTENSION: &str =
    "in Rust, put `#[extension]` of `guest-sdk` before a function such as `fn total(cx: &mut Context) -> Result<()>`";

/// The error of a guest that cannot be loaded, by itself or in a pipeline.
fn load_error(error: &anyhow::Error) -> Option<&LoadError> {
    let in_pipeline = || error.downcast_ref::<PipeError>().and_then(PipeError::load_error);
    error.downcast_ref().or_else(in_pipeline)
}

/// The option or command that helps with a guest that cannot be loaded.
fn load_hint(error: &LoadError) -> Option<&'static str> {
    let is_too_large = |error: &PrepareError| matches!(error, PrepareError::TooLarge { .. });
    let too_large = match error {
        LoadError::InFile { source, .. } => return load_hint(source),
        LoadError::Input(InputError::Read(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            let is_crate = Path::new("Cargo.toml").is_file();
            return is_crate.then_some("`host-harness build` builds the modules of the crate in this folder");
        }
        error if speaks_no_contract(error) => return Some(ADD_AN_EXTENSION),
        LoadError::Config(ConfigError::Arguments { .. }) => {
            return Some(
                "`run` takes them behind the function's name, other commands by `--args 'FUNCTION=NUMBER,...'`",
            );
        }
        LoadError::Config(ConfigError::LimitBelowMinimum { .. }) => return Some("`--memory-limit` sets the limit"),
        LoadError::Start(StartError::NoExchange { .. }) | LoadError::Config(ConfigError::BufferAboveLimit { .. }) => {
            return Some("`--memory-limit` and `--exchange-size` set them");
        }
        LoadError::Function(cause) => return (cause.unlisted_functions() > 0).then_some("`inspect` lists all"),
        LoadError::Compile(CompileError::Prepare(error)) => is_too_large(error),
        LoadError::Admission(AdmissionError::Strategy { reasons, .. }) => reasons.iter().any(|reason| match reason {
            Refusal::NoWriteBarrier { reason: NoWriteBarrier::Prepare(error) } => is_too_large(error),
            _ => false,
        }),
        _ => false,
    };
    too_large.then_some("`--prepared-limit` sets the limit")
}

/// The option that helps with a trace that seems to count its allocations from another number.
fn trace_hint(error: &TraceError) -> Option<&'static str> {
    match error {
        TraceError::Line { counted: Some(Numbering::FromOne), .. } => Some("give `--count-from 1`"),
        TraceError::Line { counted: Some(Numbering::FromZero), .. } => Some("leave out `--count-from 1`"),
        _ => None,
    }
}

/// Runs the command, writes its report, and says whether nothing failed.
fn run(arguments: &Arguments) -> Result<bool> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Completions(arguments) => return commands::generate::completions(arguments).map(|()| true),
        Command::Man(arguments) => return commands::generate::man(arguments).map(|()| true),
        _ => {}
    }
    common.check()?;
    let besides = besides(&arguments.command);
    let Exports { asked: exports, ordinary } = exports(common, besides.as_ref().map(|(_, destination)| destination))?;
    let mut inputs = inputs(&arguments.command);
    inputs.extend(common.artefact_key.clone());
    if let Some((_, destination)) = &besides {
        destination.check_apart_from(inputs.iter().map(PathBuf::as_path))?;
        destination.check()?;
    }
    for (destination, _) in &exports {
        if let (Some((what, Destination::File(besides))), Destination::File(report)) = (&besides, destination)
            && absolute(besides) == absolute(report)
        {
            anyhow::bail!("the {what} and a report would go to {}; use a file for each", report.display());
        }
        destination.check_apart_from(inputs.iter().map(PathBuf::as_path))?;
        destination.check()?;
    }
    let baseline = match gate(&arguments.command) {
        Some((gate, command)) => gate.load(command)?,
        None => None,
    };
    let content = match &arguments.command {
        Command::Inspect(arguments) => Some(commands::inspect::run(arguments, common)?),
        Command::Run(arguments) => Some(commands::run::run(arguments, common)?),
        Command::Measure(arguments) => commands::measure::run(arguments, common)?,
        Command::Verify(arguments) => commands::verify::run(arguments, common)?,
        Command::Compare(arguments) => commands::compare::run(arguments, common)?,
        Command::Replay(arguments) => Some(commands::replay::run(arguments, common)?),
        Command::Pipe(arguments) => Some(commands::pipe::run(arguments, common)?),
        Command::Compile(arguments) => Some(commands::compile::run(arguments, common)?),
        Command::Build(arguments) => Some(commands::build::run(arguments, common)?),
        Command::Schema => {
            commands::schema::run(common)?;
            return Ok(true);
        }
        Command::Query(_) => return Err(commands::program::QUERY.options_before()),
        Command::Serve(_) => return Err(commands::program::SERVE.options_before()),
        Command::ServeNats(_) => return Err(commands::program::SERVE_NATS.options_before()),
        Command::Functions(arguments) => return commands::functions::list(arguments, common).map(|()| true),
        Command::Call(arguments) => return commands::call::call(arguments, common).map(|()| true),
        Command::Find(arguments) => return commands::find::run(arguments, common).map(|()| true),
        Command::New(arguments) => return commands::new::run(arguments).map(|()| true),
        Command::Watch(arguments) => return commands::watch::run(arguments).map(|()| true),
        // They have no report, and have ended above.
        Command::Completions(_) | Command::Man(_) => return Ok(true),
    };
    let Some(content) = content else { return Ok(true) };
    let mut report = Report::new(content);
    report.header.command_line = command_line(std::env::args_os());
    report.baseline = baseline.map(|baseline| baseline.compare(&report));
    let passed = report.passed();
    for (destination, exporter) in &exports {
        destination.write(&exporter.render(&report))?;
    }
    // The status of a check says all that a quiet one has to say; other commands are run for what they print.
    let is_check = gate(&arguments.command).is_some();
    let is_hidden = is_check && passed && common.display.verbosity() == Verbosity::Quiet;
    if let Some(exporter) = ordinary.filter(|_| !is_hidden) {
        Destination::Stdout.write(&exporter.render(&report))?;
    }
    Ok(passed)
}

/// The comparison with a baseline, of the commands that have it.
fn gate(command: &Command) -> Option<(&Gate, &'static str)> {
    match command {
        Command::Measure(arguments) => Some((&arguments.gate, "measure")),
        Command::Verify(arguments) => Some((&arguments.gate, "verify")),
        Command::Compare(arguments) => Some((&arguments.gate, "compare")),
        _ => None,
    }
}

/// The files that the command reads.
fn inputs(command: &Command) -> Vec<PathBuf> {
    let mut inputs = guests_and_states(command);
    inputs.extend(gate(command).and_then(|(gate, _)| gate.baseline.clone()));
    inputs
}

fn guests_and_states(command: &Command) -> Vec<PathBuf> {
    let with = |guests: &[PathBuf], state: &Option<PathBuf>| guests.iter().chain(state).cloned().collect();
    match command {
        Command::Inspect(arguments) => with(std::slice::from_ref(&arguments.guest), &arguments.state),
        Command::Compile(arguments) => vec![arguments.guest.clone()],
        Command::Build(arguments) => {
            with(&arguments.guest.inputs(), &state_file_beside(&arguments.guest.manifest_path))
        }
        Command::Completions(_) | Command::Man(_) => Vec::new(),
        Command::Functions(arguments) => vec![arguments.module.guest.clone()],
        Command::Call(arguments) => vec![arguments.module.guest.clone()],
        Command::Find(arguments) => std::iter::once(&arguments.module.guest).chain(&arguments.files).cloned().collect(),
        Command::Run(arguments) => with(std::slice::from_ref(&arguments.guest), &arguments.state),
        Command::Measure(arguments) => with(&arguments.guests, &arguments.work.state),
        Command::Verify(arguments) => with(&arguments.guests, &arguments.work.state),
        Command::Compare(arguments) => with(&arguments.guest.inputs(), &commands::compare::state_file(arguments)),
        Command::Replay(arguments) => commands::replay::inputs(arguments),
        Command::Pipe(arguments) => commands::pipe::inputs(arguments),
        Command::Schema
        | Command::New(_)
        | Command::Watch(_)
        | Command::Query(_)
        | Command::Serve(_)
        | Command::ServeNats(_) => Vec::new(),
    }
}

/// The output of the command besides the report, and its destination.
fn besides(command: &Command) -> Option<(&'static str, Destination)> {
    match command {
        Command::Compile(arguments) => Some(("artefact", Destination::File(arguments.output.clone()))),
        Command::Run(arguments) => arguments.metrics.clone().map(|destination| ("metrics", destination)),
        _ => None,
    }
}

/// Where the report goes.
struct Exports {
    /// The reports that the user asked for: destinations and formats.
    asked: Vec<(Destination, Box<dyn Exporter>)>,
    /// The format of the ordinary output on standard output, unless something else takes its place.
    ordinary: Option<Box<dyn Exporter>>,
}

/// Where the report goes, and in which format. An export to standard output takes the place of the ordinary output, and so
/// does what the command puts there `besides` the report.
fn exports(common: &Common, besides: Option<&Destination>) -> Result<Exports> {
    let asked: [(&str, &Option<Destination>, Box<dyn Exporter>); 4] = [
        ("--export-json", &common.export_json, Box::new(Json)),
        ("--export-html", &common.export_html, Box::new(Html)),
        ("--markdown", &common.outputs.markdown, Box::new(Markdown)),
        ("--junit", &common.outputs.junit, Box::new(Junit)),
    ];
    let mut exports: Vec<(Destination, Box<dyn Exporter>)> = Vec::new();
    let mut files: Vec<(&str, PathBuf)> = Vec::new();
    for (option, destination, exporter) in asked {
        let Some(destination) = destination else { continue };
        if let Destination::File(path) = destination {
            let file = absolute(path);
            if let Some((other, _)) = files.iter().find(|(_, known)| *known == file) {
                anyhow::bail!("both reports would go to {}; use a file each for {other} and {option}", path.display());
            }
            files.push((option, file));
        }
        exports.push((destination.clone(), exporter));
    }
    let destinations = exports.iter().map(|(destination, _)| destination).chain(besides);
    let to_stdout = destinations.filter(|destination| **destination == Destination::Stdout).count();
    match to_stdout {
        0 => {
            let exporter: Box<dyn Exporter> = match common.format {
                Format::Text => Box::new(Text {
                    width: common.display.width(),
                    color: common.display.color().on(&std::io::stdout()),
                    details: common.details,
                }),
                Format::Json => Box::new(Json),
            };
            Ok(Exports { asked: exports, ordinary: Some(exporter) })
        }
        1 => Ok(Exports { asked: exports, ordinary: None }),
        _ if besides == Some(&Destination::Stdout) => {
            anyhow::bail!("the metrics and a report cannot both go to standard output; write one of them to a file")
        }
        _ => anyhow::bail!("only one report can go to standard output; write the other one to a file"),
    }
}

/// A path by which two names of one file can be told to be the same, whether or not it exists.
fn absolute(path: &Path) -> PathBuf {
    let absolute = path.canonicalize().or_else(|_| std::path::absolute(path));
    absolute.unwrap_or_else(|_| path.to_owned())
}

/// The exit status for an error that kept a command from its end.
fn status(error: &anyhow::Error) -> u8 {
    match (load_error(error), error.downcast_ref::<FunctionError>()) {
        (Some(error), _) | (_, Some(FunctionError::Load(error))) if is_of_the_guest(error) => FAILED,
        (_, Some(FunctionError::Call(_) | FunctionError::Row { .. })) => FAILED,
        _ => BAD_INPUT,
    }
}

/// Whether the module imports functions of the native contract, and has lost the section with its version.
pub(crate) fn speaks_no_contract(error: &LoadError) -> bool {
    match error {
        LoadError::InFile { source, .. } => speaks_no_contract(source),
        LoadError::Admission(AdmissionError::Contract(reasons)) => {
            reasons.iter().any(|reason| matches!(reason, ContractError::AbiMissing))
        }
        _ => false,
    }
}

/// Whether the guest itself failed, rather than what was given or asked.
pub(crate) fn is_of_the_guest(error: &LoadError) -> bool {
    match error {
        LoadError::InFile { source, .. } => is_of_the_guest(source),
        LoadError::Start(_) | LoadError::Ring(JoinError::NoStorage { .. }) => true,
        _ => false,
    }
}
