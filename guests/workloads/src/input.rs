//! What the programs work on: made once, the same each time.

use std::fmt::Write as _;
use std::sync::OnceLock;

use regex::Regex;

/// Records of the document.
pub(crate) const RECORDS: usize = 200;
/// Numbers to sort.
const NUMBERS: usize = 4000;
/// Numbers to format.
pub(crate) const FORMATTED: usize = 1500;
/// Words to put into a map.
pub(crate) const WORDS: usize = 2000;
/// Lines of the text.
const LINES: usize = 256;
/// Matches of all patterns in the text: a date, an address and an amount in each line.
pub(crate) const MATCHES: usize = 3 * LINES;

const PATTERNS: [&str; 3] = [
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    r"[a-z][a-z0-9.]*@[a-z]+\.(com|org|example)",
    r"(total|amount)[ :]+([0-9]+)\.([0-9]{2})",
];

/// The input of all programs.
pub(crate) struct Input {
    pub(crate) document: String,
    pub(crate) numbers: Vec<u64>,
    pub(crate) words: Vec<String>,
    pub(crate) text: String,
    pub(crate) patterns: Vec<Regex>,
}

static INPUT: OnceLock<Input> = OnceLock::new();

/// Makes the input before the snapshot, so that no call has to.
#[guest_sdk::init]
fn make_input() {
    input();
}

/// The input, which is made where it is not there yet.
pub(crate) fn input() -> &'static Input {
    INPUT.get_or_init(|| {
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
        Input {
            document: document(&mut numbers),
            text: text(&mut numbers),
            words: (0..WORDS).map(|index| format!("{}-{index}", word(numbers.next()))).collect(),
            patterns: PATTERNS.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect(),
            numbers: (0..NUMBERS).map(|_| numbers.next()).collect(),
        }
    })
}

/// Numbers that look random and are the same each time: xorshift64* (Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled", 2016).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

fn word(number: u64) -> &'static str {
    const SYLLABLES: [&str; 8] = ["order", "stock", "invoice", "ledger", "customer", "item", "parcel", "account"];
    SYLLABLES[usize::try_from(number >> 61).unwrap_or_default()]
}

fn document(numbers: &mut Numbers) -> String {
    let mut json = String::from("[");
    for index in 0..RECORDS {
        let (comma, number) = (if index == 0 { "" } else { "," }, numbers.next());
        let (name, price, quantity) = (word(number), number % 100_000, number % 9);
        // Writing to a string cannot fail.
        let _ = write!(
            json,
            r#"{comma}{{"id":{index},"name":"{name} \"{index}\"","price":{price}.25,"tags":["{name}","new",null,true],"lines":[{{"quantity":{quantity},"unit":"kg"}},{{"quantity":1,"unit":"pc"}}]}}"#
        );
    }
    json.push(']');
    json
}

fn text(numbers: &mut Numbers) -> String {
    let mut text = String::new();
    for index in 0..LINES {
        let number = numbers.next();
        let (name, day, total) = (word(number), 1 + number % 28, number % 10_000);
        let _ = writeln!(text, "2026-11-{day:02} {name}.{index}@shop.example ordered again, total: {total}.50 paid");
    }
    text
}
