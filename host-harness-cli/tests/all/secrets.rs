//! Secrets on the command line: they come from the environment, and are shown nowhere.

use crate::folder::Folder;
use test_support::text_guests;

#[test]
fn a_guest_reads_a_secret_of_the_environment_and_no_report_has_it() {
    let folder = Folder::new();
    // Cargo sets it for this test, and so for the command.
    let (name, value) = ("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));
    let wasm = text_guests::guest(
        r#"(import "extension" "secret" (func $secret (param i32 i32 i32 i32) (result i32)))
           (import "extension" "log" (func $log (param i32 i32 i32)))"#,
        &format!(
            r#"(data (i32.const 16) "{name}") (data (i32.const 64) "none")
            (func $length (result i32)
              (call $secret (i32.const 16) (i32.const {}) (i32.const 8192) (i32.const 1000)))
            (func (export "know") (result i64)
              (if (i32.eq (call $length) (i32.const {})) (then (call $log (i32.const 2) (i32.const 16) (i32.const 5))))
              i64.const 0)
            (func (export "tell") (result i64) (call $log (i32.const 2) (i32.const 8192) (call $length)) i64.const 0)"#,
            name.len(),
            value.len()
        ),
    );
    folder.file("secret.wasm", &wasm);
    let said = folder.run(&format!("run secret.wasm tell --secret {name}"));
    assert!(said.stdout.contains(value), "{}", said.stdout);
    let said = folder.run(&format!("run secret.wasm know --secret {name} --format json"));
    assert!(said.stdout.contains("\"CARGO\"") && !said.stdout.contains(value), "{}", said.stdout);
    let said = folder.run("run secret.wasm know --format json");
    assert!(said.status == Some(0) && !said.stdout.contains("\"CARGO\""), "{}", said.stdout);
    folder.refuses("run secret.wasm know --secret NO_SUCH_VARIABLE", &["`NO_SUCH_VARIABLE`", "set it to the value"]);
}
