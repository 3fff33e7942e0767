//! The command line of a run.

use std::ffi::OsString;

use clap::{ArgMatches, Command};

/// `compare` with all values that `watch` has, from the command line and from defaults, and its report on standard output.
///
/// Each option is written out, so the run needs no `harness.toml`.
pub(crate) fn words_of_a_run(command: Command, watch: &ArgMatches) -> Vec<OsString> {
    let mut command = command;
    command.build();
    let mut words: Vec<OsString> = ["compare", "--no-config", "--format=json"].map(OsString::from).into();
    let Some(compare) = command.find_subcommand("compare") else { return words };
    for arg in compare.get_arguments() {
        let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else { continue };
        if NOT_PASSED.contains(&id) || !matches!(watch.try_contains_id(id), Ok(true)) {
            continue;
        }
        if !arg.get_action().takes_values() {
            if is_on(watch, id) {
                words.push(format!("--{long}").into());
            }
            continue;
        }
        for value in watch.get_raw(id).into_iter().flatten() {
            let mut word = OsString::from(format!("--{long}="));
            word.push(value);
            words.push(word);
        }
    }
    words
}

/// Options that the run has of its own, and those of a gate: the run before is what a run is compared with.
const NOT_PASSED: [&str; 7] = ["config", "no_config", "format", "help", "version", "baseline", "fail_on"];

fn is_on(matches: &ArgMatches, id: &str) -> bool {
    matches!(matches.try_get_one::<bool>(id), Ok(Some(true)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn a_run_has_every_value_of_the_watch() {
        let line = "host-harness --memory-limit 1MiB watch --allocator leaking --allocator wee --features a,b --also src --no-config";
        let matches = Arguments::command().try_get_matches_from(line.split(' ')).unwrap();
        let words = words_of_a_run(Arguments::command(), matches.subcommand().unwrap().1);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        assert_eq!(words[..3], ["compare", "--no-config", "--format=json"]);
        for word in [
            "--memory-limit=1MiB",
            "--allocator=leaking",
            "--allocator=wee",
            "--features=a",
            "--features=b",
            "--verify-calls=0",
        ] {
            assert!(words.contains(&word), "{word} is missing in {words:?}");
        }
        assert!(!words.iter().any(|word| word.contains("also")));
        let all = ["host-harness"].iter().copied().chain(words);
        Arguments::command().try_get_matches_from(all).unwrap();
    }
}
