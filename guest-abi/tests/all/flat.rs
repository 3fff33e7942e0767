//! Flat values of several types: written, read back, and damaged.

use std::fmt::Debug;

use guest_abi::flat::{Build, BuildError, Builder, Bytes, Flat, List, ListView, Text, measure, read};
use proptest::prelude::*;
use proptest::sample::Index;

/// A record of an order, its lines and their words.
type Orders = List<(u32, Text, List<(Option<Text>, u8, List<u64>)>)>;
type OrdersValue = Vec<(u32, String, Vec<(Option<String>, u8, Vec<u64>)>)>;

fn orders() -> impl Strategy<Value = OrdersValue> {
    let line = (prop::option::of(".{0,5}"), any::<u8>(), prop::collection::vec(any::<u64>(), 0..4));
    let order = (any::<u32>(), ".{0,8}", prop::collection::vec(line, 0..5));
    prop::collection::vec(order, 0..6)
}

fn owned_orders(view: <Orders as Flat>::View<'_>) -> OrdersValue {
    let line = |(name, count, numbers): (Option<&str>, u8, ListView<'_, u64>)| {
        (name.map(String::from), count, numbers.iter().collect())
    };
    view.iter().map(|(id, name, lines)| (id, name.to_owned(), lines.iter().map(line).collect())).collect()
}

/// Every scalar, and optional records.
type Mixed =
    (bool, Option<(i8, i64)>, List<Option<f32>>, Bytes, (u16, i16, f64), List<(bool, u32)>, Option<Bytes>, i32);
type MixedValue =
    (bool, Option<(i8, i64)>, Vec<Option<f32>>, Vec<u8>, (u16, i16, f64), Vec<(bool, u32)>, Option<Vec<u8>>, i32);

fn mixed() -> impl Strategy<Value = MixedValue> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..9);
    (
        any::<bool>(),
        any::<Option<(i8, i64)>>(),
        prop::collection::vec(any::<Option<f32>>(), 0..5),
        bytes(),
        any::<(u16, i16, f64)>(),
        prop::collection::vec(any::<(bool, u32)>(), 0..5),
        prop::option::of(bytes()),
        any::<i32>(),
    )
}

/// Lists of lists of lists.
type Deep = List<List<List<Text>>>;
type DeepValue = Vec<Vec<Vec<String>>>;

fn deep() -> impl Strategy<Value = DeepValue> {
    let words = prop::collection::vec("[a-zß]{0,3}", 0..4);
    prop::collection::vec(prop::collection::vec(words, 0..4), 0..4)
}

/// The bytes of a value, after building it in a buffer that is exactly large enough and in one that is too small.
fn built<T: Flat>(value: &impl Build<T>) -> Vec<u8> {
    let needed = measure::<T>(value).unwrap();
    let mut buffer = vec![0x55; needed];
    let bytes = Builder::new(&mut buffer).build::<T>(value).unwrap().to_vec();
    assert_eq!(bytes.len(), needed);
    let room = needed - 1;
    let failed = Builder::new(&mut buffer[..room]).build::<T>(value);
    assert_eq!(failed, Err(BuildError::TooSmall { needed, room }));
    assert!(read::<T>(&buffer).is_err());
    bytes
}

/// Changes bytes at random, and reads them: they are no value, or one that has exactly these bytes.
fn damage<T: Flat>(mut bytes: Vec<u8>, changes: &[(Index, Change)], cut: Index)
where
    for<'a> T::View<'a>: Build<T> + Debug,
{
    for (at, change) in changes {
        let at = at.index(bytes.len());
        match *change {
            Change::Byte(byte) => bytes[at] = byte,
            Change::Add(number) => bytes[at] = bytes[at].wrapping_add(number),
            Change::Word(word) => {
                let at = at / 4 * 4;
                if let Some(to) = bytes.get_mut(at..at + 4) {
                    to.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }
    check::<T>(&bytes);
    check::<T>(&bytes[..cut.index(bytes.len())]);
}

fn check<T: Flat>(bytes: &[u8])
where
    for<'a> T::View<'a>: Build<T> + Debug,
{
    match read::<T>(bytes) {
        Ok(view) => {
            let _ = format!("{view:?}");
            let again = built::<T>(&view);
            assert_eq!(again, bytes[..again.len()]);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Byte(u8),
    Add(u8),
    Word(u32),
}

fn changes() -> impl Strategy<Value = Vec<(Index, Change)>> {
    let change = prop_oneof![
        any::<u8>().prop_map(Change::Byte),
        prop_oneof![Just(1), Just(255), Just(8), Just(248)].prop_map(Change::Add),
        (0_u32..200).prop_map(Change::Word),
        Just(Change::Word(u32::MAX)),
    ];
    prop::collection::vec((any::<Index>(), change), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1024) })]

    #[test]
    fn orders_are_read_back(value in orders(), changes in changes(), cut in any::<Index>()) {
        let bytes = built::<Orders>(&value);
        let view = read::<Orders>(&bytes).unwrap();
        prop_assert_eq!(&owned_orders(view), &value);
        for (index, (id, ..)) in value.iter().enumerate() {
            prop_assert_eq!(view.get(index).map(|(id, ..)| id), Some(*id));
        }
        check::<Orders>(&bytes);
        damage::<Orders>(bytes, &changes, cut);
    }

    #[test]
    fn scalars_and_optional_records_are_read_back(value in mixed(), changes in changes(), cut in any::<Index>()) {
        let bytes = built::<Mixed>(&value);
        let (a, b, c, d, e, f, g, h) = read::<Mixed>(&bytes).unwrap();
        let owned = (a, b, c.iter().collect(), d.to_vec(), e, f.iter().collect(), g.map(<[u8]>::to_vec), h);
        prop_assert_eq!(owned, value);
        check::<Mixed>(&bytes);
        damage::<Mixed>(bytes, &changes, cut);
    }

    #[test]
    fn lists_of_lists_are_read_back(value in deep(), changes in changes(), cut in any::<Index>()) {
        let bytes = built::<Deep>(&value);
        let view = read::<Deep>(&bytes).unwrap();
        let owned: DeepValue = view
            .iter()
            .map(|outer| outer.iter().map(|inner| inner.iter().map(String::from).collect()).collect())
            .collect();
        prop_assert_eq!(owned, value);
        check::<Deep>(&bytes);
        damage::<Deep>(bytes, &changes, cut);
    }

    #[test]
    fn every_truncation_of_a_value_is_refused(value in orders()) {
        let bytes = built::<Orders>(&value);
        for cut in 0..bytes.len() {
            prop_assert!(read::<Orders>(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), value in deep()) {
        check::<Deep>(&bytes);
        // With a header that is right.
        let mut whole = built::<Deep>(&value);
        let length = u32::try_from(bytes.len() + 16).unwrap();
        whole.truncate(16);
        whole[4..8].copy_from_slice(&length.to_le_bytes());
        whole.extend(bytes);
        check::<Deep>(&whole);
    }
}
