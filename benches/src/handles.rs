//! A host as it is usually written: host functions that pass handles and take a field at a time. Nothing is restored.
//!
//! It does what the harness does for `one_get_one_intent`: five crossings instead of one, with the state in a hash map,
//! texts checked to be UTF-8 and copied where they are kept, and handles in vectors that live as long as a call. The
//! key function takes the key's field too, which an API of this kind would need a sixth crossing for.

use std::collections::HashMap;
use std::rc::Rc;

use wasmtime::{Caller, Engine, Error, Linker, Memory, Module, Result, Store, TypedFunc};

const GUEST: &str = include_str!("handles.wat");

/// Ticks that a call may take.
const DEADLINE_TICKS: u64 = 1001;

/// A record's key: storage, entity and fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    storage: String,
    entity: String,
    fields: Vec<(String, i32)>,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
enum Field {
    Integer(i64),
    Text(String),
}

type Record = HashMap<String, Field>;

/// What a call wants written.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    key: Key,
    fields: Vec<(String, Field)>,
}

impl Intent {
    /// The integer that it writes into this field.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.fields.iter().find_map(|(field, value)| match value {
            Field::Integer(value) if field == name => Some(*value),
            _ => None,
        })
    }
}

/// State and handles: a handle is an index into its vector.
#[derive(Default)]
struct Data {
    records: HashMap<Key, Rc<Record>>,
    memory: Option<Memory>,
    keys: Vec<Key>,
    values: Vec<Rc<Record>>,
    intents: Vec<Intent>,
}

impl Data {
    /// Forgets the last call's handles and keeps their room.
    fn begin(&mut self) {
        self.keys.clear();
        self.values.clear();
        self.intents.clear();
    }
}

/// The guest in text form with its host.
pub struct HandleHost {
    store: Store<Data>,
    function: TypedFunc<(), i64>,
}

impl HandleHost {
    /// An instance on `engine`, over the same 1003 records as the guest `bench` has.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn new(engine: &Engine) -> Result<Self> {
        let module = Module::new(engine, wat::parse_str(GUEST).map_err(Error::new)?)?;
        let mut linker = Linker::new(engine);
        linker.func_wrap("state", "key", key)?;
        linker.func_wrap("state", "get_value", get_value)?;
        linker.func_wrap("state", "value_as_i64", value_as_i64)?;
        linker.func_wrap("state", "new_value", new_value)?;
        linker.func_wrap("state", "put_i64", put_i64)?;
        let mut store = Store::new(engine, Data { records: records(), ..Data::default() });
        store.set_epoch_deadline(DEADLINE_TICKS);
        let instance = linker.instantiate(&mut store, &module)?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        let function = instance.get_typed_func(&mut store, "one_get_one_intent")?;
        Ok(Self { store, function })
    }

    /// Arms the deadline, calls, and returns what the call wants written.
    ///
    /// # Errors
    /// A handle or a text is not valid, or the record is not there.
    pub fn call(&mut self) -> Result<&[Intent]> {
        self.store.data_mut().begin();
        self.store.set_epoch_deadline(DEADLINE_TICKS);
        self.function.call(&mut self.store, ())?;
        Ok(&self.store.data().intents)
    }
}

fn records() -> HashMap<Key, Rc<Record>> {
    let key = |storage: &str, entity: &str, id: Option<i32>| Key {
        storage: storage.to_owned(),
        entity: entity.to_owned(),
        fields: id.map(|id| ("Id".to_owned(), id)).into_iter().collect(),
    };
    let integer = |name: &str, value| (name.to_owned(), Field::Integer(value));
    let text = |name: &str, value: String| (name.to_owned(), Field::Text(value));
    let mut records = HashMap::new();
    let mut put = |key, fields: Vec<_>| records.insert(key, Rc::new(fields.into_iter().collect::<Record>()));
    put(key("sys.Event", "", None), vec![integer("Number", 7), text("Text", "an event".to_owned())]);
    put(key("sys.Record", "bench.Text", None), vec![text("Text", "0123456789".repeat(50))]);
    put(key("sys.View", "bench.Counter", Some(1)), vec![integer("Amount", 41)]);
    for id in 0..1000 {
        let fields = vec![integer("Amount", 3 * i64::from(id)), text("Name", format!("row {id}"))];
        put(key("sys.View", "bench.Rows", Some(id)), fields);
    }
    records
}

