//! The entries of the file, as default values of arguments.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, ValueHint};
use guest_host::text::line_and_column;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The table of the options that all commands have.
const COMMON: &str = "common";

/// Options that a file cannot have: they say which file it is, or print something else.
const NOT_HERE: [&str; 4] = ["config", "no_config", "help", "version"];

/// The default of an option.
#[derive(Debug)]
pub(super) struct Default {
    /// The argument's name in the parser.
    pub(super) id: String,
    /// The arguments that cannot stand beside it.
    pub(super) excluded_by: Vec<String>,
    global: bool,
    values: Vec<String>,
}

impl Default {
    /// The parser, where the option of command `name` has this default.
    pub(super) fn put_into(self, command: Command, name: &str) -> Command {
        let Self { id, values, .. } = self;
        // The parser keeps them until the process ends.
        let values = values.into_iter().map(|value| &*value.leak());
        let put = |arg: Arg| arg.required(false).default_values(values);
        match self.global {
            true => command.mut_arg(id, put),
            false => command.mut_subcommand(name, |command| command.mut_arg(id, put)),
        }
    }
}

/// An error in the file.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", path.display())]
pub(crate) struct EntryError {
    path: PathBuf,
    /// From 1.
    line: usize,
    /// In characters, from 1.
    column: usize,
    message: String,
}

/// A file with its text, for errors.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, offset: usize, message: impl Into<String>) -> EntryError {
        let (line, column) = line_and_column(self.text, offset);
        EntryError { path: self.path.to_owned(), line, column, message: message.into() }
    }
}

/// Reads the defaults for command `name`. The whole file is checked, also what is for other commands.
///
/// # Errors
/// [`EntryError`] at the first thing that is not TOML, not an option of its table, or not a value of its option.
pub(super) fn read(path: &Path, text: &str, command: &Command, name: &str) -> Result<Vec<Default>, EntryError> {
    let source = Source { path, text };
    let parsed = DeTable::parse(text);
    let file = parsed.map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join("; ");
        source.error(error.span().map_or(0, |span| span.start), message)
    })?;
    // Every command with the common options, and none that must be there.
    let mut built = command.clone();
    built.build();
    let built = built.mut_subcommands(|command| command.mut_args(|arg| arg.required(false)));
    let mut defaults: Vec<Default> = Vec::new();
    // The command's own table last: it wins over the common one.
    let mut tables: Vec<_> = file.get_ref().iter().collect();
    tables.sort_by_key(|(key, _)| (key.get_ref() != COMMON, key.span().start));
    for (key, value) in tables {
        let table = table(&source, key, value, &built)?;
        let of = match key.get_ref().as_ref() {
            COMMON => name,
            other => other,
        };
        let Some(of) = built.find_subcommand(of) else {
            return Err(unknown_table(&source, key, &built));
        };
        for (key_of_entry, value) in sorted(table) {
            let arg = option(&source, key_of_entry, of, key.get_ref())?;
            let values = values(&source, key_of_entry, value, arg)?;
            check(&source, value, of, arg, &values)?;
            if key.get_ref() == COMMON || of.get_name() == name {
                let excluded_by = built_conflicts(of, arg);
                let id = arg.get_id().to_string();
                defaults.retain(|default| default.id != id);
                let global = arg.is_global_set();
                defaults.push(Default { id, excluded_by, global, values: resolved(values, arg, path) });
            }
        }
    }
    // A switch that is off is as if it were not there.
    defaults.retain(|default| !default.values.is_empty());
    Ok(defaults)
}

/// The entries in the order of the file.
fn sorted<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t Key<'i>, &'t Spanned<DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

type Key<'i> = Spanned<toml::de::DeString<'i>>;

/// The names of the arguments that exclude this one, whichever of them says so.
fn built_conflicts(command: &Command, arg: &Arg) -> Vec<String> {
    let excludes = |one: &Arg, other: &Arg| {
        command.get_arg_conflicts_with(one).iter().any(|found| found.get_id() == other.get_id())
    };
    let others = command.get_arguments().filter(|other| excludes(arg, other) || excludes(other, arg));
    others.map(|other| other.get_id().to_string()).collect()
}

fn table<'t, 'i>(
    source: &Source<'_>,
    key: &Key<'i>,
    value: &'t Spanned<DeValue<'i>>,
    command: &Command,
) -> Result<&'t DeTable<'i>, EntryError> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(table),
        _ => {
            let key_text = key.get_ref().as_ref();
            let commands: Vec<_> = command.get_subcommands().collect();
            let owners = commands.iter().filter(|command| find_option(command, key_text).is_some());
            let owners: Vec<_> = owners.map(|command| command.get_name()).collect();
            let message = match owners.as_slice() {
                [] => format!("`{key_text}` stands in no table; put options below `[common]` or the name of a command"),
                _ if owners.len() == commands.iter().filter(|command| command.get_name() != "help").count() => {
                    format!("`{key_text}` stands in no table; put it below `[common]`")
                }
                [first, ..] => {
                    format!("`{key_text}` stands in no table; put it below that of its command, such as `[{first}]`")
                }
            };
            Err(source.error(key.span().start, message))
        }
    }
}

