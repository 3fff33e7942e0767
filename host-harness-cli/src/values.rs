//! Numbers, deadlines and policies as they are written on the command line. Sizes and times are those of the runtime.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use guest_host::RestorePolicy;
pub(crate) use guest_host::text::{duration, exchange_size, memory_size, size};
use guest_host::wasi::{Clock, Randomness};
use host_harness::verify::{RingOptions, RingRole};

/// A deadline: a time, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline(pub(crate) Option<Duration>);

impl FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => duration(text).map(Some).map(Self),
        }
    }
}

/// A limit on instructions: a number, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instructions(pub(crate) Option<u64>);

/// Reads a limit on instructions.
pub(crate) fn instructions(text: &str) -> Result<Instructions, String> {
    match text {
        "none" => Ok(Instructions(None)),
        number => count(1..=u64::MAX - 1)(number).map(Some).map(Instructions),
    }
}

/// Reads the name of a file that is written and cannot be standard output.
pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => Err("give the name of a file; standard output is not possible here".to_owned()),
        name => Ok(name.into()),
    }
}

/// Reads the budget of a memory, which has whole pages.
pub(crate) fn budget(text: &str) -> Result<u64, String> {
    let page = 64 << 10;
    match memory_size(text)? {
        bytes if bytes < page => Err(format!("`{text}` is less than a page of memory; use at least 64KiB")),
        bytes => Ok(bytes),
    }
}

/// A reader of the path of a manifest, which may be that of its folder.
pub(crate) fn manifest() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().map(|path: PathBuf| {
        let inside = path.join("Cargo.toml");
        if path.is_dir() && inside.is_file() { inside } else { path }
    })
}

/// A reader of whole numbers in a range.
pub(crate) fn count(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let wrong = || format!("`{text}` is not a whole number from {} to {}", range.start(), range.end());
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(wrong)
    }
}

/// Reads a restore policy; the size of `on-heap-above` has a unit.
pub(crate) fn policy(text: &str) -> Result<RestorePolicy, String> {
    match text.strip_prefix("on-heap-above=") {
        Some(bytes) => size(bytes).map(RestorePolicy::OnHeapAbove),
        None => text.parse().map_err(|error: guest_host::UnknownName| error.to_string()),
    }
}

/// Reads the slots of a ring of memory blocks, and the size of each.
pub(crate) fn ring(text: &str) -> Result<RingOptions, String> {
    let wrong = || {
        format!(
            "`{text}` is no ring: write the number of slots, `x` and the size of each, such as 4x256KiB; it has 1 to 65535 slots"
        )
    };
    let (slots, each) = text.split_once('x').ok_or_else(wrong)?;
    let slots = count(1..=u16::MAX.into())(slots).ok().and_then(|slots| slots.try_into().ok()).ok_or_else(wrong)?;
    let slot_size = u32::try_from(size(each)?).ok().filter(|bytes| *bytes > 0);
    let slot_size = slot_size.ok_or_else(|| format!("`{each}` is no size of a slot: give 1B to less than 4GiB"))?;
    Ok(RingOptions { slots, slot_size, role: RingRole::default() })
}

/// Reads a size of memory blocks.
pub(crate) fn block_size(text: &str) -> Result<u32, String> {
    let bytes = u32::try_from(size(text)?).ok().filter(|bytes| *bytes < u32::MAX);
    bytes.ok_or_else(|| format!("no memory block has `{text}`: give less than 4GiB"))
}

/// Reads an environment variable.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not a variable: write its name, `=` and its value, such as LANG=C")),
    }
}

/// A secret of a guest.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Reads a secret from the environment variable of its name: others can see the command line.
pub(crate) fn secret(name: &str) -> Result<Secret, String> {
    match std::env::var(name) {
        Ok(value) => Ok(Secret { name: name.to_owned(), value }),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("the environment variable `{name}` is not UTF-8")),
        Err(std::env::VarError::NotPresent) => {
            Err(format!("there is no environment variable `{name}`; set it to the value of the secret"))
        }
    }
}

