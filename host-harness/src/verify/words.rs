//! Where two outcomes differ, in words.

use serde_json::Value;

use super::blocks::{Blocks, Seen};
use crate::intent_report::IntentReport;
use guest_host::AllocationStats;

/// Where they differ, what a fresh instance gave there, and what the restored one gave.
pub(super) type Difference = (Option<String>, String, String);

/// Stands where one side has nothing.
const NOTHING: &str = "nothing";

/// The first intent that differs between two streams that are not equal, and its fields that do.
pub(super) fn intents(expected: &[u8], found: &[u8]) -> Difference {
    let (Some(expected_list), Some(found_list)) = (decoded(expected), decoded(found)) else {
        return (None, length(expected), length(found));
    };
    let text = |intent: &IntentReport| serde_json::to_string(intent).unwrap_or_default();
    let Some((mut place, mut left, mut right)) = first_of("intent", &expected_list, &found_list, text) else {
        // Numbers of the same value have more than one form.
        let place = "the same values, encoded otherwise".to_owned();
        return (Some(place), length(expected), length(found));
    };
    let pair = expected_list.iter().zip(&found_list).find(|(expected, found)| expected != found);
    if let (Some((expected, found)), Some(place)) = (pair, &mut place) {
        let values = [expected, found].map(|intent| serde_json::to_value(intent).ok());
        let mut fields = Vec::new();
        differing("", values[0].as_ref(), values[1].as_ref(), &mut fields);
        let names: Vec<String> = fields.iter().take(NAMED).map(|(path, ..)| format!("`{path}`")).collect();
        place.push_str(&format!(" at {}", names.join(", ")));
        if fields.len() > NAMED {
            place.push_str(&format!(" and {} more", fields.len() - NAMED));
        }
        if let [(_, expected, found)] = fields.as_slice() {
            let text = |value: &Option<&Value>| value.map_or_else(|| NOTHING.to_owned(), Value::to_string);
            (left, right) = (shortened(text(expected)), shortened(text(found)));
        }
    }
    (place, left, right)
}

/// Fields that are named where several differ.
const NAMED: usize = 3;

/// The intents as `run` prints them; `None` when one of them cannot be read.
fn decoded(stream: &[u8]) -> Option<Vec<IntentReport>> {
    guest_abi::intent::intents(stream).map(|intent| IntentReport::of(&intent.ok()?).ok()).collect()
}

fn length(stream: &[u8]) -> String {
    format!("{} bytes", stream.len())
}

/// A field by its path, and its value on either side.
type Field<'v> = (String, Option<&'v Value>, Option<&'v Value>);

/// The innermost fields and items in which two values differ.
fn differing<'v>(path: &str, expected: Option<&'v Value>, found: Option<&'v Value>, fields: &mut Vec<Field<'v>>) {
    let below = |step: &str| if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
    match (expected, found) {
        (Some(Value::Object(expected)), Some(Value::Object(found))) => {
            let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
            for name in names {
                differing(&below(name), expected.get(name), found.get(name), fields);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(found))) => {
            for index in 0..expected.len().max(found.len()) {
                differing(&below(&index.to_string()), expected.get(index), found.get(index), fields);
            }
        }
        (expected, found) if expected == found => {}
        (expected, found) => fields.push((path.to_owned(), expected, found)),
    }
}

/// The first item that differs between two lists; `None` when they are equal.
pub(super) fn first_of<T: PartialEq>(
    what: &str,
    expected: &[T],
    found: &[T],
    text: impl Fn(&T) -> String,
) -> Option<Difference> {
    let most = expected.len().max(found.len());
    let index = (0..most).find(|index| expected.get(*index) != found.get(*index))?;
    let place = match (expected.len(), found.len()) {
        (same, of) if same == of => format!("{what} {} of {of}", index + 1),
        (fresh, restored) => format!("{what} {}, of {fresh} expected and {restored} found,", index + 1),
    };
    let item = |list: &[T]| shortened(list.get(index).map_or_else(|| NOTHING.to_owned(), &text));
    Some((Some(place), item(expected), item(found)))
}

/// The first line that differs between two outputs that are not equal, or the counts of what they dropped.
pub(super) fn output(expected: &(Vec<u8>, u64), found: &(Vec<u8>, u64)) -> Difference {
    let lines =
        |(bytes, _): &(Vec<u8>, u64)| bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let text = |line: &Vec<u8>| format!("{:?}", String::from_utf8_lossy(line));
    let dropped = |(_, dropped): &(_, u64)| format!("{dropped} bytes dropped");
    first_of("line", &lines(expected), &lines(found), text).unwrap_or_else(|| (None, dropped(expected), dropped(found)))
}

