//! A row of the table, as reports hold it. The JSON report has these fields under these names.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::statistics::percentile;
use super::{Interval, Variant};
use guest_host::{Failure, Guest, RestoreStrategy};

/// The measurements of one guest, function and way of restoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Row {
    /// The guest's name.
    pub guest: String,
    /// The function.
    pub function: String,
    /// `none` (the baseline without a restore), `reinstantiate`, `full-copy`, `dirty-cards`, `watermark` or `bump-reset`.
    pub strategy: String,
    /// When it is restored, as `--restore` names it.
    pub policy: String,
    /// `scrub` or `keep`; null where the strategy leaves none.
    pub residue: Option<String>,
    /// Exact counts; null when a call failed.
    pub counts: Option<Counts>,
    /// Times; null when a call failed.
    pub times: Option<Times>,
    /// Why there are no figures.
    pub failure: Option<FailedCall>,
    /// Findings of verification, if the row was verified.
    pub verdict: Option<RowVerdict>,
}

impl Row {
    /// A row without figures.
    #[must_use]
    pub fn new(guest: &Guest, function: &str, variant: Variant) -> Self {
        Self {
            guest: guest.name().to_owned(),
            function: function.to_owned(),
            strategy: variant.strategy_name().to_owned(),
            policy: variant.policy.to_string(),
            residue: variant.residue_name().map(str::to_owned),
            counts: None,
            times: None,
            failure: None,
            verdict: None,
        }
    }

    /// Whether this is the row of new instances.
    #[must_use]
    pub fn is_reinstantiate(&self) -> bool {
        self.strategy == RestoreStrategy::Reinstantiate.name()
    }

    /// Strategy and residue in one, for instance `bump-reset, keep`.
    #[must_use]
    pub fn way(&self) -> String {
        way(&self.strategy, self.residue.as_deref())
    }
}

/// Strategy and residue in one, as reports name a way of restoring.
pub(crate) fn way(strategy: &str, residue: Option<&str>) -> String {
    match residue {
        Some(residue) => format!("{strategy}, {residue}"),
        None => strategy.to_owned(),
    }
}

/// The counts. Figures per call are means over the counted calls; where they are whole, every call had the same
/// unless [`Self::uneven`] says otherwise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Counts {
    /// Calls that were counted, in each of two passes.
    pub calls: u64,
    /// Where allocations are known from: `control-block`, `guest-functions` (functions of the guest's own) or
    /// `counted-calls` (calls of its allocator's functions, which the harness counts). Null where nothing tells.
    #[serde(default)]
    pub allocations_from: Option<String>,
    /// Allocations per call; null where nothing tells, as for the five that follow.
    pub allocations: Option<PerCall>,
    /// Frees per call.
    pub frees: Option<PerCall>,
    /// Reallocations per call.
    pub reallocations: Option<PerCall>,
    /// Bytes requested per call.
    pub allocated_bytes: Option<PerCall>,
    /// Most bytes that were alive at one time, initialisation included.
    pub peak_live_bytes: Option<u64>,
    /// Times that the allocator grew memory, per call.
    pub grows: Option<PerCall>,
    /// Physical pages of 64 KiB before the first call.
    pub pages_before: u64,
    /// Physical pages after the last call, before it was restored.
    pub pages_after: u64,
    /// WebAssembly instructions per call, of the prepared module.
    pub instructions: PerCall,
    /// Calls of host functions per call.
    pub crossings: PerCall,
    /// Bytes that a restore writes into memory; null where none is made in place.
    pub restored_bytes: Option<PerCall>,
    /// Calls that ran out of memory first and succeeded on the restored instance.
    pub retried_calls: u64,
    /// Counts, by the names above, that are not the same for every call.
    pub uneven: Vec<String>,
    /// Counts that differed between the two passes, so that the figure is worth nothing.
    pub varies: Vec<String>,
}

/// A count per call: whole in JSON where it is whole.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct PerCall(pub f64);

impl PerCall {
    /// `total` of `calls` calls.
    #[must_use]
    pub fn mean(total: u128, calls: u64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a mean of counts below 2^53, shown with four digits behind the point"
        )]
        let mean = total as f64 / (calls.max(1)) as f64;
        Self(round(mean, 4))
    }

    /// The count, where it is whole.
    #[must_use]
    pub fn whole(self) -> Option<u64> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let is_whole = self.0.fract() == 0.0 && (0.0..EXACT).contains(&self.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
        is_whole.then_some(self.0 as u64)
    }
}

