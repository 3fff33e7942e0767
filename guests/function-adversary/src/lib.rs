//! Typed functions that lie to their host: one function for each lie about a result, a column or a state. [`one_more`] is honest, so
//! that there is a call that can follow the others.

#[cfg(target_arch = "wasm32")]
mod lie;

use guest_sdk::function;

/// One more.
#[function]
pub fn one_more(number: i64) -> i64 {
    number.wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_is_one_more() {
        assert_eq!((one_more(41), one_more(i64::MAX)), (42, i64::MIN));
    }
}
