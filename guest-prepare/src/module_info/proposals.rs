//! The proposals of WebAssembly that the engine lacks: what they are called, and how a module is built without them.
//!
//! A module that needs one is valid, but this engine cannot run it. Its author has to change options, not to repair a
//! damaged file.

use std::fmt;

use wasmparser::{Validator, WasmFeatures};

use super::newer;

/// A proposal of WebAssembly that the engine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Proposal {
    features: WasmFeatures,
    name: &'static str,
    without: &'static str,
}

impl Proposal {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How a module is built without it, with the options of compilers and of `wasm-opt`.
    #[must_use]
    pub const fn without(&self) -> &'static str {
        self.without
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// All proposals that the parser knows and the engine lacks. Those that build on others stand before them.
const PROPOSALS: [Proposal; 12] = [
    Proposal {
        features: COMPONENT_FEATURES,
        name: "component model",
        without: "use the core module from which the component is made",
    },
    Proposal {
        features: WasmFeatures::CUSTOM_DESCRIPTORS,
        name: "custom descriptors",
        without: "pass `--disable-custom-descriptors` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::SHARED_EVERYTHING_THREADS,
        name: "shared-everything threads",
        without: "pass `--disable-shared-everything` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::STACK_SWITCHING,
        name: "stack switching",
        without: "pass `--disable-stack-switching` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::MEMORY_CONTROL,
        name: "memory control",
        without: "build it without the instruction `memory.discard`",
    },
    Proposal {
        features: WasmFeatures::CUSTOM_PAGE_SIZES,
        name: "custom page sizes",
        without: "link without `--page-size`, and pass `--disable-custom-page-sizes` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::COMPACT_IMPORTS,
        name: "compact imports",
        without: "pass `--disable-compact-imports` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::WIDE_ARITHMETIC,
        name: "wide arithmetic",
        without: "compile with `-C target-feature=-wide-arithmetic` (clang: `-mno-wide-arithmetic`), and pass \
                  `--disable-wide-arithmetic` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::LEGACY_EXCEPTIONS,
        name: "legacy exceptions",
        without: "compile with `-C panic=abort` (clang: `-fno-exceptions`), and pass \
                  `--disable-exception-handling` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::EXCEPTIONS,
        name: "exceptions",
        without: "compile with `-C panic=abort` (clang: `-fno-exceptions`), and pass \
                  `--disable-exception-handling` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::GC_TYPES,
        name: "garbage-collected types",
        without: "compile without references to the host's objects and without `-C target-feature=+gc` (clang: `-mgc`), \
                  and pass `--disable-gc` to `wasm-opt`",
    },
    Proposal {
        features: WasmFeatures::THREADS,
        name: "threads",
        without: "compile with `-C target-feature=-atomics` (clang: `-mno-atomics`), and pass \
                  `--disable-threads` to `wasm-opt`",
    },
];

/// Features of components, which the analysis refuses before it validates anything; no core module needs them.
const COMPONENT_FEATURES: WasmFeatures = WasmFeatures::COMPONENT_MODEL
    .union(WasmFeatures::CM_VALUES)
    .union(WasmFeatures::CM_NESTED_NAMES)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_MAP)
    .union(WasmFeatures::CM64)
    .union(WasmFeatures::CM_IMPLEMENTS)
    .union(WasmFeatures::CM_CANON_NAMES);

/// Newer than the parser, so it has no feature of the parser. Once it has, it belongs to [`PROPOSALS`].
pub(super) const MULTIBYTE_ARRAY_ACCESS: Proposal = Proposal {
    features: WasmFeatures::empty(),
    name: "multibyte array access",
    without: "pass `--disable-multibyte` to `wasm-opt`",
};

/// Newer than the parser, as [`MULTIBYTE_ARRAY_ACCESS`] is.
pub(super) const ACQUIRE_RELEASE_ATOMICS: Proposal = Proposal {
    features: WasmFeatures::empty(),
    name: "acquire-release atomics",
    without: "compile without threads (`-C target-feature=-atomics`, `-mno-atomics` of clang), and pass \
              `--disable-relaxed-atomics` to `wasm-opt`",
};

/// The proposals that a module needs and the engine lacks; without any one of them the module is not valid. Empty where the
/// module is not valid with all of them either.
pub(super) fn needed(wasm: &[u8]) -> Vec<Proposal> {
    if valid(wasm, WasmFeatures::all()) {
        return needed_of_known(wasm);
    }
    match newer::replaced(wasm) {
        Some((newer, rest)) if valid(&rest, WasmFeatures::all()) => [newer, needed_of_known(&rest)].concat(),
        _ => Vec::new(),
    }
}

/// The proposals of [`PROPOSALS`] that a module needs which is valid with all of them.
fn needed_of_known(wasm: &[u8]) -> Vec<Proposal> {
    let mut features = WasmFeatures::all();
    let mut needed = Vec::new();
    for proposal in PROPOSALS {
        let without = features.difference(proposal.features);
        match valid(wasm, without) {
            true => features = without,
            false => needed.push(proposal),
        }
    }
    needed
}

fn valid(wasm: &[u8], features: WasmFeatures) -> bool {
    Validator::new_with_features(features).validate_all(wasm).is_ok()
}

