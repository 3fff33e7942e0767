//! The configuration of WASI.

/// The part of the world that a guest sees through WASI. By default that is the system's time and nothing else.
///
/// ```
/// use guest_host::wasi::{Clock, Randomness};
/// use guest_host::{InstanceConfig, WasiConfig};
///
/// let wasi = WasiConfig::default()
///     .with_arguments(vec!["shop".to_owned()])
///     .with_environment(vec![("LANG".to_owned(), "C".to_owned())])
///     // The same time and the same random bytes in each call.
///     .with_clock(Clock::fixed(Clock::DEFAULT_START))
///     .with_randomness(Randomness::Seeded(7));
/// let config = InstanceConfig::default().with_wasi(wasi);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct WasiConfig {
    /// Arguments; programs take the first for their own name. None by default.
    pub arguments: Vec<String>,
    /// Names and values of environment variables. None by default: nothing of the host's own environment is passed on.
    pub environment: Vec<(String, String)>,
    /// The guest's clocks.
    pub clock: Clock,
    /// Where random bytes come from.
    pub randomness: Randomness,
}

impl WasiConfig {
    guest_prepare::setters! {
        /// Sets [`Self::arguments`].
        with_arguments(arguments: Vec<String>);
        /// Sets [`Self::environment`].
        with_environment(environment: Vec<(String, String)>);
        /// Sets [`Self::clock`].
        with_clock(clock: Clock);
        /// Sets [`Self::randomness`].
        with_randomness(randomness: Randomness);
    }
}

/// A guest's clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Clock {
    /// The system's time. What a guest reads is not the same twice, so its calls are not repeatable.
    #[default]
    System,
    /// Time that passes only when it is read, or slept: calls are repeatable. A restore puts it back.
    Fixed {
        /// Where the clock of the time of day starts: nanoseconds since 1970-01-01. The monotonic clock starts at 0.
        realtime: u64,
        /// Nanoseconds by which each reading, of whichever clock, is later than the one before.
        step: u64,
    },
}

impl Clock {
    /// Nanoseconds that pass with each reading of a fixed clock unless it is told otherwise: what reads clocks in a loop
    /// until some time has passed comes to an end.
    pub const DEFAULT_STEP: u64 = 1_000;

    /// Where a fixed clock starts unless it is told otherwise: 2026-01-01, in nanoseconds since 1970-01-01.
    pub const DEFAULT_START: u64 = 1_767_225_600 * 1_000_000_000;

    /// A fixed clock that starts at so many nanoseconds since 1970-01-01.
    #[must_use]
    pub const fn fixed(realtime: u64) -> Self {
        Self::Fixed { realtime, step: Self::DEFAULT_STEP }
    }
}

/// Where random bytes come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Randomness {
    /// The same bytes for each instance and, since a restore puts the generator back, for each call of an instance that is
    /// restored after every call: calls are repeatable. They are no secret, and not fit for keys.
    Seeded(u64),
    /// The system's generator. Calls are not repeatable, and nothing is put back.
    System,
}

impl Default for Randomness {
    /// Seeded by 0: an extension is a pure function.
    fn default() -> Self {
        Self::Seeded(0)
    }
}

impl WasiConfig {
    /// The same with a fixed clock and seeded randomness in the place of the system's.
    #[must_use]
    pub fn repeatable(&self) -> Self {
        let clock = match self.clock {
            Clock::System => Clock::fixed(Clock::DEFAULT_START),
            fixed @ Clock::Fixed { .. } => fixed,
        };
        let randomness = match self.randomness {
            Randomness::System => Randomness::default(),
            seeded @ Randomness::Seeded(_) => seeded,
        };
        Self { clock, randomness, ..self.clone() }
    }

    /// The first argument or variable that cannot be passed on as it is, if any.
    pub(crate) fn mistake(&self) -> Option<String> {
        let argument = self.arguments.iter().find(|argument| argument.contains('\0'));
        if let Some(argument) = argument {
            return Some(format!("the argument {argument:?} has a zero byte, at which it would end"));
        }
        self.environment.iter().find_map(|(name, value)| match name {
            name if name.is_empty() => Some(format!("the variable of the value {value:?} has no name")),
            name if name.contains(['=', '\0']) => Some(format!("the name {name:?} has a `=` or a zero byte in it")),
            name if value.contains('\0') => {
                Some(format!("the value {value:?} of `{name}` has a zero byte, at which it would end"))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_systems_own_is_replaced_by_what_is_repeatable() {
        let mut config = WasiConfig { arguments: vec!["a".to_owned()], ..WasiConfig::default() };
        config.randomness = Randomness::System;
        let repeatable = config.repeatable();
        assert!(matches!(repeatable.clock, Clock::Fixed { .. }));
        assert_eq!((repeatable.randomness, &repeatable.arguments), (Randomness::Seeded(0), &config.arguments));
        assert_eq!(repeatable.repeatable(), repeatable);
        let fixed = WasiConfig { clock: Clock::fixed(7), randomness: Randomness::Seeded(7), ..config };
        assert_eq!(fixed.repeatable(), fixed);
    }

    #[test]
    fn what_cannot_be_passed_on_is_named() {
        let with = |name: &str, value: &str| WasiConfig {
            environment: vec![("FINE".to_owned(), String::new()), (name.to_owned(), value.to_owned())],
            ..WasiConfig::default()
        };
        assert_eq!(with("A", "b=c").mistake(), None);
        for (name, value, told) in [("", "v", "has no name"), ("A=B", "", "`=`"), ("A", "\0", "zero byte")] {
            assert!(with(name, value).mistake().unwrap().contains(told), "{name} {value}");
        }
        let arguments = WasiConfig { arguments: vec!["a\0b".to_owned()], ..WasiConfig::default() };
        assert!(arguments.mistake().unwrap().contains(r#""a\0b""#));
    }
}
