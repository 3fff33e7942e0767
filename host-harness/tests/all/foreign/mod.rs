//! Guests by compilers of other languages: AssemblyScript with each of its runtimes, Zig in each of its modes, Go for wasip1. Each is
//! the sample extension over the exttinygo contract, of `guests/assemblyscript`, `guests/zig` and `guests/go`.
//!
//! `cargo xtask guests` builds them into `target/guests/` where it finds or can install their compilers. Where it cannot, it leaves
//! word there, and the tests of these modules do nothing. A module that is missing without that word fails them.

mod failing;
mod restores;
mod sample;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use guest_host::{
    Allocation, Engine, EngineConfig, Guest, Instance, InstanceConfig, MemoryState, Outcome, Residue, RestorePolicy,
    RestoreStrategy,
};
use guest_prepare::PrepareOptions;
use host_harness::load_state_file;

/// A language whose compiler a package gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    AssemblyScript,
    Zig,
    Go,
}
use Language::{AssemblyScript, Go, Zig};

/// Every module.
const MODULES: [(&str, Language); 8] = [
    ("as-shop-incremental", AssemblyScript),
    ("as-shop-minimal", AssemblyScript),
    ("as-shop-stub", AssemblyScript),
    ("zig-shop-debug", Zig),
    ("zig-shop-release-safe", Zig),
    ("zig-shop-release-fast", Zig),
    ("zig-shop-release-small", Zig),
    ("go-shop", Go),
];

/// The strategies that serve a guest which has no allocator of this project.
const STRATEGIES: [RestoreStrategy; 3] =
    [RestoreStrategy::Reinstantiate, RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards];

/// A deadline that no call reaches, however busy the machine is.
const NEVER_REACHED: Duration = Duration::from_secs(60);

/// A built guest.
struct Built {
    name: &'static str,
    language: Language,
    guest: Guest,
}

impl Built {
    /// An instance with the state of the sample.
    fn start(&self, strategy: RestoreStrategy) -> Instance {
        self.start_with(&self.config(strategy))
    }

    fn start_with(&self, config: &InstanceConfig) -> Instance {
        self.guest
            .instantiate(config, state())
            .unwrap_or_else(|error| panic!("{} with {}: {error}", self.name, config.strategy))
    }

    /// A configuration with little memory, so that comparing all of it is quick.
    fn config(&self, strategy: RestoreStrategy) -> InstanceConfig {
        let mut config = InstanceConfig::default();
        config.strategy = strategy;
        config.residue = Residue::Scrub;
        // Go's runtime takes more than 4 MiB before the first call.
        config.memory_limit = if self.language == Go { 16 << 20 } else { 4 << 20 };
        config.deadline = Some(NEVER_REACHED);
        config.init_deadline = NEVER_REACHED;
        config.count = true;
        config
    }

    fn config_with_policy(&self, policy: RestorePolicy) -> InstanceConfig {
        let mut config = self.config(RestoreStrategy::DirtyCards);
        config.policy = policy;
        config
    }
}

/// The modules that are there.
fn built() -> &'static [Built] {
    static BUILT: OnceLock<Vec<Built>> = OnceLock::new();
    BUILT.get_or_init(|| MODULES.iter().filter_map(|(name, language)| load(name, *language)).collect())
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
    let module = guests().join(format!("{name}.wasm"));
    let wasm = match std::fs::read(&module) {
        Ok(wasm) => wasm,
        Err(error) => {
            let left_out = std::fs::read_to_string(guests().join(format!("{name}.left-out"))).unwrap_or_else(|_| {
                panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", module.display())
            });
            eprintln!("{name} is not tested: {left_out}");
            return None;
        }
    };
    let guest = Guest::load(engine(), name, &wasm, PrepareOptions::default())
        .unwrap_or_else(|error| panic!("{name} is not admitted: {error}"));
    Some(Built { name, language, guest })
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = EngineConfig::default();
        config.allocation = Allocation::OnDemand;
        Engine::new(&config).expect("the machine can run the engine")
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn guests() -> PathBuf {
    root().join("target/guests")
}

/// The state of the sample.
fn state() -> MemoryState {
    load_state_file(&root().join("guests/shop/state.json")).expect("the sample's state file is right")
}

/// An integer that a call left in its last intent that has such a field.
fn field(outcome: &Outcome<'_>, name: &str) -> i64 {
    let intents = outcome.intents().map(|intent| intent.expect("the harness has checked them").value);
    let found = intents.filter_map(|value| value.field(name).expect("the harness has checked them"));
    let value = found.last().unwrap_or_else(|| panic!("no intent has a field `{name}`"));
    value.as_i64().expect("it is an integer")
}
