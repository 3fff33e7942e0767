//! Modules whose aggregate and table function trap, or do not end.

use guest_ballista::guest_datafusion::guest_functions::guest_host::guest_abi::function::{
    Declaration, Kind, Scalar, Type,
};

/// A module with the aggregate `broken` and the table function `broken_rows`, which trap when they are called.
pub(crate) fn trapping() -> Vec<u8> {
    with_body("(unreachable)")
}

/// The same functions, whose calls do not end.
pub(crate) fn endless() -> Vec<u8> {
    with_body("(loop (br 0)) (unreachable)")
}

fn with_body(body: &str) -> Vec<u8> {
    const NUMBER: (&str, Type) = ("number", Type::of(Scalar::I64));
    const RESULT: (&str, Type) = ("", Type::of(Scalar::I64));
    const AGGREGATE: Declaration<'static> = Declaration::new(Kind::Aggregate, "broken", &[NUMBER], &[RESULT]);
    const TABLE: Declaration<'static> = Declaration::new(Kind::Table, "broken_rows", &[NUMBER], &[NUMBER]);
    let entries =
        [AGGREGATE.entry::<{ AGGREGATE.size() }>().as_slice(), TABLE.entry::<{ TABLE.size() }>().as_slice()].concat();
    let section: String = entries.iter().map(|byte| format!("\\{byte:02x}")).collect();
    let text = format!(
        r#"(module
            (memory (export "memory") 8)
            (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
            (func (export "__guest_aggregate_broken") (param i32 i32 i32 i32 i32 i32 i32) (result i32) {body})
            (func (export "__guest_table_broken_rows") (param i32 i32 i32) (result i32) {body})
            (@custom "guest-abi" "\01\00\00\00") (@custom "guest-functions" "{section}"))"#
    );
    wat::parse_str(text).unwrap()
}