/// Reads what a guest's clocks tell.
pub(crate) fn clock(text: &str) -> Result<Clock, String> {
    match text.split_once('=') {
        None if text == "system" => Ok(Clock::System),
        None if text == "fixed" => Ok(Clock::fixed(Clock::DEFAULT_START)),
        Some(("fixed", start)) => count(0..=u64::MAX)(start).map(Clock::fixed),
        _ => Err(format!("`{text}` is none of: system, fixed, fixed=NANOSECONDS")),
    }
}

/// Reads where a guest's random bytes come from.
pub(crate) fn randomness(text: &str) -> Result<Randomness, String> {
    match text.split_once('=') {
        None if text == "system" => Ok(Randomness::System),
        Some(("seed", seed)) => count(0..=u64::MAX)(seed).map(Randomness::Seeded),
        _ => Err(format!("`{text}` is none of: seed=NUMBER, system")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_say_their_range() {
        let count = count(1..=1_000);
        assert_eq!((count("1"), count("1000")), (Ok(1), Ok(1_000)));
        for wrong in ["0", "1001", "-1", "x", "99999999999999999999"] {
            assert_eq!(count(wrong), Err(format!("`{wrong}` is not a whole number from 1 to 1000")));
        }
    }

    #[test]
    fn rings_have_slots_of_a_size() {
        let of = |slots, slot_size| Ok(RingOptions { slots, slot_size, role: RingRole::Writer });
        assert_eq!((ring("4x256KiB"), ring("1x1B")), (of(4, 262_144), of(1, 1)));
        for wrong in ["4", "x1KiB", "0x1KiB", "-1x1KiB", "65536x1KiB", "4*1KiB", ""] {
            assert!(ring(wrong).unwrap_err().contains("such as 4x256KiB"), "{wrong}");
        }
        for wrong in ["4x0B", "4x4GiB"] {
            assert!(ring(wrong).unwrap_err().contains("is no size of a slot"), "{wrong}");
        }
        assert!(ring("4x1").is_err() && ring("4x").is_err());
    }

    #[test]
    fn memory_blocks_have_less_than_4_gib() {
        assert_eq!((block_size("0B"), block_size("16MiB")), (Ok(0), Ok(16 << 20)));
        for wrong in ["4GiB", "4294967295B", "5GiB"] {
            assert!(block_size(wrong).unwrap_err().contains("less than 4GiB"), "{wrong}");
        }
    }

    #[test]
    fn limits_of_instructions_are_numbers_or_none() {
        assert_eq!(instructions("1000"), Ok(Instructions(Some(1000))));
        assert_eq!(instructions("none"), Ok(Instructions(None)));
        for wrong in ["0", "-1", "1e6", "many"] {
            assert!(instructions(wrong).unwrap_err().contains("is not a whole number"), "{wrong}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!("none".parse(), Ok(Deadline(None)));
        for wrong in ["100", "0s", "1h", "s"] {
            assert!(wrong.parse::<Deadline>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_guest_sees_through_wasi_is_read() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        for wrong in ["", "A", "=b"] {
            assert!(variable(wrong).unwrap_err().contains("such as LANG=C"), "{wrong}");
        }
        assert_eq!((clock("system"), clock("fixed=7")), (Ok(Clock::System), Ok(Clock::fixed(7))));
        assert_eq!(clock("fixed"), Ok(Clock::fixed(Clock::DEFAULT_START)));
        assert!(clock("fixed=").unwrap_err().contains("is not a whole number"));
        assert!(clock("fixed=-1").unwrap_err().contains("is not a whole number"));
        assert!(clock("now").unwrap_err().contains("is none of: system, fixed"));
        assert_eq!((randomness("seed=3"), randomness("system")), (Ok(Randomness::Seeded(3)), Ok(Randomness::System)));
        assert!(randomness("seed").unwrap_err().contains("is none of: seed=NUMBER"));
        assert!(randomness("seed=x").unwrap_err().contains("is not a whole number"));
    }

    #[test]
    fn policies_are_read() {
        assert_eq!(policy("on-heap-above=1MiB"), Ok(RestorePolicy::OnHeapAbove(1 << 20)));
        assert!(policy("on-heap-above=32").unwrap_err().contains("write `32B`, `32KiB` or `32MiB`"));
        assert_eq!(policy("on-error"), Ok(RestorePolicy::OnError));
        assert!(policy("sometimes").unwrap_err().contains("every-call"));
    }
}
