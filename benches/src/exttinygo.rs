//! A host of the exttinygo contract on a plain wasmtime linker, with as much of the contract as its guest imports. Nothing
//! is restored.
//!
//! It does the same work as the harness, with the same state: texts are checked to lie in memory and to be UTF-8, keys
//! and values are CBOR in buffers that are used again, a handle is an index into its vector, and intents are put together
//! when the function has returned.

use guest_abi::exttinygo;
use guest_abi::intent::{self, Operation};
use guest_abi::key::Key;
use guest_abi::names::pack;
use guest_abi::value::{ObjectEncoder, ValueRef};
use guest_state::MemoryState;
use minicbor::Encoder;
use wasmtime::{Caller, Engine, Error, Linker, Memory, Module, Result, Store, TypedFunc};

/// The guest.
pub const GUEST: &str = include_str!("exttinygo.wat");

/// Ticks that a call may take.
const DEADLINE_TICKS: u64 = 1001;

/// What ends an object.
const BREAK: u8 = 0xFF;

/// State and handles: a handle is an index into its vector.
struct Data {
    state: MemoryState,
    memory: Option<Memory>,
    buffer: u32,
    filled: u32,
    keys: Reused,
    intents: Reused,
    values: Reused,
    stream: Vec<u8>,
}

/// Buffers that are used again in the next call.
#[derive(Default)]
struct Reused {
    buffers: Vec<Vec<u8>>,
    used: usize,
}

impl Reused {
    #[expect(clippy::cast_possible_wrap, reason = "there is no memory for so many")]
    fn add(&mut self) -> (i64, &mut Vec<u8>) {
        if self.used == self.buffers.len() {
            self.buffers.push(Vec::new());
        }
        let buffer = &mut self.buffers[self.used];
        buffer.clear();
        self.used += 1;
        (self.used as i64 - 1, buffer)
    }

    fn of(&mut self, handle: i64) -> Result<&mut Vec<u8>> {
        let used = &mut self.buffers[..self.used];
        let index = usize::try_from(handle).ok();
        index.and_then(|index| used.get_mut(index)).ok_or_else(|| Error::msg("a handle is not valid"))
    }
}

/// The guest with its host.
pub struct PlainHost {
    store: Store<Data>,
    function: TypedFunc<(), ()>,
}

impl PlainHost {
    /// An instance on `engine` that reads `state`.
    ///
    /// # Errors
    /// The engine refuses it.
    pub fn new(engine: &Engine, function: &str, state: MemoryState) -> Result<Self> {
        let module = Module::new(engine, wat::parse_str(GUEST).map_err(Error::new)?)?;
        let mut linker = Linker::new(engine);
        let env = exttinygo::IMPORT_MODULE;
        linker.func_wrap(env, exttinygo::IMPORT_GET_KEY, get_key)?;
        linker.func_wrap(env, exttinygo::IMPORT_GET_VALUE, get_value)?;
        linker.func_wrap(env, "hostValueAsInt64", value_as_int64)?;
        linker.func_wrap(env, "hostValueAsString", value_as_string)?;
        linker.func_wrap(env, exttinygo::IMPORT_NEW_VALUE, new_value)?;
        linker.func_wrap(env, "hostRowWriterPutInt64", put_int64)?;
        let [keys, intents, values] = [(); 3].map(|()| Reused::default());
        let stream = Vec::new();
        let data = Data { state, memory: None, buffer: 0, filled: 0, keys, intents, values, stream };
        let mut store = Store::new(engine, data);
        store.set_epoch_deadline(DEADLINE_TICKS);
        let instance = linker.instantiate(&mut store, &module)?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        instance.get_typed_func::<(), ()>(&mut store, exttinygo::EXPORT_START)?.call(&mut store, ())?;
        let malloc = instance.get_typed_func::<u32, u32>(&mut store, exttinygo::EXPORT_MALLOC)?;
        store.data_mut().buffer = malloc.call(&mut store, exttinygo::DEFAULT_BUFFER_SIZE)?;
        let function = instance.get_typed_func(&mut store, function)?;
        Ok(Self { store, function })
    }

    /// Arms the deadline, calls, and returns the stream of intents.
    ///
    /// # Errors
    /// A handle or a text is not valid, or the record is not there.
    pub fn call(&mut self) -> Result<&[u8]> {
        let data = self.store.data_mut();
        (data.keys.used, data.intents.used, data.values.used, data.filled) = (0, 0, 0, 0);
        data.stream.clear();
        self.store.set_epoch_deadline(DEADLINE_TICKS);
        self.function.call(&mut self.store, ())?;
        let Data { intents, stream, .. } = self.store.data_mut();
        for intent in &intents.buffers[..intents.used] {
            stream.extend_from_slice(intent);
            stream.push(BREAK);
        }
        Ok(stream)
    }
}

/// The guest's memory and the host's data.
fn parts<'a>(caller: &'a mut Caller<'_, Data>) -> Result<(&'a mut [u8], &'a mut Data)> {
    let memory = caller.data().memory.ok_or_else(|| Error::msg("no memory"))?;
    Ok(memory.data_and_store_mut(caller))
}

