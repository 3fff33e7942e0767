//! Functions of numbers.

use guest_sdk::{Result, function};

/// The greatest common divisor. That of 0 and 0 is 0.
#[function]
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

/// The whole quotient.
#[function]
fn safe_div(a: i64, b: i64) -> Result<i64> {
    a.checked_div(b).ok_or_else(|| "the divisor is 0, or the quotient has more than 64 bits".into())
}

/// Kilometres between two places on a sphere of the Earth's mean radius, by the haversine formula. Angles are degrees.
#[function]
fn distance(latitude_a: f64, longitude_a: f64, latitude_b: f64, longitude_b: f64) -> f64 {
    /// Mean radius in kilometres, of the International Union of Geodesy and Geophysics.
    const RADIUS: f64 = 6371.0088;
    let haversine = |angle: f64| (angle.to_radians() / 2.0).sin().powi(2);
    let across = latitude_a.to_radians().cos() * latitude_b.to_radians().cos();
    let h = haversine(latitude_b - latitude_a) + across * haversine(longitude_b - longitude_a);
    2.0 * RADIUS * h.clamp(0.0, 1.0).sqrt().asin()
}

/// One more, or null for null and for the largest number.
#[function]
fn nullable(number: Option<i64>) -> Option<i64> {
    number?.checked_add(1)
}

/// The same number; null is an error.
#[function(strict = false)]
fn checked(number: i64) -> i64 {
    number
}

/// The sum of a list, which wraps around.
#[function]
fn sum_list(numbers: &[i64]) -> i64 {
    numbers.iter().fold(0, |sum, number| sum.wrapping_add(*number))
}

/// The decimal digits of a number, the first one first.
#[function]
fn digits(number: u64) -> Vec<i32> {
    let mut digits = Vec::new();
    let mut rest = number;
    loop {
        digits.extend(i32::try_from(rest % 10));
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.reverse();
    digits
}

/// The number that follows in a sequence that looks random: splitmix64, by Vigna.
#[function(volatile)]
fn draws(seed: u64) -> u64 {
    let state = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_by_hand() {
        assert_eq!((gcd(12, -18), gcd(0, 0), gcd(i64::MIN, 6)), (6, 0, 2));
        assert_eq!(safe_div(7, 2), Ok(3));
        assert!(safe_div(1, 0).is_err() && safe_div(i64::MIN, -1).is_err());
        assert_eq!((nullable(Some(1)), nullable(None), nullable(Some(i64::MAX))), (Some(2), None, None));
        assert_eq!((checked(5), sum_list(&[1, 2, i64::MAX])), (5, i64::MIN + 2));
        assert_eq!((digits(0), digits(907)), (vec![0], vec![9, 0, 7]));
        assert_eq!(draws(0), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn berlin_is_as_far_from_paris_as_an_atlas_says() {
        let far = distance(52.52, 13.405, 48.8566, 2.3522);
        assert!((far - 877.5).abs() < 1.0, "{far}");
        assert_eq!(distance(1.0, 2.0, 1.0, 2.0), 0.0);
    }
}