/// Which proposals a module needs, what the validator says without them, and how the module is built without them.
pub(super) fn refusal(proposals: &[Proposal], message: &str) -> String {
    if proposals.is_empty() {
        return message.to_owned();
    }
    let names: Vec<&str> = proposals.iter().map(Proposal::name).collect();
    let mut ways: Vec<&str> = proposals.iter().map(Proposal::without).collect();
    ways.dedup();
    format!("{}: {message}; {}", names.join(", "), ways.join("; "))
}

#[cfg(test)]
mod tests {
    use super::super::{ENGINE_FEATURES, ModuleError, ModuleInfo};
    use super::*;

    /// A module that needs a proposal; none for components, which have no module.
    fn specimen(name: &str) -> Option<Vec<u8>> {
        let text = match name {
            "component model" => return None,
            "custom descriptors" => {
                "(module (rec (type $a (descriptor $b) (struct)) (type $b (describes $a) (struct))))"
            }
            "shared-everything threads" => "(module (type (shared (func))))",
            "stack switching" => "(module (type $f (func)) (type (cont $f)))",
            "memory control" => "(module (memory 1) (func (memory.discard (i32.const 0) (i32.const 0))))",
            "custom page sizes" => "(module (memory 1 (pagesize 1)))",
            "compact imports" => r#"(module (import "env" (item "f" (func)) (item "g" (func))))"#,
            "wide arithmetic" => {
                "(module (func (param i64) (result i64 i64)
                   (i64.add128 (local.get 0) (local.get 0) (local.get 0) (local.get 0))))"
            }
            "legacy exceptions" => "(module (func try nop catch_all end))",
            "exceptions" => "(module (tag $t) (func throw $t))",
            "garbage-collected types" => "(module (func (param externref)))",
            "threads" => "(module (memory 1 2 shared))",
            other => return Some(newer::tests::specimen(other)),
        };
        Some(wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}")))
    }

    #[test]
    fn every_proposal_that_the_parser_knows_is_one_of_the_engines_or_is_listed() {
        for (name, bits) in WasmFeatures::all().iter_names() {
            let listed = PROPOSALS.iter().filter(|proposal| proposal.features.contains(bits)).count();
            let expected = usize::from(!ENGINE_FEATURES.contains(bits));
            assert_eq!(listed, expected, "{name}: list it in PROPOSALS, or let the engine have it");
        }
        let listed = PROPOSALS.iter().fold(WasmFeatures::empty(), |all, proposal| all.union(proposal.features));
        assert!(!listed.intersects(ENGINE_FEATURES));
        assert_eq!(listed.union(ENGINE_FEATURES), WasmFeatures::all(), "there are no bits without a name");
    }

    #[test]
    fn each_is_named_with_the_options_that_leave_it_out() {
        let proposals = PROPOSALS.into_iter().chain([MULTIBYTE_ARRAY_ACCESS, ACQUIRE_RELEASE_ATOMICS]);
        for proposal in proposals {
            let Some(wasm) = specimen(proposal.name) else { continue };
            let names: Vec<_> = needed(&wasm).iter().map(Proposal::name).collect();
            let told = match ModuleInfo::analyse(&wasm) {
                Ok(info) => info.engine_refusal.unwrap_or_default(),
                Err(error @ ModuleError::Proposals { .. }) => error.to_string(),
                Err(error) => panic!("{proposal}: {error}"),
            };
            assert!(names.contains(&proposal.name), "{proposal}: {names:?}");
            for part in [proposal.name, proposal.without] {
                assert!(told.contains(part), "{proposal}: {told}");
            }
            assert!(!told.contains("damaged"), "{told}");
            let engine = wasmtime::Engine::default();
            assert!(wasmtime::Module::new(&engine, &wasm).is_err(), "{proposal}: the engine takes it");
        }
    }

    #[test]
    fn what_a_module_needs_is_named_and_nothing_else() {
        let names = |text: &str| needed(&wat::parse_str(text).unwrap()).iter().map(Proposal::name).collect::<Vec<_>>();
        assert_eq!(names("(module (memory 1) (func (param v128 funcref)))"), [""; 0]);
        assert_eq!(names("(module (memory 1 2 shared) (tag $t))"), ["exceptions", "threads"]);
        assert_eq!(
            names(r#"(module (import "env" (item "f" (func)) (item "g" (func))) (memory 1 (pagesize 1)))"#),
            ["custom page sizes", "compact imports"]
        );
        let names = |wasm: &[u8]| needed(wasm).iter().map(Proposal::name).collect::<Vec<_>>();
        assert_eq!(
            names(&newer::tests::specimen("acquire-release atomics")),
            ["acquire-release atomics", "legacy exceptions", "threads"]
        );
        assert_eq!(
            names(&newer::tests::specimen("multibyte array access")),
            ["multibyte array access", "garbage-collected types"]
        );
        assert_eq!(needed(b"\0asm\x01\0\0\0\xFF"), [], "no proposal makes it valid");
        assert_eq!(needed(&newer::tests::invalid()), [], "no proposal makes it valid, whatever its instructions are");
        let both = ["exceptions", "legacy exceptions"];
        let both: Vec<_> = PROPOSALS.into_iter().filter(|proposal| both.contains(&proposal.name)).collect();
        let told = refusal(&both, "the validator's words");
        assert!(told.starts_with("legacy exceptions, exceptions: the validator's words; compile with"), "{told}");
        assert_eq!(told.matches("--disable-exception-handling").count(), 1, "said once: {told}");
    }
}
