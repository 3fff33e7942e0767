//! Names of crates.

use std::fmt;

/// A name that a crate can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

/// Why a crate cannot have a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{name}` cannot be the name of a crate: {reason}; give another with --name{}", like(.suggestion))]
pub(super) struct BadName {
    name: String,
    reason: &'static str,
    suggestion: Option<String>,
}

fn like(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|name| format!(", such as `{name}`")).unwrap_or_default()
}

/// The words that Rust keeps, of all editions.
const KEYWORDS: [&str; 53] = [
    "Self", "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro",
    "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super",
    "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    "union",
];

/// The crates that come with Rust, the folders that cargo makes in a target folder, and the crates that the new one depends on.
const TAKEN: [&str; 14] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "guest_abi",
    "guest_host",
    "guest_sdk",
    "guest_state",
    "incremental",
    "proc_macro",
    "std",
    "test",
    "wasm_guest_host",
];

/// Files that Windows does not allow.
const WINDOWS: [&str; 22] = [
    "aux", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "con", "lpt1", "lpt2", "lpt3",
    "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "nul", "prn",
];

/// The longest name that the registry takes, in bytes.
const LONGEST: usize = 64;

impl Name {
    /// Checks that a crate can have this name.
    ///
    /// # Errors
    /// [`BadName`], with a name that is like it and possible.
    pub(super) fn check(name: &str) -> Result<Self, BadName> {
        match fault(name) {
            None => Ok(Self(name.to_owned())),
            Some(reason) => {
                let suggestion = Some(mended(name)).filter(|mended| fault(mended).is_none());
                Err(BadName { name: name.to_owned(), reason, suggestion })
            }
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn fault(name: &str) -> Option<&'static str> {
    let in_code = name.replace('-', "_");
    let is_one_of = |words: &[&str], name: &str| words.contains(&name);
    if name.is_empty() {
        Some("it is empty")
    } else if !name.chars().all(|char| char.is_ascii_alphanumeric() || char == '-' || char == '_') {
        Some("it may have only letters and digits of ASCII, `-` and `_`")
    } else if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        Some("it must begin with a letter")
    } else if name.len() > LONGEST {
        Some("it may have at most 64 characters")
    } else if is_one_of(&KEYWORDS, &in_code) {
        Some("it is a keyword of Rust")
    } else if is_one_of(&TAKEN, &in_code) {
        Some("Rust, cargo or this project have a crate or folder of that name")
    } else if is_one_of(&WINDOWS, &in_code.to_ascii_lowercase()) {
        Some("Windows does not allow a file of that name")
    } else {
        None
    }
}

/// A name that is like this one: other characters become `-`, and a word that is taken gets a second one.
fn mended(name: &str) -> String {
    let parts = name.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let mut name = parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    name.truncate(LONGEST);
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) || fault(&name).is_some() {
        name.insert_str(0, "my-");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_takes_are_taken() {
        for name in ["shop", "my-shop", "a", "Shop_2", "asynchronous"] {
            assert_eq!(Name::check(name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn other_names_are_refused_with_one_that_is_possible() {
        for (name, part, suggestion) in [
            ("my shop", "letters and digits", "my-shop"),
            ("2shop", "begin with a letter", "my-2shop"),
            ("async", "keyword", "my-async"),
            ("Self", "keyword", "my-Self"),
            ("guest-sdk", "this project", "my-guest-sdk"),
            ("test", "this project", "my-test"),
            ("NUL", "Windows", "my-NUL"),
            ("größe", "ASCII", "gr-e"),
        ] {
            let error = Name::check(name).unwrap_err().to_string();
            assert!(error.contains(part) && error.ends_with(&format!("such as `{suggestion}`")), "{error}");
        }
        let long = Name::check(&"a".repeat(65)).unwrap_err().to_string();
        assert!(long.contains("at most 64"), "{long}");
        assert!(Name::check("").unwrap_err().to_string().contains("it is empty"));
    }
}
