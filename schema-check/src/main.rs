//! Validates JSON files against a JSON Schema: `schema-check SCHEMA FILE...`.
//!
//! Prints a line for each file: `valid FILE`, or `invalid FILE`, where in it and why. The exit status is 0 if all are valid, 1 if
//! one is not, and 2 if the schema is none or a file cannot be read.

use std::path::Path;
use std::process::ExitCode;

use serde_json::Value;

/// A file is not valid.
const INVALID: u8 = 1;

/// The schema is none, or a file cannot be read.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    let Some((schema, files)) = files.split_first().filter(|(_, files)| !files.is_empty()) else {
        eprintln!("usage: schema-check SCHEMA FILE...");
        return ExitCode::from(BAD_INPUT);
    };
    match check(Path::new(schema), files.iter().map(Path::new)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(INVALID),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(BAD_INPUT)
        }
    }
}

/// Whether all files are valid.
fn check<'a>(schema: &Path, files: impl Iterator<Item = &'a Path>) -> Result<bool, String> {
    let content = read(schema)?;
    // Its draft's own schema first, as a keyword that is misspelt would forbid nothing.
    jsonschema::meta::validate(&content).map_err(|error| format!("{}: {error}", schema.display()))?;
    let validator = jsonschema::validator_for(&content).map_err(|error| format!("{}: {error}", schema.display()))?;
    let mut all = true;
    for file in files {
        let value = read(file)?;
        let mut errors = validator.iter_errors(&value).peekable();
        if errors.peek().is_none() {
            println!("valid {}", file.display());
        }
        for error in errors {
            all = false;
            println!("invalid {} at `{}`: {error}", file.display(), error.instance_path());
        }
    }
    Ok(all)
}

fn read(file: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}
