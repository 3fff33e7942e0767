//! What the guest is to do, made from the input: steps of which most are as a guest would take them.

use arbitrary::{Result, Unstructured};
use guest_prepare::module_info::ValueType;

use super::guest::{ENTITIES, MEMORY, MOODS, NAMES, STORAGES, TEXTS, operations, place};

/// Arguments that a step has room for.
pub(super) const ARGUMENTS: usize = 8;
/// Bytes of a step: which operation, where its result goes, and for each argument what it is and its value.
pub(super) const STEP: usize = 8 + 16 * ARGUMENTS;
/// Steps of a section.
pub(super) const SECTION: usize = 24;
/// Sections: of each extension function its own, and that of `main`.
pub(super) const SECTIONS: usize = 4;
/// Results that the guest keeps.
pub(super) const SLOTS: u32 = 32;

/// Slots for the customer's key, other keys, intents, the customer and other objects, arrays, keys of rows, values of rows,
/// and text.
const CUSTOMER: (u32, u32) = (0, 1);
const KEYS: (u32, u32) = (2, 3);
const INTENTS: (u32, u32) = (4, 7);
const OBJECTS: (u32, u32) = (8, 11);
const ARRAYS: (u32, u32) = (12, 15);
const ROW_KEYS: (u32, u32) = (16, 19);
const ROWS: (u32, u32) = (20, 23);
const TEXT: (u32, u32) = (24, 27);
const REST: (u32, u32) = (28, 31);

/// Of each type the text that names such a field of the customer, and the index of such an element of its array.
const FIELDS: [(&str, usize, i64); 10] = [
    ("Int32", 11, 1),
    ("Int64", 12, 1),
    ("Bool", 14, 3),
    ("Float32", 13, 2),
    ("Float64", 20, 8),
    ("String", 22, 0),
    ("Bytes", 15, 4),
    ("QNamePkg", 16, 5),
    ("QNameEntity", 16, 5),
    ("Value", 19, 6),
];

/// Types of the fields that keys of rows have.
const KEY_FIELDS: [&str; 3] = ["String", "Int32", "Int64"];

/// An argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    Number(i64),
    Slot(u32),
    /// Address and length of the text that a slot has.
    Address(u32),
    Length(u32),
}

#[derive(Debug, Clone)]
struct Step {
    operation: usize,
    result: u32,
    arguments: Vec<Argument>,
}

/// The steps of each section.
#[derive(Debug, Clone)]
pub(super) struct Script {
    sections: [Vec<Step>; SECTIONS],
}

impl Script {
    pub(super) fn read(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let mut script = Self { sections: Default::default() };
        // Few guests call the host in `main`, and what goes wrong there ends everything.
        let sections = if bytes.ratio(1, 8)? { SECTIONS } else { SECTIONS - 1 };
        for section in &mut script.sections[..sections] {
            let mut maker = Maker { bytes: &mut *bytes, steps: section, filled: 0 };
            while maker.steps.len() < SECTION && !maker.bytes.is_empty() {
                maker.step()?;
            }
            section.truncate(SECTION);
        }
        Ok(script)
    }

    /// As the guest's argument: two letters a byte.
    pub(super) fn argument(&self) -> String {
        let mut bytes = Vec::with_capacity(SECTIONS * SECTION * STEP);
        for section in &self.sections {
            for index in 0..SECTION {
                let end = bytes.len() + STEP;
                match section.get(index) {
                    Some(step) => step.write(&mut bytes),
                    None => bytes.extend_from_slice(&(operation("return") as u32).to_le_bytes()),
                }
                bytes.resize(end, 0);
            }
        }
        bytes.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|half| char::from(b'A' + half))).collect()
    }
}

