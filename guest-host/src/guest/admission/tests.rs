//! A test for each reason that admission knows.

use guest_abi::AllocatorKind;
use guest_abi::control_block::{ControlBlockImage, ParseError};

use super::*;

fn admit(body: &str) -> Admission {
    let wasm = wat::parse_str(format!("(module {body})")).unwrap();
    Admission::of(&ModuleInfo::analyse(&wasm).unwrap())
}

/// Asserts that exactly this one reason stands against a restore in place, and what its message says.
#[track_caller]
fn refused(body: &str, instead: Instead, parts: &[&str]) {
    let admission = admit(body);
    let [refusal] = admission.in_place.as_slice() else { panic!("{:?}", admission.in_place) };
    assert_eq!(refusal.instead(), instead);
    let message = refusal.to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    assert!(message.ends_with(&instead.to_string()), "{message}");
    assert!(admission.full_copy().is_err() && admission.allocator_aware().is_err());
    assert_eq!(admission.runnable().is_err(), instead == Instead::Nothing);
}

const MEMORY: &str = r#"(memory (export "memory") 1)"#;

#[test]
fn a_plain_module_is_restored_by_full_copy() {
    let admission = admit(&format!(
        "{MEMORY} (table 2 funcref) (elem (i32.const 0) $f) (data (i32.const 0) \"x\")
         (global (mut i32) (i32.const 1)) (global funcref (ref.null func))
         (func $f (memory.copy (i32.const 0) (i32.const 1) (memory.grow (i32.const 1))))"
    ));
    assert_eq!(admission.full_copy(), Ok(()));
    let [Refusal::NoControlBlock, Refusal::LayoutUnknown { .. }] = admission.allocator.as_slice() else {
        panic!("{:?}", admission.allocator)
    };
    let refusals = admission.allocator_aware().unwrap_err();
    assert!(refusals.iter().all(|refusal| refusal.instead() == Instead::FullCopy));
    assert!(refusals[0].to_string().contains("__allocator_control_block"));
    assert!(refusals[1].to_string().contains("__heap_base"));
}

#[test]
fn a_module_of_ours_is_restored_by_its_allocator() {
    let admission = admit(&format!(
        r#"{MEMORY} (global (export "__heap_base") i32 (i32.const 2000))
           (global (export "__allocator_control_block") i32 (i32.const 1024))"#
    ));
    assert_eq!(admission.allocator_aware(), Ok(()));
    assert_eq!(admission.control_block, Some(1024));
    assert_eq!(admission.layout.unwrap().statics, 0..2000);
}

#[test]
fn tables_that_change_are_refused() {
    let body = |code: &str| format!("{MEMORY} (table $t 1 funcref) (elem $e func $f) (func $f) (func $changes {code})");
    for (code, name) in [
        ("(table.set (i32.const 0) (ref.null func))", "`table.set`"),
        ("(drop (table.grow (ref.null func) (i32.const 1)))", "`table.grow`"),
        ("(table.fill (i32.const 0) (ref.null func) (i32.const 1))", "`table.fill`"),
        ("(table.copy (i32.const 0) (i32.const 0) (i32.const 1))", "`table.copy`"),
        ("(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))", "`table.init`"),
    ] {
        refused(&body(code), Instead::Reinstantiate, &[name, "`changes`", "strategy `reinstantiate`"]);
    }
    let twice = "(table.set (i32.const 0) (ref.null func)) (table.set (i32.const 0) (ref.null func))";
    refused(&body(twice), Instead::Reinstantiate, &["and 1 other place"]);
}

#[test]
fn segments_that_change_are_refused() {
    let body = |code: &str| format!("{MEMORY} (data $d \"x\") (elem $e func $f) (func $f) (func $drops {code})");
    refused(&body("data.drop $d"), Instead::Reinstantiate, &["`data.drop`", "`drops`"]);
    refused(&body("elem.drop $e"), Instead::Reinstantiate, &["`elem.drop`", "`drops`"]);
    let init = "(memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))";
    refused(&body(init), Instead::Reinstantiate, &["`memory.init`", "data segment 0"]);
    assert_eq!(admit(&body("")).full_copy(), Ok(()), "a passive segment that nobody uses changes nothing");
}

#[test]
fn globals_that_cannot_be_saved_are_refused() {
    refused(
        &format!("{MEMORY} (global $g (mut funcref) (ref.null func))"),
        Instead::Reinstantiate,
        &["global 0 (`g`)", "funcref"],
    );
    refused(
        &format!("(import \"env\" \"g\" (global (mut i32))) {MEMORY}"),
        Instead::Reinstantiate,
        &["global 0", "imported"],
    );
    let immutable = admit(&format!("(import \"env\" \"g\" (global i32)) {MEMORY} (global funcref (ref.null func))"));
    assert_eq!(immutable.full_copy(), Ok(()));
}

