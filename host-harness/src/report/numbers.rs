//! Figures in words that people read.

pub(crate) use crate::digits::grouped;
use crate::measure::PerCall;

/// The text in place of a missing figure.
pub(super) const NONE: &str = "-";

/// `optional`, or a dash.
pub(super) fn or_dash<T>(optional: Option<T>, show: impl FnOnce(T) -> String) -> String {
    optional.map_or_else(|| NONE.to_owned(), show)
}

/// A count per call: whole, or with its fraction.
pub(crate) fn per_call(count: PerCall) -> String {
    match count.whole() {
        Some(whole) => grouped(whole),
        None if count.0 < 1000.0 => format!("{:.2}", count.0),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded, at least 1000, saturating"
        )]
        None => grouped(count.0.round() as u64),
    }
}

/// Bytes, in the largest unit that leaves at least one.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
    let in_unit = |unit: u64| count as f64 / unit as f64;
    match UNITS.iter().find(|(_, unit)| count >= *unit) {
        Some((name, unit)) if count.is_multiple_of(*unit) => format!("{} {name}", count / unit),
        Some((name, unit)) => format!("{:.1} {name}", in_unit(*unit)),
        None => format!("{count} B"),
    }
}

/// Nanoseconds, in the unit that suits them.
pub(crate) fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 999.5 => format!("{short:.0} ns"),
        short if short < 99_950.0 => format!("{:.1} us", short / 1e3),
        medium if medium < 999_500.0 => format!("{:.0} us", medium / 1e3),
        medium if medium < 99_950_000.0 => format!("{:.1} ms", medium / 1e6),
        long if long < 999_500_000.0 => format!("{:.0} ms", long / 1e6),
        longer => format!("{:.1} s", longer / 1e9),
    }
}

/// How many times something is something else.
pub(super) fn ratio(ratio: f64) -> String {
    match ratio {
        small if small < 0.01 => format!("{small:.4}"),
        small if small < 9.995 => format!("{small:.2}"),
        large if large < 99.95 => format!("{large:.1}"),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded and at least 100")]
        huge => grouped(huge.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!([bytes(816), bytes(65_536), bytes(1_500_000)], ["816 B", "64 KiB", "1.4 MiB"]);
        assert_eq!([time(50.4), time(999.6), time(9_440.0), time(123_456.0)], ["50 ns", "1.0 us", "9.4 us", "123 us"]);
        assert_eq!([time(3.4e6), time(2.5e8), time(1e9)], ["3.4 ms", "250 ms", "1.0 s"]);
        assert_eq!([ratio(0.0025), ratio(1.0), ratio(35.55), ratio(1234.5)], ["0.0025", "1.00", "35.5", "1,235"]);
        assert_eq!([1.5, 3000.0, 30_487.4].map(|count| per_call(PerCall(count))), ["1.50", "3,000", "30,487"]);
    }
}
