//! The command line's commands and options.

mod build;
mod call;
mod display;
mod find;
mod functions;
mod generate;
mod guest_crate;
mod inspect;
mod pipe;
mod program;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};
use guest_host::wasi::{Clock, Randomness};
use guest_host::{
    ArtefactKey, ArtefactTrust, CompileCache, EngineConfig, Guest, InstanceAllocation, InstanceConfig, Residue,
    RestorePolicy, RestoreStrategy,
};
use guest_prepare::PrepareOptions;
use host_harness::functions::arguments_of;
use host_harness::recommend::Weights;
use host_harness::replay::Numbering;
use host_harness::verify::{AllowFailing, RingOptions, RingRole};

pub(crate) use build::Build;
pub(crate) use call::{CallArguments, skipped};
pub(crate) use display::{Color, Display, Verbosity};
pub(crate) use find::Find;
pub(crate) use functions::{Call, FunctionModule, Functions};
pub(crate) use generate::{Completions, Man};
pub(crate) use guest_crate::GuestCrate;
pub(crate) use inspect::Inspect;
pub(crate) use pipe::Pipe;
pub(crate) use program::ProgramArguments;

use crate::commands::new::New;
use crate::commands::watch::Watch;
use crate::config;
use crate::gate::{Gate, Outputs};
use crate::output::Destination;
use crate::values::{
    Deadline, Instructions, Secret, block_size, clock, count, duration, exchange_size, file, instructions, manifest,
    memory_size, policy, randomness, ring, secret, size, variable,
};