#[test]
fn memories_that_cannot_be_put_back_are_refused() {
    // The preparation exports a memory, and adds one where there is none.
    assert_eq!((admit("").full_copy(), admit("(memory 1)").full_copy()), (Ok(()), Ok(())));
    refused("(import \"env\" \"memory\" (memory 1))", Instead::Reinstantiate, &["imported"]);
    refused(&format!("{MEMORY} (memory 1)"), Instead::Reinstantiate, &["2 memories"]);
    refused("(memory (export \"memory\") i64 1)", Instead::Reinstantiate, &["64-bit"]);
    refused(&format!("(import \"env\" \"t\" (table 1 funcref)) {MEMORY}"), Instead::Reinstantiate, &["table"]);
}

#[test]
fn what_the_engine_lacks_cannot_be_run() {
    let shared = admit("(memory (export \"memory\") 1 2 shared)");
    assert!(shared.in_place.contains(&Refusal::SharedMemory));
    assert!(shared.runnable().is_err());
    let atomic = admit(&format!("{MEMORY} (func $spin (drop (i32.atomic.load (i32.const 0))))"));
    assert!(atomic.in_place.iter().any(|refusal| {
        matches!(refusal, Refusal::Threads { at } if at.first_function == "spin" && refusal.instead() == Instead::Nothing)
    }));
    refused(&format!("{MEMORY} (tag)"), Instead::Nothing, &["exceptions", "cannot be run"]);
}

#[test]
fn all_reasons_are_given_at_once() {
    let admission =
        admit("(memory 1) (memory 1) (global (mut funcref) (ref.null func)) (data $d \"x\") (func data.drop $d)");
    assert_eq!(admission.in_place.len(), 3, "{:?}", admission.in_place);
}

const ABI: &str = r#"(@custom "guest-abi" "\01\00\00\00")"#;
const EXCHANGE: &str = r#"(func (export "__guest_exchange") (param i32) (result i32) i32.const 8)"#;

fn contract_errors(body: &str) -> Vec<ContractError> {
    admit(body).contract.unwrap_err()
}

#[test]
fn a_guest_that_keeps_the_contract_is_recognised() {
    let admission = admit(&format!(
        r#"{ABI} (import "extension" "get" (func (param i32 i32 i32 i32) (result i32)))
           (import "extension" "panic" (func (param i32 i32 i32 i32 i32 i32)))
           {MEMORY} {EXCHANGE} (func (export "_initialize")) (func (export "__guest_init") (result i32) i32.const 0)
           (func (export "calc") (result i64) i64.const 0) (func (export "_hidden") (result i64) i64.const 0)"#
    ));
    let Ok(Contract::Native(contract)) = admission.contract else { panic!("{:?}", admission.contract) };
    assert_eq!((contract.version, contract.initialize, contract.init_hook), (1, true, true));
    assert_eq!(contract.functions, ["calc"]);
}

const EXTTINYGO: &str = r#"(memory (export "memory") 1) (func (export "WasmAbiVersion_0_0_1"))
    (func (export "malloc") (param i32) (result i32) i32.const 8)"#;

