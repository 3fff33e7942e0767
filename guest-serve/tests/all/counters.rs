//! A guest in text form whose functions read and leave records.

/// `count` and `slow_count` add one to the record `c` and return it, the latter after a while; `counted` returns it. `echo` returns its
/// event, and `keep` makes it the record `b`. `orphan` writes a record and updates another that there is not, `refuse` writes one and
/// fails, `spin` never ends, and `loud` writes to the event.
pub(crate) fn counters() -> String {
    // An intent up to its value: of the operation, the storage, the entity, and a key without fields.
    let intent = |operation: u8, storage: &str, entity: &str| {
        let text = |text: &str| format!("\\{:02x}{text}", 0x60 + text.len());
        format!("\\85\\{operation:02x}{}{}\\a0", text(storage), text(entity))
    };
    let event = "\\69sys.Event\\60\\a0";
    let counter = "\\6asys.Record\\61c\\a0";
    let (result, count, keep) =
        (intent(0, "sys.Result", ""), intent(0, "sys.Record", "c"), intent(0, "sys.Record", "b"));
    let (orphan, loud) = (intent(1, "sys.Record", "x"), intent(0, "sys.Event", ""));
    // Their lengths.
    let size = |text: &str| text.len() - 2 * text.matches('\\').count();
    format!(
        r#"(module
        (import "extension" "get" (func $get (param i32 i32 i32 i32) (result i32)))
        (import "extension" "intents" (func $intents (param i32 i32)))
        (import "extension" "log" (func $log (param i32 i32 i32)))
        (import "extension" "fail" (func $fail (param i32 i32 i32)))
        (memory (export "memory") 8)
        (data (i32.const 0) "{event}") (data (i32.const 64) "{counter}")
        (data (i32.const 128) "{result}") (data (i32.const 192) "{count}") (data (i32.const 256) "{keep}")
        (data (i32.const 320) "{orphan}") (data (i32.const 384) "{loud}")
        (data (i32.const 448) "\a1\61n\1a\00\00\00\00") (data (i32.const 512) "counted")
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 65536))
        (func $add (local i32)
            (if (i32.lt_s (call $get (i32.const 64) (i32.const {counter_size}) (i32.const 65536) (i32.const 64)) (i32.const 0))
                (then (i64.store (i32.const 65536) (i64.load (i32.const 448)))))
            ;; The number has its first byte first.
            (local.set 0 (i32.const 65543))
            (loop $carry
                (i32.store8 (local.get 0) (i32.add (i32.load8_u (local.get 0)) (i32.const 1)))
                (if (i32.eqz (i32.load8_u (local.get 0)))
                    (then (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br $carry))))
            (call $intents (i32.const 192) (i32.const {count_size}))
            (call $intents (i32.const 65536) (i32.const 8))
            (call $intents (i32.const 128) (i32.const {result_size}))
            (call $intents (i32.const 65536) (i32.const 8)))
        (func (export "count") (result i64)
            (call $log (i32.const 2) (i32.const 512) (i32.const 7)) (call $add) (i64.const 0))
        (func (export "slow_count") (result i64) (local i32)
            (call $log (i32.const 2) (i32.const 512) (i32.const 7))
            (loop $again
                (local.set 0 (i32.add (local.get 0) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get 0) (i32.const 30000000))))
            (call $add) (i64.const 0))
        (func (export "counted") (result i64)
            (if (i32.gt_s (call $get (i32.const 64) (i32.const {counter_size}) (i32.const 65536) (i32.const 64)) (i32.const 0))
                (then
                    (call $intents (i32.const 128) (i32.const {result_size}))
                    (call $intents (i32.const 65536) (i32.const 8))))
            (i64.const 0))
        (func $event (param i32 i32) (local i32)
            (local.set 2 (call $get (i32.const 0) (i32.const {event_size}) (i32.const 65536) (i32.const 262144)))
            (call $intents (local.get 0) (local.get 1))
            (call $intents (i32.const 65536) (local.get 2)))
        (func (export "echo") (result i64) (call $event (i32.const 128) (i32.const {result_size})) (i64.const 0))
        (func (export "keep") (result i64) (call $event (i32.const 256) (i32.const {keep_size})) (i64.const 0))
        (func (export "loud") (result i64) (call $event (i32.const 384) (i32.const {loud_size})) (i64.const 0))
        (func (export "orphan") (result i64)
            (call $event (i32.const 256) (i32.const {keep_size}))
            (call $event (i32.const 320) (i32.const {orphan_size})) (i64.const 0))
        (func (export "refuse") (result i64)
            (call $event (i32.const 256) (i32.const {keep_size}))
            (call $fail (i32.const 1007) (i32.const 512) (i32.const 7)) (i64.const -1))
        (func (export "spin") (result i64) (loop $again (br $again)) (i64.const 0))
        (@custom "guest-abi" "\01\00\00\00"))"#,
        event_size = size(event),
        counter_size = size(counter),
        result_size = size(&result),
        count_size = size(&count),
        keep_size = size(&keep),
        loud_size = size(&loud),
        orphan_size = size(&orphan),
    )
}

/// A route of each function for each tenant: that of `counted` is a query, as is a second one of `count`.
pub(crate) fn counter_routes() -> String {
    let route = |method: &str, path: &str, function: &str| {
        format!("[[routes]]\nmethod = \"{method}\"\npath = \"/{path}/{{tenant}}\"\nextension = \"{function}\"\n")
    };
    let posts = ["count", "slow_count", "echo", "keep", "loud", "orphan", "refuse", "spin"];
    let posts: String = posts.into_iter().map(|name| route("POST", name, name)).collect();
    let gets =
        [("counted", "counted"), ("echo", "echo"), ("counts", "count")].map(|(path, name)| route("GET", path, name));
    format!("{posts}{}", gets.concat())
}
