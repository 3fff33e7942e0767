//! Tests of the analysis on modules in text form.

use super::*;

fn analyse(text: &str) -> ModuleInfo {
    ModuleInfo::analyse(&wat::parse_str(text).unwrap()).unwrap()
}

fn refuse(bytes: &[u8]) -> ModuleError {
    ModuleInfo::analyse(bytes).unwrap_err()
}

#[test]
fn what_is_no_module_is_told_apart() {
    let found = |bytes: &[u8]| match refuse(bytes) {
        ModuleError::NotWasm { found } => found,
        other => panic!("{other}"),
    };
    assert_eq!(found(b""), "it is empty");
    assert_eq!(found(b"\0as"), "it is cut short");
    assert!(found(b"\x7FELF\x02\x01").contains("ELF"));
    assert!(found(b"!<arch>\n").contains("archive"));
    assert!(found(b"\x1F\x8B\x08").contains("gzip"));
    assert!(found(b"hello").contains("\\0asm"));
    assert!(refuse(b"hello").to_string().starts_with("not a WebAssembly file: "));
}

#[test]
fn text_and_components_get_their_own_advice() {
    assert_eq!(refuse(b" \n;; a comment\n;; another\n (module)"), ModuleError::Text);
    assert_eq!(refuse(b"(; block ;) (module)"), ModuleError::Text);
    assert!(matches!(refuse(b";; only a comment"), ModuleError::NotWasm { .. }));
    assert_eq!(refuse(&wat::parse_str("(component)").unwrap()), ModuleError::Component);
}

#[test]
fn a_damaged_module_is_refused_with_the_place() {
    let wasm = wat::parse_str("(module (func (export \"f\") (result i32) i32.const 1))").unwrap();
    for length in 8..wasm.len() {
        // Cutting behind a whole section leaves a module that lacks its end, but is not always invalid.
        if let Err(error) = ModuleInfo::analyse(&wasm[..length]) {
            assert!(matches!(error, ModuleError::Invalid { .. }), "{error}");
        }
    }
    let mut wrong = wasm.clone();
    let body = wrong.len() - 3;
    wrong[body] = 0x42; // i64.const where i32.const stood
    let ModuleError::Invalid { message, offset } = refuse(&wrong) else { panic!() };
    assert!(message.contains("type mismatch"), "{message}");
    assert!(offset >= body as u64 && offset < wrong.len() as u64);
    let mut version = wasm;
    version[4] = 9;
    assert!(refuse(&version).to_string().contains("version"));
}

#[test]
fn a_proposal_that_the_engine_lacks_is_named() {
    let threads = analyse("(module (memory 1 2 shared))");
    assert!(threads.engine_refusal.as_deref().is_some_and(|text| text.contains("threads")), "{threads:?}");
    let exceptions = analyse("(module (tag $t) (func throw $t))");
    assert!(exceptions.engine_refusal.as_deref().is_some_and(|text| text.contains("exceptions")), "{exceptions:?}");
    let gc = analyse("(module (func (param externref)))");
    assert!(gc.engine_refusal.is_some());
    assert_eq!(analyse("(module (memory i64 1) (func (param funcref)))").engine_refusal, None);
}

#[test]
fn imports_and_exports_carry_their_types() {
    let info = analyse(
        r#"(module
            (import "extension" "log" (func $log (param i32 i32 i32)))
            (import "env" "limit" (global $limit i32))
            (memory (export "memory") 2 5)
            (global $mine (export "mine") (mut i64) (i64.const 7))
            (table (export "table") 3 funcref)
            (func $run (export "run") (result i64) i64.const 0)
            (func (export "_run") (result i64) i64.const 0)
            (func (export "add") (param i32) (result i32) local.get 0)
            (func $start) (start $start)
            (export "again" (func $log)))"#,
    );
    let imports: Vec<String> = info.imports.iter().map(|import| format!("{} {}", import.name, import.ty)).collect();
    assert_eq!(imports, ["log (i32, i32, i32) -> ()", "limit global of type i32"]);
    let exports: Vec<String> = info.exports.iter().map(|export| format!("{} {}", export.name, export.ty)).collect();
    assert_eq!(
        exports,
        [
            "memory memory of 2 pages, at most 5",
            "mine global of type mut i64",
            "table table of 3 funcref",
            "run () -> i64",
            "_run () -> i64",
            "add (i32) -> i32",
            "again (i32, i32, i32) -> ()"
        ]
    );
    assert_eq!(info.extension_functions().map(|export| export.name.as_str()).collect::<Vec<_>>(), ["run"]);
    let others: Vec<&str> = info.other_functions().map(|(export, _)| export.name.as_str()).collect();
    assert_eq!(others, ["_run", "add", "again"]);
    assert_eq!((info.imported_functions, info.defined_functions, info.start), (1, 4, Some(4)));
    assert_eq!(info.function_name(0), "log");
    assert_eq!(info.function_name(1), "run");
    assert_eq!(info.function_name(2), "_run", "its export stands in for a name");
    assert_eq!(info.function_name(9), "function 9");
    assert_eq!(info.globals[1].init, Some(Constant::I64(7)));
    assert_eq!(info.globals[1].name.as_deref(), Some("mine"));
    assert!(info.globals[0].imported && info.globals[0].init.is_none());
    assert_eq!(info.memory_export(), Some("memory"));
}