/// Runs, restores, measures and verifies WebAssembly guests.
#[derive(Debug, Parser)]
#[command(name = "host-harness", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) config: config::Options,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the parts of a guest, and the strategies that can restore it.
    ///
    /// The exit status is 1 if the guest cannot be run, or does not fit the --budget.
    Inspect(Inspect),
    /// Call a function and print its result, return values or intents, log lines and counters.
    ///
    /// With --times, the intents of each call are applied to the state before the next. Counting instructions slows the
    /// guest down; use `measure` for times.
    Run(Run),
    /// List the typed functions of a module: signatures, behaviour and documentation. Nothing is run.
    Functions(Functions),
    /// Call a typed function with arguments, and print its result.
    ///
    /// The exit status is 1 if the call fails, and 2 if the arguments do not fit the function.
    Call(Call),
    /// Run a SQL query over CSV, JSON Lines and Parquet files, with functions of modules.
    ///
    /// Runs the program host-harness-query, which is installed by itself: a query engine is several hundred packages. It has options
    /// of its own.
    #[command(disable_help_flag = true)]
    Query(ProgramArguments),
    /// Serve the functions of many small tenants over HTTP, from a folder of modules.
    ///
    /// Runs the program host-harness-serve, which is installed by itself. It has options of its own.
    #[command(disable_help_flag = true)]
    Serve(ProgramArguments),
    /// Serve the programs and functions of many small tenants over NATS JetStream, by any number of processes.
    ///
    /// Runs the program host-harness-serve-nats, which is installed by itself. It has options of its own.
    #[command(disable_help_flag = true)]
    ServeNats(ProgramArguments),
    /// Find documents in JSON Lines by typed functions: filter, rank and project them.
    ///
    /// Prints the lines that --where keeps as they are, with --score the best of them first, or what --select makes of them. Each
    /// call of a function starts from a pristine instance. The exit status is 0 also if nothing is found, 1 if a function
    /// fails, and 2 if a line is no document or the functions do not fit. If nobody reads the output, it ends.
    Find(Find),
    /// Measure calls and restores.
    ///
    /// Every function of every guest is measured without a restore, with a new instance for each call, and with each
    /// strategy that can restore the guest. Counts are exact; times are percentiles over batches of calls.
    Measure(Measure),
    /// Verify that restored instances behave and look like fresh ones.
    ///
    /// Makes a random sequence of calls on an instance that is restored after each call, and on a fresh instance for each
    /// call, and reports differences. The same seed and functions give the same sequence. A call that the deadline ends on
    /// one side only is repeated, and skipped if that does not help. It calls extension functions, functions of numbers with their
    /// arguments, and stages with memory blocks.
    Verify(Verify),
    /// Build your guest crate as `compare` does, and print the modules and the commands that go on with them.
    ///
    /// Finds a compiler for wasm32, or installs what is missing. Prints what to set for plain cargo to build the same.
    Build(Build),
    /// Build your guest crate with each allocator, then measure and verify all of them.
    ///
    /// An allocator whose feature the crate lacks is skipped. The state comes from --state, otherwise from `state.json` beside
    /// the manifest.
    Compare(Compare),
    /// Replay allocation traces with each allocator.
    ///
    /// A trace has one operation a line: `Alloc(bytes),`, `Free(n),` or `Realloc(n, bytes),`, where n is the n-th
    /// allocation made. The command builds a guest with each allocator and replays each trace in it. It prints time, peak,
    /// pages, fragmentation, and the operations refused under --memory-limit; a refused operation is not a failure.
    /// Instances are restored by full-copy unless --strategy names another strategy.
    Replay(Replay),
    /// Run a pipeline of guests that hand each other memory blocks.
    ///
    /// A TOML file describes the source and the stages: see the page "Pipelines of guests" of the book. Each stage has an instance
    /// and a thread of its own. Prints calls, bytes, times and queues for each stage, and with --verbose the lines that guests log.
    /// Options such as --strategy, --memory-limit and --deadline hold for stages that do not set them. The exit status is 1 if a
    /// failure stopped the pipeline, and 2 if the file is wrong.
    Pipe(Pipe),
    /// Compile a guest ahead of time into an artefact, which every command accepts in place of the guest.
    ///
    /// An artefact contains the module, and machine code for this version on this kind of processor. The code is used only
    /// if the key of --artefact-key seals it. Without a key, or if the code is damaged or does not fit, the module in it is
    /// compiled again and a note says why. `run` always compiles, because it counts instructions.
    Compile(Compile),
    /// Print the JSON Schema of the reports that this version writes.
    Schema,
    /// Make a crate to start from: an extension, user-defined functions, a program or stages with tests and a CI job, or a service that
    /// embeds the runtime.
    ///
    /// Nothing is overwritten and nothing is downloaded.
    New(New),
    /// Build and measure your guest crate again whenever a file of it changes, and show the difference.
    ///
    /// Takes the options of `compare`. Exact counts and sizes are compared with those of the run before; times are not. A crate
    /// that does not compile is waited for. Ctrl-C ends.
    #[command(mut_arg("verify_calls", |arg| arg.default_value("0")))]
    #[command(mut_arg("calls", |arg| arg.default_value("100")))]
    #[command(mut_arg("budget", |arg| arg.default_value("5ms")))]
    Watch(Watch),
    /// Print a script by which a shell completes commands and options.
    Completions(Completions),
    /// Print the manual's page, or write a page for each command into a folder.
    Man(Man),
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Format of the printed report.
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Also write the report as JSON to this file; `-` prints it instead of the ordinary output.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) export_json: Option<Destination>,
    /// Also write the report as one HTML file; `-` prints it instead of the ordinary output.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) export_html: Option<Destination>,
    /// Print all tables, not only the answer.
    #[arg(long, global = true)]
    pub(crate) details: bool,
    #[command(flatten)]
    pub(crate) outputs: Outputs,
    /// When instances are restored: every-call, on-error, on-heap-above=SIZE or never.
    #[arg(long, global = true, value_name = "POLICY", default_value = "every-call", value_parser = policy)]
    pub(crate) restore: RestorePolicy,
    /// How instances are restored: auto, reinstantiate, full-copy, dirty-cards, watermark or bump-reset; several with commas.
    ///
    /// Default: `run` and `pipe` use what `auto` picks as the cheapest for the guest, `replay` full-copy, the others all that can restore
    /// the guest.
    #[arg(long, global = true, value_name = "STRATEGY", value_delimiter = ',')]
    pub(crate) strategy: Vec<RestoreStrategy>,
    /// Whether bytes that an earlier call left out of the guest's reach are put back: scrub or keep.
    ///
    /// Default: `run`, `pipe` and `replay` scrub, the others do both if it makes a difference.
    #[arg(long, global = true, value_name = "RESIDUE")]
    pub(crate) residue: Option<Residue>,
    /// Memory limit of an instance, such as 512KiB, 64MiB or 1GiB; at most 4GiB.
    #[arg(long, global = true, value_name = "SIZE", default_value = "128MiB", value_parser = memory_size, allow_hyphen_values = true)]
    pub(crate) memory_limit: u64,
    /// Time limit of a call, such as 100ms, 1s or none.
    #[arg(long, global = true, value_name = "TIME", default_value = "1s", allow_hyphen_values = true)]
    pub(crate) deadline: Deadline,
    /// Size of the exchange region, through which values reach the guest, such as 64KiB; less than 2GiB.
    ///
    /// Default: 64KiB, and 64000 for guests of the exttinygo contract. Where --memory-limit leaves no room for 64KiB, a guest of the
    /// native contract gets 32KiB or 16KiB.
    #[arg(long, global = true, value_name = "SIZE", value_parser = exchange_size, allow_hyphen_values = true)]
    pub(crate) exchange_size: Option<u32>,
    /// Limit of the bytes of the memory blocks that a guest made and still has, such as 256MiB.
    #[arg(long, global = true, value_name = "SIZE", default_value = "64MiB", value_parser = size, allow_hyphen_values = true)]
    pub(crate) block_limit: u64,
    /// Map memory blocks of this size and more into guests instead of copying them, such as 16MiB.
    ///
    /// Default: never. On Linux, and under the strategy dirty-cards. Each instance has memory of its own then, and none from a pool.
    #[arg(long, global = true, value_name = "SIZE", value_parser = block_size, allow_hyphen_values = true)]
    pub(crate) map_blocks_from: Option<u32>,
    #[command(flatten)]
    pub(crate) call: CallArguments,
    /// Secret that the guest may read, with the value of the environment variable of this name; may be given more than once. Reports do not
    /// have it.
    #[arg(long, global = true, value_name = "NAME", value_parser = secret, allow_hyphen_values = true)]
    pub(crate) secret: Vec<Secret>,
    /// Environment variable that the guest sees through WASI, as NAME=VALUE; may be given more than once. It sees no other.
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = variable, allow_hyphen_values = true)]
    pub(crate) wasi_env: Vec<(String, String)>,
    /// Argument that the guest sees through WASI; may be given more than once. Programs treat the first as their own name.
    #[arg(long, global = true, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) wasi_arg: Vec<String>,
    /// Clocks that the guest sees through WASI: system, fixed, or fixed=NANOSECONDS since 1970-01-01.
    ///
    /// A fixed clock advances by a microsecond with each reading. `verify` always uses a fixed clock.
    #[arg(long, global = true, value_name = "CLOCK", default_value = "system", value_parser = clock, allow_hyphen_values = true)]
    pub(crate) wasi_clock: Clock,
    /// Source of the random bytes that the guest gets through WASI: seed=NUMBER or system.
    ///
    /// With a seed, every restored instance gets the same bytes. `verify` needs a seed, and uses 0 in place of system.
    #[arg(long, global = true, value_name = "SOURCE", default_value = "seed=0", value_parser = randomness, allow_hyphen_values = true)]
    pub(crate) wasi_random: Randomness,
    /// Whether a restore also puts back the memory's size, as the guest sees it.
    #[arg(long, global = true, value_enum, default_value = "on", value_name = "SWITCH")]
    pub(crate) virtual_growth: Switch,
    /// Whether calls of the guest's allocator are counted if it keeps no control block.
    ///
    /// Counting costs about 2 ns for each of them. Without it, allocations of such a guest are unknown.
    #[arg(long, global = true, value_enum, default_value = "on", value_name = "SWITCH")]
    pub(crate) count_allocations: Switch,
    /// Size limit of a prepared module, such as 16MiB.
    #[arg(long, global = true, value_name = "SIZE", default_value = "256MiB", value_parser = size, allow_hyphen_values = true)]
    pub(crate) prepared_limit: u64,
    /// Keep compiled code in this folder and load it from there; the folder must be as safe as the program itself.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) compile_cache: Option<PathBuf>,
    /// Secret by which `compile` seals artefacts and the other commands trust them: a file of 32 random bytes or more.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) artefact_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) display: Display,
}

