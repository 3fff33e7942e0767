//! How an instance is made and kept.

use std::time::Duration;

use crate::arguments::Arguments;
use crate::contract::default_exchange_size;
use crate::contract::wasi::WasiConfig;
use crate::host::call::CallLimits;
use crate::host::secrets::Secrets;
use crate::host::supervisor::Supervisor;
#[cfg(feature = "metrics")]
use crate::metrics::Metrics;
use crate::restore::policy::{Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::module_info::ContractKind;

/// How an [`Instance`](crate::Instance) is made and kept.
///
/// ```
/// use std::time::Duration;
///
/// use guest_host::{InstanceConfig, Residue, RestorePolicy, RestoreStrategy};
///
/// let config = InstanceConfig::default()
///     .with_strategy(RestoreStrategy::BumpReset)
///     .with_residue(Residue::Keep)
///     .with_policy(RestorePolicy::OnHeapAbove(1 << 20))
///     .with_memory_limit(64 << 20)
///     .with_deadline(Some(Duration::from_millis(50)));
/// assert!(config.policy.is_lazy());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct InstanceConfig {
    /// How it is restored. Left to the harness by default.
    pub strategy: RestoreStrategy,
    /// When it is restored.
    pub policy: RestorePolicy,
    /// What becomes of residue.
    pub residue: Residue,
    /// Bytes of linear memory that it may have.
    pub memory_limit: u64,
    /// When memory that grew and is no longer needed is given back, `None` for never.
    pub retention: Option<Retention>,
    /// How long a call may take; `None` for ever.
    pub deadline: Option<Duration>,
    /// Instructions that a call may execute, on an engine that [counts them](crate::EngineConfig::fuel); `None` for any number.
    /// Unlike a deadline it ends equal calls at the same place.
    pub max_instructions: Option<u64>,
    /// How long initialisation may take.
    pub init_deadline: Duration,
    /// Bytes of its exchange region, which under the exttinygo contract is the buffer from its `malloc`. `None` for what
    /// is usual there: [65,536](guest_abi::names::DEFAULT_EXCHANGE_SIZE) under the native contract,
    /// [64,000](guest_abi::exttinygo::DEFAULT_BUFFER_SIZE) under that one. Under the native contract the usual size is halved,
    /// down to a quarter, while the guest has no room for it.
    pub exchange_size: Option<u32>,
    /// The arguments with which functions of a bare module are invoked.
    pub arguments: Arguments,
    /// Bounds on what a call may leave.
    pub limits: CallLimits,
    /// What it sees of the world through WASI.
    pub wasi: WasiConfig,
    /// The secrets that it may read.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub secrets: Secrets,
    /// Whether [`CallStats`](crate::CallStats) include the allocator's counters, the page count, and how long the restore
    /// took, which costs some nanoseconds.
    pub count: bool,
    /// Whether calls of host functions are traced.
    pub trace: bool,
    /// Watches over its guest code, beside the limits above; `None` for nobody.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub supervisor: Option<Supervisor>,
    /// Where its calls are counted; `None` for nowhere. To count a call takes two readings of the clock.
    #[cfg(feature = "metrics")]
    #[cfg_attr(feature = "serde", serde(skip))]
    pub metrics: Option<Metrics>,
}

impl InstanceConfig {
    guest_prepare::setters! {
        /// Sets [`Self::strategy`].
        with_strategy(strategy: RestoreStrategy);
        /// Sets [`Self::policy`].
        with_policy(policy: RestorePolicy);
        /// Sets [`Self::residue`].
        with_residue(residue: Residue);
        /// Sets [`Self::memory_limit`].
        with_memory_limit(memory_limit: u64);
        /// Sets [`Self::retention`].
        with_retention(retention: Option<Retention>);
        /// Sets [`Self::deadline`].
        with_deadline(deadline: Option<Duration>);
        /// Sets [`Self::max_instructions`].
        with_max_instructions(max_instructions: Option<u64>);
        /// Sets [`Self::init_deadline`].
        with_init_deadline(init_deadline: Duration);
        /// Sets [`Self::exchange_size`].
        with_exchange_size(exchange_size: Option<u32>);
        /// Sets [`Self::arguments`].
        with_arguments(arguments: Arguments);
        /// Sets [`Self::limits`].
        with_limits(limits: CallLimits);
        /// Sets [`Self::wasi`].
        with_wasi(wasi: WasiConfig);
        /// Sets [`Self::secrets`].
        with_secrets(secrets: Secrets);
        /// Sets [`Self::count`].
        with_count(count: bool);
        /// Sets [`Self::trace`].
        with_trace(trace: bool);
        /// Sets [`Self::supervisor`].
        with_supervisor(supervisor: Option<Supervisor>);
        /// Sets [`Self::metrics`].
        #[cfg(feature = "metrics")]
        with_metrics(metrics: Option<Metrics>);
    }
}

impl Default for InstanceConfig {
    fn default() -> Self {
        Self {
            strategy: RestoreStrategy::Auto,
            policy: RestorePolicy::default(),
            residue: Residue::default(),
            memory_limit: 128 << 20,
            retention: Some(Retention::default()),
            deadline: Some(Duration::from_secs(1)),
            max_instructions: None,
            init_deadline: Duration::from_secs(10),
            exchange_size: None,
            arguments: Arguments::default(),
            limits: CallLimits::default(),
            wasi: WasiConfig::default(),
            secrets: Secrets::default(),
            count: false,
            trace: false,
            supervisor: None,
            #[cfg(feature = "metrics")]
            metrics: None,
        }
    }
}

impl InstanceConfig {
    /// Bytes of the exchange region of a guest that speaks this contract, unless its memory has no room for the usual size.
    #[must_use]
    pub fn exchange_size(&self, contract: ContractKind) -> u32 {
        self.exchange_size.unwrap_or(default_exchange_size(contract))
    }
}

/// When memory that a restore in place cannot give back is given back by a new instance.
///
/// Memory of WebAssembly only grows. After one call that needed much, an instance would hold it for ever; so an instance
/// that has more than it needs for some time is replaced by a new one.
///
/// ```
/// use guest_host::{InstanceConfig, Retention};
///
/// // Memory beyond 1 MiB goes back after 1,000 calls in a row that did without it.
/// let retention = Retention::default().with_bytes(1 << 20).with_restores(1_000);
/// let config = InstanceConfig::default().with_retention(Some(retention));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Retention {
    /// Bytes of memory that stay, needed or not. What the snapshot has stays in any case.
    pub bytes: u64,
    /// So many restores in a row, each after a call that needed no more than `bytes`, while memory has more.
    pub restores: u32,
}

impl Retention {
    guest_prepare::setters! {
        /// Sets [`Self::bytes`].
        with_bytes(bytes: u64);
        /// Sets [`Self::restores`].
        with_restores(restores: u32);
    }
}

impl Default for Retention {
    /// 16 MiB, and 256 restores. To replace an instance costs some ten microseconds, and the next call that needs much
    /// about half a microsecond for each page that the system has to find again: little beside 256 calls.
    fn default() -> Self {
        Self { bytes: 16 << 20, restores: 256 }
    }
}

/// Whether an instance may be invoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Status {
    /// It may.
    Ready,
    /// A call is under way.
    Running,
    /// A call or a restore did not come to its end. It is replaced before the next call.
    Poisoned,
}

impl Status {
    /// The status in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Poisoned => "poisoned",
        }
    }
}
