//! The intents of a call, to be looked at and to be compared as text.

use core::fmt;

use guest_abi::intent::{self, Operation};

use super::shown;
use crate::value::Value;

/// An intent, to be looked at. As text ([`Display`](fmt::Display)) it is a paragraph: see [`Intents`].
#[derive(Clone, Copy, PartialEq)]
pub struct Intent<'a> {
    /// New or update.
    pub operation: Operation,
    /// Storage of the record.
    pub storage: &'a str,
    /// Entity of the record.
    pub entity: &'a str,
    /// The fields of the record's key, an object.
    pub key: Value<'a>,
    /// The fields to write, an object.
    pub value: Value<'a>,
}

impl fmt::Display for Intent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown::intent(self))
    }
}

/// With `{:#?}`, which is how snapshots and `dbg!` write it, the same paragraph as [`Display`](fmt::Display).
impl fmt::Debug for Intent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        f.debug_struct("Intent")
            .field("operation", &self.operation)
            .field("storage", &self.storage)
            .field("entity", &self.entity)
            .field("key", &self.key)
            .field("value", &self.value)
            .finish()
    }
}

/// The intents of a call, in the order in which the extension left them.
///
/// As text they are paragraphs, one for each intent: operation, storage, entity and key, and below them the fields to
/// write. Fields are sorted by name, and of a field that was put twice the last value counts, as it does for the host.
/// So the text does not depend on the order in which an extension puts fields. Floats have their type, and bytes are
/// hexadecimal.
///
/// ```
/// use guest_sdk::testing::Host;
/// use guest_sdk::{KeyBuilder, QName, storage};
///
/// let outcome = Host::default().call(|cx| {
///     let mut key = KeyBuilder::new(storage::VIEW, "shop.Months");
///     key.put_i32("Year", 2026).put_i32("Month", 11);
///     let mut month = cx.new_value(&key)?;
///     month.put_i64("Total", 400).put_f64("Discount", 0.125).put_bytes("Mark", &[0, 255]);
///     month.put_qname("Kind", QName { package: "shop", entity: "Month" });
///     month.put_array("Items", |items| {
///         items.push_object(|item| {
///             item.put_str("Name", "tea").put_i32("Quantity", 2);
///         });
///     });
///     Ok(())
/// });
/// outcome.unwrap();
/// assert_eq!(
///     outcome.intents().to_string(),
///     "\
/// new sys.View shop.Months {Month: 11, Year: 2026}
///   Discount: 0.125_f64
///   Items:
///     - Name: \"tea\"
///       Quantity: 2
///   Kind: qname(\"shop\", \"Month\")
///   Mark: h'00ff'
///   Total: 400"
/// );
/// ```
#[derive(Clone)]
#[must_use = "the intents are read as they are iterated"]
pub struct Intents<'a> {
    intents: intent::Intents<'a>,
}

impl<'a> Intents<'a> {
    /// The intents of a stream that has been validated.
    pub(super) fn of(stream: &'a [u8]) -> Self {
        Self { intents: intent::intents(stream) }
    }
}

impl<'a> Iterator for Intents<'a> {
    type Item = Intent<'a>;

    fn next(&mut self) -> Option<Intent<'a>> {
        let intent = self.intents.next()?.ok()?;
        Some(Intent {
            operation: intent.operation,
            storage: intent.key.storage,
            entity: intent.key.entity,
            key: Value::new(intent.key.object().bytes()),
            value: Value::new(intent.value.bytes()),
        })
    }
}

impl fmt::Display for Intents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, intent) in self.clone().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{intent}")?;
        }
        Ok(())
    }
}

/// With `{:#?}` the same paragraphs as [`Display`](fmt::Display).
impl fmt::Debug for Intents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return fmt::Display::fmt(self, f);
        }
        f.debug_list().entries(self.clone()).finish()
    }
}
