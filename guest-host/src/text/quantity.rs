//! Sizes and times as people write them, on a command line and in files.

use std::time::Duration;

/// Reads a time such as `100ms`, with one of the units `ns`, `us`, `ms`, `s` and `min`.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(guest_host::text::duration("100ms"), Ok(Duration::from_millis(100)));
/// ```
///
/// # Errors
/// A message for people, if the text is no time, or one that is 0 or longer than 190 years.
pub fn duration(text: &str) -> Result<Duration, String> {
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

/// Reads a size such as `64MiB`, in bytes, with one of the units `B`, `KiB`, `MiB` and `GiB`.
///
/// ```
/// assert_eq!(guest_host::text::size("64KiB"), Ok(65_536));
/// assert_eq!(guest_host::text::size("64kb").unwrap_err(), "`64kb` is not a size: did you mean `64KiB`?");
/// ```
///
/// # Errors
/// A message for people, if the text is no size, or one that does not fit 64 bits.
pub fn size(text: &str) -> Result<u64, String> {
    bytes(text)?.ok_or_else(|| format!("`{text}` is too large; a size fits 64 bits"))
}

/// Reads the size of a memory with 32-bit addresses, as [`size`] does.
///
/// # Errors
/// A message for people, if the text is no size, or one of more than 4 GiB.
pub fn memory_size(text: &str) -> Result<u64, String> {
    let most = 1 << 32;
    let fits = bytes(text)?.filter(|bytes| *bytes <= most);
    fits.ok_or_else(|| format!("`{text}` is more than a 32-bit memory can have; use at most 4GiB"))
}

/// Reads the size of an exchange region: one allocation of the guest, which has 31 bits for that.
///
/// # Errors
/// A message for people, if the text is no size, or one that is 0 or not smaller than 2 GiB.
pub fn exchange_size(text: &str) -> Result<u32, String> {
    match bytes(text)?.map(i32::try_from) {
        Some(Ok(0)) => Err("an exchange region has at least 1 byte; leave it out for the usual size".to_owned()),
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
}
