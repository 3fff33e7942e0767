//! The functions that are measured, as arrow-udf has them.

use arrow_udf::function;

/// As the guest `functions` has it.
#[function("gcd(int8, int8) -> int8")]
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}
