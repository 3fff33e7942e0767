//! Tables of a TOML file, whose entries are read with their places.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use guest_host::text::line_and_column;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Place, ServeError};

/// A file with its text.
pub(super) struct Source<'a> {
    path: Arc<Path>,
    text: &'a str,
}

/// A string of the file, with its place.
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    source: &'a Source<'a>,
    offset: usize,
}

/// A table of the file, all of whose keys are known.
pub(super) struct Table<'a, 't, 'i> {
    source: &'a Source<'a>,
    table: &'t DeTable<'i>,
    offset: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(path: &Path, text: &'a str) -> Self {
        Self { path: path.into(), text }
    }

    fn place(&self, offset: usize) -> Place {
        let (line, column) = line_and_column(self.text, offset);
        Place { path: Arc::clone(&self.path), line, column }
    }

    /// The beginning of the file.
    pub(super) fn start(&self) -> Place {
        self.place(0)
    }

    fn error(&self, offset: usize, message: impl Into<String>) -> ServeError {
        self.place(offset).error(message)
    }

    /// The file's table.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'a>>, ServeError> {
        DeTable::parse(self.text).map_err(|error| {
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            self.error(error.span().map_or(0, |span| span.start), message)
        })
    }
}

impl Text<'_> {
    pub(super) fn place(&self) -> Place {
        self.source.place(self.offset)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ServeError {
        self.place().error(message)
    }
}

