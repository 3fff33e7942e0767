//! Tests of what the rewriting leaves and what it adds. What a prepared module *does* is tested with an engine.

use super::*;
use crate::changes::Changes;
use crate::module_info::{ExternType, GlobalType, ValueType};
use crate::names::{LOGICAL_PAGES_EXPORT, MEMORY_EXPORT};

fn prepare_text(text: &str) -> (Vec<u8>, ModuleInfo, Prepared) {
    let wasm = wat::parse_str(text).unwrap();
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let prepared = prepare(&wasm, &info, PrepareOptions::default()).unwrap();
    (wasm, info, prepared)
}

/// The sections of a module: number (0 for custom), and contents.
fn sections(wasm: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut sections = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let Some((id, range)) = payload.unwrap().as_section() {
            sections.push((id, wasm[range].to_vec()));
        }
    }
    sections
}

#[test]
fn a_module_that_needs_nothing_stays_byte_for_byte() {
    let text = r#"(module $m (@custom "a" (before first) "x") (memory (export "memory") 1)
        (global (export "g") (mut i32) (i32.const 1)) (global i32 (i32.const 2))
        (func $f (export "_f") (result i32) memory.size) (data (i32.const 0) "abc"))"#;
    let (wasm, _, prepared) = prepare_text(text);
    assert_eq!(prepared.wasm, wasm);
    assert_eq!(prepared.logical_pages_export, None, "a memory that never grows needs no logical size");
    assert_eq!(prepared.globals.len(), 1);
    assert_eq!(prepared.globals[0].export_name, "g");
}

#[test]
fn unexported_mutable_globals_get_exports() {
    let (_, info, prepared) = prepare_text(
        r#"(module (import "env" "a" (global (mut i32))) (import "env" "b" (global i32))
            (global $__stack_pointer (mut i32) (i32.const 1024)) (global i64 (i64.const 1))
            (global $v (mut v128) (v128.const i64x2 1 2)) (global (export "mine") (export "too") (mut f64) (f64.const 0)))"#,
    );
    let found: Vec<(u32, String, &str)> = prepared
        .globals
        .iter()
        .map(|global| (global.index, global.ty.to_string(), global.export_name.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (2, "mut i32".to_owned(), "__harness_global_2"),
            (4, "mut v128".to_owned(), "__harness_global_4"),
            (5, "mut f64".to_owned(), "mine")
        ]
    );
    let after = ModuleInfo::analyse(&prepared.wasm).unwrap();
    for global in &prepared.globals {
        let export = after.export(&global.export_name).unwrap();
        assert_eq!((export.index, &export.ty), (global.index, &ExternType::Global(global.ty.clone())));
    }
    let added = &after.exports[info.exports.len()..];
    let added: Vec<&str> = added.iter().map(|export| export.name.as_str()).collect();
    assert_eq!(added, [MEMORY_EXPORT, "__harness_global_2", "__harness_global_4"]);
}

#[test]
fn sections_that_the_module_lacks_are_opened_in_order() {
    // No global section and no export section, but everything around them.
    let (_, _, prepared) = prepare_text(
        r#"(module (table 1 funcref) (memory 1 3) (func $f (drop (memory.grow (i32.const 1)))) (start $f)
            (elem (i32.const 0) $f) (data $d "x") (func data.drop $d))"#,
    );
    let order: Vec<u8> = sections(&prepared.wasm).into_iter().map(|(id, _)| id).filter(|id| *id != 0).collect();
    assert_eq!(order, [1, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11]);
    let after = ModuleInfo::analyse(&prepared.wasm).unwrap();
    let exports: Vec<&str> = after.exports.iter().map(|export| export.name.as_str()).collect();
    assert_eq!(exports, [MEMORY_EXPORT, LOGICAL_PAGES_EXPORT]);
    assert_eq!(prepared.logical_pages_export, Some(LOGICAL_PAGES_EXPORT));
}

#[test]
fn a_tag_section_stays_before_the_added_globals() {
    let wasm = wat::parse_str("(module (memory 1) (tag) (func (drop (memory.grow (i32.const 1)))))").unwrap();
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let prepared = prepare(&wasm, &info, PrepareOptions::default()).unwrap();
    let order: Vec<u8> = sections(&prepared.wasm).into_iter().map(|(id, _)| id).filter(|id| *id != 0).collect();
    assert_eq!(order, [1, 3, 5, 13, 6, 7, 10]);
    ModuleInfo::analyse(&prepared.wasm).unwrap();
}

