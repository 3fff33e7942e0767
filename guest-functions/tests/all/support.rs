//! Modules of the native contract in text form, with signatures.

use guest_functions::{FunctionError, Module, ModuleConfig, Runtime};

/// The entry of a declaration, which is a constant.
macro_rules! entry {
    ($declaration:expr) => {{
        const DECLARATION: guest_abi::function::Declaration<'static> = $declaration;
        DECLARATION.entry::<{ DECLARATION.size() }>().to_vec()
    }};
}

/// An entry of a function with these parameters and this result.
macro_rules! function {
    ($name:literal, [$($param:literal: $ty:expr),*], $result:expr) => {
        $crate::support::entry!(guest_abi::function::Declaration::new(
            guest_abi::function::Kind::Scalar,
            $name,
            &[$(($param, $ty)),*],
            &[("", $result)],
        ))
    };
}

pub(crate) use {entry, function};

/// Bytes of the static memory that a test's functions may use, from address 16 on.
pub(crate) const PACK: &str = "(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32))
    (i64.extend_i32_u (local.get 1)))";

/// A module of the native contract with these functions and this section.
pub(crate) fn native(functions: &str, section: &[u8]) -> Vec<u8> {
    let section: String = section.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module
            (import "extension" "fail" (func $fail (param i32 i32 i32)))
            (memory (export "memory") 8)
            (global $calls (mut i32) (i32.const 0))
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
            {functions}
            (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{section}"))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

pub(crate) fn load(wasm: &[u8], config: ModuleConfig) -> Result<Module, FunctionError> {
    let engine = test_support::compiled::engine();
    Module::load(&engine, "test", wasm, config)
}

/// A registry with one module of this text.
pub(crate) fn registry(name: &str, text: &str) -> Runtime {
    let runtime = Runtime::new().unwrap();
    runtime.register(name, &wat::parse_str(text).unwrap(), ModuleConfig::default()).unwrap();
    runtime
}

/// The module of the guest `functions` with an allocator, built by `cargo xtask guests`.
pub(crate) fn built(allocator: guest_build::Allocator) -> Vec<u8> {
    built_guest("functions", allocator)
}

/// The module of a guest with an allocator, built by `cargo xtask guests`.
pub(crate) fn built_guest(guest: &str, allocator: guest_build::Allocator) -> Vec<u8> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/guests/{guest}-{allocator}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    })
}
