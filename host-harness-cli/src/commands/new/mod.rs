//! `new`: a crate to start from, written from templates that are part of this program.

mod name;
mod place;
mod sdk;
mod templates;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use guest_host::text::printable;

use name::Name;
use sdk::Sdk;
use templates::{Kind, Values};

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Folder to make; the crate has its name.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Make user-defined functions, which query engines call with arguments, instead of an extension.
    #[arg(long, group = "kind")]
    pub(crate) functions: bool,
    /// Make a program, which keeps its memory between events of connections, such as a chat room, instead of an extension.
    #[arg(long, group = "kind")]
    pub(crate) program: bool,
    /// Make stages, which hand each other memory blocks, and a pipeline of them, instead of an extension.
    #[arg(long, group = "kind")]
    pub(crate) stages: bool,
    /// Make a service that embeds the runtime, instead of an extension.
    #[arg(long, group = "kind")]
    pub(crate) host: bool,
    /// Name of the crate, if it is not that of the folder.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Where the crate gets `guest-sdk` or `guest-host` from: the folder of a checkout, or a version of the registry.
    ///
    /// Default: the checkout that this program was built from if it is still there, otherwise this program's own version.
    #[arg(long, value_name = "FOLDER|VERSION", allow_hyphen_values = true)]
    pub(crate) sdk: Option<String>,
}

/// Makes the crate and prints the commands that come next.
///
/// # Errors
/// The name cannot be a crate's, there is something at the path already, the dependency is not there, or a file cannot be
/// written. Nothing is left of the crate then.
pub(crate) fn run(arguments: &New) -> Result<()> {
    let name = name_of(arguments)?;
    let kinds = [
        (arguments.functions, Kind::Functions),
        (arguments.program, Kind::Program),
        (arguments.stages, Kind::Stages),
        (arguments.host, Kind::Host),
    ];
    let kind = kinds.into_iter().find_map(|(is_asked, kind)| is_asked.then_some(kind)).unwrap_or(Kind::Extension);
    let sdk = Sdk::find(arguments.sdk.as_deref())?;
    let values = Values { name: &name, sdk: &sdk };
    let files = kind.files().iter().map(|(path, text)| (Path::new(path), values.fill(text)));
    place::write(&arguments.path, files)?;
    let needs = sdk.needs_of_ci().filter(|_| kind.has_ci()).map(|needs| format!("{needs}\n\n"));
    let said = format!(
        "Made {} `{name}` in {}. It depends on {}.\n\n{}{}",
        kind.words(),
        printable(&arguments.path.display().to_string()),
        printable(&sdk.to_string()),
        needs.unwrap_or_default(),
        next(kind, &arguments.path)
    );
    // Nobody may be there to read it.
    let _ = std::io::stdout().write_all(said.as_bytes());
    Ok(())
}

/// The crate's name: the one that was given, or that of its folder.
fn name_of(arguments: &New) -> Result<Name> {
    let given = match (&arguments.name, arguments.path.file_name()) {
        (Some(name), _) => name.clone(),
        (None, Some(folder)) => folder.to_string_lossy().into_owned(),
        // `.`, `..` or `/`: each of them exists.
        (None, None) => return Err(place::taken(&arguments.path)),
    };
    Ok(Name::check(&given)?)
}

/// The commands that come next, each with a comment.
fn next(kind: Kind, path: &Path) -> String {
    let mut lines = vec![(format!("cd {}", quoted(path)), String::new())];
    lines.extend(kind.next().iter().map(|(command, does)| ((*command).to_owned(), format!("# {does}"))));
    let width = lines.iter().skip(1).map(|(command, _)| command.len()).max().unwrap_or_default();
    let mut text = String::from("Next:\n");
    for (command, comment) in lines {
        text += format!("  {command:width$}  {comment}").trim_end();
        text.push('\n');
    }
    text
}

/// The path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |char: char| char.is_ascii_alphanumeric() || "/._-\\:".contains(char);
    match text.chars().all(plain) && !text.starts_with('-') {
        true => text,
        false => format!("'{}'", printable(&text).replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(quoted(Path::new("crates/shop")), "crates/shop");
        assert_eq!(quoted(Path::new("my crates/it's")), "'my crates/it'\\''s'");
    }
}
