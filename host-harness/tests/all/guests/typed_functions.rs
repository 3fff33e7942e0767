//! The typed functions of a built guest: what its section declares, what it exports, and how calls cross.

use std::collections::{BTreeMap, BTreeSet};

use guest_abi::column::{Column, Encoding, SIZE};
use guest_abi::function::{
    BATCH_DONE, EXPORT_AGGREGATE, EXPORT_BATCH, EXPORT_ROW, EXPORT_TABLE, Kind, RESULT_NULL, SECTION, Scalar,
    Signature, Type, Volatility, read_section,
};
use guest_abi::names::{EXPORT_EXCHANGE, IMPORT_FAIL, IMPORT_MODULE, unpack};
use guest_build::Allocator;
use wasmparser::{Parser, Payload};
use wasmtime::{Caller, Engine, Extern, Linker, Module, Store, TypedFunc, ValType, WasmParams, WasmResults};

use super::module;

fn signatures(wasm: &[u8]) -> Vec<Signature> {
    let section = Parser::new(0).parse_all(wasm).find_map(|payload| match payload.expect("the module is valid") {
        Payload::CustomSection(custom) if custom.name() == SECTION => Some(custom.data().to_vec()),
        _ => None,
    });
    read_section(&section.expect("it has typed functions")).expect("the section is as the SDK writes it")
}

#[test]
fn the_section_has_the_signature_of_each_function() {
    for allocator in Allocator::ALL {
        let signatures = signatures(&module("functions", allocator));
        let shown: BTreeSet<String> = signatures.iter().map(ToString::to_string).collect();
        let expected = [
            "all_types(truth: bool, int: i32, long: i64, unsigned: u64, single: f32, double: f64, text: string, \
             bytes: bytes, date: date, timestamp: timestamp, decimal: decimal(38, -2), record: record?, list: list(f32)?, \
             maybe: decimal(5, 1)?) -> i32",
            "capitals(text: string) -> list(bool)",
            "checked(number: i64) -> i64",
            "city(document: document) -> string?",
            "count_nulls(number: i64?) -> i64",
            "day_after(day: date) -> date",
            "digits(number: u64) -> list(i32)",
            "distance(latitude_a: f64, longitude_a: f64, latitude_b: f64, longitude_b: f64) -> f64",
            "draws(seed: u64) -> u64",
            "gcd(a: i64, b: i64) -> i64",
            "having(document: document, path: string) -> document?",
            "known(value: bytes?) -> bool",
            "later(at: timestamp, seconds: i32) -> timestamp?",
            "levenshtein(a: string, b: string) -> i64",
            "line(order: document) -> document?",
            "longest(texts: list(string?)) -> string?",
            "longest_text(text: string) -> string?",
            "matches(document: document?, path: string, wanted: string) -> bool",
            "mean(number: f64) -> f64?",
            "moved(point: record, x: f64, y: f64) -> record",
            "nullable(number: i64?) -> i64?",
            "numbers_in(text: string) -> list(i64?)",
            "percentile(number: f64, share: f64) -> f64?",
            "safe_div(a: i64, b: i64) -> i64",
            "series(start: i64, end: i64, step: i64?) -> table(number: i64)",
            "settings(text: string) -> table(name: string, value: f64?)",
            "ships_to(order: document, city: string, at_least: f64) -> bool",
            "split(text: string, separator: string) -> list(string)",
            "sum_list(numbers: list(i64)) -> i64",
            "summary(order: document) -> document",
            "tag_score(document: document, tag: string) -> f64",
            "text_score(query: string, text: string) -> f64",
            "tokens(text: string) -> table(position: i64, word: string)",
            "total(amounts: list(f64?)) -> f64",
            "upper(text: string) -> string",
            "with_tax(cents: decimal(18, 2), percent: i32) -> decimal(18, 2)",
        ];
        assert_eq!(shown, expected.map(str::to_owned).into(), "{allocator}");
        for signature in signatures {
            let volatility = match signature.name.as_str() {
                "draws" => Volatility::Volatile,
                "all_types" => Volatility::Stable,
                _ => Volatility::Immutable,
            };
            let strict = !["checked", "series"].contains(&signature.name.as_str());
            assert_eq!((signature.volatility, signature.strict), (volatility, strict), "{signature}");
            let version = u32::from(signature.kind == Kind::Aggregate);
            assert_eq!(signature.state_version, version, "{signature}");
            assert_eq!(signature.retracts, ["mean", "percentile"].contains(&signature.name.as_str()), "{signature}");
            assert!(signature.documentation.ends_with('.'), "{signature}: {}", signature.documentation);
        }
    }
}