#[test]
fn custom_sections_are_read_and_damaged_ones_ignored() {
    let info = analyse(
        r#"(module $name
            (@custom "guest-abi" "\01\00\00\00")
            (@custom "target_features" "\01+\04simd")
            (@custom ".debug_info" "x")
            (@producers (language "Rust" "") (processed-by "rustc" "1.95"))
            (func $f))"#,
    );
    assert_eq!(info.abi_version, AbiVersion::Version(1));
    assert_eq!(info.name.as_deref(), Some("name"));
    assert_eq!(info.target_features, ["+simd"]);
    assert_eq!(info.producers.languages[0].name, "Rust");
    assert_eq!(info.producers.processed_by[0], Producer { name: "rustc".into(), version: "1.95".into() });
    assert!(info.debug_information);
    let damaged = analyse(
        r#"(module (@custom "name" "\01\ff\ff") (@custom "producers" "\09\01") (@custom "target_features" "\02+")
            (@custom "guest-abi" "\01\00") (func (export "f")))"#,
    );
    assert_eq!(damaged.abi_version, AbiVersion::Malformed { length: 2 });
    assert_eq!(damaged.producers, Producers::default());
    assert_eq!(damaged.function_name(0), "f");
}

#[test]
fn sizes_leave_out_custom_sections_exactly() {
    let plain = wat::parse_str("(module (memory 1) (data (i32.const 8) \"abc\") (func))").unwrap();
    let info = ModuleInfo::analyse(&plain).unwrap();
    assert_eq!((info.sizes.total, info.sizes.stripped), (plain.len() as u64, plain.len() as u64));
    assert!(info.sizes.code > 0 && info.sizes.data > 3);
    let annotated = r#"(module (@custom "a" (before first) "12345") (memory 1) (@custom "b" (after memory) "")
        (data (i32.const 8) "abc") (func $named))"#;
    let annotated = analyse(annotated);
    assert!(annotated.sizes.total > annotated.sizes.stripped);
    assert_eq!(annotated.sizes.stripped, plain.len() as u64);
}

#[test]
fn data_segments_say_where_they_go() {
    let info = analyse(
        r#"(module (import "env" "base" (global $base i32)) (memory 1)
            (data (i32.const 16) "abc") (data (global.get $base) "d") (data "passive")
            (data (i32.add (i32.const 1) (i32.const 2)) "e"))"#,
    );
    let placements: Vec<Placement> = info.data_segments.iter().map(|segment| segment.placement).collect();
    assert_eq!(placements, [Placement::At(16), Placement::Computed, Placement::Passive, Placement::Computed]);
    assert_eq!(info.data_segments[2].length, 7);
}

#[test]
fn data_segments_have_the_names_of_the_name_section() {
    let info = analyse(r#"(module (memory 1) (data (i32.const 16) "abc") (data $.rodata (i32.const 32) "d"))"#);
    assert_eq!((info.data_segment_name(0), info.data_segment_name(1)), (None, Some(".rodata")));
    assert_eq!(info.data_segment_name(2), None);
}

#[test]
fn instructions_that_matter_are_counted() {
    let info = analyse(
        r#"(module (memory 1) (table 1 funcref)
            (func) (func
                (i32.store8 (i32.const 0) (i32.const 1)) (f64.store (i32.const 0) (f64.const 1))
                (v128.store (i32.const 0) (v128.const i64x2 0 0))
                (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))
                (drop (memory.grow (memory.size)))
                (table.set (i32.const 0) (ref.null func))))"#,
    );
    let uses = &info.instructions;
    assert_eq!((uses.count(Tracked::Store), uses.count(Tracked::VectorStore)), (2, 1));
    assert_eq!((uses.count(Tracked::MemoryGrow), uses.count(Tracked::MemorySize)), (1, 1));
    assert_eq!(uses.of(Tracked::TableSet), Occurrences { count: 1, first_function: Some(1) });
    assert!(uses.any(Tracked::MemoryFill) && !uses.any(Tracked::MemoryCopy));
    let proposals: Vec<&str> = uses.proposals().iter().copied().collect();
    assert_eq!(proposals, ["bulk_memory", "reference_types", "simd"]);
}

