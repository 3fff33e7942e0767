// Functions of every kind of type that crosses to a module without signatures of its own: a host calls them by declarations.
import { NULL, fromBytes, fromNumber, fromText, toColumn, toText } from "./guest_functions";

export { allocate } from "./guest_functions";

/** The greatest common divisor: `gcd(a: i64, b: i64) -> i64`. */
export function gcd(a: i64, b: i64): i64 {
  let one = <u64>(a < 0 ? -a : a), other = <u64>(b < 0 ? -b : b);
  while (other != 0) {
    const rest = one % other;
    one = other;
    other = rest;
  }
  return one;
}

/** The characters of a text, of which one may be two units of UTF-16. */
function characters(text: string): i32[] {
  const found = new Array<i32>();
  for (let at = 0; at < text.length; at++) {
    const character = text.codePointAt(at);
    if (character > 0xffff) at++;
    found.push(character);
  }
  return found;
}

/** The least number of characters to change, insert or delete: `levenshtein(a: string, b: string) -> i64`. */
export function levenshtein(a: usize, aLength: i32, b: usize, bLength: i32): i64 {
  const one = characters(toText(a, aLength)), other = characters(toText(b, bLength));
  const row = new StaticArray<i32>(other.length + 1);
  for (let at = 0; at < row.length; at++) row[at] = at;
  for (let index = 0; index < one.length; index++) {
    let diagonal = row[0];
    row[0] = index + 1;
    for (let at = 0; at < other.length; at++) {
      const replaced = diagonal + i32(one[index] != other[at]);
      diagonal = row[at + 1];
      row[at + 1] = min(replaced, min(diagonal, row[at]) + 1);
    }
  }
  return row[other.length];
}

/** The text in capitals, as Unicode has them: `upper(text: string) -> string`. */
export function upper(text: usize, length: i32): i64 {
  return fromText(toText(text, length).toUpperCase());
}

/** The sum of a list: `sum(numbers: list(f64)) -> f64`. */
export function sum(numbers: usize): f64 {
  const column = toColumn(numbers);
  let sum: f64 = 0;
  for (let row = 0; row < column.rows; row++) sum += load<f64>(column.values + (row << 3));
  return sum;
}

/** The square root, null for null and for what has none: `root(number: f64?) -> f64?`. */
export function root(isPresent: bool, number: f64): i64 {
  return isPresent && number >= 0 ? fromNumber(sqrt(number)) : NULL;
}

/** Lies about its type: `latin1(text: string) -> string` returns a byte for each character, which is no UTF-8 beyond ASCII. */
export function latin1(text: usize, length: i32): i64 {
  const found = characters(toText(text, length));
  const bytes = heap.alloc(found.length);
  for (let at = 0; at < found.length; at++) store<u8>(bytes + at, found[at] < 0x100 ? found[at] : 0x3f);
  return fromBytes(bytes, found.length);
}
