//! Payloads: what is written is read, and nothing else is.

use std::time::Duration;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::ScalarValue;
use guest_abi::function::{Kind, Volatility};
use guest_ballista_plan::{
    Column, FunctionKind, Limits, ModuleReference, Parameter, Payload, PayloadError, Planning, Source, TableCall,
    TableScan, hash,
};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn sample() -> Payload {
    let bytes = b"\0asm\x01\0\0\0".to_vec();
    let module = ModuleReference {
        name: "text.wasm".to_owned(),
        hash: hash(&bytes),
        source: Source::Inline(bytes),
        declarations: Vec::new(),
        limits: Limits::default(),
    };
    let param = |name: &str| Parameter { name: name.to_owned(), nullable: false };
    let planning = Planning { params: vec![param("a"), param("b")], ..Planning::new(DataType::Int64) };
    Payload { abi_version: 1, name: "distance".to_owned(), function: "levenshtein".to_owned(), module, planning }
}

/// An aggregate whose result may be null.
pub(crate) fn aggregate() -> Payload {
    let mut payload = Payload { name: "average".to_owned(), function: "mean".to_owned(), ..sample() };
    payload.planning = Planning {
        kind: FunctionKind::Aggregate { state_version: 3, retracts: true },
        params: vec![Parameter { name: "number".to_owned(), nullable: false }],
        results: vec![Column { name: String::new(), ty: DataType::Float64, nullable: true }],
        ..payload.planning
    };
    payload
}

/// A table function of two columns.
pub(crate) fn table() -> Payload {
    let mut payload = Payload { name: "words".to_owned(), function: "tokens".to_owned(), ..sample() };
    let column = |name: &str, ty| Column { name: name.to_owned(), ty, nullable: false };
    payload.planning = Planning {
        kind: FunctionKind::Table,
        params: vec![Parameter { name: "text".to_owned(), nullable: false }],
        results: vec![column("position", DataType::Int64), column("word", DataType::Utf8)],
        ..payload.planning
    };
    payload
}

fn types() -> impl Strategy<Value = DataType> {
    let plain = prop::sample::select(vec![
        DataType::Boolean,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt64,
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Decimal128(38, -3),
    ]);
    (plain, any::<bool>(), any::<bool>()).prop_map(|(plain, is_list, nullable)| match is_list {
        true => DataType::List(Field::new_list_field(plain, nullable).into()),
        false => plain,
    })
}

fn limits() -> impl Strategy<Value = Limits> {
    let times = (any::<Option<u64>>(), any::<u64>());
    let names = (".{0,8}", ".{0,8}", ".{0,8}");
    (names, any::<u64>(), times, any::<Option<u32>>()).prop_map(
        |((pristine, strategy, residue), memory_limit, (deadline, init_deadline), exchange_size)| Limits {
            pristine,
            strategy,
            residue,
            memory_limit,
            deadline: deadline.map(Duration::from_nanos),
            init_deadline: Duration::from_nanos(init_deadline),
            exchange_size,
        },
    )
}

fn planning() -> impl Strategy<Value = Planning> {
    let volatilities = prop::sample::select(vec![Volatility::Immutable, Volatility::Stable, Volatility::Volatile]);
    let params = vec((".{0,5}", any::<bool>()).prop_map(|(name, nullable)| Parameter { name, nullable }), 0..4);
    let column = || (".{0,5}", types(), any::<bool>()).prop_map(|(name, ty, nullable)| Column { name, ty, nullable });
    let one = || vec(column(), 1);
    let kinds = prop_oneof![
        one().prop_map(|results| (FunctionKind::Scalar, results)),
        (any::<u32>(), any::<bool>(), one()).prop_map(|(state_version, retracts, results)| {
            (FunctionKind::Aggregate { state_version, retracts }, results)
        }),
        vec(column(), 0..4).prop_map(|results| (FunctionKind::Table, results)),
    ];
    (kinds, volatilities, any::<bool>(), params).prop_map(|((kind, results), volatility, strict, params)| Planning {
        kind,
        volatility,
        strict,
        params,
        results,
    })
}

fn payloads() -> impl Strategy<Value = Payload> {
    let source =
        prop::option::of(vec(any::<u8>(), 0..40)).prop_map(|bytes| bytes.map_or(Source::Stored, Source::Inline));
    let module = (".{0,8}", any::<[u8; 32]>(), source, vec(".{0,12}", 0..3), limits()).prop_map(
        |(name, hash, source, declarations, limits)| ModuleReference { name, hash, source, declarations, limits },
    );
    (any::<u32>(), ".{1,8}", ".{1,8}", module, planning()).prop_map(
        |(abi_version, name, function, module, planning)| Payload { abi_version, name, function, module, planning },
    )
}