impl Common {
    /// The configuration of instances of a guest, as [`Self::config`] without arguments of other guests' functions.
    pub(crate) fn config_of(&self, guest: &Guest) -> InstanceConfig {
        let config = self.config();
        let arguments = arguments_of(guest, &config.arguments);
        config.with_arguments(arguments)
    }

    /// The configuration of instances, without the strategy, which each command chooses.
    pub(crate) fn config(&self) -> InstanceConfig {
        let mut config = InstanceConfig::default();
        config.policy = self.restore;
        config.residue = self.residue.unwrap_or_default();
        config.memory_limit = self.memory_limit;
        config.deadline = self.deadline.0;
        config.exchange_size = self.exchange_size;
        config.limits.block_bytes = self.block_limit;
        config.limits.blocks_mapped_from = self.map_blocks_from.unwrap_or(u32::MAX);
        config.arguments = self.call.arguments();
        config.wasi.environment.clone_from(&self.wasi_env);
        config.wasi.arguments.clone_from(&self.wasi_arg);
        config.secrets = self.secret.iter().map(|Secret { name, value }| (name.as_str(), value.as_str())).collect();
        (config.wasi.clock, config.wasi.randomness) = (self.wasi_clock, self.wasi_random);
        config
    }

    /// Refuses options that contradict each other.
    pub(crate) fn check(&self) -> Result<()> {
        self.call.check()?;
        let maps = |strategy: &RestoreStrategy| matches!(strategy, RestoreStrategy::DirtyCards | RestoreStrategy::Auto);
        let unmapped = self.strategy.iter().find(|strategy| self.map_blocks_from.is_some() && !maps(strategy));
        if let Some(other) = unmapped {
            anyhow::bail!(
                "blocks are mapped into instances that are restored by dirty-cards, and not by {other}: leave out --map-blocks-from, or \
                 the strategy"
            );
        }
        // If even the default is too large, every module is, and the module's own error says how much it needs.
        if let Some(size) = self.exchange_size.filter(|size| u64::from(*size) >= self.memory_limit) {
            anyhow::bail!(
                "an exchange region of {size} bytes does not fit into a memory of at most {} bytes; give a smaller \
                 --exchange-size or a larger --memory-limit",
                self.memory_limit
            );
        }
        Ok(())
    }

