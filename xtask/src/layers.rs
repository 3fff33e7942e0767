//! The folders of a crate import each other in one direction only.
//!
//! For each layered crate the order of its folders is stated here, lowest first. A file may name, by a path that begins
//! with `crate::`, its own folder and those below. Files that join everything, `lib.rs` and `main.rs`, are exempt.

use std::path::{Path, PathBuf};

use crate::folders;

/// A crate, and the folders and files of its `src`, lowest first.
const LAYERS: [(&str, &[&str]); 13] = [
    (
        "guest-prepare",
        &[
            "setters",
            "names",
            "error",
            "cards",
            "offsets",
            "module_info",
            "changes",
            "splice",
            "passes",
            "options",
            "prepared",
            "prepare",
        ],
    ),
    (
        "guest-host",
        &[
            "text",
            "spans",
            "arguments",
            "state",
            "stream",
            "failure",
            "host",
            "contract",
            "restore",
            "engine",
            "guest",
            "metrics",
            "instance",
            "pool",
        ],
    ),
    (
        "guest-functions",
        &[
            "error",
            "value",
            "wire",
            "memory",
            "shape",
            "frame",
            "argument",
            "returned",
            "document",
            "declare",
            "functions",
            "module",
            "batch",
            "runtime",
        ],
    ),
    (
        "guest-serve",
        &[
            "error",
            "config",
            "folder",
            "files",
            "monitor",
            "deployment",
            "registry",
            "catalog",
            "rate",
            "room",
            "records",
            "call",
            "lanes",
            "programs",
            "http",
            "admin",
            "server",
            "cli",
        ],
    ),
    (
        "query/guest-datafusion",
        &[
            "error",
            "types",
            "describe",
            "kind",
            "query",
            "function",
            "scalar",
            "aggregate",
            "plan",
            "table",
            "resolver",
            "modules",
            "factory",
        ],
    ),
    (
        "query/guest-ballista-plan",
        &[
            "payload",
            "frame",
            "wire",
            "table",
            "function_codec",
            "opaque",
            "opaque_table",
            "opaque_functions",
            "calls",
            "node",
            "codec",
            "windows",
            "scheduler",
            "program",
        ],
    ),
    ("query/guest-ballista", &["store", "error", "limits", "cache", "functions", "interrupt", "executor", "session"]),
    (
        "host-harness",
        &[
            "blocks",
            "digits",
            "intent_report",
            "advice",
            "functions",
            "budget",
            "measure",
            "probe",
            "verify",
            "inspect",
            "replay",
            "pipe",
            "compare",
            "report",
        ],
    ),
    ("guest-tenants", &["store", "redb_store", "error", "meter", "fresh", "program", "tenants"]),
    (
        "guest-blocks",
        &[
            "error", "ranges", "sys", "memory", "state", "slots", "content", "storage", "block", "ring", "table",
            "topic",
        ],
    ),
    ("guest-image", &["error", "cards", "values", "identity", "delta", "base", "change", "encoding", "file"]),
    (
        "guest-serve-nats",
        &[
            "error",
            "told",
            "names",
            "record",
            "records",
            "executor",
            "versions",
            "connect",
            "outputs",
            "applier",
            "placement",
            "entries",
            "lease",
            "feed",
            "partition",
            "calls",
            "keeper",
            "server",
            "cli",
        ],
    ),
    ("xtask", &["folders", "layers", "dependencies", "usage", "console", "ahead", "cargo", "steps", "tasks", "cli"]),
];

/// The beginning of a path, in two pieces: this file is checked too.
const ROOT: &str = concat!("crate", "::");

/// An import that points from a lower folder to a higher one, or to a folder that the order lacks.
#[derive(Debug, PartialEq, Eq)]
struct Upward {
    file: PathBuf,
    line: usize,
    from: String,
    to: String,
}

/// The upward imports of one file's text. `from` is the folder in which it lies.
fn upward(order: &[&str], from: &str, file: &Path, text: &str) -> Vec<Upward> {
    let place = |name: &str| order.iter().position(|folder| *folder == name);
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        // What comments link to is no import.
        let code = line.split("//").next().unwrap_or_default();
        for (at, _) in code.match_indices(ROOT) {
            // Another crate's path may end so, such as `$crate::`.
            if code[..at].ends_with(|before: char| before == '$' || before == '_' || before.is_alphanumeric()) {
                continue;
            }
            let rest = &code[at + ROOT.len()..];
            let to: String = rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect();
            // A type or a macro at the crate's root is a re-export: the folder that it comes from must be named.
            let allowed = match (place(from), place(&to)) {
                (Some(from), Some(to)) => to <= from,
                _ => false,
            };
            if !allowed {
                found.push(Upward { file: file.to_owned(), line: number + 1, from: from.to_owned(), to });
            }
        }
    }
    found
}

/// The upward imports of a crate's sources, tests aside.
fn upward_of_crate(source: &Path, order: &[&str]) -> std::io::Result<Vec<Upward>> {
    let mut found = Vec::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let relative = path.strip_prefix(source).unwrap_or(&path).to_owned();
            let name =
                |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !["lib", "main", "tests"].contains(&name(&path).as_str())
            {
                let from = relative.components().next().map(|first| name(Path::new(&first))).unwrap_or_default();
                let text = std::fs::read_to_string(&path)?;
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                found.extend(upward(order, &from, &relative, code));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_between_folders_run_one_way() {
        for (name, order) in LAYERS {
            let found = upward_of_crate(&folders::root().join(name).join("src"), order).unwrap();
            assert!(found.is_empty(), "{name}: {found:#?}");
        }
    }

    #[test]
    fn a_planted_upward_import_is_found() {
        let (_, order) = LAYERS[1];
        let file = Path::new("restore/planted.rs");
        let text = "use crate::host::call::Call;\n// crate::pool is only named here\nuse crate::instance::Instance;\n";
        let found = upward(order, "restore", file, text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].to.as_str()), (3, "instance"));
        assert_eq!(
            upward(order, "restore", file, "let x = crate::StateError::new(y);").len(),
            1,
            "a re-export hides its folder"
        );
        assert_eq!(upward(order, "unknown", file, "use crate::text::cut;").len(), 1, "a folder that the order lacks");
        assert_eq!(upward(order, "pool", file, "use crate::{text, instance};").len(), 1, "a group hides its folders");

        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("text")).unwrap();
        std::fs::write(folder.path().join("text/mod.rs"), text).unwrap();
        std::fs::write(folder.path().join("lib.rs"), "pub use crate::pool::Pool;").unwrap();
        let found = upward_of_crate(folder.path(), order).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|upward| upward.from == "text" && upward.file == Path::new("text/mod.rs")));
    }
}
