//! The bytes that an allocator adds to the smallest guest, and the code that it must not link.
//!
//! A size is that of the guest `minimal` without std, built for size (profile `size` of the guests' workspace), stripped of its
//! custom sections, and with every number in its shortest form, as every tool that makes modules small leaves them. The
//! baseline is the same guest with an allocator that always fails. Rust's default allocator needs std, and so a
//! baseline with std. The budget counts what the allocator's exports weigh, the control block's initial bytes, and
//! what the guest's own code grows by because allocating can succeed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use guest_build::{Allocator, GuestBuild, Toolchain};
use guest_host::module_info::ModuleInfo;
use host_harness::inspect::built_with;
use wasm_encoder::reencode::Reencode;

use super::root;

/// Bytes that a bump allocator may add: 0.6 KiB.
const BUMP_BUDGET: usize = 614;

/// Bytes that a freelist may add: 2.3 KiB, of which 70 bytes serve the last requests before memory ends.
const FREELIST_BUDGET: usize = 2355;

/// Whether the guest has std.
#[derive(Clone, Copy, PartialEq)]
enum Std {
    Without,
    With,
}

/// `minimal` built for size; `None` is the allocator that always fails.
fn minimal(allocator: Option<Allocator>, std: Std) -> Vec<u8> {
    static TOOLCHAIN: OnceLock<Toolchain> = OnceLock::new();
    let target = root().join("target/guests-build");
    let toolchain = TOOLCHAIN.get_or_init(|| Toolchain::find(&target).expect("`cargo xtask setup` finds a toolchain"));
    let mut features = vec!["counters"];
    if std == Std::With {
        features.push("std");
    }
    if allocator.is_none() {
        features.push("alloc-none");
    }
    let variant = match (allocator, std) {
        (None, Std::Without) => "size-none",
        (None, Std::With) => "size-none-std",
        (Some(_), Std::Without) => "size",
        (Some(_), Std::With) => "size-std",
    };
    let path: PathBuf = GuestBuild::new(root().join("guests/minimal/Cargo.toml"))
        .allocator(allocator.unwrap_or(Allocator::System))
        .variant(variant)
        .no_default_features()
        .features(features)
        .profile("size")
        .target_dir(&target)
        .out_dir(root().join("target/guests-size"))
        .toolchain(toolchain.clone())
        .build()
        .expect("the guest compiles");
    std::fs::read(path).expect("it was just built")
}

/// Drops custom sections and writes every number in its shortest form.
#[derive(Debug)]
struct Strip;

impl Reencode for Strip {
    type Error = std::convert::Infallible;

    fn parse_custom_section(
        &mut self,
        _module: &mut wasm_encoder::Module,
        _section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), wasm_encoder::reencode::Error<Self::Error>> {
        Ok(())
    }
}

fn stripped_size(wasm: &[u8]) -> usize {
    let mut module = wasm_encoder::Module::new();
    Strip.parse_core_module(&mut module, wasmparser::Parser::new(0), wasm).expect("the compiler's module is valid");
    module.finish().len()
}

/// The functions' names, demangled and without the hashes that differ from build to build.
fn function_names(wasm: &[u8]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let Ok(wasmparser::Payload::CustomSection(section)) = payload else { continue };
        let wasmparser::KnownCustom::Name(subsections) = section.as_known() else { continue };
        for subsection in subsections {
            let Ok(wasmparser::Name::Function(map)) = subsection else { continue };
            let found = map.into_iter().map(|naming| naming.expect("the name section is valid").name);
            names.extend(found.map(|name| format!("{:#}", rustc_demangle::demangle(name))));
        }
    }
    assert!(!names.is_empty(), "the module has no name section");
    names
}

