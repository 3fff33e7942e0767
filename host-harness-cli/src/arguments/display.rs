//! How much is shown besides the report, in which colours and how wide.

use std::io::IsTerminal;

use clap::{ArgAction, Args, ColorChoice, ValueEnum};

/// How much is shown on standard error while a command works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors alone.
    Quiet,
    /// The step that the command is at.
    #[default]
    Normal,
    /// Each line of cargo and of the compilers, and each row that is measured.
    Verbose,
}

/// The options of what is shown.
#[derive(Debug, Clone, Args)]
pub(crate) struct Display {
    /// Show more of the work on standard error: each line of cargo and of the compilers, and each row.
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,
    /// Show no progress on standard error, only errors, and no report of measure, verify or compare on standard output unless
    /// something fails. Exports are as always.
    #[arg(short, long, global = true, action = ArgAction::SetTrue, conflicts_with = "verbose")]
    quiet: bool,
    /// Colours in text: auto, always or never. With auto, NO_COLOR turns them off, and so does output that is no terminal.
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    color: Color,
    /// Columns of the printed report. Default: those of the terminal, or of COLUMNS; without either, no limit.
    #[arg(long, global = true, value_name = "COLUMNS", hide = true, value_parser = clap::value_parser!(u16).range(20..))]
    width: Option<u16>,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// The choice that stands in a command line which is not parsed yet: the parser's own messages have colours, too.
    pub(crate) fn in_words(words: impl IntoIterator<Item = std::ffi::OsString>) -> ColorChoice {
        let mut words = words.into_iter().map(|word| word.to_string_lossy().into_owned());
        let mut choice = ColorChoice::Auto;
        while let Some(word) = words.next() {
            let value = match word.split_once('=') {
                Some(("--color", value)) => value.to_owned(),
                None if word == "--color" => words.next().unwrap_or_default(),
                _ if word == "--" => break,
                _ => continue,
            };
            choice = match value.as_str() {
                "always" => ColorChoice::Always,
                "never" => ColorChoice::Never,
                _ => ColorChoice::Auto,
            };
        }
        choice
    }

    /// Whether what goes to this stream is coloured.
    pub(crate) fn on(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
                !refused && !dumb && stream.is_terminal()
            }
        }
    }
}

impl Display {
    /// How much is shown on standard error.
    pub(crate) const fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        }
    }

    /// When text is coloured.
    pub(crate) const fn color(&self) -> Color {
        self.color
    }

    /// Columns that a report on standard output may have; `None` where nothing limits them.
    pub(crate) fn width(&self) -> Option<usize> {
        let of_variable = || std::env::var("COLUMNS").ok()?.trim().parse().ok().filter(|columns| *columns > 0);
        // The table's own question to the terminal, which is `None` where standard output is none.
        let columns = self.width.or_else(of_variable).or_else(|| comfy_table::Table::new().width());
        columns.map(usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(line: &str) -> ColorChoice {
        Color::in_words(line.split(' ').map(Into::into))
    }

    #[test]
    fn the_colours_of_the_parsers_messages_are_known_before_it_parses() {
        assert_eq!(choice("host-harness --help"), ColorChoice::Auto);
        assert_eq!(choice("host-harness run --color never --help"), ColorChoice::Never);
        assert_eq!(choice("host-harness run --color=always x"), ColorChoice::Always);
        assert_eq!(choice("host-harness run --color"), ColorChoice::Auto);
        assert_eq!(choice("host-harness run -- --color never"), ColorChoice::Auto);
    }
}