#[test]
fn a_guest_of_the_exttinygo_contract_is_recognised_by_its_exports() {
    let admission = admit(&format!(
        r#"(import "env" "hostGetKey" (func (param i32 i32 i32 i32) (result i64)))
           (import "env" "hostValueGetAsFloat32" (func (param i64 i32) (result f32)))
           {EXTTINYGO} (func (export "_start")) (func (export "calc")) (func (export "WasmGC"))
           (func (export "alloc")) (func (export "WasmOnReadValue") (param i64 i64)) (func (export "other") (result i32) i32.const 0)"#
    ));
    let Ok(Contract::ExtTinyGo(contract)) = admission.contract else { panic!("{:?}", admission.contract) };
    assert_eq!((contract.start, contract.on_read_value), (Some("_start"), true));
    assert_eq!(contract.functions, ["calc"]);
    let reactor = admit(&format!(r#"{EXTTINYGO} (func (export "_initialize")) (func (export "calc"))"#));
    let Ok(Contract::ExtTinyGo(contract)) = reactor.contract else { panic!("{:?}", reactor.contract) };
    assert_eq!((contract.start, contract.on_read_value), (Some("_initialize"), false));
    assert_eq!(contract.functions, ["calc"]);
}

#[test]
fn what_the_exttinygo_contract_requires_is_missed() {
    let messages = |body: &str| contract_errors(body).iter().map(ToString::to_string).collect::<Vec<_>>();
    let [version] = messages(r#"(func (export "WasmAbiVersion_0_1_0"))"#).try_into().unwrap();
    assert!(
        version.contains("version 0.1.0 of the exttinygo contract, but this host speaks version 0.0.1"),
        "{version}"
    );
    let [version] = messages(r#"(import "env" "hostPanic" (func (param i32 i32)))"#).try_into().unwrap();
    assert!(version.contains("no version of the exttinygo contract"), "{version}");
    let [memory, malloc, callback] =
        messages(r#"(import "env" "hostReadValues" (func (param i64))) (func (export "WasmAbiVersion_0_0_1"))"#)
            .try_into()
            .unwrap();
    assert!(memory.contains("`memory`") && malloc.contains("`malloc`") && callback.contains("`WasmOnReadValue`"));
    let [name, ty] =
        messages(&format!(r#"(import "env" "hostGetKeys" (func)) {EXTTINYGO} (func (export "_start") (param i32))"#))
            .try_into()
            .unwrap();
    assert!(name.contains("as (i32) -> (), but the contract requires () -> ()"), "{name}");
    assert!(ty.contains("did you mean `env.hostGetKey`?"), "{ty}");
}

#[test]
fn a_missing_or_other_version_is_named() {
    let log = r#"(import "extension" "log" (func (param i32 i32 i32)))"#;
    let [missing] = contract_errors(&format!("{log} {MEMORY}")).try_into().unwrap();
    assert!(missing.to_string().contains("`guest-abi`") && missing.to_string().contains("guest-sdk"), "{missing}");
    let version = |bytes: &str| {
        contract_errors(&format!("(@custom \"guest-abi\" \"{bytes}\") {MEMORY} {EXCHANGE}")).remove(0).to_string()
    };
    let newer = version(r"\07\00\00\00");
    assert!(newer.contains("version 7") && newer.contains("version 1") && newer.contains("newer host"), "{newer}");
    assert!(version(r"\00\00\00\00").contains("newer `guest-sdk`"));
    assert!(version(r"\01").contains("1 bytes instead of 4"));
}

#[test]
fn a_module_that_speaks_no_contract_is_bare() {
    let functions = r#"(func (export "add") (param i32) (result i32) (i32.const 0)) (func (export "_start"))"#;
    let contract = admit(functions).contract.unwrap();
    assert_eq!(
        (contract.functions(), contract.to_string().as_str()),
        (&["add".to_owned()][..], "none (a bare module)")
    );
    let wasi = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func (export "_initialize"))"#;
    let Contract::Bare(contract) = admit(wasi).contract.unwrap() else { panic!("no bare module") };
    assert!(contract.initialize && contract.functions.is_empty());
    let [unknown] = contract_errors(r#"(import "env" "abort" (func))"#).try_into().unwrap();
    assert!(unknown.to_string().contains("does not offer: `env.abort`"), "{unknown}");
}

#[test]
fn unknown_imports_are_listed_with_the_nearest_known_name() {
    let errors = contract_errors(&format!(
        r#"{ABI} (import "extension" "intent" (func)) (import "env" "abort" (func))
           {MEMORY} {EXCHANGE}"#
    ));
    let [ContractError::UnknownImports { imports }] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!(imports[0].nearest.as_deref(), Some("extension.intents"));
    assert_eq!(imports[1].nearest, None);
    let message = errors[0].to_string();
    assert!(message.contains("`extension.intent` (did you mean `extension.intents`?)"), "{message}");
    assert!(message.contains("`env.abort`"), "{message}");
}

#[test]
fn an_import_that_stands_several_times_is_told_once() {
    let twice = r#"(import "env" "abort" (func)) (import "extension" "log" (func (param i64)))"#;
    let errors = contract_errors(&format!(
        r#"{ABI} {twice} (import "env" "exit" (func)) {twice}
           (import "env" "abort" (func (param i32))) (import "extension" "log" (global i32)) {MEMORY} {EXCHANGE}"#
    ));
    let types: Vec<_> = errors
        .iter()
        .filter_map(|error| match error {
            ContractError::ImportType { name, found, .. } => Some(format!("{name} {found}")),
            _ => None,
        })
        .collect();
    assert_eq!(types, ["log (i64) -> ()", "log global of type i32"], "each of its wrong types");
    let unknown = errors.iter().find_map(|error| match error {
        ContractError::UnknownImports { imports } => Some(imports),
        _ => None,
    });
    let names: Vec<_> = unknown.unwrap().iter().map(|import| import.name.as_str()).collect();
    assert_eq!((names, errors.len()), (vec!["abort", "exit"], 3));
}

#[test]
fn a_host_may_offer_more() {
    let wasm =
        wat::parse_str(format!(r#"(module {ABI} (import "mine" "now" (func (result i64))) {MEMORY} {EXCHANGE})"#));
    let info = ModuleInfo::analyse(&wasm.unwrap()).unwrap();
    assert!(Admission::of(&info).contract.is_err());
    let mut offered = native_imports();
    let signature = guest_prepare::module_info::Signature::new([], [ValueType::I64]);
    offered.push(KnownImport { module: "mine".into(), name: "now".into(), signature });
    assert!(Admission::with_imports(&info, &offered).contract.is_ok());
}

#[test]
fn types_that_differ_from_the_contract_are_named() {
    let errors = contract_errors(&format!(
        r#"{ABI} (import "extension" "log" (func (param i64))) {MEMORY}
           (func (export "__guest_exchange") (result i32) i32.const 0) (global (export "__guest_init") i32 (i32.const 0))"#
    ));
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert!(messages[2].contains("as (i64) -> (), but this host offers it as (i32, i32, i32) -> ()"));
    assert!(messages[0].contains("as () -> i32, but the contract requires (i32) -> i32"));
    assert!(messages[1].contains("as global of type i32"));
}

#[test]
fn exports_that_the_contract_requires_are_missed() {
    let errors = contract_errors(ABI);
    let missing: Vec<&str> = errors
        .iter()
        .map(|error| match error {
            ContractError::MissingExport { name, .. } => *name,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(missing, ["memory", "__guest_exchange"]);
}

fn layout() -> MemoryLayout {
    let admission = admit(
        r#"(memory (export "memory") 2) (global (export "__stack_pointer") (mut i32) (i32.const 65536))
           (global (export "__heap_base") i32 (i32.const 66000)) (data (i32.const 65536) "x")"#,
    );
    admission.layout.unwrap()
}

const BLOCK: ControlBlockImage = ControlBlockImage {
    kind: AllocatorKind::BumpReset as u16,
    heap_base: 66_000,
    top: 67_000,
    high_water: 68_000,
    limit: 131_072,
    mark: 66_500,
    flags: 1,
    failed_size: 0,
    failed_align: 0,
    grows: 0,
    allocations: 0,
    deallocations: 0,
    reallocations: 0,
    allocated_bytes: 0,
    freed_bytes: 0,
    peak_live_bytes: 0,
};

#[test]
fn a_sound_control_block_is_believed() {
    assert_eq!(check_control_block(Ok(BLOCK), &layout(), 131_072), Ok(AllocatorKind::BumpReset));
    assert_eq!(check_bump_reset(Ok(BLOCK), &layout(), 131_072), Ok(()));
    let freelist = ControlBlockImage { kind: AllocatorKind::Freelist as u16, mark: 0, ..BLOCK };
    assert_eq!(check_control_block(Ok(freelist), &layout(), 131_072), Ok(AllocatorKind::Freelist));
    let refusal = check_bump_reset(Ok(freelist), &layout(), 131_072).unwrap_err();
    assert_eq!(refusal.instead(), Instead::Watermark);
    assert!(refusal.to_string().contains("`freelist`"), "{refusal}");
}

#[test]
fn a_control_block_that_lies_is_not_believed() {
    let refuse = |block| check_control_block(block, &layout(), 131_072).unwrap_err();
    assert_eq!(refuse(Err(ParseError::Magic(0))), Refusal::BadControlBlock { reason: ParseError::Magic(0) });
    assert_eq!(refuse(Ok(ControlBlockImage { kind: 0, ..BLOCK })), Refusal::AllocatorNotRun);
    assert_eq!(refuse(Ok(ControlBlockImage { kind: 77, ..BLOCK })), Refusal::UnknownAllocator { kind: 77 });
    for (block, what) in [
        (ControlBlockImage { heap_base: 65_999, ..BLOCK }, "below the end of the statics"),
        (ControlBlockImage { top: 65_999, ..BLOCK }, "top lies below the heap"),
        (ControlBlockImage { top: 131_073, ..BLOCK }, "top is beyond"),
        (ControlBlockImage { high_water: u32::MAX, ..BLOCK }, "high-water mark is beyond"),
        (ControlBlockImage { mark: 65_999, ..BLOCK }, "mark lies below"),
        (ControlBlockImage { mark: 67_001, ..BLOCK }, "mark lies above"),
    ] {
        let refusal = refuse(Ok(block));
        assert!(refusal.to_string().contains(what), "{refusal}");
        assert_eq!(refusal.instead(), Instead::FullCopy);
    }
}
