//! Limits as a plan has them, and as instances have them.

use std::time::Duration;

use guest_ballista_plan::Limits;
use guest_datafusion::guest_functions::guest_host::InstanceConfig;
use guest_datafusion::guest_functions::{ModuleConfig, Pristine};

use crate::error::FunctionCodecError;

/// The limits that an executor grants, whatever a plan asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Most {
    /// Bytes of linear memory of an instance.
    pub memory_limit: u64,
    /// How long a call may take, which is one for a batch or, if each row starts pristine, for a row.
    pub deadline: Duration,
    /// Rows that a call of a table function may have. One without an end would fill the disk of the executor, on which its rows wait
    /// for those who read them.
    pub table_rows: usize,
}

impl Default for Most {
    /// 4 GiB, a minute, and a hundred million rows.
    fn default() -> Self {
        Self { memory_limit: 4 << 30, deadline: Duration::from_secs(60), table_rows: 100_000_000 }
    }
}

impl Most {
    /// Sets [`Self::memory_limit`].
    #[must_use]
    pub fn with_memory_limit(self, memory_limit: u64) -> Self {
        Self { memory_limit, ..self }
    }

    /// Sets [`Self::deadline`].
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sets [`Self::table_rows`].
    #[must_use]
    pub fn with_table_rows(self, table_rows: usize) -> Self {
        Self { table_rows, ..self }
    }
}

/// The limits with which a module was loaded.
pub(crate) fn of_config(config: &ModuleConfig) -> Limits {
    let pristine = match config.pristine {
        Pristine::Row => "row",
        Pristine::Never => "never",
        _ => "batch",
    };
    let instance = &config.instance;
    Limits {
        pristine: pristine.to_owned(),
        strategy: instance.strategy.to_string(),
        residue: instance.residue.to_string(),
        memory_limit: instance.memory_limit,
        deadline: instance.deadline,
        init_deadline: instance.init_deadline,
        exchange_size: instance.exchange_size,
    }
}

/// The configuration of a module with these limits, as far as `most` grants them.
pub(crate) fn to_config(limits: &Limits, most: &Most, function: &str) -> Result<ModuleConfig, FunctionCodecError> {
    let unknown =
        |what, given: &str| FunctionCodecError::Limit { function: function.to_owned(), what, given: given.to_owned() };
    let Limits { pristine, strategy, residue, .. } = limits;
    let pristine = match pristine.as_str() {
        "batch" => Pristine::Batch,
        "row" => Pristine::Row,
        "never" => Pristine::Never,
        given => return Err(unknown("the policy", given)),
    };
    let instance = InstanceConfig::default()
        .with_strategy(strategy.parse().map_err(|_| unknown("the strategy", strategy))?)
        .with_residue(residue.parse().map_err(|_| unknown("the residue", residue))?)
        .with_memory_limit(limits.memory_limit.min(most.memory_limit))
        .with_deadline(Some(limits.deadline.unwrap_or(Duration::MAX).min(most.deadline)))
        .with_init_deadline(limits.init_deadline.min(most.deadline))
        .with_exchange_size(limits.exchange_size);
    Ok(ModuleConfig::default().with_pristine(pristine).with_instance(instance))
}

#[cfg(test)]
mod tests {
    use guest_datafusion::guest_functions::guest_host::{Residue, RestoreStrategy};

    use super::*;

    #[test]
    fn limits_come_back_as_they_were_and_no_further_than_granted() {
        let instance = InstanceConfig::default()
            .with_strategy(RestoreStrategy::FullCopy)
            .with_residue(Residue::Keep)
            .with_memory_limit(1 << 20)
            .with_deadline(None)
            .with_exchange_size(Some(4096));
        for pristine in [Pristine::Batch, Pristine::Row, Pristine::Never] {
            let config = ModuleConfig::default().with_pristine(pristine).with_instance(instance.clone());
            let limits = of_config(&config);
            let back = to_config(&limits, &Most::default(), "f").unwrap();
            let deadline = Some(Duration::from_secs(60));
            assert_eq!((back.pristine, back.instance), (pristine, instance.clone().with_deadline(deadline)));

            let most = Most::default().with_memory_limit(65536).with_deadline(Duration::from_millis(5));
            let granted = to_config(&limits, &most, "f").unwrap().instance;
            let short = Duration::from_millis(5);
            assert_eq!((granted.memory_limit, granted.deadline, granted.init_deadline), (65536, Some(short), short));
        }
    }

    #[test]
    fn a_limit_that_is_unknown_is_named() {
        let limits = Limits { strategy: "magic".to_owned(), ..Limits::default() };
        let error = to_config(&limits, &Most::default(), "f").unwrap_err().to_string();
        assert_eq!(
            error,
            "`f` asks for the strategy `magic`, which this executor does not know; run the same release on both"
        );
        for limits in [
            Limits { pristine: "day".to_owned(), ..Limits::default() },
            Limits { residue: String::new(), ..Limits::default() },
        ] {
            assert!(matches!(to_config(&limits, &Most::default(), "f"), Err(FunctionCodecError::Limit { .. })));
        }
    }
}