/// A module as the linker lays it out with the stack first.
const STACK_FIRST: &str = r#"
    (memory (export "memory") 2)
    (global $__stack_pointer (mut i32) (i32.const 65536))
    (global (export "__data_end") i32 (i32.const 65600))
    (global (export "__heap_base") i32 (i32.const 65616))
    (data (i32.const 65536) "abc")"#;

fn layout(body: &str) -> Result<MemoryLayout, LayoutUnknown> {
    analyse(&format!("(module {body})")).layout()
}

#[test]
fn a_stack_that_lies_first_is_told_from_the_statics() {
    let layout = layout(STACK_FIRST).unwrap();
    assert_eq!((layout.stack, layout.statics), (Some(0..65_536), 65_536..65_616));
    assert_eq!((layout.heap_base, layout.heap_base_evidence), (65_616, Evidence::Export));
    let pointer = layout.stack_pointer.unwrap();
    assert_eq!((pointer.global, pointer.initial, pointer.evidence), (0, 65_536, Evidence::NameSection));
}

#[test]
fn a_stack_behind_the_statics_is_told_too() {
    let found = layout(
        r#"(memory (export "memory") 2)
           (global (export "__stack_pointer") (mut i32) (i32.const 70000))
           (global (export "__data_end") i32 (i32.const 1100))
           (global (export "__heap_base") i32 (i32.const 70000))
           (data (i32.const 1024) "abc")"#,
    )
    .unwrap();
    assert_eq!((found.stack, found.statics, found.heap_base), (Some(1100..70_000), 0..1100, 70_000));
    assert_eq!(found.stack_pointer.unwrap().evidence, Evidence::Export);
}

/// The module without its names.
fn stripped() -> String {
    STACK_FIRST.replace("$__stack_pointer", "")
}

#[test]
fn a_stripped_module_is_known_by_the_linkers_conventions() {
    let found = layout(&stripped()).unwrap();
    assert_eq!((found.stack, found.statics), (Some(0..65_536), 65_536..65_616));
    assert_eq!(found.stack_pointer.unwrap().evidence, Evidence::Convention);
    let zeroed_only = layout(&stripped().replace("(data (i32.const 65536) \"abc\")", "")).unwrap();
    assert_eq!((zeroed_only.stack, zeroed_only.statics), (Some(0..65_536), 65_536..65_616));
    let behind = r#"(memory (export "memory") 2) (global (mut i32) (i32.const 70000))
        (global (export "__data_end") i32 (i32.const 1100)) (global (export "__heap_base") i32 (i32.const 70000))
        (data (i32.const 1024) "abc")"#;
    let found = layout(behind).unwrap();
    assert_eq!((found.stack, found.statics), (Some(1100..70_000), 0..1100));
}

#[test]
fn a_guessed_stack_pointer_excludes_nothing_from_the_statics() {
    // Far below the data: some other pointer, for all anybody knows.
    let found = layout(&stripped().replace("(mut i32) (i32.const 65536)", "(mut i32) (i32.const 4096)")).unwrap();
    assert_eq!((found.stack, found.statics), (None, 0..65_616));
    assert_eq!(found.stack_pointer.unwrap().evidence, Evidence::Guess);
    // Behind another global, where the linker does not put it.
    let second = stripped().replace("(global  (mut i32)", "(global i32 (i32.const 1)) (global (mut i32)");
    let found = layout(&second).unwrap();
    assert_eq!((found.stack, found.stack_pointer.unwrap().evidence), (None, Evidence::Guess));
    // A counter is no stack pointer.
    let counter = stripped().replace("(mut i32) (i32.const 65536)", "(mut i32) (i32.const 7)");
    assert_eq!(layout(&counter).unwrap().stack_pointer, None);
    // Neither is one in whose stack data lies.
    let crossed = stripped().replace("(mut i32) (i32.const 65536)", "(mut i32) (i32.const 65552)");
    let crossed = crossed.replace("\"abc\"", "\"0123456789abcdef0123456789abcdef\"");
    assert_eq!(layout(&crossed).unwrap().stack_pointer, None);
}

