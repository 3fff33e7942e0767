//! Kinds of values: how they are written, and at which values an axis has ticks.

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Nanoseconds.
    Time,
    /// Bytes.
    Bytes,
    /// A number without a unit.
    Count,
}

/// How an axis is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// From zero, in equal steps.
    Linear,
    /// By factors; for positive values. A value of zero is drawn at the axis's beginning.
    Logarithmic,
}

impl Quantity {
    /// The value with its unit.
    ///
    /// ```
    /// use report_charts::Quantity;
    ///
    /// assert_eq!(Quantity::Time.show(1_250.0), "1.25 us");
    /// assert_eq!(Quantity::Bytes.show(65_536.0), "64 KiB");
    /// assert_eq!(Quantity::Count.show(12_000.0), "12,000");
    /// ```
    #[must_use]
    pub fn show(self, value: f64) -> String {
        const TIMES: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")];
        const BYTES: [(f64, &str); 4] = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")];
        match self {
            Self::Time => in_unit(value, &TIMES),
            Self::Bytes => in_unit(value, &BYTES),
            Self::Count => grouped(value),
        }
    }

    /// The name of the axis.
    pub(crate) const fn axis(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Bytes => "bytes",
            Self::Count => "count",
        }
    }
}

fn in_unit(value: f64, units: &[(f64, &str)]) -> String {
    let (size, name) = units.iter().find(|(size, _)| value.abs() >= *size * 0.9995).unwrap_or(&units[units.len() - 1]);
    format!("{} {name}", digits(value / size))
}

/// Three digits that count, without zeros behind the point.
fn digits(value: f64) -> String {
    let text = match value.abs() {
        small if small < 9.995 => format!("{value:.2}"),
        medium if medium < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn grouped(value: f64) -> String {
    if value.fract() != 0.0 && value.abs() < 1000.0 {
        return digits(value);
    }
    let plain = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (position, digit) in plain.chars().enumerate() {
        if position > 0 && (plain.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_three_digits_and_their_unit() {
        let time = |value| Quantity::Time.show(value);
        assert_eq!([time(0.0), time(7.25), time(999.0), time(999.9)], ["0 ns", "7.25 ns", "999 ns", "1 us"]);
        assert_eq!([time(123_456.0), time(2.5e8), time(1e10)], ["123 us", "250 ms", "10 s"]);
        let bytes = |value| Quantity::Bytes.show(value);
        assert_eq!([bytes(0.0), bytes(816.0), bytes(1_500_000.0)], ["0 B", "816 B", "1.43 MiB"]);
        let count = |value| Quantity::Count.show(value);
        assert_eq!([count(0.5), count(999.0), count(1_234_567.0)], ["0.5", "999", "1,234,567"]);
    }
}
