//! The command line of a report, so that its reader can run the command again.

use std::ffi::OsString;

use guest_build::quoted;

/// The option whose values may be secrets.
const ENVIRONMENT: &str = "--wasi-env";

/// The command as a shell reads it. The program has its name without the folder. Values of the guest's environment are left
/// out: a report is passed on, and they may be secrets.
pub(crate) fn command_line(arguments: impl IntoIterator<Item = OsString>) -> String {
    let mut words = vec![env!("CARGO_BIN_NAME").to_owned()];
    let mut is_variable = false;
    for argument in arguments.into_iter().skip(1) {
        let argument = argument.to_string_lossy();
        let word = match argument.split_once('=') {
            Some((name, _)) if is_variable => format!("{name}=..."),
            Some((ENVIRONMENT, variable)) => {
                format!("{ENVIRONMENT}={}=...", variable.split('=').next().unwrap_or_default())
            }
            _ => argument.to_string(),
        };
        is_variable = argument == ENVIRONMENT;
        words.push(quoted(&word));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        command_line(words.iter().map(OsString::from))
    }

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(line(&["/opt/x/host-harness", "run", "a b.wasm", "it's"]), r"host-harness run 'a b.wasm' 'it'\''s'");
        assert_eq!(line(&["host-harness", "measure", "$(x)", ""]), "host-harness measure '$(x)' ''");
    }

    #[test]
    fn values_of_the_environment_are_left_out() {
        let said = line(&["h", "run", "--wasi-env", "TOKEN=s3cret", "--wasi-env=KEY=s3cret=", "--memory-limit=1MiB"]);
        assert_eq!(said, "host-harness run --wasi-env TOKEN=... --wasi-env=KEY=... --memory-limit=1MiB");
    }
}
