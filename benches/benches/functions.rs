//! What calls of typed functions cost: one row, many rows, and every row from a pristine instance; beside the engine's bare typed
//! call of the same module, the guest's own time, and native loops over the same arrays.

use std::hint::black_box;

use anyhow::{Result, anyhow};
use arrow_array::BinaryArray;
use benches::functions::{GUEST, ROWS, batch, caller, distances, gcds, integers, module, order, texts};
use benches::guests::{self, plain};
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, Measured, as_f64, take_turns};
use benches::workers::Workers;
use guest_abi::document::{DocumentBuf, Path};
use guest_abi::path;
use guest_functions::{Columnar, Pristine};
use guest_host::Engine;
use wasmtime::{Linker, Store, TypedFunc, WasmParams};

/// Rows of a batch of which each thread calls many at the same time.
const LARGE: usize = 8192;

/// The sample guest's module on the engine alone, without preparation and limits.
struct Bare {
    store: Store<()>,
    instance: wasmtime::Instance,
}

impl Bare {
    /// `has_deadline` says whether the guest's code looks for a deadline in its loops, as it does under every host that can end
    /// it. The deadline itself never comes.
    fn new(has_deadline: bool) -> Result<Self> {
        let engine = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(has_deadline)).map_err(plain)?;
        let module = wasmtime::Module::from_file(&engine, guests::path(GUEST)).map_err(plain)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&module).map_err(plain)?;
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(1);
        let instance = linker.instantiate(&mut store, &module).map_err(plain)?;
        Ok(Self { store, instance })
    }

    fn function<P: WasmParams>(&mut self, name: &str) -> Result<TypedFunc<P, i64>> {
        self.instance.get_typed_func(&mut self.store, &format!("__guest_function_{name}")).map_err(plain)
    }

    /// Writes texts one behind the other, and returns their addresses and lengths.
    fn place(&mut self, texts: [&str; 2]) -> Result<(u32, u32, u32, u32)> {
        let exchange: TypedFunc<u32, u32> =
            self.instance.get_typed_func(&mut self.store, "__guest_exchange").map_err(plain)?;
        let start = exchange.call(&mut self.store, 4096).map_err(plain)?;
        let memory = self.instance.get_memory(&mut self.store, "memory").ok_or_else(|| anyhow!("it has a memory"))?;
        let length = |text: &str| u32::try_from(text.len()).expect("it is short");
        let behind = start + length(texts[0]);
        memory.write(&mut self.store, start as usize, texts[0].as_bytes())?;
        memory.write(&mut self.store, behind as usize, texts[1].as_bytes())?;
        Ok((start, length(texts[0]), behind, length(texts[1])))
    }
}

/// A measured batch as one of its rows.
fn of_a_row(batch: &Measured, rows: usize) -> Measured {
    let rounds = batch.rounds.iter().map(|round| round / as_f64(rows as u64)).collect();
    Measured { name: format!("a row of {}", batch.name), rounds }
}