    /// The strategy of a command that uses one.
    pub(crate) fn one_strategy(&self, command: &str) -> Result<RestoreStrategy> {
        match self.strategy.as_slice() {
            [] => Ok(RestoreStrategy::Auto),
            [strategy] => Ok(*strategy),
            _ => anyhow::bail!("`{command}` uses one strategy; give --strategy once, without commas"),
        }
    }

    /// Whether an option exports a report.
    pub(crate) fn exports_a_report(&self) -> bool {
        let outputs = &self.outputs;
        let exports = [&self.export_json, &self.export_html, &outputs.markdown, &outputs.junit];
        exports.into_iter().any(Option::is_some)
    }

    /// The configuration of engines.
    pub(crate) fn engine(&self) -> Result<EngineConfig> {
        let mut config = EngineConfig::default();
        if self.map_blocks_from.is_some() {
            config.allocation = InstanceAllocation::OnDemand;
        }
        if let Some(folder) = &self.compile_cache {
            config.compile_cache = CompileCache::Folder(folder.clone());
        }
        if let Some(path) = &self.artefact_key {
            config.artefact_trust = ArtefactTrust::key(ArtefactKey::from_file(path)?);
        }
        Ok(config)
    }

    /// The options of preparation.
    pub(crate) fn prepare(&self) -> PrepareOptions {
        let virtual_growth = self.virtual_growth == Switch::On;
        let count_allocations = self.count_allocations == Switch::On;
        let size_limit = self.prepared_limit;
        PrepareOptions::default()
            .with_virtual_growth(virtual_growth)
            .with_count_allocations(count_allocations)
            .with_size_limit(size_limit)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct Compile {
    /// The guest: a WebAssembly module, or an artefact to compile again.
    #[arg(value_name = "GUEST.wasm")]
    pub(crate) guest: PathBuf,
    /// File of the artefact.
    #[arg(short, long, value_name = "FILE", value_parser = file)]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The guest: a WebAssembly module.
    #[arg(value_name = "GUEST.wasm")]
    pub(crate) guest: PathBuf,
    /// The function to call.
    #[arg(value_name = "FUNCTION")]
    pub(crate) function: String,
    /// Arguments of a function of a bare module: numbers. Behind `--` also -inf and -0x10.
    #[arg(value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// The state that the guest reads: a JSON array of records.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Calls to make.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = count(1..=u64::MAX), allow_hyphen_values = true)]
    pub(crate) times: u64,
    /// Write metrics of the calls to this file in the text format of OpenMetrics, which Prometheus reads; `-` prints them
    /// instead of the ordinary output.
    #[arg(long, value_name = "FILE")]
    pub(crate) metrics: Option<Destination>,
}

/// The functions to call, and their state.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// Call only this function; may be given more than once. `verify` takes stages, too.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) function: Vec<String>,
    /// The state that the guests read: a JSON array of records.
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Write the records that failing functions ask for to this new file, with empty values to fill in, and do nothing else.
    #[arg(long, value_name = "FILE", value_parser = file)]
    pub(crate) write_state: Option<PathBuf>,
    /// Function of which every call may fail; may be given more than once, `*` for all.
    ///
    /// Any other function that never succeeds makes the command fail: nothing is known of a call that succeeds.
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) allow_failing: Vec<String>,
}

