//! How a module is loaded, and how its instances are kept.

use guest_host::{InstanceConfig, PoolConfig, PrepareOptions};

/// How often instances are put back to their snapshot: what a row may see of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Pristine {
    /// After each crossing: no call, and no batch or part of one, sees anything of another one.
    #[default]
    Batch,
    /// After each row: no row of a batch sees anything of another one. Each row is a crossing of its own.
    Row,
    /// Only after errors: a call may find whatever earlier calls left.
    Never,
}

/// How a module is loaded, and how its instances are kept.
///
/// ```
/// use guest_functions::ModuleConfig;
///
/// let config = ModuleConfig::default()
///     .with_version("1.2.0")
///     .with_description("distances between texts")
///     .with_declarations(["distance(a: string, b: string) -> i64"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleConfig {
    /// The module's version, for people.
    pub version: String,
    /// The purpose of the module, for people.
    pub description: String,
    /// How often its instances are put back to their snapshot.
    pub pristine: Pristine,
    /// Limits of its instances, and how they are restored; when that is, says [`Self::pristine`]. The exchange region takes the
    /// arguments of a call.
    pub instance: InstanceConfig,
    /// How many instances there may be. Calls of table functions have as many of their own.
    pub pool: PoolConfig,
    /// How the module is prepared.
    pub prepare: PrepareOptions,
    /// Signatures of functions of a module that has none of its own, as [`Signature`](guest_abi::function::Signature)
    /// displays them. Its exports cross as those of `guest-sdk` do for one row (see [`guest_abi::function`]), and memory for
    /// strings, bytes and lists comes from its export `malloc`, `allocate` or `alloc`.
    pub declarations: Vec<String>,
}

/// Bytes of the exchange region: the arguments of most calls, and a batch of some thousand rows.
const EXCHANGE_SIZE: u32 = 256 << 10;

impl Default for ModuleConfig {
    fn default() -> Self {
        Self {
            version: String::new(),
            description: String::new(),
            pristine: Pristine::default(),
            instance: InstanceConfig::default().with_exchange_size(Some(EXCHANGE_SIZE)),
            pool: PoolConfig::default(),
            prepare: PrepareOptions::default(),
            declarations: Vec::new(),
        }
    }
}

impl ModuleConfig {
    /// Sets [`Self::version`].
    #[must_use]
    pub fn with_version(self, version: impl Into<String>) -> Self {
        Self { version: version.into(), ..self }
    }

    /// Sets [`Self::description`].
    #[must_use]
    pub fn with_description(self, description: impl Into<String>) -> Self {
        Self { description: description.into(), ..self }
    }

    /// Sets [`Self::pristine`].
    #[must_use]
    pub fn with_pristine(self, pristine: Pristine) -> Self {
        Self { pristine, ..self }
    }

    /// Sets [`Self::instance`].
    #[must_use]
    pub fn with_instance(self, instance: InstanceConfig) -> Self {
        Self { instance, ..self }
    }

    /// Sets [`Self::pool`].
    #[must_use]
    pub fn with_pool(self, pool: PoolConfig) -> Self {
        Self { pool, ..self }
    }

    /// Sets [`Self::prepare`].
    #[must_use]
    pub fn with_prepare(self, prepare: PrepareOptions) -> Self {
        Self { prepare, ..self }
    }

    /// Sets [`Self::declarations`].
    #[must_use]
    pub fn with_declarations<D: Into<String>>(self, declarations: impl IntoIterator<Item = D>) -> Self {
        Self { declarations: declarations.into_iter().map(Into::into).collect(), ..self }
    }
}