/// Names of functions that `with` has and `baseline` has not, and that panic or format.
fn panicking_or_formatting(baseline: &[u8], with: &[u8]) -> Vec<String> {
    const SUSPECTS: [&str; 9] = [
        "panic",
        "fmt",
        "unwrap_failed",
        "expect_failed",
        "slice_index",
        "index_fail",
        "handle_alloc_error",
        "capacity_overflow",
        "begin_unwind",
    ];
    let baseline = function_names(baseline);
    let added = function_names(with).into_iter().filter(|name| !baseline.contains(name));
    added.filter(|name| SUSPECTS.iter().any(|suspect| name.contains(suspect))).collect()
}

const OWN: [Allocator; 4] = [Allocator::Leaking, Allocator::BumpReset, Allocator::Freelist, Allocator::Wee];

/// The page of the book with the sizes.
const PAGE: &str = include_str!("../../../../docs/src/allocators.md");

/// Holds the page's figure for an allocator to what was measured. The figures are those of the compiler with which the
/// counts of instructions were recorded; what another makes may differ.
fn check_page(allocator: &str, measured: usize, module: &[u8]) {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {allocator} ")) && line.split('|').count() == 5);
    let figure = row.and_then(|row| row.split('|').nth(2)).expect("the page has a row for each allocator");
    let figure: usize = figure.trim().replace(',', "").parse().expect("a number of bytes");
    let compilers = built_with(&ModuleInfo::analyse(module).expect("the module is valid"));
    let recorded = std::fs::read_to_string(root().join("benches/instructions.json")).expect("the counts are recorded");
    if compilers.iter().any(|compiler| recorded.contains(&format!("{compiler:?}"))) {
        assert_eq!(figure, measured, "docs/src/allocators.md: bytes that {allocator} adds");
    } else {
        println!("LEFT OUT: the page's figures are of another compiler than {compilers:?}");
    }
}

#[test]
fn what_an_allocator_adds_is_within_its_budget() {
    let baseline = stripped_size(&minimal(None, Std::Without));
    println!("baseline: {baseline} bytes");
    for allocator in OWN {
        let module = minimal(Some(allocator), Std::Without);
        let added = stripped_size(&module) - baseline;
        println!("{allocator}: {added} bytes");
        let budget = match allocator {
            Allocator::Leaking | Allocator::BumpReset => Some(BUMP_BUDGET),
            Allocator::Freelist => Some(FREELIST_BUDGET),
            _ => None,
        };
        assert!(budget.is_none_or(|budget| added <= budget), "{allocator} adds {added} bytes, more than {budget:?}");
        check_page(&allocator.to_string(), added, &module);
    }
    let with_std = stripped_size(&minimal(None, Std::With));
    let module = minimal(Some(Allocator::System), Std::With);
    let system = stripped_size(&module) - with_std;
    println!("system: {system} bytes, where std is linked anyway");
    check_page("system", system, &module);
}

#[test]
fn no_allocator_links_code_that_panics_or_formats() {
    let baseline = minimal(None, Std::Without);
    for allocator in OWN {
        let found = panicking_or_formatting(&baseline, &minimal(Some(allocator), Std::Without));
        assert!(found.is_empty(), "{allocator} links {found:?}");
    }
}

#[test]
fn the_search_finds_code_that_panics() {
    let module = |names: &[&str]| {
        let functions: String = names.iter().map(|name| format!("(func ${name})")).collect();
        wat::parse_str(format!("(module {functions})")).expect("the module is valid")
    };
    let baseline = module(&["allocate_once", "_ZN4core3fmt5write17h0123456789abcdefE"]);
    let harmless = module(&["allocate_once", "_ZN4core3fmt5write17hfedcba9876543210E", "__rust_alloc"]);
    assert!(panicking_or_formatting(&baseline, &harmless).is_empty());
    for panicking in [
        "_ZN4core9panicking9panic_fmt17h0123456789abcdefE",
        "_ZN4core6option13unwrap_failed17h0123456789abcdefE",
        "_RNvNtCskrJZzRlRmTw_4core9panicking9panic_fmt",
        "_RNvNtNtCsenJvfAETMnB_4core5slice5index16slice_index_fail",
    ] {
        assert_eq!(panicking_or_formatting(&baseline, &module(&["allocate_once", panicking])).len(), 1, "{panicking}");
    }
}