/// Single calls: two integers, and two texts of nine characters.
fn single(engine: &Engine, rounds: usize, ratios: &mut Ratios) -> Result<()> {
    let (exact, never) = (module(engine, Pristine::Batch)?, module(engine, Pristine::Never)?);
    let mut bare = Bare::new(false)?;
    let of_gcd = bare.function::<(i64, i64)>("gcd")?;
    let (mut kept, kept_gcd) = caller(&never, "gcd")?;
    let (mut own, own_gcd) = caller(&exact, "gcd")?;
    let pooled = exact.function("gcd")?;
    let store = &mut bare.store;
    let measured = take_turns(
        &mut [
            Contender::new("bare typed call of gcd", || {
                black_box(of_gcd.call(&mut *store, black_box((48, 18))).expect("it does not trap"));
            }),
            Contender::new("gcd, never restored", || {
                black_box(kept.call::<_, i64>(&kept_gcd, black_box((48_i64, 18_i64))).expect("it does not fail"));
            }),
            Contender::new("gcd, restored", || {
                black_box(own.call::<_, i64>(&own_gcd, black_box((48_i64, 18_i64))).expect("it does not fail"));
            }),
            Contender::new("gcd, restored, from the pool", || {
                black_box(pooled.call::<_, i64>(black_box((48_i64, 18_i64))).expect("it does not fail"));
            }),
        ],
        rounds,
    );
    let [bare_gcd, never_gcd, exact_gcd, pooled_gcd] = &measured[..] else { unreachable!("there are four") };
    ratios.add(never_gcd, bare_gcd, Target::AtMost(2.0));
    ratios.add(exact_gcd, bare_gcd, Target::AtMost(4.0));
    ratios.add(pooled_gcd, bare_gcd, Target::AtMost(6.0));

    let texts = ["iPhone 15", "iPhone 14"];
    let (mut with, mut without) = (Bare::new(true)?, Bare::new(false)?);
    let (places_with, places_without) = (with.place(texts)?, without.place(texts)?);
    let of_with = with.function::<(u32, u32, u32, u32)>("levenshtein")?;
    let of_without = without.function::<(u32, u32, u32, u32)>("levenshtein")?;
    let (mut own, levenshtein) = caller(&exact, "levenshtein")?;
    let measured = take_turns(
        &mut [
            Contender::new("levenshtein, the guest's own time", || {
                black_box(of_with.call(&mut with.store, black_box(places_with)).expect("it does not trap"));
            }),
            Contender::new("levenshtein, the guest's own time without a deadline", || {
                black_box(of_without.call(&mut without.store, black_box(places_without)).expect("it does not trap"));
            }),
            Contender::new("levenshtein, restored", || {
                black_box(own.call::<_, i64>(&levenshtein, black_box((texts[0], texts[1]))).expect("it does not fail"));
            }),
        ],
        rounds,
    );
    let [guest, unlimited, call] = &measured[..] else { unreachable!("there are three") };
    ratios.add_beyond(call, guest, 60.0, Target::AtMost(1.5));
    ratios.add(guest, unlimited, Target::AtMost(2.0));
    ratios.note(
        "the guest's own time: its code looks for the deadline in its loops, as it does wherever a host can end it",
    );
    Ok(())
}

/// Batches: beside a native loop, beside single calls, and with each row from a pristine instance.
fn batches(engine: &Engine, rounds: usize, ratios: &mut Ratios) -> Result<()> {
    let (exact, by_row) = (module(engine, Pristine::Batch)?, module(engine, Pristine::Row)?);
    let pairs = integers(ROWS);
    let one = [integers(1), integers(1)];
    let numbers = [pairs[0].clone()];
    let (mut single, nullable) = caller(&exact, "nullable")?;
    let measured = take_turns(
        &mut [
            Contender::new("gcd of 1,024 rows, native loop", || {
                black_box(gcds(&pairs));
            }),
            batch("gcd of 1,024 rows", &exact, "gcd", &pairs)?,
            batch("gcd of 1,024 rows, each pristine", &by_row, "gcd", &pairs)?,
            batch("gcd of one row in a batch", &exact, "gcd", &one[0])?,
            batch("a trivial function of 1,024 rows", &exact, "nullable", &numbers)?,
            Contender::new("a trivial function, single call", || {
                black_box(
                    single.call::<_, Option<i64>>(&nullable, (black_box(Some(7_i64)),)).expect("it does not fail"),
                );
            }),
        ],
        rounds,
    );
    let [native, all, each, first, trivial, call] = &measured[..] else { unreachable!("there are six") };
    ratios.add(all, native, Target::AtMost(2.0));
    ratios.add(call, &of_a_row(trivial, ROWS), Target::AtLeast(20.0));
    let nanosecond = |name: &str| Measured { name: name.to_owned(), rounds: vec![1.0; rounds] };
    ratios.add(first, &nanosecond("1 ns"), Target::AtMost(1000.0));
    let beyond = of_a_row(each, ROWS).without(&of_a_row(all, ROWS));
    let beyond = Measured { name: "a pristine row of gcd, beyond a row of a batch".to_owned(), ..beyond };
    ratios.add(&beyond, &nanosecond("1 ns"), Target::AtMost(60.0));
    ratios.note("a batch of one row is the fixed cost of a batch; the bytes of the columns are copied once besides");
    ratios.note("each pristine: what a row takes beyond a row of a batch that is restored once");

    let texts = texts(ROWS);
    let measured = take_turns(
        &mut [
            Contender::new("levenshtein of 1,024 rows, native loop", || {
                black_box(distances(&texts));
            }),
            batch("levenshtein of 1,024 rows", &exact, "levenshtein", &texts)?,
        ],
        rounds,
    );
    ratios.add(&measured[1], &measured[0], Target::AtMost(3.0));
    Ok(())
}

