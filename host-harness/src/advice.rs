//! Advice on how a guest is built: only what its module shows reliably, each with the lines to paste.

use guest_prepare::module_info::{ModuleInfo, Producer};
use serde::{Deserialize, Serialize};

/// Bytes of a shadow stack from which a smaller one is worth advice. The linker's default is twice as large.
const LARGE_STACK: u32 = 512 * 1024;

/// Advice on a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Advice {
    /// Its subject.
    pub kind: AdviceKind,
    /// The finding, its cost and the remedy, in one sentence.
    pub sentence: String,
    /// The file that the lines belong into, or the command that they are arguments of.
    pub file: String,
    /// The lines to paste.
    pub lines: Vec<String>,
}

impl Advice {
    pub(crate) fn new(
        kind: AdviceKind,
        sentence: impl Into<String>,
        file: impl Into<String>,
        lines: Vec<String>,
    ) -> Self {
        Self { kind, sentence: sentence.into(), file: file.into(), lines }
    }
}

/// A subject of advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AdviceKind {
    /// A shadow stack that restores have to put back and that is larger than most guests need.
    ShadowStack,
    /// A build without optimisation.
    OptLevel,
    /// Checks of arithmetic.
    OverflowChecks,
    /// DWARF debug information in the module.
    DebugInformation,
    /// The heap's begin, which the module does not export.
    HeapBase,
    /// An exchange region that takes much of a memory budget.
    ExchangeRegion,
    /// Statics that take much of a memory budget.
    Statics,
    /// A declared minimum of memory above what stack and statics need.
    DeclaredMemory,
}

/// How a module was linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linked {
    /// By cargo and rustc.
    Cargo,
    /// By clang, with whatever else in it.
    Clang,
    /// By another.
    Otherwise,
}

impl Linked {
    pub(crate) fn of(info: &ModuleInfo) -> Self {
        let is_in = |producers: &[Producer], name: &str| producers.iter().any(|producer| producer.name.contains(name));
        let (tools, languages) = (&info.producers.processed_by, &info.producers.languages);
        // A guest in C may have a library in Rust, and other compilers use clang's parts.
        match (is_in(tools, "clang"), is_in(tools, "rustc")) {
            (true, _) if languages.iter().any(|language| language.name.starts_with('C')) => Self::Clang,
            (false, true) => Self::Cargo,
            _ => Self::Otherwise,
        }
    }
}

