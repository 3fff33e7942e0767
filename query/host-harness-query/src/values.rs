//! Sizes and times as they are written on the command line.

use std::str::FromStr;
use std::time::Duration;

/// A deadline: a time, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(
    /// The time; `None` without a limit.
    pub Option<Duration>,
);

impl FromStr for Deadline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let wrong =
            || format!("`{text}` is not a time: write a number and a unit, such as 500us, 100ms, 1s, or `none`");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let microseconds: u64 = match unit {
            "us" => 1,
            "ms" => 1_000,
            "s" => 1_000_000,
            "min" => 60_000_000,
            _ => return Err(wrong()),
        };
        match number.checked_mul(microseconds) {
            None => Err(format!("`{text}` is too long")),
            Some(0) => Err(format!("`{text}` is too short; a time is longer than 0")),
            Some(microseconds) => Ok(Self(Some(Duration::from_micros(microseconds)))),
        }
    }
}

/// Reads a size such as `64MiB`, in bytes. A number without a unit is refused: some expect bytes, others MiB.
///
/// # Errors
/// The text is not a size, or one that is too large for this machine.
pub fn size(text: &str) -> Result<usize, String> {
    let bytes = bytes(text)?.and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| format!("`{text}` is too large"))
}

/// Reads the size of a memory with 32-bit addresses.
pub(crate) fn memory_size(text: &str) -> Result<u64, String> {
    let fits = bytes(text)?.filter(|bytes| *bytes <= 1 << 32);
    fits.ok_or_else(|| format!("`{text}` is more than a 32-bit memory can have; use at most 4GiB"))
}

fn bytes(text: &str) -> Result<Option<u64>, String> {
    let wrong =
        || format!("`{text}` is not a size: write a whole number and a unit, such as 512B, 64KiB, 64MiB or 1GiB");
    let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong()),
    };
    Ok(number.checked_mul(factor))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_a_unit() {
        assert_eq!((size("0B"), size("64KiB"), memory_size("4GiB")), (Ok(0), Ok(65536), Ok(1 << 32)));
        for wrong in ["", "64", "64KB", "-1B", "1.5MiB", "MiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert!(memory_size("5GiB").is_err() && size("99999999999GiB").is_err());
        let time = |text: &str| text.parse().map(|Deadline(time)| time.map(|time| time.as_millis()));
        assert_eq!((time("none"), time("2s"), time("20ms")), (Ok(None), Ok(Some(2000)), Ok(Some(20))));
        for wrong in ["0s", "5", "1h", "-1s", "9999999999999999min"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
