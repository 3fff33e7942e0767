//! Typed functions of the sample guest over arrays, and the same as native loops.

use std::hint::black_box;

use anyhow::Result;
use arrow_array::{Array, Int64Array, StringArray};
use guest_functions::{Caller, Columnar, Function, Module, ModuleConfig, Pristine};
use guest_host::Engine;

use crate::guests;
use crate::turns::Contender;

/// Rows of a batch.
pub const ROWS: usize = 1024;

/// The guest with the sample functions, as it was built.
pub const GUEST: &str = "functions-leaking";

/// The sample guest's module. `pristine` says how often its instances are restored.
///
/// # Errors
/// The guest has not been built, or cannot be loaded.
pub fn module(engine: &Engine, pristine: Pristine) -> Result<Module> {
    let wasm = std::fs::read(guests::path(GUEST))?;
    Ok(Module::load(engine, GUEST, &wasm, ModuleConfig::default().with_pristine(pristine))?)
}

/// A caller of its own and a function.
///
/// # Errors
/// The module has no such function, or no instance can be made.
pub fn caller(module: &Module, name: &str) -> Result<(Caller, Function)> {
    Ok((module.caller()?, module.function(name)?))
}

/// A contender that calls a function for a batch of all rows.
///
/// # Errors
/// As for [`caller`].
pub fn batch<'a, A: Array>(name: &str, module: &Module, function: &str, arrays: &'a [A]) -> Result<Contender<'a>> {
    let (mut caller, function) = caller(module, function)?;
    Ok(Contender::new(name, move || {
        let columns: Vec<Columnar<'_>> = arrays.iter().map(|array| Columnar::Array(array)).collect();
        black_box(caller.call_batch(&function, &columns, arrays[0].len()).expect("it does not fail"));
    }))
}

/// Pairs of integers whose greatest common divisors take a few steps each.
#[must_use]
pub fn integers(rows: usize) -> [Int64Array; 2] {
    let of = |seed: u64| {
        let number = |row: u64| i64::try_from((row + 1).wrapping_mul(seed) % 10_000).expect("it is small");
        (0..rows as u64).map(number).collect::<Int64Array>()
    };
    [of(7919), of(104_729)]
}

/// Pairs of texts of nine characters.
#[must_use]
pub fn texts(rows: usize) -> [StringArray; 2] {
    [7919, 104_729].map(|seed: usize| (0..rows).map(|row| Some(format!("item {:04}", row * seed % 10_000))).collect())
}

/// The greatest common divisors of pairs, by a native loop over the arrays.
#[must_use]
pub fn gcds(pairs: &[Int64Array; 2]) -> Int64Array {
    pairs[0].values().iter().zip(pairs[1].values()).map(|(a, b)| gcd(*a, *b)).collect()
}

/// The Levenshtein distances of pairs of texts of at most 64 characters, by a native loop over the arrays.
#[must_use]
pub fn distances(pairs: &[StringArray; 2]) -> Int64Array {
    pairs[0].iter().flatten().zip(pairs[1].iter().flatten()).map(|(a, b)| levenshtein(a, b)).collect()
}

/// An order as JSON, of about 1 KiB. Its city is at `shipping.address.city`, behind most of the other fields.
#[must_use]
pub fn order() -> String {
    let items: Vec<_> = (0..8)
        .map(|item| serde_json::json!({"sku": format!("SKU-{item:04}"), "quantity": item + 1, "price": 9.5, "note": "as ordered"}))
        .collect();
    let fields = serde_json::json!({
        "id": "A-1029", "score": 0.75, "customer": {"name": "J. Doe", "email": "j.doe@example.com", "since": "2019-04-01"},
        "items": items, "paid": true, "currency": "EUR", "total": 342.0,
        "shipping": {
            "carrier": "parcel", "express": false,
            "address": {"street": "Long Street 12", "zip": "89073", "city": "Ulm", "country": "DE"},
        },
        "tags": ["new", "gift", "priority"], "comment": "Please ring twice, and leave it with the neighbours if nobody opens.",
    });
    fields.to_string()
}

/// As the guest does it.
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

/// As the guest does it, for texts of at most 64 characters.
fn levenshtein(a: &str, b: &str) -> i64 {
    let mut row = [0_i64; 65];
    let mut characters = ['\0'; 64];
    let length = b.chars().count();
    row.iter_mut().zip(0..).for_each(|(distance, index)| *distance = index);
    characters.iter_mut().zip(b.chars()).for_each(|(to, character)| *to = character);
    for (index, of_a) in (1..).zip(a.chars()) {
        let mut diagonal = std::mem::replace(&mut row[0], index);
        for (at, of_b) in characters[..length].iter().enumerate() {
            let replaced = diagonal + i64::from(of_a != *of_b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_about_a_kibibyte() {
        assert!((900..1150).contains(&order().len()), "{}", order().len());
    }

    #[test]
    fn native_loops_are_as_by_hand() {
        let [numbers, texts] = [gcds(&integers(2)), distances(&texts(2))];
        // 7919 and 4729 are coprime, as are 5838 and 9458 but for a factor of 2.
        assert_eq!(numbers.values().to_vec(), [1, 2]);
        // "item 0000" twice; "item 7919" and "item 4729".
        assert_eq!(texts.values().to_vec(), [0, 3]);
    }
}
