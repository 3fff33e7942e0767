//! `completions` and `man`: made from the definition of the command line, and no report.

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;

use crate::arguments::{Arguments, Completions, Man};
use crate::output::Destination;

/// Prints the completions for a shell.
pub(crate) fn completions(arguments: &Completions) -> Result<()> {
    let mut script = Vec::new();
    let mut parser = Arguments::command();
    let name = parser.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut parser, name, &mut script);
    Ok(Destination::Stdout.write(&script)?)
}

/// Prints the man page, or writes those of all commands.
pub(crate) fn man(arguments: &Man) -> Result<()> {
    let parser = Arguments::command();
    let Some(folder) = &arguments.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(parser).render(&mut page)?;
        return Ok(Destination::Stdout.write(&page)?);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(parser, folder))
        .with_context(|| format!("cannot write the man pages into {}", folder.display()))
}
