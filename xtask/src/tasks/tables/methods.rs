//! The table of the methods with which extensions read and write values, from the sources of the SDKs.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// The types of values, in the order of the table.
const TYPES: [&str; 11] = ["i32", "i64", "f32", "f64", "str", "bytes", "bool", "qname", "object", "array", "value"];

/// Methods that neither read nor write a value of a type.
const OTHERS: [&str; 10] =
    ["new", "with_capacity", "clear", "bytes", "kind", "len", "fields", "items", "encoded", "malformed"];

/// The methods of an SDK.
#[derive(Debug, Default)]
struct Methods {
    reader: BTreeSet<String>,
    writer: BTreeSet<String>,
    key: BTreeSet<String>,
}

/// The table, and under it what the SDK of the exttinygo contract lacks.
///
/// # Errors
///
/// If a source cannot be read, or has a method that the table has no place for.
pub(super) fn table(root: &Path) -> Result<String> {
    let read = |file: &str| {
        let path = root.join(file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        Ok::<_, anyhow::Error>(methods(&text))
    };
    let key = read("guest-sdk-core/src/key.rs")?;
    let native = Methods {
        reader: read("guest-sdk-core/src/value.rs")?,
        writer: read("guest-sdk/src/writer.rs")?,
        key: key.clone(),
    };
    let exttinygo = Methods {
        reader: read("guest-sdk-exttinygo/src/value.rs")?,
        writer: read("guest-sdk-exttinygo/src/writer.rs")?,
        key,
    };
    Ok(format!("{}\n{}", of_types(&native)?, lacking(&native, &exttinygo)))
}

/// The public methods in a source that are not deprecated: functions, and the rows of macros that make readers.
fn methods(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut deprecated = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if line.starts_with("//") {
            continue;
        }
        if line.starts_with("#[deprecated") {
            deprecated = true;
        }
        let function = line.strip_prefix("pub fn ").or_else(|| line.strip_prefix("pub const fn "));
        if let Some(function) = function {
            let name = identifier(function);
            if !name.is_empty() && !deprecated {
                found.insert(name.to_owned());
            }
            deprecated = false;
        } else if line.starts_with("as_")
            && let Some((names, _)) = line.split_once(" -> ")
        {
            let of_reader = |name: &&str| name.starts_with("as_") || name.starts_with("get_");
            found.extend(names.split(' ').filter(of_reader).map(str::to_owned));
        }
    }
    found
}