impl Work {
    /// The functions that may fail and are named, so that each can be checked to exist.
    pub(crate) fn named_failing(&self) -> impl Iterator<Item = &String> {
        self.allow_failing.iter().filter(|name| *name != "*")
    }

    /// The functions that may fail.
    pub(crate) fn allow_failing(&self) -> AllowFailing {
        match self.allow_failing.as_slice() {
            [] => AllowFailing::None,
            names if names.iter().any(|name| name == "*") => AllowFailing::All,
            names => AllowFailing::Functions(names.to_vec()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Extent {
    /// Calls to time for each row; a slow row has fewer.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = count(1..=1_000_000_000), allow_hyphen_values = true)]
    pub(crate) calls: u64,
    /// Calls to count for each row, in each of two passes.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count(1..=1_000_000), allow_hyphen_values = true)]
    pub(crate) counted_calls: u64,
    /// Time limit for each figure, which then uses the calls timed so far.
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) budget: Duration,
    /// How often the functions are called, for the recommendation: FUNCTION=NUMBER with commas, or a file.
    ///
    /// The file has a JSON object of numbers by function, or metrics of a host (see `run --metrics`), whose counts of calls are the
    /// weights. Default: all functions weigh the same.
    #[arg(long, value_name = "WEIGHTS")]
    pub(crate) weights: Option<String>,
}

impl Extent {
    /// The weights, from the text or the file.
    pub(crate) fn weights(&self) -> Result<Weights> {
        let Some(text) = &self.weights else { return Ok(Weights::default()) };
        if text.contains('=') {
            return Ok(text.parse()?);
        }
        let contents = std::fs::read_to_string(text).with_context(|| format!("cannot read the weights {text}"))?;
        Weights::from_file(&contents).with_context(|| text.clone())
    }
}

#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// The guests: WebAssembly modules; one that is named twice is used once.
    #[arg(value_name = "GUEST.wasm", required = true)]
    pub(crate) guests: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) work: Work,
    #[command(flatten)]
    pub(crate) extent: Extent,
    #[command(flatten)]
    pub(crate) gate: Gate,
}

/// How verification calls functions, and when it ends.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// Seed of the random sequence of calls.
    #[arg(long, value_name = "SEED", default_value_t = 0, value_parser = count(0..=u64::MAX), allow_hyphen_values = true)]
    pub(crate) seed: u64,
    /// Instructions that a call may execute while it is verified, or none for any number.
    ///
    /// Unlike the deadline, the limit ends equal calls at the same place, and it ends an endless call sooner. The code in an
    /// artefact does not count instructions, so artefacts have no limit.
    #[arg(long, value_name = "N", default_value = "200000000", value_parser = instructions, allow_hyphen_values = true)]
    pub(crate) max_instructions: Instructions,
    /// Time after which verification ends with what it has proved so far, such as 30s or 5min.
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) time_limit: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The guests: WebAssembly modules; one that is named twice is used once.
    #[arg(value_name = "GUEST.wasm", required = true)]
    pub(crate) guests: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) work: Work,
    /// Calls to make for each strategy.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = count(1..=u64::MAX), allow_hyphen_values = true)]
    pub(crate) calls: u64,
    /// Verify that instances can sleep: they are suspended and resumed at random between calls, through bytes, and compared with
    /// instances that are not.
    #[arg(long)]
    pub(crate) suspend: bool,
    /// Call stages with memory blocks in a ring of as many slots of this size, such as 2x256KiB, and verify the ring.
    ///
    /// On Linux, by the strategy dirty-cards. The guest must offer storage for the whole ring when it is initialised. Blocks that are larger
    /// than a slot are copied.
    #[arg(long, value_name = "SLOTSxSIZE", value_parser = ring, conflicts_with = "suspend", allow_hyphen_values = true)]
    pub(crate) ring: Option<RingOptions>,
    /// Whether the guest writes and reads the ring, or only reads it.
    ///
    /// A stage that writes its input fails in a guest that only reads: leave it out with --function, or allow that with --allow-failing.
    #[arg(long, value_name = "ROLE", value_enum, default_value = "writer", requires = "ring")]
    pub(crate) ring_role: Role,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) gate: Gate,
}

