//! Input for the programs, the same each time.

use std::fmt::Write as _;

/// A small generator of numbers, so that input is uneven and yet the same each time.
///
/// xorshift64: George Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8 (2003).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % bound
    }
}

const WORDS: [&str; 24] = [
    "order",
    "customer",
    "of",
    "the",
    "warehouse",
    "and",
    "invoice",
    "a",
    "delivery",
    "is",
    "late",
    "in",
    "paid",
    "article",
    "with",
    "discount",
    "Saint-Denis",
    "to",
    "return",
    "quantity",
    "by",
    "carrier",
    "for",
    "quarter",
];

/// So many words.
pub(crate) fn sentence(random: &mut Random, words: usize) -> String {
    (0..words).map(|_| WORDS[random.below(WORDS.len())]).collect::<Vec<_>>().join(" ")
}

/// Orders with their items, as JSON.
pub(crate) fn orders(count: usize) -> String {
    let mut random = Random::new(0x5EED);
    let mut orders = Vec::new();
    for number in 0..count {
        let mut items = Vec::new();
        for _ in 0..random.below(6) + 1 {
            items.push(format!(
                r#"{{"article": "{}", "quantity": {}, "price": {}.{:02}, "note": {}}}"#,
                sentence(&mut random, 2),
                random.below(20) + 1,
                random.below(500),
                random.below(100),
                ["null", "true", "\"as a gift\\n\\u00e9\""][random.below(3)],
            ));
        }
        let words = random.below(8) + 2;
        orders.push(format!(
            r#"{{"id": {number}, "customer": "{}", "paid": {}, "tags": ["{}", "{}"], "items": [{}]}}"#,
            sentence(&mut random, words),
            random.below(2) == 0,
            sentence(&mut random, 1),
            sentence(&mut random, 1),
            items.join(", ")
        ));
    }
    format!("[{}]", orders.join(",\n"))
}

/// Log lines, some with addresses, times and amounts.
pub(crate) fn log(lines: usize) -> String {
    let mut random = Random::new(0x106);
    let mut log = String::new();
    for _ in 0..lines {
        let words = random.below(9) + 3;
        let _ = writeln!(
            log,
            "2026-{:02}-{:02}T{:02}:{:02}:00Z level={} user{}@example.com {} amount={}.{:02} EUR",
            random.below(12) + 1,
            random.below(28) + 1,
            random.below(24),
            random.below(60),
            ["info", "warn", "error"][random.below(3)],
            random.below(1_000),
            sentence(&mut random, words),
            random.below(10_000),
            random.below(100)
        );
    }
    log
}

/// A document in Markdown: headings, paragraphs with emphasis and links, lists, code and tables.
pub(crate) fn document(sections: usize) -> String {
    let mut random = Random::new(0xD0C);
    let mut text = String::new();
    for section in 0..sections {
        let (title, words) = (sentence(&mut random, 3), random.below(60) + 20);
        let _ = writeln!(text, "## {section}. {title}\n\n{}", sentence(&mut random, words));
        let (strong, code) = (sentence(&mut random, 2), sentence(&mut random, 1));
        let _ = writeln!(text, "**{strong}** and [`{code}`](https://example.com/{section} \"title\") *see [1]*.\n");
        for item in 0..random.below(6) {
            let words = random.below(10) + 2;
            let _ = writeln!(text, "{item}. {}\n   - {}", sentence(&mut random, words), sentence(&mut random, 4));
        }
        let _ = writeln!(text, "\n```rust\nlet x = \"{}\";\n```\n", sentence(&mut random, 3));
        let _ = writeln!(text, "| a | b |\n|---|--:|\n| {} | 1 |\n| ~~x~~ | &amp; |\n", sentence(&mut random, 2));
    }
    text
}

/// The source of a Rust program: structures, implementations with generics, functions with loops and matches.
pub(crate) fn source(items: usize) -> String {
    let mut random = Random::new(0x5EC);
    let mut source = String::new();
    for item in 0..items {
        let fields = random.below(5) + 1;
        let fields: String = (0..fields)
            .map(|field| format!("    /// A field.\n    pub(crate) f{field}: Vec<Option<&'a str>>,\n"))
            .collect();
        let _ = writeln!(
            source,
            "#[derive(Debug, Clone)]\npub struct Item{item}<'a, T: Into<u64>> {{\n{fields}    t: T,\n}}"
        );
        let arms = random.below(6) + 2;
        let arms: String = (0..arms)
            .map(|arm| format!("            {arm} | 1{arm} if self.f0.len() > {arm} => self.t.into() * {arm} + 1,\n"))
            .collect();
        let _ = writeln!(
            source,
            "impl<'a, T: Into<u64> + Copy> Item{item}<'a, T> {{\n    pub fn total(&self, by: usize) -> u64 {{\n        \
             let mut sum = 0;\n        for (i, field) in self.f0.iter().enumerate().filter(|(_, f)| f.is_some()) {{\n            \
             sum += i as u64 ^ field.map_or(0, |f| f.len() as u64);\n        }}\n        match by {{\n{arms}            \
             _ => sum,\n        }}\n    }}\n}}"
        );
    }
    source
}
