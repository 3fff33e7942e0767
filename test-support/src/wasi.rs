//! Imports of WASI preview 1.

/// Imports of these functions of WASI, each under its own name.
#[must_use]
pub fn imports(names: &[&str]) -> String {
    let offered = guest_host::admission::wasi_imports();
    let import = |name: &&str| {
        let known = offered.iter().find(|known| known.name == *name).expect("it is a function of WASI");
        let types = |types: &[_]| types.iter().map(|ty| format!(" {ty}")).collect::<String>();
        let (params, results) = (types(&known.signature.params), types(&known.signature.results));
        format!(r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param{params}) (result{results})))"#)
    };
    names.iter().map(import).collect()
}
