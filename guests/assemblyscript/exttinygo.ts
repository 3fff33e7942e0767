// The exttinygo contract, version 0.0.1, for extensions in AssemblyScript: what a host offers, and what an extension exports.
//
// SPDX-License-Identifier: MIT OR Apache-2.0

import "./abort";

/** A key, a value or an intent; valid for one call of an extension function. */
export type Handle = i64;

/** What `Key.query` finds where there is no record. */
const ABSENT: Handle = -1;

/** What is written to: a key while it is built, or an intent. */
const KEY: i32 = 0;
const INTENT: i32 = 1;

// --- what the host offers, as it is ------------------------------------------------------------------------------------

@external("env", "hostGetKey")
declare function hostGetKey(storage: usize, storageLength: i32, entity: usize, entityLength: i32): Handle;
@external("env", "hostGetValue")
declare function hostGetValue(key: Handle): Handle;
@external("env", "hostQueryValue")
declare function hostQueryValue(key: Handle): Handle;
@external("env", "hostReadValues")
declare function hostReadValues(key: Handle): void;
@external("env", "hostNewValue")
declare function hostNewValue(key: Handle): Handle;
@external("env", "hostUpdateValue")
declare function hostUpdateValue(key: Handle, existing: Handle): Handle;
@external("env", "hostValueLength")
declare function hostValueLength(value: Handle): i32;

@external("env", "hostRowWriterPutString")
declare function putString(writer: Handle, kind: i32, name: usize, nameLength: i32, text: usize, length: i32): void;
@external("env", "hostRowWriterPutBytes")
declare function putBytes(writer: Handle, kind: i32, name: usize, nameLength: i32, bytes: usize, length: i32): void;
@external("env", "hostRowWriterPutInt32")
declare function putInt32(writer: Handle, kind: i32, name: usize, nameLength: i32, value: i32): void;
@external("env", "hostRowWriterPutBool")
declare function putBool(writer: Handle, kind: i32, name: usize, nameLength: i32, value: i32): void;
@external("env", "hostRowWriterPutInt64")
declare function putInt64(writer: Handle, kind: i32, name: usize, nameLength: i32, value: i64): void;
@external("env", "hostRowWriterPutFloat64")
declare function putFloat64(writer: Handle, kind: i32, name: usize, nameLength: i32, value: f64): void;
@external("env", "hostRowWriterPutQName")
declare function putQName(
  writer: Handle, kind: i32, name: usize, nameLength: i32, pkg: usize, pkgLength: i32, entity: usize, entityLength: i32,
): void;

@external("env", "hostValueAsString")
declare function valueAsString(value: Handle, name: usize, nameLength: i32): i64;
@external("env", "hostValueAsBytes")
declare function valueAsBytes(value: Handle, name: usize, nameLength: i32): i64;
@external("env", "hostValueAsInt32")
declare function valueAsInt32(value: Handle, name: usize, nameLength: i32): i32;
@external("env", "hostValueAsInt64")
declare function valueAsInt64(value: Handle, name: usize, nameLength: i32): i64;
@external("env", "hostValueAsFloat64")
declare function valueAsFloat64(value: Handle, name: usize, nameLength: i32): f64;
@external("env", "hostValueAsValue")
declare function valueAsValue(value: Handle, name: usize, nameLength: i32): Handle;
@external("env", "hostValueGetAsString")
declare function valueGetAsString(value: Handle, index: i32): i64;
@external("env", "hostValueGetAsValue")
declare function valueGetAsValue(value: Handle, index: i32): Handle;
@external("env", "hostKeyAsInt32")
declare function keyAsInt32(key: Handle, name: usize, nameLength: i32): i32;

// --- text ----------------------------------------------------------------------------------------------------------------

/** The bytes of a text in UTF-8, which the contract asks for where the language has UTF-16. */
function utf8(text: string): ArrayBuffer {
  return String.UTF8.encode(text);
}

@inline
function at(bytes: ArrayBuffer): usize {
  return changetype<usize>(bytes);
}

/** The text that the host's `address << 32 | length` stands for. */
function unpackText(packed: i64): string {
  return String.UTF8.decodeUnsafe(<usize>(<u64>packed >> 32), <usize>(<u32>packed));
}

function unpackBytes(packed: i64): Uint8Array {
  const bytes = new Uint8Array(<i32>packed);
  memory.copy(bytes.dataStart, <usize>(<u64>packed >> 32), <usize>(<u32>packed));
  return bytes;
}