/// The parameters that a value crosses as, by the contract's table.
fn crossing(ty: Type) -> Vec<ValType> {
    let value = match (ty.list, ty.scalar) {
        (Some(_), _) | (None, Scalar::Bool | Scalar::I32 | Scalar::Date) => vec![ValType::I32],
        (None, Scalar::I64 | Scalar::U64 | Scalar::Timestamp) => vec![ValType::I64],
        (None, Scalar::F32) => vec![ValType::F32],
        (None, Scalar::F64) => vec![ValType::F64],
        (None, Scalar::Decimal { .. }) => vec![ValType::I64; 2],
        _ => vec![ValType::I32; 2],
    };
    if ty.nullable { [vec![ValType::I32], value].concat() } else { value }
}

/// The names of types, which wasmtime does not compare.
fn names(types: impl IntoIterator<Item = ValType>) -> Vec<String> {
    types.into_iter().map(|ty| ty.to_string()).collect()
}

#[test]
fn exports_have_the_types_of_the_contract() {
    let engine = Engine::default();
    for allocator in Allocator::ALL {
        let wasm = module("functions", allocator);
        let compiled = Module::new(&engine, &wasm).expect("the compiler's module is valid");
        let prefixes = [EXPORT_ROW, EXPORT_BATCH, EXPORT_AGGREGATE, EXPORT_TABLE];
        let exported: BTreeMap<String, (Vec<String>, Vec<String>)> = compiled
            .exports()
            .filter_map(|export| Some((export.name().to_owned(), export.ty().func()?.clone())))
            .filter(|(name, _)| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            .map(|(name, ty)| (name, (names(ty.params()), names(ty.results()))))
            .collect();
        let mut expected = BTreeMap::new();
        for signature in signatures(&wasm) {
            let numbers = |params: usize| (names(vec![ValType::I32; params]), names([ValType::I32]));
            match signature.kind {
                Kind::Aggregate => {
                    expected.insert(format!("{EXPORT_AGGREGATE}{}", signature.name), numbers(7));
                    continue;
                }
                Kind::Table => {
                    expected.insert(format!("{EXPORT_TABLE}{}", signature.name), numbers(3));
                    continue;
                }
                _ => {}
            }
            let [result] = signature.results.as_slice() else { panic!("{signature} has one result") };
            let result = if result.ty.is_direct() { crossing(result.ty) } else { vec![ValType::I64] };
            let params = signature.params.iter().flat_map(|param| crossing(param.ty));
            expected.insert(format!("{EXPORT_ROW}{}", signature.name), (names(params), names(result)));
            expected.insert(format!("{EXPORT_BATCH}{}", signature.name), numbers(3));
        }
        assert_eq!(exported, expected, "{allocator}");
    }
}

/// An instance without the harness, which keeps the error that a function reports.
struct Bare {
    store: Store<Option<(u32, String)>>,
    instance: wasmtime::Instance,
    /// First free address of the exchange region.
    free: u32,
}

impl Bare {
    fn new(allocator: Allocator) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, module("functions", allocator)).expect("the compiler's module is valid");
        let mut store = Store::new(&engine, None);
        let mut linker = Linker::new(&engine);
        let fail = |mut caller: Caller<'_, Option<(u32, String)>>, code: u32, start: u32, length: u32| {
            let memory = caller.get_export("memory").and_then(Extern::into_memory).expect("it is exported");
            let (data, failed) = memory.data_and_store_mut(&mut caller);
            let message = String::from_utf8_lossy(&data[start as usize..][..length as usize]);
            *failed = Some((code, message.into_owned()));
        };
        linker.func_wrap(IMPORT_MODULE, IMPORT_FAIL, fail).expect("nothing else is linked");
        linker.define_unknown_imports_as_traps(&module).expect("the others are functions");
        let instance = linker.instantiate(&mut store, &module).expect("it imports functions alone");
        let mut bare = Self { store, instance, free: 0 };
        bare.free = bare.call(EXPORT_EXCHANGE, 65_536_u32);
        bare
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> R {
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&mut self.store, name).expect("it has that type");
        function.call(&mut self.store, params).expect("it does not trap")
    }

    fn row<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> R {
        self.call(&format!("{EXPORT_ROW}{name}"), params)
    }

    fn memory(&mut self) -> &mut [u8] {
        let memory = self.instance.get_memory(&mut self.store, "memory").expect("it is exported");
        memory.data_mut(&mut self.store)
    }

    fn bytes(&mut self, address: u32, length: u32) -> Vec<u8> {
        self.memory()[address as usize..][..length as usize].to_vec()
    }

    fn packed(&mut self, result: i64) -> Vec<u8> {
        let (address, length) = unpack(result);
        self.bytes(address, length)
    }

    /// Puts bytes into the exchange region, at a multiple of 8.
    fn place(&mut self, bytes: &[u8]) -> u32 {
        let at = self.free.next_multiple_of(8);
        self.memory()[at as usize..][..bytes.len()].copy_from_slice(bytes);
        self.free = at + u32::try_from(bytes.len()).expect("it is little");
        at
    }

    fn place_column(&mut self, column: Column) -> u32 {
        self.place(&column.to_bytes())
    }

    fn numbers(&mut self, numbers: &[i64]) -> Column {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let rows = u32::try_from(numbers.len()).expect("they are few");
        Column { rows, values: self.place(&bytes), ..Column::default() }
    }

    fn batch(&mut self, name: &str, rows: u32, columns: &[Column], result: Column) -> Result<Column, i32> {
        let columns: Vec<u8> = columns.iter().flat_map(|column| column.to_bytes()).collect();
        let (columns, result) = (self.place(&columns), self.place_column(result));
        match self.call(&format!("{EXPORT_BATCH}{name}"), (rows, columns, result)) {
            BATCH_DONE => {
                let column = self.bytes(result, SIZE as u32);
                Ok(Column::from_bytes(&column.try_into().expect("it is as long as a column")))
            }
            row => Err(row),
        }
    }
}