impl Step {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&(self.operation as u32).to_le_bytes());
        bytes.extend_from_slice(&self.result.to_le_bytes());
        for argument in self.arguments.iter().take(ARGUMENTS) {
            let (kind, value) = match *argument {
                Argument::Number(value) => (0_u64, value),
                Argument::Slot(slot) => (1, slot.into()),
                Argument::Address(slot) => (2, slot.into()),
                Argument::Length(slot) => (3, slot.into()),
            };
            bytes.extend_from_slice(&kind.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// The number of an operation.
fn operation(name: &str) -> usize {
    operations().iter().position(|operation| operation.name == name).unwrap_or_default()
}

/// Makes the steps of a section.
struct Maker<'a, 'b> {
    bytes: &'a mut Unstructured<'b>,
    steps: &'a mut Vec<Step>,
    /// Slots that have what they are for, a bit each.
    filled: u32,
}

impl Maker<'_, '_> {
    fn step(&mut self) -> Result<()> {
        match self.bytes.int_in_range(0..=9)? {
            0 => self.customer(),
            1 => self.rows(),
            2 => self.intent(),
            3 => self.own(),
            _ => {
                let hosts = operations().iter().filter(|operation| !operation.module.is_empty()).count();
                let number = self.bytes.choose_index(hosts)?;
                let name = operations()[number].name.as_str();
                let ends = matches!(name, "hostPanic" | "proc_exit")
                    || (name.starts_with("hostKeyAs") && !KEY_FIELDS.iter().any(|end| name.ends_with(end)));
                // Most scripts would come to no other end.
                if ends && self.bytes.ratio(4, 5)? {
                    return Ok(());
                }
                self.host(number)
            }
        }
    }

    fn push(&mut self, name: &str, result: u32, arguments: &[Argument]) {
        self.steps.push(Step { operation: operation(name), result, arguments: arguments.to_vec() });
        self.filled |= 1 << result;
    }

    /// A record is read, and a part of it.
    fn customer(&mut self) -> Result<()> {
        let (key, value, part) = (self.within(CUSTOMER)?, self.within(OBJECTS)?, self.within(ARRAYS)?);
        let [kind, id] = [0, if self.bytes.ratio(29, 30)? { 7 } else { 8 }].map(Argument::Number);
        self.push("hostGetKey", key, &[text(0), text(5)].concat());
        self.push("hostRowWriterPutInt64", REST.0, &[&[Argument::Slot(key), kind][..], &text(8), &[id]].concat());
        self.push("hostQueryValue", value, &[Argument::Slot(key)]);
        self.push("hostValueAsValue", part, &[&[Argument::Slot(value)][..], &text(19)].concat());
        Ok(())
    }

    /// Rows are read, and for each the steps that follow are taken.
    fn rows(&mut self) -> Result<()> {
        let key = self.within(KEYS)?;
        let which = *self.bytes.choose(&[(1, 6), (1, 6), (1, 6), (1, 6), (1, 6), (2, 24), (3, 24)])?;
        self.push("hostGetKey", key, &[text(which.0), text(which.1)].concat());
        if self.bytes.ratio(1, 4)? {
            let fields = [&[Argument::Slot(key), Argument::Number(0)][..], &text(9), &[Argument::Number(2023)]];
            self.push("hostRowWriterPutInt32", REST.0, &fields.concat());
        }
        self.push("hostReadValues", REST.0, &[Argument::Slot(key)]);
        self.filled |= 1 << ROW_KEYS.0 | 1 << ROWS.0;
        Ok(())
    }

    fn intent(&mut self) -> Result<()> {
        let (key, intent) = (self.within(KEYS)?, self.within(INTENTS)?);
        self.push("hostGetKey", key, &[text(0), text(5)].concat());
        self.push("hostNewValue", intent, &[Argument::Slot(key)]);
        let value = self.number()?;
        let fields = [&[Argument::Slot(intent), Argument::Number(1)][..], &text(11), &[Argument::Number(value)]];
        self.push("hostRowWriterPutInt64", REST.0, &fields.concat());
        Ok(())
    }

    /// What the guest does itself.
    fn own(&mut self) -> Result<()> {
        let arguments = match self.bytes.int_in_range(0..=15)? {
            0 | 1 => ("return", [0; 3]),
            2 => ("grow", [self.bytes.int_in_range(0..=3)?, 0, 0]),
            3 | 4 => ("store", [self.address()?, self.bytes.arbitrary()?, 0]),
            5 => ("fill", [self.address()?, 0xA5, self.bytes.int_in_range(0..=70_000)?]),
            6 => ("set", [self.bytes.arbitrary()?, 0, 0]),
            7..=11 => ("mood", [self.bytes.int_in_range(0..=i64::from(MOODS))?, self.address()?, 0]),
            12 => ("allocate", [self.bytes.int_in_range(0..=200_000)?, 0, 0]),
            13 | 14 => ("steps", [0; 3]),
            _ => ("unreachable", [0; 3]),
        };
        self.push(arguments.0, REST.0, &arguments.1.map(Argument::Number));
        Ok(())
    }

    /// A host function, with any arguments.
    fn host(&mut self, number: usize) -> Result<()> {
        let operation = &operations()[number];
        let name = operation.name.as_str();
        let mut arguments = Vec::new();
        let result = match name {
            "hostGetKey" => KEYS,
            "hostNewValue" | "hostUpdateValue" => INTENTS,
            "hostGetValue" | "hostQueryValue" => OBJECTS,
            "hostValueAsValue" | "hostValueGetAsValue" => ARRAYS,
            name if ["String", "Bytes", "QNamePkg", "QNameEntity"].iter().any(|end| name.ends_with(end)) => TEXT,
            _ => REST,
        };
        if name.starts_with("hostRowWriterPut") {
            let intent: bool = self.bytes.arbitrary()?;
            arguments.push(self.handle(if intent { INTENTS } else { KEYS })?);
            let kind = if self.bytes.ratio(39, 40)? { i64::from(intent) } else { self.number()? };
            arguments.push(Argument::Number(kind));
        }
        while arguments.len() < operation.params.len() {
            let left = &operation.params[arguments.len()..];
            match left {
                [ValueType::I64, ..] if operation.module == "env" && !name.ends_with("PutInt64") => {
                    let expected = match name {
                        name if name.starts_with("hostKeyAs") => ROW_KEYS,
                        "hostValueLength" => ARRAYS,
                        name if name.starts_with("hostValueGetAs") => ARRAYS,
                        "hostValueAsInt32" | "hostValueAsInt64" => *self.bytes.choose(&[OBJECTS, ROWS])?,
                        name if name.starts_with("hostValueAs") => OBJECTS,
                        "hostUpdateValue" if arguments.len() == 1 => OBJECTS,
                        "hostGetValue" | "hostQueryValue" => CUSTOMER,
                        _ => KEYS,
                    };
                    arguments.push(self.handle(expected)?);
                }
                [ValueType::I32, ValueType::I32, ..] if operation.module == "env" => {
                    let expected = match (name, arguments.len()) {
                        ("hostGetKey", 0) => 0..STORAGES,
                        ("hostGetKey", _) => STORAGES..ENTITIES,
                        _ => match FIELDS.iter().find(|(end, ..)| !name.contains("Put") && name.ends_with(end)) {
                            // What most rows have, which are not the customer.
                            Some(_) if matches!(arguments[0], Argument::Slot(slot) if slot >= ROWS.0) => 21..22,
                            Some(("String", ..)) if name.starts_with("hostKeyAs") => 10..11,
                            Some(_) if name.starts_with("hostKeyAs") => 9..10,
                            Some((_, field, _)) => *field..*field + 1,
                            None => ENTITIES..NAMES,
                        },
                    };
                    arguments.extend(self.text(expected)?);
                }
                [ValueType::I32] if name.starts_with("hostValueGetAs") && self.bytes.ratio(4, 5)? => {
                    let found = FIELDS.iter().find(|(end, ..)| name.ends_with(end));
                    arguments.push(Argument::Number(found.map_or(0, |(.., index)| *index)));
                }
                _ => arguments.push(Argument::Number(self.number()?)),
            }
        }
        let result = self.within(result)?;
        self.filled |= 1 << result;
        self.steps.push(Step { operation: number, result, arguments });
        Ok(())
    }

    fn within(&mut self, slots: (u32, u32)) -> Result<u32> {
        self.bytes.int_in_range(slots.0..=slots.1)
    }

    /// A handle: most often one that was given out for what is expected.
    fn handle(&mut self, expected: (u32, u32)) -> Result<Argument> {
        // Where the input ends, everything is 0: what a guest does that means well.
        Ok(match self.bytes.int_in_range(0..=99)? {
            99 => Argument::Slot(self.within((0, SLOTS - 1))?),
            98 => {
                // Call, kind and index, as handles are made.
                let [call, kind, index] = [3, 3, 60].map(|most| self.bytes.int_in_range(0..=most));
                Argument::Number(call? << 26 | kind? << 24 | index?)
            }
            97 => Argument::Number(self.number()?),
            _ => {
                let filled =
                    |maker: &Self| (expected.0..=expected.1).filter(|slot| maker.filled >> slot & 1 == 1).collect();
                let mut slots: Vec<u32> = filled(self);
                if slots.is_empty() {
                    match expected {
                        KEYS | INTENTS => self.intent()?,
                        ROW_KEYS | ROWS => self.rows()?,
                        _ => self.customer()?,
                    }
                    slots = filled(self);
                }
                Argument::Slot(*self.bytes.choose(&slots)?)
            }
        })
    }

    /// Address and length: most often of a text that is expected.
    fn text(&mut self, expected: std::ops::Range<usize>) -> Result<[Argument; 2]> {
        Ok(match self.bytes.int_in_range(0..=99)? {
            99 => text(self.bytes.choose_index(TEXTS.len())?),
            98 => {
                let slot = self.within(TEXT)?;
                [Argument::Address(slot), Argument::Length(slot)]
            }
            95 | 96 => [self.address()?, self.bytes.int_in_range(0..=3_000)?].map(Argument::Number),
            97 => [self.address()?, self.number()?].map(Argument::Number),
            _ => text(expected.start + self.bytes.choose_index(expected.len())?),
        })
    }

    /// An address: in memory, or near an edge of it.
    fn address(&mut self) -> Result<i64> {
        let edge = *self.bytes.choose(&[0, i64::from(MEMORY), 3 << 16, 4 << 16, 1 << 31, 1 << 32])?;
        Ok(match self.bytes.ratio(2, 3)? {
            true => self.bytes.int_in_range(0..=i64::from(MEMORY))?,
            false => edge + self.bytes.int_in_range(-9..=9)?,
        })
    }

    fn number(&mut self) -> Result<i64> {
        Ok(match self.bytes.int_in_range(0..=19)? {
            19 => self.bytes.arbitrary()?,
            18 => self.bytes.arbitrary::<i32>()?.into(),
            17 => *self.bytes.choose(&[-1, i64::MIN, i64::MAX, i64::from(i32::MIN), i64::from(i32::MAX), 1 << 32])?,
            16 => self.address()?,
            15 | 14 => self.bytes.int_in_range(0..=i64::from(MEMORY) - 8)?,
            _ => self.bytes.int_in_range(0..=9)?,
        })
    }
}

fn text(index: usize) -> [Argument; 2] {
    let (address, length) = place(index);
    [address, length].map(|number| Argument::Number(number.into()))
}
