//! Validates JSON files against a JSON Schema: `schema-check SCHEMA FILE...`.
//!
//! Prints a line for each file: `valid FILE`, or `invalid FILE`, where in it and why. The exit status is 0 if all are valid, 1 if
//! one is not, and 2 if the schema is none or a file cannot be read.

use std::path::Path;
use std::process::ExitCode;

use boon::{Compiler, InstanceToken, Schemas, ValidationError};
use serde_json::Value;

/// Name of the schema among the compiled ones. It is a file's, so that nothing looks for it elsewhere.
const NAME: &str = "file:///schema.json";

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
    let place = schema.display();
    let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
    compiler.add_resource(NAME, read(schema)?).map_err(|error| format!("{place}: {error:#}"))?;
    // This also validates it by its draft's own schema, as a keyword that is misspelt would forbid nothing.
    let index = compiler.compile(NAME, &mut schemas).map_err(|error| format!("{place}: {error:#}"))?;
    let mut all = true;
    for file in files {
        let value = read(file)?;
        match schemas.validate(&value, index) {
            Ok(()) => println!("valid {}", file.display()),
            Err(error) => {
                all = false;
                for error in leaves(&error) {
                    println!("invalid {} at `{}`: {}", file.display(), pointer(error), error.kind);
                }
            }
        }
    }
    Ok(all)
}

/// The errors without causes of their own, of an error and its causes.
fn leaves<'e, 's, 'v>(error: &'e ValidationError<'s, 'v>) -> Vec<&'e ValidationError<'s, 'v>> {
    match error.causes.as_slice() {
        [] => vec![error],
        causes => causes.iter().flat_map(leaves).collect(),
    }
}

/// Where in a file an error is, as a JSON pointer.
fn pointer(error: &ValidationError<'_, '_>) -> String {
    let step = |token: &InstanceToken<'_>| match token {
        InstanceToken::Prop(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        InstanceToken::Item(index) => format!("/{index}"),
    };
    error.instance_location.tokens.iter().map(step).collect()
}

fn read(file: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))
}