fn as_numbers(bytes: &[u8]) -> Vec<i64> {
    bytes.chunks_exact(8).map(|chunk| i64::from_le_bytes(chunk.try_into().expect("8 bytes"))).collect()
}

#[test]
fn calls_of_one_row_cross() {
    for allocator in Allocator::ALL {
        let mut guest = Bare::new(allocator);
        assert_eq!(guest.row::<_, i64>("gcd", (12_i64, -18_i64)), 6);
        let text = "straße".as_bytes();
        let text = (guest.place(text), u32::try_from(text.len()).expect("it is short"));
        let upper = guest.row("upper", text);
        assert_eq!(guest.packed(upper), b"STRASSE", "{allocator}");
        let distance: i64 = guest.row("levenshtein", (text.0, text.1, text.0, text.1 - 1));
        assert_eq!(distance, 1);
        let nullable = guest.row("nullable", (1, 41_i64));
        assert_eq!(guest.packed(nullable), 42_i64.to_le_bytes());
        assert_eq!(guest.row::<_, i64>("nullable", (0, 0_i64)), RESULT_NULL);
        // 19.99 and 19 %.
        let taxed = guest.row("with_tax", (1999_i64, 0_i64, 19));
        assert_eq!(guest.packed(taxed), 2378_i128.to_le_bytes());
        let items = guest.numbers(&[1, 2, 3]);
        let items = guest.place_column(items);
        assert_eq!(guest.row::<_, i64>("sum_list", items), 6);
        let (digits, none) = unpack(guest.row("digits", 907_i64));
        assert_eq!(none, 0);
        let digits = Column::from_bytes(&guest.bytes(digits, SIZE as u32).try_into().expect("a column"));
        assert_eq!((digits.rows, digits.encoding, digits.validity), (3, Encoding::Plain as u32, 0));
        assert_eq!(guest.bytes(digits.values, 12), [9, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(guest.store.data(), &None);
        let _: i64 = guest.row("safe_div", (1_i64, 0_i64));
        let (code, message) = guest.store.data_mut().take().expect("it has reported an error");
        assert_eq!((code, message.contains("divisor is 0")), (1000, true), "{message}");
    }
}

#[test]
fn calls_of_many_rows_cross() {
    for allocator in Allocator::ALL {
        let mut guest = Bare::new(allocator);
        let a = guest.numbers(&[12, 9, 100]);
        let b = guest.numbers(&[18]);
        let child = guest.place_column(b);
        let b = Column { encoding: Encoding::Constant as u32, rows: 3, child, ..Column::default() };
        let room = guest.numbers(&[-1; 3]);
        let result = guest.batch("gcd", 3, &[a, b], room).expect("no row fails");
        assert_eq!((result, as_numbers(&guest.bytes(result.values, 24))), (room, vec![6, 9, 2]), "{allocator}");
        // A null in the second row.
        let nulls = guest.place(&[0b1010_0000]);
        let a = Column { validity: nulls, first_bit: 5, ..a };
        let validity = guest.place(&[0]);
        let result = guest.batch("gcd", 3, &[a, b], Column { validity, ..room }).expect("no row fails");
        assert_eq!((guest.bytes(validity, 1), as_numbers(&guest.bytes(result.values, 24))[2]), (vec![0b101], 2));
        let failed = guest.batch("checked", 3, &[a], room);
        let (_, message) = guest.store.data_mut().take().expect("it has reported an error");
        assert_eq!(failed, Err(1));
        assert!(message.contains("the argument `number` is null"), "{message}");

        let offsets: Vec<u8> = [0_u32, 1, 1, 4].into_iter().flat_map(u32::to_le_bytes).collect();
        let texts =
            Column { rows: 3, values: guest.place(b"abcd"), offsets: guest.place(&offsets), ..Column::default() };
        let room = Column { rows: 3, ..Column::default() };
        let result = guest.batch("upper", 3, &[texts], room).expect("no row fails");
        assert_eq!(guest.bytes(result.offsets, 16), offsets);
        assert_eq!(guest.bytes(result.values, 4), b"ABCD", "{allocator}");
    }
}
