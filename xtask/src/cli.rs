//! The command line: its arguments stand beside the task that they are for.

use clap::Parser;

use crate::tasks::Task;

/// The tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn arguments_that_make_no_sense_together_are_refused() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        assert!(parse("xtask compare --calls 5 --quick").is_err());
        assert!(parse("xtask compare --calls 0").is_err());
        assert!(parse("xtask bench --instructions").is_ok());
        assert!(parse("xtask bench --instructions -- allocators").is_err());
    }
}