/// The identifier that a text begins with; empty for the variable of a macro.
fn identifier(text: &str) -> &str {
    let end = text.find(|character: char| character != '_' && !character.is_ascii_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

fn of_types(sdk: &Methods) -> Result<String> {
    let mut text = String::from(
        "| type | read a field | read a field that may be absent | read an element | write a field | write an element | \
         put into a key |\n|---|---|---|---|---|---|---|\n",
    );
    let mut placed = BTreeSet::from(OTHERS.map(str::to_owned));
    for kind in TYPES {
        let [get, at, whole] = [format!("get_{kind}"), format!("get_{kind}_at"), format!("as_{kind}")];
        let scalar = sdk.reader.contains(&get);
        let (get, at) = if scalar { (get, at) } else { ("get".to_owned(), "item".to_owned()) };
        let absent = if scalar { vec!["find".to_owned(), whole] } else { vec!["find".to_owned()] };
        for method in [&get, &at].into_iter().chain(&absent) {
            ensure!(sdk.reader.contains(method), "a `{kind}` cannot be read: there is no `{method}`");
        }
        let [put, push] = [format!("put_{kind}"), format!("push_{kind}")];
        ensure!(
            sdk.writer.contains(&put) && sdk.writer.contains(&push),
            "a `{kind}` cannot be written: there is no `{put}` or no `{push}`"
        );
        let key = if sdk.key.contains(&put) { format!("`{put}`") } else { String::new() };
        let found = absent.join("`, `");
        let _ = writeln!(text, "| {kind} | `{get}` | `{found}` | `{at}` | `{put}` | `{push}` | {key} |");
        placed.extend([get, at, put, push]);
        placed.extend(absent);
    }
    if let Some(method) =
        [&sdk.reader, &sdk.writer, &sdk.key].into_iter().flatten().find(|name| !placed.contains(*name))
    {
        bail!("the table has no place for `{method}`: see `xtask/src/tasks/tables/methods.rs`");
    }
    Ok(text)
}

/// A sentence on the methods that one SDK has and the other has not.
fn lacking(has: &Methods, lacks: &Methods) -> String {
    let mut names: Vec<&str> = Vec::new();
    let pushes = |sdk: &Methods| sdk.writer.iter().any(|name| name.starts_with("push_"));
    for (all, some) in [(&has.reader, &lacks.reader), (&has.writer, &lacks.writer)] {
        let missing = all.difference(some).map(String::as_str);
        names.extend(missing.filter(|name| !OTHERS.contains(name) && (pushes(lacks) || !name.starts_with("push_"))));
    }
    if !pushes(lacks) {
        names.push("push_*");
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("`guest-sdk-exttinygo` lacks {}, which its contract cannot express.\n", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// An SDK with all methods of the table.
    fn complete() -> Methods {
        let mut sdk = Methods { reader: names(&["get", "find", "item", "len"]), ..Methods::default() };
        for kind in TYPES {
            if !["object", "array", "value"].contains(&kind) {
                sdk.reader.extend([format!("get_{kind}"), format!("get_{kind}_at"), format!("as_{kind}")]);
                sdk.key.insert(format!("put_{kind}"));
            }
            sdk.writer.extend([format!("put_{kind}"), format!("push_{kind}")]);
        }
        sdk
    }

    #[test]
    fn functions_and_rows_of_macros_are_found_and_others_are_not() {
        let source = "
            /// pub fn commented()
            pub fn get(&self) {}
            pub const fn len(&self) {}
            pub(crate) fn hidden(&self) {}
            pub fn $of_field(&self) {}
            getters! {
                as_i32 read_i32 get_i32 get_i32_at -> i32;
            }
            #[deprecated(since = \"0.1.0\")]
            #[inline]
            pub fn put_string<S>(&mut self) {}
            pub fn put_str(&mut self) {}
            #[cfg(test)]
            pub fn tested() {}";
        let expected = ["as_i32", "get", "get_i32", "get_i32_at", "len", "put_str"];
        assert_eq!(methods(source), names(&expected));
    }

    #[test]
    fn a_method_that_is_missing_and_one_too_many_are_both_refused() {
        let table = of_types(&complete()).unwrap();
        let row = "| str | `get_str` | `find`, `as_str` | `get_str_at` | `put_str` | `push_str` | `put_str` |\n";
        assert!(table.contains(row), "{table}");
        assert!(table.contains("| array | `get` | `find` | `item` | `put_array` | `push_array` |  |\n"), "{table}");

        let mut sdk = complete();
        sdk.writer.remove("push_str");
        assert!(of_types(&sdk).unwrap_err().to_string().contains("no `push_str`"));
        let mut sdk = complete();
        sdk.reader.remove("get_bool_at");
        assert!(of_types(&sdk).unwrap_err().to_string().contains("no `get_bool_at`"));
        let mut sdk = complete();
        sdk.writer.insert("put_u8".to_owned());
        assert!(of_types(&sdk).unwrap_err().to_string().contains("no place for `put_u8`"));
    }

    #[test]
    fn the_other_sdk_lacks_what_it_does_not_have() {
        let (all, mut some) = (complete(), complete());
        some.reader.remove("find");
        some.writer.remove("put_value");
        let text = "`guest-sdk-exttinygo` lacks `find`, `put_value`, which its contract cannot express.\n";
        assert_eq!(lacking(&all, &some), text);
        some.writer.retain(|name| !name.starts_with("push_"));
        assert!(lacking(&all, &some).contains("`put_value`, `push_*`, which"));
    }
}