/// Documents: a field at depth 3, read natively, in the guest, and by parsing the document's text.
fn documents(engine: &Engine, rounds: usize, ratios: &mut Ratios) -> Result<()> {
    const CITY: Path<'static> = path!("shipping.address.city");
    let text = order();
    let document = DocumentBuf::from_json(&text)?;
    let empty = DocumentBuf::from_json("{}")?;
    let [array, no_field] = [&document, &empty].map(|document| BinaryArray::from_vec(vec![document.as_bytes()]));
    let module = module(engine, Pristine::Batch)?;
    let (mut own, city) = caller(&module, "city")?;
    let (mut other, same) = caller(&module, "city")?;
    let nanosecond = Measured { name: "1 ns".to_owned(), rounds: vec![1.0; rounds] };
    let measured = take_turns(
        &mut [
            Contender::new("a field at depth 3, natively", || {
                black_box(black_box(document.as_document()).get_str(CITY).expect("it is a text"));
            }),
            Contender::new("1,024 rows with a field at depth 3", || {
                black_box(own.call_batch(&city, &[Columnar::Constant(&array)], ROWS).expect("it does not fail"));
            }),
            Contender::new("1,024 rows without a field", || {
                black_box(other.call_batch(&same, &[Columnar::Constant(&no_field)], ROWS).expect("it does not fail"));
            }),
            Contender::new("a field at depth 3, by parsing JSON", || {
                let parsed: serde_json::Value = serde_json::from_str(black_box(&text)).expect("it is JSON");
                black_box(parsed.pointer("/shipping/address/city").and_then(serde_json::Value::as_str).map(str::len));
            }),
        ],
        rounds,
    );
    let [native, guest, without, parsed] = &measured[..] else { unreachable!("there are four") };
    let guest = of_a_row(guest, ROWS).without(&of_a_row(without, ROWS));
    let guest = Measured { name: "a field at depth 3 in a guest".to_owned(), ..guest };
    ratios.add(native, &nanosecond, Target::AtMost(100.0));
    ratios.add(&guest, &nanosecond, Target::AtMost(100.0));
    ratios.add(parsed, &guest, Target::AtLeast(10.0));
    ratios.note("a field: of a document of about 1 KiB of JSON. In a guest it is what a row takes beyond one whose document is empty");
    Ok(())
}

/// Partitions: threads with an instance each, and batches of their own.
fn partitions(engine: &Engine, rounds: usize, ratios: &mut Ratios) -> Result<()> {
    let module = module(engine, Pristine::Batch)?;
    let workers = |threads: usize| -> Result<Workers> {
        let work = (0..threads).map(|_| {
            let (mut caller, gcd) = caller(&module, "gcd")?;
            let arrays = integers(LARGE);
            Ok(move |times| {
                for _ in 0..times {
                    let columns = [Columnar::Array(&arrays[0]), Columnar::Array(&arrays[1])];
                    black_box(caller.call_batch(&gcd, &columns, LARGE).expect("it does not fail"));
                }
            })
        });
        Ok(Workers::start(work.collect::<Result<Vec<_>>>()?))
    };
    let native = |threads: usize| {
        let arrays = || integers(LARGE);
        Workers::start((0..threads).map(|_| {
            let arrays = arrays();
            move |times| (0..times).for_each(|_| drop(black_box(gcds(&arrays))))
        }))
    };
    let (one, two) = (workers(1)?, workers(2)?);
    let (native_one, native_two) = (native(1), native(2));
    // Enough that waking the threads is little beside.
    let batches = 64;
    let measured = take_turns(
        &mut [
            Contender::new("batches of one partition", || one.run(batches)),
            Contender::new("as many batches of two partitions", || two.run(batches)),
            Contender::new("native loops of one thread", || native_one.run(batches)),
            Contender::new("as many native loops of two threads", || native_two.run(batches)),
        ],
        rounds,
    );
    let [one, two, native_one, native_two] = &measured[..] else { unreachable!("there are four") };
    ratios.add(one, two, Target::AtLeast(1.9));
    ratios.add(native_one, native_two, Target::AtLeast(1.9));
    ratios.note("native loops of two threads: what two cores of this machine give to code that shares nothing");
    Ok(())
}

fn main() -> Result<()> {
    let engine = guests::engine()?;
    let mut ratios = Ratios::new("functions");
    single(&engine, guests::rounds(301), &mut ratios)?;
    batches(&engine, guests::rounds(101), &mut ratios)?;
    documents(&engine, guests::rounds(101), &mut ratios)?;
    partitions(&engine, guests::rounds(21), &mut ratios)?;
    ratios.finish()
}