// --- reading -------------------------------------------------------------------------------------------------------------

/** A record, an object in it or an array in it. */
export class Value {
  constructor(readonly handle: Handle) {}

  string(name: string): string {
    const field = utf8(name);
    return unpackText(valueAsString(this.handle, at(field), field.byteLength));
  }
  bytes(name: string): Uint8Array {
    const field = utf8(name);
    return unpackBytes(valueAsBytes(this.handle, at(field), field.byteLength));
  }
  int32(name: string): i32 {
    const field = utf8(name);
    return valueAsInt32(this.handle, at(field), field.byteLength);
  }
  int64(name: string): i64 {
    const field = utf8(name);
    return valueAsInt64(this.handle, at(field), field.byteLength);
  }
  float64(name: string): f64 {
    const field = utf8(name);
    return valueAsFloat64(this.handle, at(field), field.byteLength);
  }
  value(name: string): Value {
    const field = utf8(name);
    return new Value(valueAsValue(this.handle, at(field), field.byteLength));
  }

  /** Elements, where this is an array. */
  get length(): i32 {
    return hostValueLength(this.handle);
  }
  stringAt(index: i32): string {
    return unpackText(valueGetAsString(this.handle, index));
  }
  valueAt(index: i32): Value {
    return new Value(valueGetAsValue(this.handle, index));
  }
}

/** An `i32` in the key of a row, as `WasmOnReadValue` gets it. */
export function rowKeyInt32(key: Handle, name: string): i32 {
  const field = utf8(name);
  return keyAsInt32(key, at(field), field.byteLength);
}

// --- writing -------------------------------------------------------------------------------------------------------------

/** What fields are put into. */
class Writer {
  constructor(readonly handle: Handle, private kind: i32) {}

  string(name: string, text: string): void {
    const field = utf8(name), bytes = utf8(text);
    putString(this.handle, this.kind, at(field), field.byteLength, at(bytes), bytes.byteLength);
  }
  bytes(name: string, bytes: Uint8Array): void {
    const field = utf8(name);
    putBytes(this.handle, this.kind, at(field), field.byteLength, bytes.dataStart, bytes.byteLength);
  }
  int32(name: string, value: i32): void {
    const field = utf8(name);
    putInt32(this.handle, this.kind, at(field), field.byteLength, value);
  }
  bool(name: string, value: bool): void {
    const field = utf8(name);
    putBool(this.handle, this.kind, at(field), field.byteLength, <i32>value);
  }
  int64(name: string, value: i64): void {
    const field = utf8(name);
    putInt64(this.handle, this.kind, at(field), field.byteLength, value);
  }
  float64(name: string, value: f64): void {
    const field = utf8(name);
    putFloat64(this.handle, this.kind, at(field), field.byteLength, value);
  }
  qname(name: string, pkg: string, entity: string): void {
    const field = utf8(name), first = utf8(pkg), second = utf8(entity);
    putQName(
      this.handle, this.kind, at(field), field.byteLength, at(first), first.byteLength, at(second), second.byteLength,
    );
  }
}

/** An intent to write a record. */
export class Intent extends Writer {
  constructor(handle: Handle) {
    super(handle, INTENT);
  }
}

/** The key of a record, or the part of it that all rows of a read share. */
export class Key extends Writer {
  constructor(storage: string, entity: string) {
    const first = utf8(storage), second = utf8(entity);
    super(hostGetKey(at(first), first.byteLength, at(second), second.byteLength), KEY);
  }

  /** The record; that there is none ends the call. */
  get(): Value {
    return new Value(hostGetValue(this.handle));
  }
  /** The record, or null. */
  query(): Value | null {
    const found = hostQueryValue(this.handle);
    return found == ABSENT ? null : new Value(found);
  }
  /** Calls `WasmOnReadValue` for each row. */
  read(): void {
    hostReadValues(this.handle);
  }
  /** An intent to write a new record. */
  create(): Intent {
    return new Intent(hostNewValue(this.handle));
  }
  /** An intent to change a record. */
  update(existing: Value): Intent {
    return new Intent(hostUpdateValue(this.handle, existing.handle));
  }
}

// --- what an extension exports ---------------------------------------------------------------------------------------------

/** Says which version of the contract the extension speaks. */
export function WasmAbiVersion_0_0_1(): void {}