/// The advice on a module, the most useful first; empty where nothing is seen.
///
/// ```
/// use guest_prepare::module_info::ModuleInfo;
/// use host_harness::advice::{AdviceKind, advice};
///
/// let module = wat::parse_str(
///     r#"(module (memory (export "memory") 17)
///          (global $__stack_pointer (mut i32) (i32.const 1048576))
///          (global (export "__heap_base") i32 (i32.const 1048592))
///          (global (export "__data_end") i32 (i32.const 1048592))
///          (data (i32.const 1048576) "statics"))"#,
/// )?;
/// let found = advice(&ModuleInfo::analyse(&module)?);
/// assert_eq!(found[0].kind, AdviceKind::ShadowStack);
/// assert!(found[0].lines[0].contains("stack-size=65536"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn advice(info: &ModuleInfo) -> Vec<Advice> {
    let linked = Linked::of(info);
    [
        shadow_stack(info, linked),
        opt_level(info, linked),
        overflow_checks(info),
        heap_base(info, linked),
        debug_information(info, linked),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn shadow_stack(info: &ModuleInfo, linked: Linked) -> Option<Advice> {
    let stack = info.layout().ok()?.stack?;
    let bytes = stack.end.saturating_sub(stack.start);
    if bytes < LARGE_STACK {
        return None;
    }
    let sentence = format!(
        "the shadow stack has {} KiB, of which most guests use a few: `full-copy` puts all of it back after every call, \
         `watermark` and `bump-reset` after a failed one; make it smaller",
        bytes / 1024
    );
    let (file, lines) = linker_argument(linked, "-z stack-size=65536", "-zstack-size=65536", "-Wl,-z,stack-size=65536");
    Some(Advice::new(AdviceKind::ShadowStack, sentence, file, lines))
}

/// Rust's checks of what unsafe code is given are in a module only if debug assertions are on, as in cargo's `dev` profile.
fn opt_level(info: &ModuleInfo, linked: Linked) -> Option<Advice> {
    if linked != Linked::Cargo || !has_function(info, &["precondition_check"]) {
        return None;
    }
    let sentence = "the module has debug assertions, as cargo's `dev` profile builds them: instructions and times say little of \
        the guest; build it in the `release` profile";
    let lines =
        ["[profile.release]", "opt-level = 3", "lto = \"fat\"", "codegen-units = 1", "debug-assertions = false"];
    Some(Advice::new(AdviceKind::OptLevel, sentence, "Cargo.toml", lines.map(str::to_owned).to_vec()))
}

fn overflow_checks(info: &ModuleInfo) -> Option<Advice> {
    let checks = ["panic_const_add_overflow", "panic_const_sub_overflow", "panic_const_mul_overflow"];
    if !has_function(info, &checks) {
        return None;
    }
    let sentence = "arithmetic is checked for overflow, which costs instructions in each operation and bytes for each message; \
        leave the checks out if wrapping is acceptable where a figure overflows";
    let lines = ["[profile.release]", "overflow-checks = false"].map(str::to_owned).to_vec();
    Some(Advice::new(AdviceKind::OverflowChecks, sentence, "Cargo.toml", lines))
}

fn heap_base(info: &ModuleInfo, linked: Linked) -> Option<Advice> {
    let has_memory = !info.memories.is_empty();
    if !has_memory || info.export("__heap_base").is_some() || linked == Linked::Otherwise {
        return None;
    }
    let sentence = "the module does not export `__heap_base`: reports cannot say how large its stack, statics and heap are, and \
        `watermark` and `bump-reset` cannot restore it, whatever its allocator; export it";
    let export = "--export=__heap_base";
    let (file, lines) = linker_argument(linked, export, export, "-Wl,--export=__heap_base");
    Some(Advice::new(AdviceKind::HeapBase, sentence, file, lines))
}

fn debug_information(info: &ModuleInfo, linked: Linked) -> Option<Advice> {
    if !info.debug_information {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "shown as whole percents")]
    let share = info.sizes.total.saturating_sub(info.sizes.stripped) as f64 / info.sizes.total.max(1) as f64;
    let sentence = format!(
        "{:.0}% of the module's bytes are debug information and names, which every load reads; calls are no slower by it",
        share * 100.0
    );
    let (file, lines) = match linked {
        Linked::Cargo => ("Cargo.toml", vec!["[profile.release]".to_owned(), "debug = false".to_owned()]),
        Linked::Clang | Linked::Otherwise => ("the compiler's arguments", vec!["-g0".to_owned()]),
    };
    Some(Advice::new(AdviceKind::DebugInformation, sentence, file, lines))
}

/// An argument of the linker: as it is, as rustc is given it, and as clang is.
pub(crate) fn linker_argument(linked: Linked, plain: &str, of_rustc: &str, of_clang: &str) -> (String, Vec<String>) {
    match linked {
        Linked::Cargo => {
            let flags = format!("rustflags = [\"-C\", \"link-arg={of_rustc}\"]");
            (".cargo/config.toml".to_owned(), vec!["[target.wasm32-unknown-unknown]".to_owned(), flags])
        }
        Linked::Clang => (
            "clang's arguments (other compilers give their linker what stands behind `-Wl,`)".to_owned(),
            vec![of_clang.to_owned()],
        ),
        Linked::Otherwise => ("the linker's arguments".to_owned(), vec![plain.to_owned()]),
    }
}