#[test]
fn growth_is_appended_and_nothing_else_moves() {
    let text = r#"(module $m (type (func)) (import "env" "host" (func $host (param i64)))
        (memory (export "memory") 3 9) (global $g (mut i32) (i32.const 5))
        (func $untouched (export "untouched") (result i32) (i32.store (i32.const 0) (i32.const 1)) global.get $g)
        (func $grows (export "grows") (param i32) (result i32)
            (drop (memory.size)) (memory.grow (local.get 0)))
        (data (i32.const 0) "abc")
        (@custom "guest-abi" "\01\00\00\00"))"#;
    let (wasm, before, prepared) = prepare_text(text);
    let after = ModuleInfo::analyse(&prepared.wasm).unwrap();
    assert_eq!(after.types, before.types + 1);
    assert_eq!((after.imported_functions, after.defined_functions), (1, before.defined_functions + 1));
    assert_eq!(after.globals.len(), before.globals.len() + 1);
    assert_eq!(after.exports[..before.exports.len()], before.exports[..]);
    assert_eq!(after.globals[1].init, Some(crate::module_info::Constant::I32(3)), "the declared minimum");
    assert_eq!(after.globals[1].ty, GlobalType { value: ValueType::I32, mutable: true });
    assert_eq!(after.function_name(2), "grows");
    assert_eq!(after.abi_version, before.abi_version);
    // Only the added function works on the physical size: it grows it, or asks for what it knows to be refused.
    use crate::module_info::Tracked;
    assert_eq!(after.instructions.count(Tracked::MemoryGrow), 2);
    assert_eq!(after.instructions.of(Tracked::MemoryGrow).first_function, Some(3));
    assert_eq!(after.instructions.of(Tracked::MemorySize).first_function, Some(3));
    // Untouched sections are the same bytes.
    let (old, new) = (sections(&wasm), sections(&prepared.wasm));
    for id in [0, 2, 5, 11] {
        let of = |sections: &[(u8, Vec<u8>)]| sections.iter().filter(|s| s.0 == id).cloned().collect::<Vec<_>>();
        assert_eq!(of(&old), of(&new), "section {id}");
        assert!(!of(&old).is_empty());
    }
}