impl<'a, 't, 'i> Table<'a, 't, 'i>
where
    't: 'a,
{
    /// A table with these keys; `name` is what errors call it.
    pub(super) fn new(
        source: &'a Source<'a>,
        name: &str,
        table: &'t DeTable<'i>,
        keys: &[&str],
    ) -> Result<Self, ServeError> {
        let mut found: Vec<_> = table.keys().collect();
        found.sort_by_key(|key| key.span().start);
        for key in &found {
            let wrong = key.get_ref().as_ref();
            if !keys.contains(&wrong) {
                let message = format!("there is no key `{wrong}` in {name}: {}", nearest(wrong, keys));
                return Err(source.error(key.span().start, message));
            }
        }
        Ok(Self { source, table, offset: found.first().map_or(0, |key| key.span().start) })
    }

    /// The place of its first entry.
    pub(super) fn place(&self) -> Place {
        self.source.place(self.offset)
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.table.get(key)
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Spanned<DeValue<'_>>) -> ServeError {
        let message = format!("`{key}` must be {wanted}, not {}", kind(found.get_ref()));
        self.source.error(found.span().start, message)
    }

    fn string(&self, key: &str, wanted: &str, found: &'t Spanned<DeValue<'i>>) -> Result<Text<'a>, ServeError> {
        match found.get_ref() {
            DeValue::String(text) => Ok(Text { text, source: self.source, offset: found.span().start }),
            _ => Err(self.wrong(key, wanted, found)),
        }
    }

    /// A string.
    pub(super) fn text(&self, key: &str) -> Result<Option<Text<'a>>, ServeError> {
        self.get(key).map(|found| self.string(key, "a string", found)).transpose()
    }

    /// A string that must be there.
    pub(super) fn needed(&self, key: &str, table: &str) -> Result<Text<'a>, ServeError> {
        self.text(key)?.ok_or_else(|| self.place().error(format!("{table} lacks `{key}`; add it")))
    }

    /// A list of strings; none if it is missing.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<Text<'a>>, ServeError> {
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(found) => match found.get_ref() {
                DeValue::Array(items) => items.iter().map(|item| self.string(key, "a list of strings", item)).collect(),
                _ => Err(self.wrong(key, "a list of strings", found)),
            },
        }
    }

    /// A string that `read` reads; its message is about the value alone.
    pub(super) fn read<V>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<V, String>,
    ) -> Result<Option<V>, ServeError> {
        let Some(found) = self.get(key) else { return Ok(None) };
        let wanted = "a string with a unit, such as \"64KiB\" or \"50ms\"";
        let text = self.string(key, wanted, found)?;
        read(text.text).map(Some).map_err(|message| text.error(format!("`{key}`: {message}")))
    }

    /// A whole number in a range.
    pub(super) fn count(&self, key: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, ServeError> {
        let Some(found) = self.get(key) else { return Ok(None) };
        let number = match found.get_ref() {
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        match number.and_then(|number| u32::try_from(number).ok()).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let message = format!("`{key}` must be a whole number from {} to {}", range.start(), range.end());
                Err(self.source.error(found.span().start, message))
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, ServeError> {
        let Some(found) = self.get(key) else { return Ok(None) };
        match found.get_ref() {
            DeValue::Boolean(flag) => Ok(Some(*flag)),
            _ => Err(self.wrong(key, "`true` or `false`", found)),
        }
    }

    /// A table with these keys.
    pub(super) fn table(&self, key: &str, keys: &[&str]) -> Result<Option<Self>, ServeError> {
        let Some(found) = self.get(key) else { return Ok(None) };
        match found.get_ref() {
            DeValue::Table(table) => Table::new(self.source, &format!("`[{key}]`"), table, keys).map(Some),
            _ => Err(self.wrong(key, &format!("a table `[{key}]`"), found)),
        }
    }

    /// Tables of an array, each with these keys; none if it is missing.
    pub(super) fn tables(&self, key: &str, keys: &[&str]) -> Result<Vec<Self>, ServeError> {
        let Some(found) = self.get(key) else { return Ok(Vec::new()) };
        let wanted = format!("tables `[[{key}]]`");
        let DeValue::Array(items) = found.get_ref() else { return Err(self.wrong(key, &wanted, found)) };
        let table = |item: &'t Spanned<DeValue<'i>>| match item.get_ref() {
            DeValue::Table(table) => {
                let table = Table::new(self.source, &format!("`[[{key}]]`"), table, keys)?;
                // An empty one has the place of its header.
                Ok(Self { offset: if table.table.is_empty() { item.span().start } else { table.offset }, ..table })
            }
            _ => Err(self.wrong(key, &wanted, item)),
        };
        items.iter().map(table).collect()
    }

    /// All entries that are tables, by name, in the order of the file; what `of` says must be the others' kind.
    pub(super) fn all_tables(
        source: &'a Source<'a>,
        root: &'t DeTable<'i>,
        wanted: &str,
    ) -> Result<Vec<(&'t str, &'t DeTable<'i>)>, ServeError> {
        let mut entries: Vec<_> = root.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let table =
            |(key, value): (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)| match value.get_ref() {
                DeValue::Table(table) => Ok((key.get_ref().as_ref(), table)),
                found => {
                    let message = format!("`{}` must be {wanted}, not {}", key.get_ref(), kind(found));
                    Err(source.error(key.span().start, message))
                }
            };
        entries.into_iter().map(table).collect()
    }

    /// All entries of a table of strings.
    pub(super) fn all_texts(
        source: &'a Source<'a>,
        table: &'t DeTable<'i>,
    ) -> Result<Vec<(Text<'a>, Text<'a>)>, ServeError> {
        let entry =
            |(key, value): (&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<DeValue<'i>>)| match value.get_ref() {
                DeValue::String(text) => {
                    let key = Text { text: key.get_ref().as_ref(), source, offset: key.span().start };
                    Ok((key, Text { text, source, offset: value.span().start }))
                }
                found => {
                    let message = format!("`{}` must be a string, not {}", key.get_ref(), kind(found));
                    Err(source.error(value.span().start, message))
                }
            };
        table.iter().map(entry).collect()
    }
}

/// The name that is most like a wrong one, or all of them where none is.
pub(crate) fn nearest(wrong: &str, names: &[&str]) -> String {
    let plain = |name: &str| name.replace('-', "_").to_lowercase();
    let of = |name: &str| strsim::normalized_damerau_levenshtein(&plain(wrong), &plain(name));
    let best = names.iter().max_by(|one, other| of(one).total_cmp(&of(other)));
    match best.filter(|name| of(name) >= 0.5) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("use one of {}", names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
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