#[test]
fn a_layout_that_contradicts_itself_is_unknown() {
    let swap = |from: &str, to: &str| {
        assert!(STACK_FIRST.contains(from));
        layout(&STACK_FIRST.replace(from, to)).unwrap_err()
    };
    assert_eq!(swap("\"__heap_base\"", "\"heap_base\""), LayoutUnknown::HeapBase);
    assert_eq!(
        swap("(i32.const 65616)", "(i32.const 65537)"),
        LayoutUnknown::DataAboveHeapBase { segment: 0, end: 65_539, heap_base: 65_537 }
    );
    assert!(matches!(swap("(i32.const 65616)", "(i32.const -16)"), LayoutUnknown::HeapBaseOutside { .. }));
    assert_eq!(swap("\"memory\") 2)", "\"memory\") 2) (memory 1)"), LayoutUnknown::Memory);
    assert_eq!(layout("(memory i64 1)"), Err(LayoutUnknown::Memory));
    let named =
        STACK_FIRST.replace("\"__heap_base\"", "\"x\"").replace("(global (export \"x\")", "(global $__heap_base");
    assert_eq!(layout(&named).unwrap().heap_base_evidence, Evidence::NameSection);
    let in_stack = r#"(memory (export "memory") 2)
        (global $__stack_pointer (mut i32) (i32.const 70000)) (global (export "__data_end") i32 (i32.const 1025))
        (global (export "__heap_base") i32 (i32.const 70000)) (data (i32.const 1024) "abc")"#;
    assert!(matches!(layout(in_stack).unwrap_err(), LayoutUnknown::DataInStack { segment: 0, .. }));
}

#[test]
fn addresses_above_two_gibibytes_are_unsigned() {
    let info = analyse(
        r#"(module (memory (export "memory") 40000)
            (global (export "__heap_base") i32 (i32.const 0x90000000))
            (global (export "__allocator_control_block") i32 (i32.const 0x80000010))
            (data (i32.const 0x80000000) "abc"))"#,
    );
    assert_eq!(info.control_block_address(), Some(0x8000_0010));
    assert_eq!(info.layout().unwrap().statics, 0..0x9000_0000);
}

#[test]
fn a_module_without_a_contract_is_bare_and_its_functions_of_numbers_are_callable() {
    let info = analyse(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (func (export "add") (param i32 f64) (result i64 f32) (i64.const 0) (f32.const 0))
            (func (export "_start")) (func (export "nothing"))
            (func (export "vector") (param v128)) (func (export "reference") (result funcref) (ref.null func)))"#,
    );
    assert_eq!(info.contract(), ContractKind::Bare);
    let names =
        |exports: &mut dyn Iterator<Item = &Export>| exports.map(|export| export.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&mut info.extension_functions()), ["add", "nothing"]);
    assert_eq!(names(&mut info.callable_functions()), ["add", "nothing"]);
    let import = analyse(r#"(module (import "extension" "log" (func (param i32 i32 i32))))"#);
    assert_eq!(import.contract(), ContractKind::Native, "its imports say what it means to speak");
    let exchange = analyse(r#"(module (func (export "__guest_exchange") (param i32) (result i32) (i32.const 0)))"#);
    assert_eq!(exchange.contract(), ContractKind::Native, "and so do its exports, if a tool stripped its sections");
}

#[test]
fn typed_functions_are_those_of_the_native_contract() {
    let text = |section: &str| {
        format!(
            r#"(module {section} (func (export "calc") (result i64) (i64.const 0))
            (func (export "__guest_function_gcd") (param i64 i64) (result i64) (i64.const 0))
            (func (export "__guest_batch_gcd") (param i32 i32 i32) (result i32) (i32.const -1))
            (func (export "__guest_function_odd") (param v128))
            (func (export "__guest_aggregate_sum") (result i32) (i32.const -1))
            (func (export "__guest_table_rows") (result i32) (i32.const 0))
            (@custom "guest-functions" "ab") (@custom "guest-functions" "c"))"#
        )
    };
    let names = |info: &ModuleInfo| info.callable_functions().map(|export| export.name.clone()).collect::<Vec<_>>();
    let native = analyse(&text(r#"(@custom "guest-abi" "\01\00\00\00")"#));
    assert_eq!(
        names(&native),
        ["calc", "__guest_function_gcd", "__guest_batch_gcd", "__guest_aggregate_sum", "__guest_table_rows"]
    );
    assert_eq!(native.function_section, b"abc");
    assert_eq!(names(&analyse(&text(""))), ["calc"], "names of a bare module that begin with `_` are not callable");
}
