//! Sizes, times and policies as they are written on the command line.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use guest_host::RestorePolicy;
use guest_host::wasi::{Clock, Randomness};

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

/// Reads a time such as `100ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write a number and a unit, such as 500us, 100ms or 1s");
    let too_long = || format!("`{text}` is too long; the longest time is 100000000min");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let nanoseconds: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        _ => return Err(wrong()),
    };
    let number = number.ok_or_else(too_long)?;
    match number.checked_mul(nanoseconds).filter(|nanoseconds| *nanoseconds <= LONGEST) {
        None => Err(too_long()),
        Some(0) => Err(format!("`{text}` is too short; a time is longer than 0")),
        Some(nanoseconds) => Ok(Duration::from_nanos(nanoseconds)),
    }
}

/// Nanoseconds of the longest time, 190 years: about as many as fit 64 bits with a sign.
const LONGEST: u64 = 100_000_000 * 60_000_000_000;

/// Reads the name of a file that is written and cannot be standard output.
pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => Err("give the name of a file; standard output is not possible here".to_owned()),
        name => Ok(name.into()),
    }
}

/// Reads a size such as `64MiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    bytes(text)?.ok_or_else(|| format!("`{text}` is too large; a size fits 64 bits"))
}

/// Reads the size of a memory with 32-bit addresses.
pub(crate) fn memory_size(text: &str) -> Result<u64, String> {
    let most = 1 << 32;
    let fits = bytes(text)?.filter(|bytes| *bytes <= most);
    fits.ok_or_else(|| format!("`{text}` is more than a 32-bit memory can have; use at most 4GiB"))
}

/// Reads the budget of a memory, which has whole pages.
pub(crate) fn budget(text: &str) -> Result<u64, String> {
    let page = 64 << 10;
    match memory_size(text)? {
        bytes if bytes < page => Err(format!("`{text}` is less than a page of memory; use at least 64KiB")),
        bytes => Ok(bytes),
    }
}

/// Reads the size of an exchange region: one allocation of the guest, which has 31 bits for that.
pub(crate) fn exchange_size(text: &str) -> Result<u32, String> {
    match bytes(text)?.map(i32::try_from) {
        Some(Ok(0)) => {
            Err("an exchange region has at least 1 byte; leave the option out for the usual size".to_owned())
        }
        Some(Ok(bytes)) => Ok(bytes.unsigned_abs()),
        _ => {
            Err(format!("`{text}` is more than a guest can allocate at once: an exchange region is smaller than 2GiB"))
        }
    }
}

/// Reads a size, which is `None` where it does not fit 64 bits. A number without a unit is refused: some expect bytes, others MiB.
fn bytes(text: &str) -> Result<Option<u64>, String> {
    let wrong =
        || format!("`{text}` is not a size: write a whole number and a unit, such as 512B, 64KiB, 64MiB or 1GiB");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let bytes: u64 = match unit {
        // Nothing is nothing in every unit.
        "" if number == Some(0) => 1,
        "" => {
            let digits = text.trim();
            return Err(format!("`{text}` has no unit: write `{digits}B`, `{digits}KiB` or `{digits}MiB`"));
        }
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => {
            let digits = text.trim_end_matches(other).trim_end();
            return Err(meant(other)
                .map_or_else(wrong, |unit| format!("`{text}` is not a size: did you mean `{digits}{unit}`?")));
        }
    };
    Ok(number.and_then(|number| number.checked_mul(bytes)))
}

/// The unit that somebody meant who wrote another, such as that of disks, or small letters.
fn meant(unit: &str) -> Option<&'static str> {
    match unit.to_ascii_lowercase().as_str() {
        "b" => Some("B"),
        "k" | "kb" | "kib" => Some("KiB"),
        "m" | "mb" | "mib" => Some("MiB"),
        "g" | "gb" | "gib" => Some("GiB"),
        _ => None,
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

/// Reads an environment variable.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not a variable: write its name, `=` and its value, such as LANG=C")),
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

/// A number, which is `None` where it does not fit 64 bits, and what stands behind it.
fn number_and_unit(text: &str) -> Option<(Option<u64>, &str)> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (digits > 0).then(|| (number.parse().ok(), unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(size("65536B"), Ok(65_536));
        assert_eq!(size("0"), Ok(0));
        for read in [size, memory_size, |text: &str| exchange_size(text).map(u64::from)] {
            assert_eq!(read("32"), Err("`32` has no unit: write `32B`, `32KiB` or `32MiB`".to_owned()));
        }
        assert!(policy("on-heap-above=32").unwrap_err().contains("write `32B`, `32KiB` or `32MiB`"));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        for wrong in ["", "MiB", "-1", "1.5MiB", "64mb", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_unit_that_is_almost_right_is_mended_in_the_message() {
        for (given, meant) in [("64MB", "64MiB"), ("64mb", "64MiB"), ("1 gb", "1GiB"), ("5k", "5KiB"), ("7b", "7B")] {
            assert_eq!(size(given), Err(format!("`{given}` is not a size: did you mean `{meant}`?")));
        }
        assert!(size("1TB").unwrap_err().contains("write a whole number and a unit"));
    }

    #[test]
    fn what_is_too_large_is_not_called_misspelt() {
        for large in ["99999999999GiB", "99999999999999999999999B"] {
            assert_eq!(size(large), Err(format!("`{large}` is too large; a size fits 64 bits")));
            assert!(memory_size(large).unwrap_err().contains("at most 4GiB"));
            assert!(exchange_size(large).unwrap_err().contains("smaller than 2GiB"));
        }
        for long in ["99999999999999999999s", "100000001min"] {
            assert!(duration(long).unwrap_err().contains("is too long; the longest time"), "{long}");
        }
        assert_eq!(duration("100000000min"), Ok(Duration::from_mins(100_000_000)));
    }

    #[test]
    fn memories_and_exchange_regions_are_as_large_as_they_can_be() {
        assert_eq!(memory_size("4GiB"), Ok(1 << 32));
        assert!(memory_size("4294967297B").unwrap_err().contains("at most 4GiB"));
        assert!(memory_size("-1").unwrap_err().contains("is not a size"));
        assert!(memory_size("64mb").unwrap_err().contains("is not a size"));
        assert_eq!((exchange_size("1B"), exchange_size("2147483647B")), (Ok(1), Ok(0x7FFF_FFFF)));
        assert!(exchange_size("2GiB").unwrap_err().contains("smaller than 2GiB"));
        assert!(exchange_size("0KiB").unwrap_err().contains("at least 1 byte"));
        assert!(exchange_size("x").unwrap_err().contains("is not a size"));
    }

    #[test]
    fn counts_say_their_range() {
        let count = count(1..=1_000);
        assert_eq!((count("1"), count("1000")), (Ok(1), Ok(1_000)));
        for wrong in ["0", "1001", "-1", "x", "99999999999999999999"] {
            assert_eq!(count(wrong), Err(format!("`{wrong}` is not a whole number from 1 to 1000")));
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
        assert_eq!(policy("on-error"), Ok(RestorePolicy::OnError));
        assert!(policy("sometimes").unwrap_err().contains("every-call"));
    }
}
