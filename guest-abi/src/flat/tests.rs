//! The bytes of values, and builders in buffers of every size.

extern crate std;

use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::*;

/// The bytes of a value, built in a buffer that held other bytes.
pub(super) fn built<T: Flat>(value: impl Build<T>) -> Vec<u8> {
    let mut buffer = vec![0xAA; measure::<T>(&value).unwrap() + 32];
    Builder::new(&mut buffer).build::<T>(value).unwrap().to_vec()
}

/// The bytes behind the header.
fn content<T: Flat>(value: impl Build<T>) -> Vec<u8> {
    let bytes = built::<T>(value);
    assert_eq!(bytes[..4], *b"FLT\x01");
    assert_eq!(bytes[4..8], u32::try_from(bytes.len()).unwrap().to_le_bytes());
    assert_eq!(bytes[8..16], T::LAYOUT.digest.to_le_bytes());
    bytes[HEADER..].to_vec()
}

#[test]
fn the_bytes_are_those_of_the_layout() {
    assert_eq!(content::<u32>(0x0102_0304), [4, 3, 2, 1]);
    assert_eq!(content::<i16>(-2), [0xFE, 0xFF]);
    assert_eq!(content::<f64>(1.0), [0, 0, 0, 0, 0, 0, 0xF0, 0x3F]);
    assert_eq!(content::<bool>(true), [1]);
    assert_eq!(content::<Text>("tea"), [24, 0, 0, 0, 3, 0, 0, 0, b't', b'e', b'a']);
    assert_eq!(content::<Text>(""), [0; 8]);
    assert_eq!(content::<Bytes>([0xFF, 0]), [24, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0]);
    assert_eq!(content::<List<u16>>([1, 2]), [24, 0, 0, 0, 2, 0, 0, 0, 1, 0, 2, 0]);
    assert_eq!(content::<Option<u16>>(Some(7)), [1, 0, 7, 0]);
    assert_eq!(content::<Option<u16>>(None::<u16>), [0; 4]);
    assert_eq!(content::<(u8, u32, bool)>((1, 2, true)), [1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]);
    let words = [32, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', b'c', 0, 0, 0, 0, 0];
    let slots = [24, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 2, 0, 0, 0];
    let mut expected = content::<List<Text>>(["a", "bc"]);
    assert_eq!(expected.len(), 8 + 4 + 16, "the texts, a zero, and the slots");
    assert_eq!(expected[8..11], words[8..11]);
    assert_eq!(expected.split_off(12), slots);
    assert_eq!(expected, [28, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', b'c', 0]);
}

#[test]
fn lists_of_numbers_are_aligned_to_their_size() {
    type Lists = (Text, List<u64>, Text, List<u16>);
    let bytes = built::<Lists>(("a", [1, 2], "b", [3]));
    let view = read::<Lists>(&bytes).unwrap();
    for (found, size) in [(view.1.as_bytes(), 8), (view.3.as_bytes(), 2)] {
        assert_eq!((found.as_ptr().addr() - bytes.as_ptr().addr()) % size, 0);
    }
    assert_eq!(view.1.as_bytes().as_chunks().0, [1_u64.to_le_bytes(), 2_u64.to_le_bytes()]);
    assert_eq!((view.0, view.2, view.3.get(0)), ("a", "b", Some(3)));
}

#[test]
fn slots_of_records_are_aligned() {
    type Wide = (u8, u64, u16);
    let layout = Wide::LAYOUT;
    assert_eq!((layout.size, layout.align, &layout.offsets[..3]), (24, 8, &[0, 8, 16][..]));
    assert!(!layout.is_plain && layout.is_inline && layout.has_gaps());
    let narrow = <(u16, i16, f32)>::LAYOUT;
    assert_eq!((narrow.size, narrow.align, narrow.is_plain, narrow.has_gaps()), (8, 4, true, false));
    let optional = Option::<(Text, u64)>::LAYOUT;
    assert_eq!((optional.size, optional.align, optional.offsets[1], optional.is_inline), (24, 8, 8, false));
}

#[test]
fn types_have_the_documented_digests_and_no_two_the_same() {
    let hash = |name: &str, parts: &[u64]| {
        let parts = parts.iter().flat_map(|part| part.to_le_bytes());
        let bytes = name.bytes().chain(parts);
        bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
    };
    let (number, text) = (hash("u32", &[]), hash("text", &[]));
    let texts = hash("list", &[text]);
    assert_eq!(<(u32, Text, List<Text>)>::LAYOUT.digest, hash("record", &[number, text, texts]));
    assert_eq!(Option::<u32>::LAYOUT.digest, hash("option", &[number]));
    let mut all = [
        u8::LAYOUT,
        i8::LAYOUT,
        bool::LAYOUT,
        <(u8,)>::LAYOUT,
        <(u8, u8)>::LAYOUT,
        <(bool, u8)>::LAYOUT,
        Option::<u8>::LAYOUT,
        <((u8, u8), u8)>::LAYOUT,
        <(u8, (u8, u8))>::LAYOUT,
        <(u8, u8, u8)>::LAYOUT,
        Text::LAYOUT,
        Bytes::LAYOUT,
        List::<u8>::LAYOUT,
        List::<List<u8>>::LAYOUT,
    ]
    .map(|layout| layout.digest);
    all.sort_unstable();
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
}

type Deep = (u8, List<(Option<Text>, List<List<u16>>)>, Text, Option<(bool, f64)>);
type DeepValue<'a> = (u8, &'a [(Option<&'a str>, &'a [&'a [u16]])], &'a str, Option<(bool, f64)>);

const DEEP: DeepValue<'static> = (
    7,
    &[(Some("one"), &[&[1], &[], &[2, 3]]), (None, &[]), (Some(""), &[&[4]]), (Some("four"), &[&[5, 6, 7], &[8]])],
    "größe",
    Some((true, 0.5)),
);

#[test]
fn each_smaller_buffer_is_too_small_and_holds_no_value() {
    let bytes = built::<Deep>(DEEP);
    let needed = bytes.len();
    assert_eq!(measure::<Deep>(DEEP), Ok(needed));
    let mut exact = bytes.clone();
    assert_eq!(Builder::new(&mut exact).build::<Deep>(DEEP).unwrap(), bytes);
    for room in 0..needed {
        // With the header of an earlier value.
        let mut buffer = bytes.clone();
        let failed = Builder::new(&mut buffer[..room]).build::<Deep>(DEEP);
        assert_eq!(failed, Err(BuildError::TooSmall { needed, room }));
        if room > 0 {
            assert_eq!(read::<Deep>(&buffer), Err(ReadError::NoHeader));
        }
    }
}

#[test]
fn a_value_that_is_not_finished_is_none() {
    let mut buffer = built::<List<Text>>(["an earlier value"]);
    let mut list = Builder::new(&mut buffer).list::<Text>().unwrap();
    list.push("word").unwrap();
    drop(list);
    assert_eq!(read::<List<Text>>(&buffer), Err(ReadError::NoHeader));
    let _ = Builder::new(&mut buffer);
    assert_eq!(read::<List<Text>>(&buffer), Err(ReadError::NoHeader));
}

/// Pushes as many of these items as fit, into buffers of each size.
fn fill<T: Flat, V: Build<T>>(values: &[V], most: usize)
where
    List<T>: for<'a> Flat<View<'a> = ListView<'a, T>>,
{
    for room in 0..most {
        let mut buffer = vec![0xAA; room];
        let Ok(mut list) = Builder::new(&mut buffer).list::<T>() else {
            assert!(room < 24);
            continue;
        };
        let mut kept = Vec::new();
        for value in values {
            match list.push(value) {
                Ok(()) => kept.push(value),
                Err(error) => {
                    let BuildError::TooSmall { needed, room: stated } = error else { panic!("{error}") };
                    assert!(stated == room && needed > room);
                }
            }
            assert_eq!((list.len(), list.is_empty()), (kept.len(), kept.is_empty()));
        }
        let bytes = list.finish();
        assert_eq!(bytes, built::<List<T>>(&kept), "{room}");
        assert_eq!(read::<List<T>>(bytes).unwrap().len(), kept.len());
    }
}

#[test]
fn a_list_can_be_finished_after_an_item_that_did_not_fit() {
    fill::<Text, _>(&["a", "a longer one", "", "bc", "and the longest of them", "d"], 140);
    fill::<u64, _>(&[1, 2, 3, 4], 64);
    fill::<(u8, List<Text>, u64), _>(
        &[(1, &["x", "yz"][..], 2), (3, &[], 4), (5, &["a word that is long"], 6), (7, &[""], 8)],
        200,
    );
    fill::<List<u16>, _>(&[&[1_u16, 2, 3][..], &[], &[4; 20], &[5]], 140);
}

#[test]
fn a_list_has_the_same_bytes_however_it_is_built() {
    type Lines = List<(u8, List<Text>)>;
    let lines: [(u8, &[&str]); 3] = [(1, &["a", "b c"]), (2, &[]), (3, &["d"])];
    let expected = built::<Lines>(lines);
    let owned: Vec<(u8, Vec<String>)> =
        lines.iter().map(|(number, words)| (*number, words.iter().map(|word| String::from(*word)).collect())).collect();
    assert_eq!(built::<Lines>(&owned), expected);
    assert_eq!(built::<Lines>(items(lines.iter().map(|(number, words)| (*number, items(words.iter()))))), expected);
    let pushed = list(|to| {
        for (number, words) in lines {
            to.push((number, list(move |to| to.extend(words))))?;
        }
        Ok(())
    });
    assert_eq!(built::<Lines>(&pushed), expected);
    assert_eq!(std::format!("{pushed:?}"), "Filled { .. }");
    assert_eq!(built::<Lines>(read::<Lines>(&expected).unwrap()), expected, "a view builds its own value");
    assert_eq!(
        std::format!("{:?}", read::<Lines>(&expected).unwrap().iter()),
        r#"[(1, ["a", "b c"]), (2, []), (3, ["d"])]"#
    );
}

#[test]
fn the_error_of_a_function_that_fills_a_list_ends_the_value() {
    let mut buffer = [0; 64];
    let failing = list::<u8, _>(|to| to.push(1).and(Err(BuildError::TooLarge)));
    assert_eq!(Builder::new(&mut buffer).build::<List<u8>>(failing), Err(BuildError::TooLarge));
    assert_eq!(read::<List<u8>>(&buffer), Err(ReadError::NoHeader));
}

#[test]
fn a_function_that_exchanges_its_builder_leaves_an_empty_list() {
    type Both = (List<Text>, Text);
    let exchanging = list::<Text, _>(|to| {
        to.push("lost")?;
        let mut other = Builder::new(vec![0; 4096].leak()).list()?;
        other.extend(["elsewhere"; 99])?;
        core::mem::swap(to, &mut other);
        other.push("lost, too")
    });
    let empty: [&str; 0] = [];
    assert_eq!(built::<Both>((exchanging, "end")), built::<Both>((empty, "end")));
}

#[test]
fn values_beyond_32_bits_are_too_large() {
    let block = vec![0; 1 << 20];
    let blocks = |count| items((0..count).map(|_: u32| &block[..]));
    let measured = measure::<List<Bytes>>(blocks(4095)).unwrap();
    assert_eq!(measured, 24 + 4095 * ((1 << 20) + 8));
    assert_eq!(measure::<List<Bytes>>(blocks(4096)), Err(BuildError::TooLarge));
    assert_eq!(BuildError::TooLarge.to_string(), "the value is longer than 4 GiB");
}

#[test]
fn iterators_begin_anywhere_and_go_both_ways() {
    let bytes = built::<List<(u8, Text)>>([(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
    let view = read::<List<(u8, Text)>>(&bytes).unwrap();
    let mut iter = view.into_iter();
    assert_eq!((iter.len(), iter.nth(1)), (4, Some((2, "b"))));
    assert_eq!((iter.clone().next_back(), iter.next(), iter.len()), (Some((4, "d")), Some((3, "c")), 1));
    assert_eq!((view.get(3), view.get(4), view.get(usize::MAX)), (Some((4, "d")), None, None));
    let empty = built::<List<(u8, Text)>>([(0, ""); 0]);
    assert!(read::<List<(u8, Text)>>(&empty).unwrap().is_empty());
    assert!(view != read::<List<(u8, Text)>>(&empty).unwrap());
}

#[test]
fn records_have_up_to_eight_fields() {
    type Eight = (u8, u16, u32, u64, f32, Text, Option<bool>, List<i8>);
    let bytes = built::<Eight>((1, 2, 3, 4, 0.5, "six", Some(true), [7, -8]));
    let (a, b, c, d, e, f, g, h) = read::<Eight>(&bytes).unwrap();
    assert_eq!((a, b, c, d, e, f, g), (1, 2, 3, 4, 0.5, "six", Some(true)));
    assert_eq!(h.iter().collect::<Vec<_>>(), [7, -8]);
    let bytes = built::<(Bytes,)>((b"bytes",));
    assert_eq!(read::<(Bytes,)>(&bytes).unwrap(), (&b"bytes"[..],));
}
