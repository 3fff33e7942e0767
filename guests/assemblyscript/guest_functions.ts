// Functions with texts, lists and nulls, for hosts that call them by a declared signature: how arguments and results cross.
//
//     export { allocate } from "./guest_functions";
//
//     export function upper(address: usize, length: i32): i64 {
//       return fromText(toText(address, length).toUpperCase());
//     }
//
// The host calls `upper` if it is declared as `upper(text: string) -> string`. Numbers cross as they are.
//
// SPDX-License-Identifier: MIT OR Apache-2.0

import "./abort";

/** The result of a function of a nullable type that is null. */
export const NULL: i64 = -1;

/** A list, as its address is passed: a column of Apache Arrow. A list of numbers of which none can be null has them at `values`. */
@unmanaged
export class Column {
  /** 0 for plain values; 1 for one value for all rows, 2 for a dictionary, 3 for views. */
  encoding!: u32;
  rows!: i32;
  /** The numbers, or the bytes of all texts. */
  values!: usize;
  /** `rows + 1` ends of the texts, the first of which is 0; each is an `i32`. */
  offsets!: usize;
  /** A bitmap with a 1 for each row that is not null, or 0 if no row is null. */
  validity!: usize;
  /** The bit of `validity` that is that of the first row. */
  firstBit!: u32;
  /** Another column, or data buffers. */
  child!: usize;
  reserved!: u32;
}

/** Memory for the arguments, which the host asks for. The collector knows nothing of it, so it neither moves nor frees it. */
export function allocate(size: i32): i32 {
  return <i32>heap.alloc(size);
}

/** A text that the host passed: its bytes are UTF-8, and strings of the language are UTF-16. */
export function toText(address: usize, length: i32): string {
  return String.UTF8.decodeUnsafe(address, length);
}

/** A list that the host passed. */
export function toColumn(address: usize): Column {
  return changetype<Column>(address);
}

/** A text as a result. Nothing is collected between the return and the host's reading. */
export function fromText(text: string): i64 {
  const bytes = String.UTF8.encode(text);
  return fromBytes(changetype<usize>(bytes), bytes.byteLength);
}

/** Bytes as a result: the address in the upper half, the length in the lower one. */
export function fromBytes(address: usize, length: i32): i64 {
  return (<i64>address << 32) | length;
}

/** The room of a number that is a result. */
const NUMBER = memory.data(8);

/** A number as the result of a function of a nullable type. */
export function fromNumber<T extends number>(number: T): i64 {
  store<T>(NUMBER, number);
  return fromBytes(NUMBER, sizeof<T>());
}