#[test]
fn growth_stays_physical_where_asked_or_where_there_is_nothing_to_do() {
    let grows = "(func (drop (memory.grow (i32.const 1))))";
    let plain = |body: &str, virtual_growth: bool| {
        let wasm = wat::parse_str(format!("(module {body})")).unwrap();
        let info = ModuleInfo::analyse(&wasm).unwrap();
        let prepared = prepare(&wasm, &info, PrepareOptions::default().with_virtual_growth(virtual_growth)).unwrap();
        (prepared.wasm == wasm, prepared.logical_pages_export)
    };
    let memory = |ty: &str| format!(r#"(memory (export "memory") {ty}) {grows}"#);
    assert_eq!(plain(&memory("1"), true), (false, Some(LOGICAL_PAGES_EXPORT)));
    assert_eq!(plain(&memory("1"), false), (true, None));
    assert_eq!(plain(r#"(memory (export "memory") 1)"#, true), (true, None));
    let imported = r#"(import "env" "memory" (memory 1)) (export "memory" (memory 0))"#;
    assert_eq!(plain(&format!("{imported} {grows}"), true), (true, None));
    let of_64_bits = r#"(memory (export "memory") i64 1) (func (drop (memory.grow (i64.const 1))))"#;
    assert_eq!(plain(of_64_bits, true), (true, None));
    assert_eq!(plain(&format!("(memory 1) {}", memory("1")), true), (true, None));
    assert_eq!(plain(&memory("1 2 shared"), true), (true, None));
}

#[test]
fn reserved_names_are_refused() {
    for name in [LOGICAL_PAGES_EXPORT, "__harness_global_0", "__harness_anything"] {
        let wasm = wat::parse_str(format!("(module (func (export \"{name}\")))")).unwrap();
        let info = ModuleInfo::analyse(&wasm).unwrap();
        let error = prepare(&wasm, &info, PrepareOptions::default()).unwrap_err();
        assert_eq!(error, PrepareError::ReservedName { name: name.to_owned() });
    }
    let (_, _, prepared) = prepare_text("(module (global (mut i32) (i32.const 0)))");
    let info = ModuleInfo::analyse(&prepared.wasm).unwrap();
    let twice = prepare(&prepared.wasm, &info, PrepareOptions::default()).unwrap_err();
    assert!(twice.to_string().contains("not a prepared one"), "{twice}");
}

#[test]
fn numbers_that_a_linker_padded_stay_padded() {
    // (func (result i32) i32.const 1) with the constant and the body's length in five bytes, as linkers write them.
    let mut wasm = b"\0asm\x01\0\0\0\x01\x05\x01\x60\0\x01\x7F\x03\x02\x01\0\x05\x03\x01\0\x01".to_vec();
    let padded = [0x88, 0x80, 0x80, 0x80, 0x00, 0x00, 0x41, 0x81, 0x80, 0x80, 0x80, 0x00, 0x0B];
    wasm.extend_from_slice(&[0x0A, 14, 1]);
    wasm.extend_from_slice(&padded);
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let mut changes = Changes::new(&info);
    changes.export("x", wasm_encoder::ExportKind::Func, 0);
    let (out, _) = splice::splice(&wasm, changes).unwrap();
    let body = &padded[5..];
    assert!(out.windows(body.len()).any(|window| window == body));
    assert_eq!(ModuleInfo::analyse(&out).unwrap().exports.len(), info.exports.len() + 1);
}

#[test]
fn insertions_go_before_the_first_replacement_of_their_instruction() {
    let wasm = wat::parse_str("(module (func (param i32) nop nop nop))").unwrap();
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let first = wasm.windows(3).position(|code| code == [0x01; 3]).unwrap();
    let code = |number: u8| vec![0x41, number, 0x1A];
    let mut changes = Changes::new(&info);
    changes.replace(first + 1..first + 2, code(3));
    changes.insert(first + 1, code(1));
    changes.replace(first + 1..first + 2, code(4));
    changes.insert(first + 1, code(2));
    changes.locals(0, vec![wasm_encoder::ValType::I64]);
    let (out, offsets) = splice::splice(&wasm, changes).unwrap();
    ModuleInfo::analyse(&out).unwrap();
    let expected = [vec![0x01], code(1), code(2), code(3), vec![0x01, 0x0B]].concat();
    let at = out.windows(expected.len()).position(|window| window == expected).unwrap() as u64;
    let original = |offset: u64| offsets.original(at + offset).map(|original| original - first as u64);
    assert_eq!([0, 1, 4, 7, 9, 10].map(original), [Some(0), Some(1), Some(1), Some(1), Some(1), Some(2)]);
    assert_eq!(offsets.original(at - 1), None, "the added locals");
}

#[test]
fn offsets_lead_back_to_the_original_instruction() {
    let text = r#"(module (memory 1)
        (func (result i32) i32.const 11) (func (param i32) (result i32) (memory.grow (local.get 0)))
        (func (result i32) (drop (memory.size)) i32.const 22) (func unreachable))"#;
    let (wasm, _, prepared) = prepare_text(text);
    let bodies = |wasm: &[u8]| {
        let mut bodies = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(wasm) {
            if let wasmparser::Payload::CodeSectionEntry(body) = payload.unwrap() {
                let operators = body.get_operators_reader().unwrap().into_iter_with_offsets();
                bodies.push(operators.map(|item| item.unwrap().1 as u64).collect::<Vec<u64>>());
            }
        }
        bodies
    };
    let (old, mut new) = (bodies(&wasm), bodies(&prepared.wasm));
    let added = new.pop().unwrap();
    assert!(added.iter().all(|offset| prepared.offsets.original(*offset).is_none()));
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        let translated: Vec<u64> = new.iter().map(|offset| prepared.offsets.original(*offset).unwrap()).collect();
        assert_eq!(&translated, old);
    }
}

#[test]
fn an_extension_function_gets_an_entrance_that_copies_every_global() {
    let (_, info, prepared) = prepare_text(
        r#"(module (memory (export "memory") 1) (global $sp (mut i32) (i32.const 64)) (global (mut f64) (f64.const 1))
            (func (export "f") (result i64) i64.const 0) (func (export "_hidden") (result i64) i64.const 0))"#,
    );
    let [entrance] = prepared.entrances.as_slice() else { panic!("{:?}", prepared.entrances) };
    assert_eq!((entrance.function.as_str(), entrance.export_name.as_str()), ("f", "__harness_call_f"));
    let after = ModuleInfo::analyse(&prepared.wasm).unwrap();
    assert_eq!(after.exported_function("__harness_call_f"), info.exported_function("f"));
    assert_eq!(prepared.saved_exports, ["__harness_saved_0", "__harness_saved_1"]);
    for (saved, global) in prepared.saved_exports.iter().zip(&info.globals) {
        assert_eq!(after.export(saved).unwrap().ty, ExternType::Global(global.ty.clone()));
    }
}

#[test]
fn a_global_that_is_no_number_leaves_the_globals_to_the_host() {
    let (_, _, prepared) = prepare_text(
        r#"(module (memory (export "memory") 1) (global (mut funcref) (ref.null func))
            (func (export "f") (result i64) i64.const 0))"#,
    );
    assert_eq!(prepared.entrances, []);
    assert!(prepared.saved_exports.is_empty());
}

