//! Guests by compilers of other languages: AssemblyScript with each of its runtimes, Zig in three of its modes, Go for wasip1. Each
//! is the sample extension over the exttinygo contract.
//!
//! `cargo xtask guests` builds them into `target/guests/` if it finds or can install their compilers. If not, it leaves a file with
//! the reason there, and the tests leave the module out. A module that is missing without that file fails them.

mod causes;
mod restores;
mod sample;

use std::sync::OnceLock;

use guest_host::{Guest, Instance, InstanceConfig, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::PrepareOptions;

use crate::guests::{config, engine, root, state_of};

/// The language of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    AssemblyScript,
    Zig,
    Go,
}

/// Every module that `cargo xtask guests` builds.
const MODULES: [(&str, Language); 7] = [
    ("as-shop-incremental", Language::AssemblyScript),
    ("as-shop-minimal", Language::AssemblyScript),
    ("as-shop-stub", Language::AssemblyScript),
    ("zig-shop-Debug", Language::Zig),
    ("zig-shop-ReleaseSafe", Language::Zig),
    ("zig-shop-ReleaseFast", Language::Zig),
    ("go-shop", Language::Go),
];

/// The strategies that serve a guest without an allocator of this project.
const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::Reinstantiate, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards];

/// A built guest.
struct Built {
    name: &'static str,
    language: Language,
    guest: Guest,
}

impl Built {
    /// A configuration with little memory; 4 MiB are too little for Go.
    fn config(&self, strategy: RestoreStrategy, policy: RestorePolicy) -> InstanceConfig {
        let mut config = config(strategy, Residue::Scrub);
        config.policy = policy;
        if self.language == Language::Go {
            config.memory_limit = 16 << 20;
        }
        config
    }

    /// An instance with the state of the sample, restored after every call.
    fn start(&self, strategy: RestoreStrategy) -> Instance {
        self.start_with(&self.config(strategy, RestorePolicy::EveryCall))
    }

    fn start_with(&self, config: &InstanceConfig) -> Instance {
        self.guest
            .instantiate(config, state_of("shop"))
            .unwrap_or_else(|error| panic!("{} with {}: {error}", self.name, config.strategy))
    }
}

/// The modules that are there, each compiled once.
fn built() -> impl Iterator<Item = &'static Built> {
    static BUILT: [OnceLock<Option<Built>>; MODULES.len()] = [const { OnceLock::new() }; MODULES.len()];
    BUILT
        .iter()
        .zip(MODULES)
        .filter_map(|(built, (name, language))| built.get_or_init(|| load(name, language)).as_ref())
}

/// Every module with every strategy that serves it.
fn each(test: impl Fn(&Built, RestoreStrategy)) {
    for built in built() {
        for strategy in STRATEGIES {
            test(built, strategy);
        }
    }
}

fn load(name: &'static str, language: Language) -> Option<Built> {
    let folder = root().join("target/guests");
    let module = folder.join(format!("{name}.wasm"));
    let wasm = match std::fs::read(&module) {
        Ok(wasm) => wasm,
        Err(error) => {
            let Ok(reason) = std::fs::read_to_string(folder.join(format!("{name}.left-out"))) else {
                panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", module.display());
            };
            eprintln!("{name} is not tested: {reason}");
            return None;
        }
    };
    let guest = Guest::load(engine(), name, &wasm, PrepareOptions::default())
        .unwrap_or_else(|error| panic!("{name} is not admitted: {error}"));
    Some(Built { name, language, guest })
}