/// The guest's memory and the host's data.
fn parts<'a>(caller: &'a mut Caller<'_, Data>) -> Result<(&'a [u8], &'a mut Data)> {
    let memory = caller.data().memory.ok_or_else(|| Error::msg("no memory"))?;
    let (memory, data) = memory.data_and_store_mut(caller);
    Ok((memory, data))
}

fn text(memory: &[u8], address: u32, length: u32) -> Result<&str> {
    let start = address as usize;
    let bytes = start.checked_add(length as usize).and_then(|end| memory.get(start..end));
    let bytes = bytes.ok_or_else(|| Error::msg("a text lies outside of memory"))?;
    std::str::from_utf8(bytes).map_err(Error::new)
}

fn handle(index: usize) -> Result<u32> {
    u32::try_from(index).map_err(Error::new)
}

fn of<T>(values: &[T], handle: u32) -> Result<&T> {
    values.get(handle as usize).ok_or_else(|| Error::msg("a handle is not valid"))
}

#[expect(clippy::too_many_arguments, reason = "three texts, each by address and length, and a value")]
fn key(
    mut caller: Caller<'_, Data>,
    storage: u32,
    storage_length: u32,
    entity: u32,
    entity_length: u32,
    field: u32,
    field_length: u32,
    value: i32,
) -> Result<u32> {
    let (memory, data) = parts(&mut caller)?;
    let key = Key {
        storage: text(memory, storage, storage_length)?.to_owned(),
        entity: text(memory, entity, entity_length)?.to_owned(),
        fields: vec![(text(memory, field, field_length)?.to_owned(), value)],
    };
    data.keys.push(key);
    handle(data.keys.len() - 1)
}

fn get_value(mut caller: Caller<'_, Data>, key: u32) -> Result<u32> {
    let (_, data) = parts(&mut caller)?;
    let found = data.records.get(of(&data.keys, key)?).ok_or_else(|| Error::msg("there is no such record"))?;
    data.values.push(Rc::clone(found));
    handle(data.values.len() - 1)
}

fn value_as_i64(mut caller: Caller<'_, Data>, value: u32, name: u32, name_length: u32) -> Result<i64> {
    let (memory, data) = parts(&mut caller)?;
    let name = text(memory, name, name_length)?;
    match of(&data.values, value)?.get(name) {
        Some(Field::Integer(value)) => Ok(*value),
        Some(Field::Text(_)) => Err(Error::msg("the field is a text")),
        None => Err(Error::msg("there is no such field")),
    }
}

fn new_value(mut caller: Caller<'_, Data>, key: u32) -> Result<u32> {
    let (_, data) = parts(&mut caller)?;
    let key = of(&data.keys, key)?.clone();
    data.intents.push(Intent { key, fields: Vec::new() });
    handle(data.intents.len() - 1)
}

fn put_i64(mut caller: Caller<'_, Data>, intent: u32, name: u32, name_length: u32, value: i64) -> Result<()> {
    let (memory, data) = parts(&mut caller)?;
    let name = text(memory, name, name_length)?.to_owned();
    let intent = data.intents.get_mut(intent as usize).ok_or_else(|| Error::msg("a handle is not valid"))?;
    intent.fields.push((name, Field::Integer(value)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leaves_the_intent_that_the_benchmarked_guest_leaves() {
        let mut host = HandleHost::new(&Engine::default()).unwrap();
        for _ in 0..2 {
            let intents = host.call().unwrap();
            assert_eq!(intents.len(), 1);
            assert_eq!(intents[0].integer("Amount"), Some(42));
            assert_eq!(intents[0].key.fields, [("Id".to_owned(), 1)]);
        }
    }
}