/// Whether the module names a function of its own by one of these, whatever its path.
fn has_function(info: &ModuleInfo, names: &[&str]) -> bool {
    info.function_names().any(|(_, function)| names.iter().any(|name| function.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds of advice on a module of this text, and all lines to paste.
    fn found(text: &str) -> (Vec<AdviceKind>, String) {
        let info = ModuleInfo::analyse(&wat::parse_str(text).unwrap()).unwrap();
        let found = advice(&info);
        assert!(found.iter().all(|advice| !advice.lines.is_empty() && !advice.file.is_empty()));
        let lines = found.iter().flat_map(|advice| &advice.lines).map(String::as_str).collect::<Vec<_>>();
        (found.iter().map(|advice| advice.kind).collect(), lines.join("\n"))
    }

    fn module(producers: &str, stack: u32, more: &str) -> String {
        let end = stack + 16;
        format!(
            r#"(module {producers} (memory (export "memory") 17)
                (global $__stack_pointer (mut i32) (i32.const {stack}))
                (global (export "__data_end") i32 (i32.const {end}))
                (data (i32.const {stack}) "statics") {more})"#
        )
    }

    const RUST: &str = r#"(@producers (language "Rust" "") (processed-by "rustc" "1.96.0"))"#;
    const C: &str = r#"(@producers (language "C11" "") (language "Rust" "") (processed-by "clang" "22") (processed-by "rustc" "1.96.0"))"#;
    const HEAP: &str = r#"(global (export "__heap_base") i32 (i32.const 1048592))"#;
    const SMALL_HEAP: &str = r#"(global (export "__heap_base") i32 (i32.const 65552))"#;

    #[test]
    fn a_large_stack_is_seen_and_the_line_is_that_of_the_linker() {
        for (producers, line) in [
            (RUST, "rustflags = [\"-C\", \"link-arg=-zstack-size=65536\"]"),
            (C, "-Wl,-z,stack-size=65536"),
            ("", "-z stack-size=65536"),
        ] {
            let (kinds, lines) = found(&module(producers, 1 << 20, HEAP));
            assert_eq!(kinds, [AdviceKind::ShadowStack], "{producers}");
            assert!(lines.contains(line), "{lines}");
            assert_eq!(found(&module(producers, 1 << 16, SMALL_HEAP)).0, [], "{producers}");
        }
    }

    #[test]
    fn what_functions_are_called_shows_the_profile() {
        let with = |name: &str| format!("{SMALL_HEAP} (func ${name})");
        let add = "_RNvNtNtCs1_4core9panicking11panic_const24panic_const_add_overflow";
        assert_eq!(found(&module(RUST, 1 << 16, &with(add))).0, [AdviceKind::OverflowChecks]);
        // Division is checked whatever the profile says.
        let divide = "_RNvNtNtCs1_4core9panicking11panic_const23panic_const_div_by_zero";
        assert_eq!(found(&module(RUST, 1 << 16, &with(divide))).0, []);
        let check = "_RNvNvNtCs1_4core10ub_checks18precondition_check";
        assert_eq!(found(&module(RUST, 1 << 16, &with(check))).0, [AdviceKind::OptLevel]);
        assert_eq!(found(&module(C, 1 << 16, &with(check))).0, []);
    }

    #[test]
    fn a_heap_base_that_is_missing_and_debug_information_are_seen() {
        let (kinds, lines) = found(&module(C, 1 << 16, ""));
        assert_eq!((kinds.as_slice(), lines.as_str()), (&[AdviceKind::HeapBase][..], "-Wl,--export=__heap_base"));
        assert_eq!(found(&module("", 1 << 16, "")).0, [], "others have heaps of their own");
        let (kinds, lines) = found(&module(RUST, 1 << 16, &format!(r#"{SMALL_HEAP} (@custom ".debug_info" "x")"#)));
        assert_eq!(
            (kinds.as_slice(), lines.as_str()),
            (&[AdviceKind::DebugInformation][..], "[profile.release]\ndebug = false")
        );
    }
}
