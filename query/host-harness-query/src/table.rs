//! The files of a query.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow, bail};
use datafusion::prelude::{CsvReadOptions, JsonReadOptions, ParquetReadOptions, SessionContext};
use url::Url;

/// A file, and its name in the query.
#[derive(Debug, Clone)]
pub struct Table {
    name: String,
    file: PathBuf,
}

impl FromStr for Table {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = "write the table's name, `=` and its file, such as t=products.csv";
        let (name, file) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`: {shape}"))?;
        if file.is_empty() {
            return Err(format!("`{text}` names no file: {shape}"));
        }
        let mut characters = name.chars();
        let begins = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
        if !begins || !characters.all(|next| next.is_ascii_alphanumeric() || next == '_') {
            return Err(format!("`{name}` is not a table's name: use letters, digits and `_`"));
        }
        // As SQL reads a name that is not quoted.
        Ok(Self { name: name.to_ascii_lowercase(), file: file.into() })
    }
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Csv,
    JsonLines,
    Parquet,
}

impl Content {
    /// By the file's extension, which is returned as the file has it.
    fn of(file: &Path) -> Result<(Self, &str)> {
        let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let content = match extension.to_ascii_lowercase().as_str() {
            "csv" => Self::Csv,
            "json" | "jsonl" | "ndjson" => Self::JsonLines,
            "parquet" => Self::Parquet,
            _ => bail!(
                "{}: the extension does not say what the file is; it is .csv, .json, .jsonl, .ndjson or .parquet",
                file.display()
            ),
        };
        Ok((content, extension))
    }
}

/// Makes the tables known to the session, each with the absolute path of its file.
///
/// # Errors
/// A file cannot be read, its extension does not say what it is, or two tables have the same name.
pub async fn register_tables(ctx: &SessionContext, tables: &[Table]) -> Result<()> {
    for (at, table) in tables.iter().enumerate() {
        if tables[..at].iter().any(|earlier| earlier.name == table.name) {
            bail!("two tables have the name `{}`; give each another one", table.name);
        }
        table.register(ctx).await?;
    }
    Ok(())
}

impl Table {
    async fn register(&self, ctx: &SessionContext) -> Result<()> {
        let shown = self.file.display();
        let (content, extension) = Content::of(&self.file)?;
        let path = self.file.canonicalize().with_context(|| shown.to_string()).map_err(|error| anyhow!("{error:#}"))?;
        if !path.is_file() {
            bail!("{shown}: not a file");
        }
        // A path may have characters that are patterns to DataFusion.
        let url = Url::from_file_path(&path).map_err(|()| anyhow!("{shown}: the path cannot be written as a URL"))?;
        let (name, url, extension) = (self.name.as_str(), url.as_str(), format!(".{extension}"));
        let registered = match content {
            Content::Csv => ctx.register_csv(name, url, CsvReadOptions::new().file_extension(&extension)).await,
            Content::JsonLines => {
                ctx.register_json(name, url, JsonReadOptions::default().file_extension(&extension)).await
            }
            Content::Parquet => {
                let options = ParquetReadOptions { file_extension: &extension, ..ParquetReadOptions::default() };
                ctx.register_parquet(name, url, options).await
            }
        };
        registered.map_err(|error| anyhow!("{shown}: {}", error.strip_backtrace()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_name_and_a_file() {
        let table: Table = "T_1=a=b.csv".parse().unwrap();
        assert_eq!((table.name.as_str(), table.file.as_path()), ("t_1", Path::new("a=b.csv")));
        for (wrong, part) in
            [("a.csv", "has no `=`"), ("t=", "names no file"), ("=a.csv", "not a table's name"), ("a.b=c.csv", "`a.b`")]
        {
            let error = wrong.parse::<Table>().unwrap_err();
            assert!(error.contains(part), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_extension_says_what_a_file_is() {
        let content = |file: &str| Content::of(Path::new(file)).map(|(content, _)| content).ok();
        assert_eq!(content("a.CSV"), Some(Content::Csv));
        assert_eq!([content("a.json"), content("a.jsonl"), content("a.ndjson")], [Some(Content::JsonLines); 3]);
        assert_eq!(content("a.b.parquet"), Some(Content::Parquet));
        assert_eq!([content("a"), content("a.txt"), content(".csv")], [None; 3]);
    }
}
