//! The error of wrong usage.

/// The arguments make no sense together; the exit status is that of wrong usage.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The arguments of a task on this command line, which begins with the task's name.
#[cfg(test)]
pub(crate) fn parse<A: clap::Args>(line: &str) -> Result<A, clap::Error> {
    let command = A::augment_args(clap::Command::new("xtask"));
    A::from_arg_matches(&command.try_get_matches_from(line.split(' '))?)
}
