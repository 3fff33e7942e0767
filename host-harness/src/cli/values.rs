//! Sizes, times and policies as they are written on the command line.

use std::str::FromStr;
use std::time::Duration;

use host_harness::RestorePolicy;

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

/// Reads a time such as `100ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: write a number and a unit, such as 500us, 100ms or 1s");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let nanoseconds: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "min" => 60_000_000_000,
        _ => return Err(wrong()),
    };
    let nanoseconds = number.checked_mul(nanoseconds).ok_or_else(wrong)?;
    match nanoseconds {
        0 => Err(format!("`{text}` is no time at all")),
        nanoseconds => Ok(Duration::from_nanos(nanoseconds)),
    }
}

/// Reads a size such as `64MiB`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: write a number of bytes, or one with a unit, such as 64MiB");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let bytes: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(bytes).ok_or_else(wrong)
}

/// Reads a size below 4 GiB.
pub(crate) fn size_u32(text: &str) -> Result<u32, String> {
    u32::try_from(size(text)?).map_err(|_| format!("`{text}` does not fit a 32-bit memory"))
}

/// Reads a restore policy; the bytes of `on-heap-above` may have a unit.
pub(crate) fn policy(text: &str) -> Result<RestorePolicy, String> {
    match text.strip_prefix("on-heap-above=") {
        Some(bytes) => size(bytes).map(RestorePolicy::OnHeapAbove),
        None => text.parse().map_err(|error: host_harness::UnknownName| error.to_string()),
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("64KiB"), Ok(65_536));
        assert_eq!(size("1 GiB"), Ok(1 << 30));
        for wrong in ["", "MiB", "-1", "1.5MiB", "64mb", "99999999999GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(size_u32("4GiB").is_err());
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
    fn policies_are_read() {
        assert_eq!(policy("on-heap-above=1MiB"), Ok(RestorePolicy::OnHeapAbove(1 << 20)));
        assert_eq!(policy("on-error"), Ok(RestorePolicy::OnError));
        assert!(policy("sometimes").unwrap_err().contains("every-call"));
    }
}
