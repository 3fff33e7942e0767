//! Folders with guests of a few lines.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// The greatest common divisor of two numbers.
pub(crate) const GCD: &str = r#"(module (func (export "gcd") (param i64 i64) (result i64) (local i64)
    (loop $again (if (i64.ne (local.get 1) (i64.const 0)) (then
        (local.set 2 (i64.rem_u (local.get 0) (local.get 1)))
        (local.set 0 (local.get 1)) (local.set 1 (local.get 2)) (br $again))))
    (local.get 0)))"#;

/// A configuration with the route of [`GCD`].
pub(crate) const GCD_ROUTE: &str = "[[routes]]\npath = \"/gcd\"\nfunction = \"gcd\"\n";

/// A folder of guests, which ends with the test.
pub(crate) struct Guests {
    folder: TempDir,
}

impl Guests {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a guest: its `guest.toml`, and its module from text.
    pub(crate) fn put(&self, name: &str, config: &str, wat: &str) {
        self.write(name, "guest.toml", config);
        self.write(name, &format!("{name}.wasm"), wat::parse_str(wat).unwrap());
    }

    /// Writes a file of a guest.
    pub(crate) fn write(&self, name: &str, file: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
}