fn unknown_table(source: &Source<'_>, key: &Key<'_>, command: &Command) -> EntryError {
    let names = command.get_subcommands().map(Command::get_name).filter(|name| *name != "help");
    let names: Vec<_> = std::iter::once(COMMON).chain(names).collect();
    let wrong = key.get_ref().as_ref();
    let message = format!("there is no command `{wrong}`: {}", nearest(wrong, &names, "[", "]"));
    source.error(key.span().start, message)
}

fn find_option<'c>(command: &'c Command, key: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(key) && !NOT_HERE.contains(&arg.get_id().as_str()))
}

/// The option of a command that a key names.
fn option<'c>(source: &Source<'_>, key: &Key<'_>, command: &'c Command, table: &str) -> Result<&'c Arg, EntryError> {
    let wrong = key.get_ref().as_ref();
    let is_here = |arg: &&Arg| table != COMMON || arg.is_global_set();
    if let Some(arg) = find_option(command, wrong).filter(is_here) {
        return Ok(arg);
    }
    let options = command.get_arguments().filter(is_here).filter(|arg| !NOT_HERE.contains(&arg.get_id().as_str()));
    let names: Vec<_> = options.filter_map(Arg::get_long).collect();
    let of = if table == COMMON { "all commands".to_owned() } else { format!("`{table}`") };
    let message = format!("there is no option `{wrong}` of {of}: {}", nearest(wrong, &names, "", ""));
    Err(source.error(key.span().start, message))
}

/// The name that is most like a wrong one, or all of them where none is.
fn nearest(wrong: &str, names: &[&str], before: &str, after: &str) -> String {
    let of = |name: &str| strsim::normalized_damerau_levenshtein(&wrong.replace('_', "-"), name);
    let best = names.iter().max_by(|one, other| of(one).total_cmp(&of(other)));
    let shown = |name: &str| format!("`{before}{name}{after}`");
    match best.filter(|name| of(name) >= 0.5) {
        Some(name) => format!("did you mean {}?", shown(name)),
        None => format!("use one of {}", names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ")),
    }
}

/// The values of an option, as they would stand on the command line; none for a switch that is off.
fn values(
    source: &Source<'_>,
    key: &Key<'_>,
    value: &Spanned<DeValue<'_>>,
    arg: &Arg,
) -> Result<Vec<String>, EntryError> {
    let wrong = |wanted: &str, found: &Spanned<DeValue<'_>>| {
        let message = format!("`{}` must be {wanted}, not {}", key.get_ref(), kind(found.get_ref()));
        Err(source.error(found.span().start, message))
    };
    match (arg.get_action(), value.get_ref()) {
        (ArgAction::SetTrue, DeValue::Boolean(true)) => Ok(vec!["true".to_owned()]),
        (ArgAction::SetTrue, DeValue::Boolean(false)) => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => wrong("true or false", value),
        (ArgAction::Append, DeValue::Array(items)) => {
            let mut values = Vec::new();
            for item in items.iter() {
                match scalar(item.get_ref()) {
                    Some(text) => values.push(text),
                    None => return wrong("a list of strings or numbers", item),
                }
            }
            Ok(values)
        }
        (action, found) => match scalar(found) {
            Some(text) => Ok(vec![text]),
            None if matches!(action, ArgAction::Append) => wrong("a string, a number or a list of them", value),
            None => wrong("a string or a number", value),
        },
    }
}

/// The text of a string or a number.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(integer) => {
            i128::from_str_radix(integer.as_str(), integer.radix()).ok().map(|number| number.to_string())
        }
        DeValue::Float(float) => Some(float.as_str().to_owned()),
        _ => None,
    }
}

const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Has the parser read the values, as if they stood on the command line.
fn check(
    source: &Source<'_>,
    value: &Spanned<DeValue<'_>>,
    command: &Command,
    arg: &Arg,
    values: &[String],
) -> Result<(), EntryError> {
    let Some(long) = arg.get_long().filter(|_| arg.get_action().takes_values()) else { return Ok(()) };
    for (at, text) in values.iter().enumerate() {
        let words = [command.get_name().to_owned(), format!("--{long}={text}")];
        let Err(error) = command.clone().try_get_matches_from(words) else { continue };
        let place = match value.get_ref() {
            DeValue::Array(items) => items.get(at).map_or(value.span(), Spanned::span),
            _ => value.span(),
        };
        return Err(source.error(place.start, format!("`{long}`: {}", reason(&error))));
    }
    Ok(())
}

/// The parser's complaint about a value, without usage: there is no command line.
fn reason(error: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(error) {
        return source.to_string();
    }
    let text = error.render().to_string();
    let lines =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("For more") && !line.starts_with("Usage"));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

/// The values with paths from the file's folder, where they name files.
fn resolved(values: Vec<String>, arg: &Arg, file: &Path) -> Vec<String> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let is_path = matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath)
        || arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE" || name == "FOLDER"));
    if !is_path || folder.as_os_str().is_empty() {
        return values;
    }
    let place = |text: String| match text.as_str() {
        // Standard output, where a report may go.
        "-" | "" => text,
        path => folder.join(path).to_string_lossy().into_owned(),
    };
    values.into_iter().map(place).collect()
}