/// A message with a header that is right.
fn framed(message: &[u8]) -> Vec<u8> {
    let header = &sample().encode().unwrap()[..7];
    [header, &hash(message), message].concat()
}

proptest! {
    #[test]
    fn what_is_written_is_read(payload in payloads()) {
        let encoded = payload.encode().unwrap();
        prop_assert!(Payload::is_one(&encoded));
        prop_assert_eq!(Payload::decode(&encoded).unwrap(), payload);
    }

    #[test]
    fn tables_and_nodes_that_are_written_are_read(
        function in vec(any::<u8>(), 0..40),
        (number, text) in (any::<Option<i64>>(), any::<Option<String>>()),
        projection in prop::option::of(vec(any::<usize>(), 0..5)),
        limit in any::<Option<usize>>(),
        at in any::<prop::sample::Index>(),
        by in 1..=255u8,
    ) {
        let call = TableCall {
            function: function.clone(),
            arguments: vec![ScalarValue::Int64(number), ScalarValue::Utf8(text)],
        };
        let mut encoded = call.encode().unwrap();
        prop_assert!(TableCall::is_one(&encoded) && !TableScan::is_one(&encoded) && !Payload::is_one(&encoded));
        prop_assert_eq!(TableCall::decode(&encoded).unwrap(), call);
        let length = encoded.len();
        encoded[at.index(length)] ^= by;
        prop_assert!(TableCall::decode(&encoded).is_err());

        let scan = TableScan { function, projection, limit };
        let mut encoded = scan.encode();
        prop_assert!(TableScan::is_one(&encoded) && !TableCall::is_one(&encoded) && !Payload::is_one(&encoded));
        prop_assert_eq!(TableScan::decode(&encoded).unwrap(), scan);
        let length = encoded.len();
        encoded[at.index(length)] ^= by;
        prop_assert!(TableScan::decode(&encoded).is_err());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Payload::decode(&bytes).is_err());
        // No panic; by chance it can be a message.
        let _ = Payload::decode(&framed(&bytes));
    }

    #[test]
    fn a_message_with_other_bytes_is_read_or_refused(payload in payloads(), at in any::<prop::sample::Index>(), by in 1..=255u8) {
        let mut message = payload.encode().unwrap().split_off(39);
        let at = at.index(message.len());
        message[at] ^= by;
        // What is read can be written again.
        if let Ok(read) = Payload::decode(&framed(&message)) {
            prop_assert_eq!(Payload::decode(&read.encode().unwrap()).unwrap(), read);
        }
    }

    #[test]
    fn a_payload_with_another_byte_is_refused(at in any::<prop::sample::Index>(), by in 1..=255u8) {
        let mut encoded = sample().encode().unwrap();
        let at = at.index(encoded.len());
        encoded[at] ^= by;
        prop_assert!(Payload::decode(&encoded).is_err());
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let encoded = sample().encode().unwrap();
    let error = |bytes: &[u8]| Payload::decode(bytes).unwrap_err().to_string();
    for (end, what) in [
        (0, "it does not begin as one"),
        (6, "it has no version"),
        (20, "it ends in its checksum"),
        (encoded.len() - 1, "its checksum differs"),
    ] {
        let expected = format!("the function in the plan is damaged: {what}; submit the query again");
        assert_eq!(error(&encoded[..end]), expected);
    }

    let mut newer = encoded.clone();
    newer[6] = 3;
    assert!(matches!(Payload::decode(&newer), Err(PayloadError::Version { found: 3 })));
    assert_eq!(
        error(&newer),
        "the function in the plan has version 3, and this process reads version 2; run the same release on the client, the \
         scheduler and the executors"
    );

    // An empty message has a checksum, and nothing else.
    assert!(error(&framed(b"")).contains("it has no module"));
    let nameless = Payload { name: String::new(), ..sample() };
    assert!(error(&nameless.encode().unwrap()).contains("it has no name"));

    let kind = Payload::decode_as(Kind::Aggregate, &table().encode().unwrap()).unwrap_err().to_string();
    assert!(kind.contains("`words` is called as a kind of aggregate, and it is one of table function"), "{kind}");
    let two = Planning { kind: FunctionKind::Scalar, ..table().planning };
    let two = Payload { planning: two, ..table() }.encode().unwrap();
    assert!(error(&two).contains("it has not one result"));
}