impl Serialize for PerCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.whole() {
            Some(whole) => serializer.serialize_u64(whole),
            None => serializer.serialize_f64(self.0),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PerCall {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PerCall".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "description": "A count per call: whole where it is whole." })
    }
}

impl<'de> Deserialize<'de> for PerCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

/// Times in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Times {
    /// Calls that were timed.
    pub calls: u64,
    /// Calls in a batch: percentiles are those of the batches' means.
    pub batch: u64,
    /// An invocation as an embedder sees it: deadline armed, call, outcome collected, restore as the policy has it.
    pub invoke: Spread,
    /// The 95% interval of the median invocation, from the medians of the rounds.
    #[serde(default)]
    pub interval: Interval,
    /// The invocation without the restore; null where the policy restores after some calls only.
    pub call: Option<Spread>,
    /// The restore alone; null as for `call`.
    pub restore: Option<Spread>,
    /// `invoke` beside baselines of the same run.
    pub ratios: Ratios,
    /// The median invocation of each round. Round n of all rows of a function was at about the same time.
    #[serde(default)]
    pub rounds: Vec<f64>,
}

/// A distribution of times, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl Spread {
    /// The spread of these samples, which may be in any order.
    #[must_use]
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |percent| round(percentile(&samples, percent).unwrap_or_default(), 1);
        Self { p50: at(50), p99: at(99) }
    }
}

/// How many times an invocation takes as long as something else: the median of the ratios round by round. Null where that was
/// not measured.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Ratios {
    /// wasmtime's typed call of an empty function `() -> i64`, epoch deadline armed.
    pub to_bare_call: Option<f64>,
    /// The same function without any restore.
    pub to_no_restore: Option<f64>,
    /// The same function with a new instance after each call; below 1 where restoring is cheaper.
    pub to_reinstantiate: Option<f64>,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailedCall {
    /// A word for the cause, see [`Cause::kind`](guest_host::Cause::kind); `load` when no instance could be made.
    pub cause: String,
    /// The cause in a sentence, without the function's name.
    pub message: String,
    /// Number of the call since the instance was made, from 1; 0 when there was no instance.
    pub call: u64,
    /// Whether it was tried again on the restored instance, and failed again.
    #[serde(default)]
    pub retried: bool,
}

impl FailedCall {
    /// That this call failed.
    #[must_use]
    pub fn of(failure: &Failure, call: u64) -> Self {
        let cause = &failure.cause;
        Self { cause: cause.kind().to_owned(), message: cause.to_string(), call, retried: failure.retried }
    }

    /// Whether another call failed of the same, and at the same call. Whether it was tried again does not matter.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.cause, &self.message, self.call) == (&other.cause, &other.message, other.call)
    }

    /// That this call did not do what it should, though the guest did not fail.
    #[must_use]
    pub fn by_host(cause: &str, message: String, call: u64) -> Self {
        Self { cause: cause.to_owned(), message, call, retried: false }
    }

    /// That no instance could be made.
    #[must_use]
    pub fn load(message: impl ToString) -> Self {
        Self { cause: "load".to_owned(), message: message.to_string(), call: 0, retried: false }
    }
}

/// Findings of verification about a row's way of restoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowVerdict {
    /// Whether nothing differed, and calls of the row's function were compared and succeeded, unless they may fail.
    pub passed: bool,
    /// Calls that were compared with those of fresh instances.
    pub calls: u64,
    /// Calls that were skipped, as they ended by the deadline on one side only.
    #[serde(default)]
    pub skipped_calls: u64,
    /// Seed of the sequence of calls.
    pub seed: u64,
    /// Differences that were found.
    pub differences: u64,
}

/// Rounds to so many digits behind the point.
pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let unit = 10_f64.powi(digits);
    (value * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_counts_are_whole_in_json() {
        let json = |total, calls| serde_json::to_string(&PerCall::mean(total, calls)).unwrap();
        assert_eq!(
            (json(30, 10), json(35, 10), json(0, 10), json(1, 3)),
            ("3".into(), "3.5".into(), "0".into(), "0.3333".into())
        );
        assert_eq!(serde_json::from_str::<PerCall>("3").unwrap(), PerCall(3.0));
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(Spread::of(hundred), Spread { p50: 50.0, p99: 99.0 });
        assert_eq!(Spread::of(vec![7.04]), Spread { p50: 7.0, p99: 7.0 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