/// The counts that differ.
pub(super) fn counts(expected: Option<AllocationStats>, found: Option<AllocationStats>) -> Difference {
    let (Some(left), Some(right)) = (expected, found) else {
        let text = |stats: Option<AllocationStats>| if stats.is_some() { "counts" } else { NOTHING }.to_owned();
        return (None, text(expected), text(found));
    };
    let named = |stats: AllocationStats| {
        [
            ("allocations", Some(stats.allocations)),
            ("frees", stats.deallocations),
            ("reallocations", stats.reallocations),
            ("bytes allocated", stats.allocated_bytes),
            ("bytes freed", stats.freed_bytes),
            ("peak live bytes", stats.peak_live_bytes),
            ("grows", stats.grows),
            ("bytes of heap in use", stats.heap_in_use),
            ("bytes of heap", stats.heap_size),
        ]
    };
    let text = |count: Option<u64>, name| {
        count.map_or_else(|| format!("no count of {name}"), |count| format!("{count} {name}"))
    };
    let pairs = named(left).into_iter().zip(named(right)).filter(|(left, right)| left != right);
    let (left, right): (Vec<_>, Vec<_>) =
        pairs.map(|((name, left), (_, right))| (text(left, name), text(right, name))).unzip();
    (None, left.join(", "), right.join(", "))
}

/// The names of the blocks of a call.
const RESULT: &str = "the result block";
const INPUT: &str = "the input block";
const BYSTANDER: &str = "another block of the ring";

/// The first difference between the blocks of two calls; `None` if they are equal.
pub(super) fn blocks(expected: &Blocks, found: &Blocks) -> Option<Difference> {
    let counts = |blocks: &Blocks| format!("{} with {} bytes handed over", blocks.attached, blocks.handed_over);
    let (left, right) = (counts(expected), counts(found));
    block(RESULT, [expected, found].map(|blocks| blocks.result.as_ref()))
        .or_else(|| block(INPUT, [expected, found].map(|blocks| blocks.input.as_ref())))
        .or_else(|| block(BYSTANDER, [expected, found].map(|blocks| blocks.bystander.as_ref())))
        .or_else(|| (left != right).then(|| (Some("the attachments".to_owned()), left, right)))
}

/// Whether the input was given back on one side only.
pub(super) fn given_back(input: [Option<&Seen>; 2]) -> Option<Difference> {
    let texts = input.map(|seen| seen.map_or_else(|| NOTHING.to_owned(), holders));
    differ(INPUT, texts)
}

fn holders(seen: &Seen) -> String {
    seen.refused.map_or_else(|| "free".to_owned(), |refused| format!("not free ({refused})"))
}

fn differ(place: &str, [expected, found]: [String; 2]) -> Option<Difference> {
    (expected != found).then(|| (Some(place.to_owned()), expected, found))
}

/// The first difference between two states of a block, fresh and restored.
fn block(name: &str, sides: [Option<&Seen>; 2]) -> Option<Difference> {
    let [Some(expected), Some(found)] = sides else {
        let presence = |seen: &Seen| format!("a block of {} bytes", seen.size);
        return differ(name, sides.map(|seen| seen.map_or_else(|| "no block".to_owned(), presence)));
    };
    if expected == found {
        return None;
    }
    let both = [expected, found];
    let unread = |seen: &Seen| {
        let start = if seen.unread.start == 0 { String::new() } else { format!(" from byte {}", seen.unread.start) };
        format!("{} bytes to read{start}", seen.unread.end - seen.unread.start)
    };
    let shared = |seen: &Seen| if seen.is_shared { "shared" } else { "for one reader" }.to_owned();
    differ(name, both.map(|seen| format!("{} bytes", seen.size)))
        .or_else(|| differ(name, both.map(unread)))
        .or_else(|| differ(name, both.map(shared)))
        .or_else(|| differ(name, both.map(holders)))
        .or_else(|| {
            let same =
                expected.bytes.iter().zip(&found.bytes).take_while(|(expected, found)| expected == found).count();
            let byte = |seen: &Seen| seen.bytes.get(same).map_or_else(|| NOTHING.to_owned(), u8::to_string);
            differ(&format!("byte {same} of {name}"), both.map(byte))
        })
}

/// Long texts are cut: the seed repeats the run.
pub(super) fn shortened(text: String) -> String {
    const LIMIT: usize = 300;
    if text.len() <= LIMIT { text } else { format!("{}...", &text[..text.floor_char_boundary(LIMIT)]) }
}

#[cfg(test)]
mod tests {
    use guest_abi::intent::{Operation, encode_header};
    use guest_abi::value::ObjectEncoder;

    use super::*;