/// Bytes of the prepared module of a guest with so many extension functions and mutable globals.
fn size_with(functions: usize, globals: usize) -> usize {
    let functions: String =
        (0..functions).map(|nth| format!("(func (export \"f{nth:04}\") (result i64) i64.const 0)")).collect();
    let globals = "(global (mut i32) (i32.const 0))".repeat(globals);
    prepare_text(&format!("(module {functions} {globals})")).2.wasm.len()
}

#[test]
fn what_entrances_add_grows_with_functions_and_globals_and_not_with_their_product() {
    let both = size_with(1000, 1000);
    assert!(both < size_with(1000, 1) + size_with(1, 1000) + 10 * 1000, "{both}");
}

#[test]
fn a_module_that_would_become_too_large_is_refused_with_both_sizes() {
    let wasm = wat::parse_str("(module (memory 1) (global (mut i32) (i32.const 7)))").unwrap();
    let info = ModuleInfo::analyse(&wasm).unwrap();
    let module = wasm.len() as u64;
    let prepare_within = |limit| prepare(&wasm, &info, PrepareOptions::default().with_size_limit(limit));
    let size = prepare_within(u64::MAX).unwrap().wasm.len() as u64;
    assert!(size > module);
    assert!(prepare_within(size).is_ok());
    let limit = size - 1;
    let error = prepare_within(limit).unwrap_err();
    assert_eq!(error, PrepareError::TooLarge { module, prepared: size, limit });
    let told = error.to_string();
    assert!(
        told.contains(&format!("has {size} bytes ({module} before preparation)"))
            && told.contains(&format!("limit is {limit}")),
        "{told}"
    );
}

/// Functions whose calls are counted: index and name.
fn counted(text: &str) -> Vec<(u32, String)> {
    let (_, _, prepared) = prepare_text(text);
    prepared.counted.into_iter().map(|function| (function.index, function.name)).collect()
}

#[test]
fn only_functions_and_memory_of_the_modules_own_are_counted() {
    let malloc = "(func $malloc (param i32) (result i32) local.get 0)";
    assert_eq!(counted(&format!("(module (memory 1) {malloc})")), [(0, "malloc".to_owned())]);
    let imported = r#"(module (import "env" "malloc" (func $malloc (param i32) (result i32)))
        (memory 1) (export "malloc" (func $malloc)) (func $calloc (param i32 i32) (result i32) i32.const 8))"#;
    assert_eq!(counted(imported), [(1, "calloc".to_owned())]);
    for memory in
        ["", "(import \"env\" \"memory\" (memory 1))", "(memory i64 1)", "(memory 1) (memory 1)", "(memory 1 2 shared)"]
    {
        assert_eq!(counted(&format!("(module {memory} {malloc})")), [], "{memory}");
    }
    let free_alone = "(module (memory 1) (func $free (param i32)))";
    assert_eq!(counted(free_alone), [], "where nothing is known to allocate");
}

#[test]
fn a_counted_function_keeps_its_place_and_its_body_is_moved_as_it_is() {
    let text = r#"(module (memory (export "memory") 1) (table funcref (elem $malloc)) (global $mine (mut i32) (i32.const 1))
        (func $before nop) (func $malloc (export "malloc") (param i32) (result i32) (local i64) i32.const 0x1234)
        (func (export "f") (result i64) (drop (call $malloc (i32.const 1))) i64.const 0))"#;
    let (wasm, before, prepared) = prepare_text(text);
    let after = ModuleInfo::analyse(&prepared.wasm).unwrap();
    assert_eq!(after.exports[..before.exports.len()], before.exports[..]);
    assert_eq!(after.function_name(1), "malloc");
    let bodies = |wasm: &[u8]| {
        let payloads = wasmparser::Parser::new(0).parse_all(wasm);
        let bodies = payloads.filter_map(|payload| match payload.unwrap() {
            wasmparser::Payload::CodeSectionEntry(body) => Some(body.as_bytes().to_vec()),
            _ => None,
        });
        bodies.collect::<Vec<_>>()
    };
    let (old, new) = (bodies(&wasm), bodies(&prepared.wasm));
    assert_eq!((&new[0], &new[2]), (&old[0], &old[2]));
    assert_ne!(new[1], old[1]);
    assert_eq!(new[3..].iter().filter(|body| **body == old[1]).count(), 1);
    // The counters are the host's.
    let globals: Vec<&str> = prepared.globals.iter().map(|global| global.export_name.as_str()).collect();
    assert_eq!(globals, ["__harness_global_0"]);
    let counters = prepared.counters.unwrap();
    let CounterExports { allocations, frees, reallocations, requested_bytes, under_way, refused_bytes } = counters;
    for name in [allocations, frees, reallocations, requested_bytes, under_way, refused_bytes] {
        assert!(matches!(after.export(name).unwrap().ty, ExternType::Global(_)), "{name}");
    }
}
