// The sample extension in AssemblyScript: what guests/shop does of orders, mail and its counter, over the exttinygo contract,
// and functions that provoke what a host must cope with. It is built with each of the three runtimes.
import { Handle, Intent, Key, Value, rowKeyInt32 } from "./exttinygo";

export { WasmAbiVersion_0_0_1 } from "./exttinygo";

// The runtime's own allocator, under the names by which the host takes its buffer and the harness counts calls. Exported like
// this the functions themselves are counted, and so everything that the program allocates; a function around `heap.alloc` would
// have counted the host's requests alone.
export { __alloc as malloc, __realloc as realloc, __free as free };

// --- before the first call -------------------------------------------------------------------------------------------------

/** The reversed polynomial of IEEE 802.3. */
const POLYNOMIAL: u32 = 0xedb88320;

function crcTable(): StaticArray<u32> {
  const table = new StaticArray<u32>(256);
  for (let index: u32 = 0; index < 256; index++) {
    let rest = index;
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >> 1) ^ POLYNOMIAL : rest >> 1;
    table[index] = rest;
  }
  return table;
}

// Made by the start function, and therefore in the snapshot: a block on the heap that a global points to.
const table = crcTable();
let timesStarted = 0;
timesStarted += 1;

/** Leaves what was made before the first call. */
export function what_was_started(): void {
  const left = result();
  let sum: i64 = 0;
  for (let index = 0; index < 256; index++) sum += table[index];
  left.int64("TimesStarted", timesStarted);
  left.int64("SumOfTable", sum);
  // A call may spoil what was started; the next one must not see it.
  timesStarted += 1;
  table[1] += 1;
}

// --- the sample --------------------------------------------------------------------------------------------------------------

function result(): Intent {
  return new Key("sys.Result", "").create();
}

function order(): Value {
  return new Key("sys.Event", "").get().value("ArgumentObject");
}

function totalOf(order: Value): i64 {
  const items = order.value("Items");
  let total: i64 = 0;
  for (let index = 0, length = items.length; index < length; index++) {
    const item = items.valueAt(index);
    total += <i64>item.int32("Quantity") * item.int64("SinglePrice");
  }
  return total;
}

/** Adds the order's total to the view of ordered items. */
export function calc_ordered_items(): void {
  const ordered = order();
  const amount = totalOf(ordered);
  const key = new Key("sys.View", "example.com/shop.OrderedItems");
  key.int32("Year", ordered.int32("Year"));
  key.int32("Month", ordered.int32("Month"));
  const found = key.query();
  if (found === null) {
    key.create().int64("Amount", amount);
  } else {
    key.update(found).int64("Amount", found.int64("Amount") + amount);
  }
}

/** Counts up. */
export function count_up(): void {
  const key = new Key("sys.Record", "shop.Counter");
  key.string("Name", "orders");
  const found = key.query();
  if (found === null) {
    key.create().int64("Value", 1);
  } else {
    key.update(found).int64("Value", found.int64("Value") + 1);
  }
}

function crc32(text: string): u32 {
  const bytes = Uint8Array.wrap(String.UTF8.encode(text));
  let rest: u32 = ~0;
  for (let index = 0; index < bytes.length; index++) {
    rest = table[<u8>rest ^ bytes[index]] ^ (rest >> 8);
  }
  return ~rest;
}

/** Sends the customer a mail about the order. */
export function send_mail(): void {
  const ordered = order();
  const key = new Key("sys.Record", "shop.Customer");
  key.int64("Id", ordered.int64("Customer"));
  const customer = key.get();

  const number = ordered.int64("Number");
  const items = ordered.value("Items");
  const lines = new Array<string>();
  for (let index = 0, length = items.length; index < length; index++) {
    const item = items.valueAt(index);
    lines.push(`${item.int32("Quantity")} x ${item.string("Article")}`);
  }
  const name = customer.string("Name");
  const body = `Dear ${name},\n\nthank you for your order:\n${lines.join("\n")}\n\nTotal: ${totalOf(ordered)}\n`;

  const copied = customer.value("Copies");
  const copies = new Array<string>();
  for (let index = 0, length = copied.length; index < length; index++) copies.push(copied.stringAt(index));

  const mail = new Key("sys.SendMail", "").create();
  mail.string("To", `${name} <${customer.string("Mail")}>`);
  mail.string("Cc", copies.join(", "));
  mail.string("Subject", `Your order ${number}`);
  mail.string("Body", body);
  mail.qname("Template", "shop", "OrderTaken");
  mail.string("MessageId", `<${number}.${crc32(body).toString(16).padStart(8, "0")}@example.com>`);
  mail.float64("Discount", customer.float64("Discount"));
  mail.bool("Html", false);
  mail.string("AttachmentName", "logo.png");
  mail.bytes("Attachment", customer.bytes("Logo"));
}

let rows: i64 = 0, months: i64 = 0, amounts: i64 = 0;

export function WasmOnReadValue(key: Handle, value: Handle): void {
  rows += 1;
  months += rowKeyInt32(key, "Month");
  amounts += new Value(value).int64("Amount");
}

/** Reads the views of a year, a row at a time. */
export function read_all(): void {
  rows = months = amounts = 0;
  const key = new Key("sys.View", "example.com/shop.OrderedItems");
  key.int32("Year", 2023);
  key.read();
  const left = result();
  left.int64("Rows", rows);
  left.int64("Months", months);
  left.int64("Amounts", amounts);
}

// --- what a host must cope with ------------------------------------------------------------------------------------------------

/** Allocates much: counts words in a map whose keys are made anew each time, and leaves what came of it. */
export function count_words(): void {
  const counts = new Map<string, i32>();
  for (let number = 0; number < 5000; number++) {
    const word = "word " + (number % 250).toString();
    counts.set(word, counts.has(word) ? counts.get(word) + 1 : 1);
  }
  const left = result();
  left.int64("Words", counts.size);
  left.int64("OfWord7", counts.get("word 7"));
}

/** Grows from call to call, as long as nobody restores the guest. */
let appended: StaticArray<u8>[] = [];

/** Appends 60 KB to a list that nobody frees. */
export function append_for_ever(): void {
  appended.push(new StaticArray<u8>(60000).fill(1));
  result().int64("Length", appended.length);
}

/** Throws. */
export function panic_with_message(): void {
  throw new Error("no such order");
}

/** Reads an element that is not there, which the language checks. */
export function index_out_of_range(): void {
  const numbers: i32[] = [1, 2, 3];
  result().int32("Value", numbers[appended.length + 3]);
}

/** Divides by a number that is zero, which the machine checks. */
export function divide_by_zero(): void {
  result().int32("Value", 7 / appended.length);
}

function depth(level: i64): i64 {
  return level < 0 ? 0 : depth(level + 1) + depth(level - 1) + 1;
}

/** Calls itself until the stack is full. */
export function recurse_for_ever(): void {
  result().int64("Value", depth(1));
}
