// An `abort` that prints why, for hosts that offer WASI and no `env.abort`.
//
// Import this file, and compile with `--use abort=abort/abort`.
//
// SPDX-License-Identifier: MIT OR Apache-2.0

@external("wasi_snapshot_preview1", "fd_write")
declare function fdWrite(descriptor: i32, vectors: usize, count: i32, written: usize): i32;

/** Room for the message, so that `abort` needs no memory when there is none: three vectors of WASI, then a count. */
const vectors = memory.data(40);
const PREFIX = memory.data<u8>([112, 97, 110, 105, 99, 58, 32]); // "panic: "
const NEWLINE = memory.data<u8>([10]);
const TEXT = memory.data(512);

/** The compiler calls it for `throw`, `assert` and a bounds check that fails. Prints `panic: MESSAGE`, which the host reads, and traps. */
export function abort(message: string | null, fileName: string | null, line: u32, column: u32): void {
  let length: usize = 0;
  if (message !== null) {
    // A unit of UTF-16 becomes three bytes at most.
    const units = min(message.length, 512 / 3);
    length = String.UTF8.encodeUnsafe(changetype<usize>(message), units, TEXT);
  }
  store<usize>(vectors, PREFIX);
  store<usize>(vectors, 7, 4);
  store<usize>(vectors, TEXT, 8);
  store<usize>(vectors, length, 12);
  store<usize>(vectors, NEWLINE, 16);
  store<usize>(vectors, 1, 20);
  fdWrite(1, vectors, 3, vectors + 24);
  unreachable();
}
