//! An axis: its extent, where its ticks are, and where a value lies.

use crate::{Quantity, Scale};

/// Values beyond these are no time, size or count that anyone has measured.
const MOST: f64 = 1e18;

/// Smaller values are drawn as this one on a logarithmic scale.
const LEAST: f64 = 1e-3;

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    scale: Scale,
    least: f64,
    most: f64,
    /// Values with a label.
    pub(crate) ticks: Vec<f64>,
}

impl Axis {
    /// An axis with room for these values, and about `wanted` ticks. `None` where no value is a number that the scale has.
    pub(crate) fn new(
        values: impl Iterator<Item = f64>,
        quantity: Quantity,
        scale: Scale,
        wanted: u32,
    ) -> Option<Self> {
        let values: Vec<f64> = values.filter(|value| (0.0..=MOST).contains(value)).collect();
        let most = values.iter().copied().reduce(f64::max)?;
        match scale {
            Scale::Linear => {
                let step = step(most.max(1.0) / f64::from(wanted.max(1)), quantity);
                let steps = (most / step).ceil().max(1.0);
                let ticks = (0..=2 * wanted).map(|index| f64::from(index) * step);
                let ticks = ticks.take_while(|tick| *tick <= step * steps).collect();
                Some(Self { scale, least: 0.0, most: steps * step, ticks })
            }
            Scale::Logarithmic => {
                let least = values.iter().copied().filter(|value| *value > 0.0).reduce(f64::min)?.max(LEAST);
                let most = most.max(least);
                let (least, most) = (least / 1.25, most * 1.25);
                Some(Self { scale, least, most, ticks: factors(least, most, quantity, wanted as usize) })
            }
        }
    }

    /// Where a value lies: 0 at the beginning, 1 at the end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.least) / (self.most - self.least),
            Scale::Logarithmic => (value.max(self.least) / self.least).ln() / (self.most / self.least).ln(),
        };
        place.clamp(0.0, 1.0)
    }
}

/// The smallest round step that is not below `rough`.
fn step(rough: f64, quantity: Quantity) -> f64 {
    match quantity {
        Quantity::Bytes => 2.0_f64.powf(rough.max(1.0).log2().ceil()),
        Quantity::Time | Quantity::Count => {
            let ten = 10.0_f64.powf(rough.log10().floor());
            let found = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * ten).find(|step| *step >= rough * 0.999);
            found.unwrap_or(10.0 * ten).max(1.0)
        }
    }
}

/// Round values between two values, as dense as `wanted` allows.
fn factors(least: f64, most: f64, quantity: Quantity, wanted: usize) -> Vec<f64> {
    let (base, series): (f64, &[&[f64]]) = match quantity {
        Quantity::Bytes => (
            1024.0,
            &[
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0],
                &[1.0, 4.0, 16.0, 64.0, 256.0],
                &[1.0, 32.0],
                &[1.0],
            ],
        ),
        Quantity::Time | Quantity::Count => {
            (10.0, &[&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0], &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]])
        }
    };
    let from = (least.ln() / base.ln()).floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and clamped")]
    let decades = 1 + ((most / least).ln() / base.ln()).ceil().clamp(1.0, 40.0) as u32;
    let mut found = Vec::new();
    for times in series {
        let powers = (0..decades).map(|index| base.powf(from + f64::from(index)));
        found = powers.flat_map(|power| times.iter().map(move |times| times * power)).collect::<Vec<_>>();
        found.retain(|tick| (least..=most).contains(tick));
        if found.len() <= wanted {
            break;
        }
    }
    // Many decades: every so many-th power.
    let every = found.len().div_ceil(wanted.max(1)).max(1);
    found.into_iter().step_by(every).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(values: &[f64], quantity: Quantity, scale: Scale) -> Option<Axis> {
        Axis::new(values.iter().copied(), quantity, scale, 6)
    }

    #[test]
    fn a_linear_axis_begins_at_zero_and_has_room_for_the_largest_value() {
        let found = axis(&[3.0, 912.0], Quantity::Time, Scale::Linear).unwrap();
        assert_eq!(found.ticks, [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]);
        assert!((found.place(500.0) - 0.5).abs() < 1e-9);
        let bytes = axis(&[1_200_000.0], Quantity::Bytes, Scale::Linear).unwrap();
        assert_eq!(bytes.ticks.last(), Some(&1_310_720.0));
        let nothing = axis(&[0.0], Quantity::Bytes, Scale::Linear).unwrap();
        assert_eq!((nothing.ticks, nothing.most), (vec![0.0, 1.0], 1.0));
    }

    #[test]
    fn a_logarithmic_axis_has_ticks_also_within_a_decade() {
        let narrow = axis(&[310.0, 420.0], Quantity::Time, Scale::Logarithmic).unwrap();
        assert!(narrow.ticks.len() >= 2, "{narrow:?}");
        let wide = axis(&[1.0, 1e9], Quantity::Time, Scale::Logarithmic).unwrap();
        assert!((3..=6).contains(&wide.ticks.len()), "{wide:?}");
        let bytes = axis(&[16.0, 4096.0, 0.0], Quantity::Bytes, Scale::Logarithmic).unwrap();
        assert_eq!(bytes.ticks, [16.0, 64.0, 256.0, 1024.0, 4096.0]);
        assert_eq!(bytes.place(0.0), 0.0);
    }

    #[test]
    fn values_that_no_axis_has_are_left_out() {
        assert_eq!(axis(&[f64::NAN, f64::INFINITY, -1.0], Quantity::Time, Scale::Linear), None);
        assert_eq!(axis(&[0.0], Quantity::Time, Scale::Logarithmic), None);
        assert_eq!(axis(&[1e300], Quantity::Time, Scale::Linear), None);
        for values in [&[f64::MIN_POSITIVE, 1e18][..], &[1e18][..], &[1e-300][..]] {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                for quantity in [Quantity::Time, Quantity::Bytes] {
                    let found = axis(values, quantity, scale).unwrap();
                    assert!(found.ticks.len() <= 20, "{found:?}");
                    assert!(values.iter().all(|value| (0.0..=1.0).contains(&found.place(*value))), "{found:?}");
                }
            }
        }
    }
}