    /// The intent to make a record of `sys.View` with these numbers.
    fn intent(fields: &[(&str, i64)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_header(&mut bytes, Operation::New);
        // Storage, entity, and a key without fields.
        bytes.extend_from_slice(b"\x68sys.View\x60\xA0");
        let mut writer = ObjectEncoder::begin(&mut bytes);
        for (name, number) in fields {
            writer.put_i64(name, *number);
        }
        writer.end();
        bytes
    }

    fn words(expected: &[&[u8]], found: &[&[u8]]) -> (String, String, String) {
        let (place, expected, found) = intents(&expected.concat(), &found.concat());
        (place.unwrap_or_default(), expected, found)
    }

    #[test]
    fn the_field_that_differs_is_named_with_its_values() {
        let (one, two) = (intent(&[("Sum", 0), ("Id", 7)]), intent(&[("Sum", 4096), ("Id", 7)]));
        let (place, expected, found) = words(&[&one, &one], &[&one, &two]);
        assert_eq!((place.as_str(), expected.as_str(), found.as_str()), ("intent 2 of 2 at `value.Sum`", "0", "4096"));
        let missing = intent(&[("Id", 7)]);
        let (place, expected, found) = words(&[&one], &[&missing]);
        assert_eq!(
            (place.as_str(), expected.as_str(), found.as_str()),
            ("intent 1 of 1 at `value.Sum`", "0", "nothing")
        );
    }

    #[test]
    fn several_fields_are_named_beside_the_whole_intents() {
        let (one, two) = (intent(&[("A", 0), ("B", 1)]), intent(&[("A", 1), ("B", 2)]));
        let (place, expected, found) = words(&[&one], &[&two]);
        assert_eq!(place, "intent 1 of 1 at `value.A`, `value.B`");
        assert!(
            expected.contains(r#""storage":"sys.View""#) && expected.contains(r#""value":{"A":0,"B":1}"#),
            "{expected}"
        );
        assert!(found.contains(r#""value":{"A":1,"B":2}"#), "{found}");
        let many: Vec<(String, i64)> = (0..9).map(|at| (format!("F{at}"), at)).collect();
        let of = |add: i64| intent(&many.iter().map(|(name, at)| (name.as_str(), at + add)).collect::<Vec<_>>());
        let (place, ..) = words(&[&of(0)], &[&of(1)]);
        assert_eq!(place, "intent 1 of 1 at `value.F0`, `value.F1`, `value.F2` and 6 more");
    }

    #[test]
    fn an_intent_too_many_and_one_too_few_are_told() {
        let one = intent(&[("A", 0)]);
        let (place, expected, found) = words(&[&one, &one], &[&one]);
        assert_eq!((place.as_str(), found.as_str()), ("intent 2, of 2 expected and 1 found,", "nothing"));
        assert!(expected.contains(r#""operation":"new""#), "{expected}");
        let (_, expected, _) = words(&[], &[&one]);
        assert_eq!(expected, "nothing");
    }

    #[test]
    fn bytes_of_one_value_that_differ_are_told_as_such() {
        let short = intent(&[("A", 0)]);
        let number = short.iter().rposition(|byte| *byte == b'A').unwrap() + 1;
        // The number 0 in two bytes instead of one.
        let other = [&short[..number], &[0x18, 0], &short[number + 1..]].concat();
        let (place, expected, found) = words(&[&short], &[&other]);
        assert_eq!(place, "the same values, encoded otherwise");
        assert_eq!((expected, found), (format!("{} bytes", short.len()), format!("{} bytes", short.len() + 1)));
    }

    #[test]
    fn blocks_that_differ_are_told_with_the_place() {
        let seen = Seen { size: 16, unread: 0..12, is_shared: false, bytes: vec![4; 16], refused: None };
        let result = |result: Option<&Seen>| Blocks { result: result.cloned(), ..Blocks::default() };
        let told = |change: &dyn Fn(&mut Seen)| {
            let mut found = seen.clone();
            change(&mut found);
            let (place, expected, found) = blocks(&result(Some(&seen)), &result(Some(&found)))?;
            Some(format!("{}: {expected}, {found}", place.unwrap_or_default()))
        };
        let is = |change: &dyn Fn(&mut Seen), text: &str| assert_eq!(told(change).as_deref(), Some(text));
        assert_eq!(told(&|_| {}), None);
        is(&|seen| seen.size = 17, "the result block: 16 bytes, 17 bytes");
        is(&|seen| seen.unread = 2..12, "the result block: 12 bytes to read, 10 bytes to read from byte 2");
        is(&|seen| seen.is_shared = true, "the result block: for one reader, shared");
        is(&|seen| seen.bytes[15] = 3, "byte 15 of the result block: 4, 3");
        let busy = told(&|seen| seen.refused = Some(guest_host::blocks::Refused::Busy)).unwrap();
        assert!(busy.starts_with("the result block: free, not free (the block is attached already"), "{busy}");
        let (_, expected, found) = blocks(&result(None), &result(Some(&seen))).unwrap();
        assert_eq!((expected.as_str(), found.as_str()), ("no block", "a block of 16 bytes"));
        let one = Blocks { attached: 1, ..Blocks::default() };
        let (place, expected, _) = blocks(&one, &Blocks::default()).unwrap();
        assert_eq!((place.unwrap().as_str(), expected.as_str()), ("the attachments", "1 with 0 bytes handed over"));
        let input = Blocks { input: Some(seen.clone()), ..Blocks::default() };
        assert_eq!(blocks(&input, &Blocks::default()).unwrap().0.as_deref(), Some("the input block"));
    }

    #[test]
    fn counts_that_are_equal_are_left_out() {
        let mut left = AllocationStats::default();
        (left.allocations, left.grows) = (3, Some(1));
        let mut right = left;
        right.allocations = 4;
        assert_eq!(counts(Some(left), Some(right)), (None, "3 allocations".to_owned(), "4 allocations".to_owned()));
    }
}
