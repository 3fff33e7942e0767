//! Batches of typed functions, restored exactly after each, beside the same functions under `arrow-udf-runtime`, which restores
//! nothing, and beside native loops over the same arrays.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use arrow_array::{Array, Int64Array};
use benches::functions::{ROWS, batch, caller, distances, gcds, integers, module, texts};
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use benches_engines::{self as other, Batch};
use guest_functions::{Columnar, Module, Pristine};

/// Fails unless both runtimes return these results.
fn agree<A: Array>(module: &Module, name: &str, arrays: &[A], theirs: &Batch<'_>, expected: &Int64Array) -> Result<()> {
    let (mut caller, function) = caller(module, name)?;
    let columns: Vec<Columnar<'_>> = arrays.iter().map(|array| Columnar::Array(array)).collect();
    let ours = caller.call_batch(&function, &columns, expected.len())?;
    let ours = ours.as_any().downcast_ref::<Int64Array>().context("the results are no integers")?;
    ensure!(ours == expected, "{name}: the results of the batch are not those of the native loop");
    ensure!(
        theirs.results()? == expected.values()[..],
        "{name}: the results of arrow-udf-runtime are not those of the native loop"
    );
    Ok(())
}

/// A contender that calls a function under the other runtime.
fn their<'a>(name: &str, batch: &'a Batch<'_>) -> Contender<'a> {
    Contender::new(format!("{name}, arrow-udf-runtime"), || {
        black_box(batch.call().expect("it does not fail"));
    })
}

fn main() -> Result<()> {
    let module = module(&guests::engine()?, Pristine::Batch)?;
    let (pairs, one, texts) = (integers(ROWS), integers(1), texts(ROWS));
    let numbers = [pairs[0].clone()];

    let runtime = other::runtime()?;
    let of_integers = |name: &str, arrays: &[Int64Array]| {
        Batch::new(&runtime, name, arrays.iter().map(|array| other::integers(array.values())).collect())
    };
    let (their_gcd, their_one) = (of_integers("gcd", &pairs)?, of_integers("gcd", &one)?);
    let their_trivial = of_integers("nullable", &numbers)?;
    let their_texts = texts.iter().map(|array| other::texts(array.iter().flatten())).collect();
    let their_distance = Batch::new(&runtime, "levenshtein", their_texts)?;

    agree(&module, "gcd", &pairs, &their_gcd, &gcds(&pairs))?;
    agree(&module, "gcd", &one, &their_one, &gcds(&one))?;
    agree(&module, "nullable", &numbers, &their_trivial, &numbers[0].unary(|number| number + 1))?;
    agree(&module, "levenshtein", &texts, &their_distance, &distances(&texts))?;

    let [gcd, first] = ["gcd of 1,024 rows", "gcd of one row in a batch"];
    let [trivial, distance] = ["a trivial function of 1,024 rows", "levenshtein of 1,024 rows"];
    let measured = take_turns(
        &mut [
            Contender::new(format!("{gcd}, native loop"), || {
                black_box(gcds(&pairs));
            }),
            batch(gcd, &module, "gcd", &pairs)?,
            their(gcd, &their_gcd),
            Contender::new(format!("{gcd}, arrow-udf-runtime, new instance"), || {
                black_box(their_gcd.call_in_a_new_instance().expect("it does not fail"));
            }),
            batch(first, &module, "gcd", &one)?,
            their(first, &their_one),
            batch(trivial, &module, "nullable", &numbers)?,
            their(trivial, &their_trivial),
            Contender::new(format!("{distance}, native loop"), || {
                black_box(distances(&texts));
            }),
            batch(distance, &module, "levenshtein", &texts)?,
            their(distance, &their_distance),
        ],
        guests::rounds(101),
    );

    let mut ratios = Ratios::new("arrow-udf");
    let [gcds, firsts, trivials, distances] = [&measured[..4], &measured[4..6], &measured[6..8], &measured[8..]];
    ratios.add(&gcds[1], &gcds[0], Target::AtMost(2.0));
    ratios.add(&gcds[2], &gcds[1], Target::AtLeast(5.0));
    ratios.add(&gcds[3], &gcds[1], Target::AtLeast(5.0));
    ratios.add(&firsts[1], &firsts[0], Target::AtLeast(5.0));
    ratios.add(&trivials[1], &trivials[0], Target::AtLeast(5.0));
    ratios.add(&distances[1], &distances[0], Target::AtMost(3.0));
    ratios.add(&distances[2], &distances[1], Target::AtLeast(1.0));
    ratios
        .note("arrow-udf-runtime uses an instance for batch after batch and never resets it; ours is restored exactly");
    ratios.note("new instance: what arrow-udf-runtime takes where nothing of a batch reaches the next");
    ratios.finish()
}