fn text(memory: &[u8], address: u32, length: u32) -> Result<&str> {
    let start = address as usize;
    let bytes = start.checked_add(length as usize).and_then(|end| memory.get(start..end));
    let bytes = bytes.ok_or_else(|| Error::msg("a text lies outside of memory"))?;
    std::str::from_utf8(bytes).map_err(Error::new)
}

fn get_key(
    mut caller: Caller<'_, Data>,
    storage: u32,
    storage_length: u32,
    entity: u32,
    entity_length: u32,
) -> Result<i64> {
    let (memory, data) = parts(&mut caller)?;
    let (handle, key) = data.keys.add();
    Encoder::new(&mut *key).str(text(memory, storage, storage_length)?)?.str(text(memory, entity, entity_length)?)?;
    ObjectEncoder::begin(key);
    Ok(handle)
}

fn get_value(mut caller: Caller<'_, Data>, key: i64) -> Result<i64> {
    let data = caller.data_mut();
    let key = data.keys.of(key)?;
    key.push(BREAK);
    let found = data.state.get(&Key::parse(key).map_err(Error::new)?).map_err(Error::new)?;
    let (handle, value) = data.values.add();
    value.extend_from_slice(found.ok_or_else(|| Error::msg("there is no such record"))?);
    key.pop();
    Ok(handle)
}

fn field<'v>(value: &'v [u8], name: &str) -> Result<ValueRef<'v>> {
    let found = ValueRef::new(value).field(name).map_err(Error::new)?;
    found.ok_or_else(|| Error::msg("there is no such field"))
}

fn value_as_int64(mut caller: Caller<'_, Data>, value: i64, name: u32, name_length: u32) -> Result<i64> {
    let (memory, data) = parts(&mut caller)?;
    field(data.values.of(value)?, text(memory, name, name_length)?)?.as_i64().map_err(Error::new)
}

fn value_as_string(mut caller: Caller<'_, Data>, value: i64, name: u32, name_length: u32) -> Result<i64> {
    let (memory, data) = parts(&mut caller)?;
    let found = field(data.values.of(value)?, text(memory, name, name_length)?)?.as_str().map_err(Error::new)?;
    let length = u32::try_from(found.len())?;
    if length > exttinygo::DEFAULT_BUFFER_SIZE - data.filled {
        return Err(Error::msg("the buffer is full"));
    }
    let address = data.buffer + data.filled;
    data.filled += length;
    let room = memory.get_mut(address as usize..address as usize + found.len());
    room.ok_or_else(|| Error::msg("the buffer lies outside of memory"))?.copy_from_slice(found.as_bytes());
    Ok(pack(address, length))
}

fn new_value(mut caller: Caller<'_, Data>, key: i64) -> Result<i64> {
    let Data { keys, intents, .. } = caller.data_mut();
    let (handle, intent) = intents.add();
    intent::encode_header(intent, Operation::New);
    intent.extend_from_slice(keys.of(key)?);
    intent.push(BREAK);
    ObjectEncoder::begin(intent);
    Ok(handle)
}

fn put_int64(
    mut caller: Caller<'_, Data>,
    writer: i64,
    kind: i32,
    name: u32,
    name_length: u32,
    value: i64,
) -> Result<()> {
    let (memory, data) = parts(&mut caller)?;
    let writers = if kind == exttinygo::WRITER_KEY { &mut data.keys } else { &mut data.intents };
    ObjectEncoder::resume(writers.of(writer)?).put_i64(text(memory, name, name_length)?, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leaves_the_intents_that_the_harness_collects() {
        use guest_host::{EngineConfig, Guest, InstanceConfig};
        use guest_prepare::PrepareOptions;
        let mut state = MemoryState::new();
        let fill = |value: &mut ObjectEncoder<'_, Vec<u8>>| {
            value.put_i64("Number", 7).put_str("Text", "an event");
        };
        state.put(guest_abi::storage::EVENT, "", |_| {}, fill).unwrap();
        let engine = guest_host::Engine::new(&EngineConfig::default()).unwrap();
        let guest = Guest::load(&engine, "plain", &wat::parse_str(GUEST).unwrap(), PrepareOptions::default()).unwrap();
        let mut instance = guest.instantiate(&InstanceConfig::default(), state.clone()).unwrap();
        for (function, number) in [("five_calls", 8), ("five_calls_with_text", 8)] {
            let mut plain = PlainHost::new(engine.wasmtime(), function, state.clone()).unwrap();
            for _ in 0..2 {
                let stream = plain.call().unwrap().to_vec();
                let outcome = instance.invoke_by_name(function).unwrap();
                assert_eq!(outcome.intent_bytes(), stream);
                let intent = outcome.intents().next().unwrap().unwrap();
                assert_eq!(intent.value.field("Number").unwrap().unwrap().as_i64(), Ok(number));
                assert_eq!(outcome.stats().crossings, 5);
            }
        }
    }
}
