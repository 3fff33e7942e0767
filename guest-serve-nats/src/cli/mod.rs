//! The command line of `host-harness-serve-nats`.

mod client;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use guest_serve::cli::ending::{self, BAD_INPUT, FAILED, fail};
use guest_serve::server::Stopped;

use crate::server::{self, Options};
use client::{Outputs, SendEvent};

/// The words for the commands of a client, where they are the first.
const SEND: &str = "send";
const OUTPUTS: &str = "outputs";

/// Serve the programs and functions of many small tenants over NATS JetStream, by any number of processes.
///
/// FOLDER has a folder for each guest, as for `host-harness serve`. Processes with the same prefix share the tenants: each has
/// some of the partitions, and takes over those of processes that end.
#[derive(Debug, Parser)]
#[command(
    name = "host-harness serve-nats",
    bin_name = "host-harness serve-nats",
    version,
    max_term_width = 100,
    args_override_self = true,
    after_help = "`host-harness serve-nats send GUEST TENANT TEXT` sends an event, and `serve-nats outputs GUEST TENANT` prints what \
                  the program writes; `send --help` and `outputs --help` have their options."
)]
struct Serve {
    #[command(flatten)]
    options: Options,
}

/// A command line that was read.
#[derive(Debug)]
enum Asked {
    Serve(Box<Options>),
    Send(Box<SendEvent>),
    Outputs(Box<Outputs>),
}

impl Asked {
    /// Reads words, the first of which is the program's name.
    fn parse(words: &[OsString]) -> Result<Self, clap::Error> {
        match words {
            [_, first, ..] if first == SEND => {
                SendEvent::try_parse_from(&words[1..]).map(|send| Self::Send(Box::new(send)))
            }
            [_, first, ..] if first == OUTPUTS => {
                Outputs::try_parse_from(&words[1..]).map(|outputs| Self::Outputs(Box::new(outputs)))
            }
            _ => Serve::try_parse_from(words).map(|serve| Self::Serve(Box::new(serve.options))),
        }
    }
}

/// Runs the program with these words, the first of which is its name.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    let done = match Asked::parse(&words) {
        Err(error) => return ending::usage(&error),
        Ok(Asked::Serve(options)) => match server::run(&options) {
            Ok(Stopped::InOrder) => Ok(()),
            Ok(Stopped::Forced(reason)) => return fail(reason, FAILED),
            Err(error) => Err(error),
        },
        Ok(Asked::Send(send)) => client::run(send.run()),
        Ok(Asked::Outputs(outputs)) => client::run(outputs.run()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ crate::error::NatsError::NotAcknowledged(_)) => fail(&error.to_string(), FAILED),
        Err(error) => fail(&error.to_string(), BAD_INPUT),
    }
}

/// The definition of all options, for documentation.
#[must_use]
pub fn command() -> clap::Command {
    Serve::command()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(words: &[&str]) -> Result<Asked, String> {
        let words: Vec<OsString> =
            [&["host-harness-serve-nats"], words].concat().into_iter().map(OsString::from).collect();
        Asked::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_of_options_is_sound() {
        Serve::command().debug_assert();
        SendEvent::command().debug_assert();
        Outputs::command().debug_assert();
    }

    #[test]
    fn a_folder_is_served_or_a_client_is_run() {
        let Ok(Asked::Serve(options)) = parse(&["guests", "--nats", "nats://one,nats://two", "--lease", "2s"]) else {
            panic!()
        };
        assert_eq!((options.folder.as_path(), options.part.lease.as_secs()), (Path::new("guests"), 2));
        assert!(matches!(parse(&["./send"]), Ok(Asked::Serve(_))));
        assert!(matches!(parse(&["send", "chat", "blue", "hello"]), Ok(Asked::Send(_))));
        assert!(matches!(parse(&["outputs", "chat", "blue", "--follow"]), Ok(Asked::Outputs(_))));
        for (words, told) in [
            (&[] as &[&str], "<FOLDER>"),
            (&["guests", "--lease", "1ms"], "give from 500ms to 10min"),
            (&["guests", "--prefix", "a.b"], "is not a prefix: use 1 to 32"),
            (&["guests", "--partitions", "0"], "--partitions"),
            (&["send", "chat"], "<TENANT>"),
            (&["send", "Chat", "blue", "x"], "is not a guest's name"),
            (&["send", "chat", "blue", "x", "--id", "a\nb"], "give one line"),
            (&["send", "chat", "blue", "x", "--id", "\u{7}"], "without control characters"),
            (&["send", "chat", "blue", "x", "--id", " "], "1 to 1000 bytes"),
            (&["--help"], "outputs --help"),
            (&["send", "--help"], "host-harness serve-nats send"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(told), "{words:?}: {error}");
        }
    }
}