/// The access of a guest to the blocks of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Writer,
    Reader,
}

impl Verify {
    /// The ring that guests join.
    pub(crate) fn ring(&self) -> Option<RingOptions> {
        let role = match self.ring_role {
            Role::Writer => RingRole::Writer,
            Role::Reader => RingRole::Reader,
        };
        self.ring.map(|ring| RingOptions { role, ..ring })
    }
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    pub(crate) guest: GuestCrate,
    #[command(flatten)]
    pub(crate) work: Work,
    #[command(flatten)]
    pub(crate) extent: Extent,
    /// Calls that verification makes for each strategy; 0 omits verification.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = count(0..=u64::MAX), allow_hyphen_values = true)]
    pub(crate) verify_calls: u64,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) gate: Gate,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The traces: text with one operation a line.
    #[arg(value_name = "TRACE", required = true)]
    pub(crate) traces: Vec<PathBuf>,
    /// Allocators to replay with: all, or names with commas (system, leaking, bump-reset, freelist, wee).
    #[arg(long, value_name = "all|NAME,...", value_delimiter = ',', default_value = "all")]
    pub(crate) allocators: Vec<String>,
    /// The number of a trace's first allocation: 0 or 1.
    #[arg(long, value_name = "0|1", default_value = "0", allow_hyphen_values = true)]
    pub(crate) count_from: Numbering,
    /// Use the modules `replay-NAME.wasm` of this folder instead of building them.
    #[arg(long, value_name = "FOLDER", conflicts_with = "manifest_path")]
    pub(crate) guests: Option<PathBuf>,
    /// Manifest of the replay guest; default: `guests/replay` of the checkout that this program was built from.
    #[arg(long, value_name = "Cargo.toml", value_parser = manifest())]
    pub(crate) manifest_path: Option<PathBuf>,
    /// Replays to time for each row; a slow row has fewer.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = count(1..=1_000_000), allow_hyphen_values = true)]
    pub(crate) repeats: u64,
    /// Time limit for each figure, which then uses the replays timed so far.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) budget: Duration,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_behind_the_command() {
        for line in [
            "host-harness --strategy watermark,full-copy inspect a.wasm --deadline none --memory-limit 1GiB",
            "host-harness inspect a.wasm --strategy watermark --strategy full-copy --deadline none --memory-limit 1GiB",
        ] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            let common = &arguments.common;
            assert_eq!(common.strategy, [RestoreStrategy::Watermark, RestoreStrategy::FullCopy], "{line}");
            assert_eq!((common.config().deadline, common.config().memory_limit), (None, 1 << 30));
            assert_eq!(common.prepare(), PrepareOptions::default(), "{line}");
        }
    }
}
