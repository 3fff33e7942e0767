//! The exttinygo contract, version 0.0.1, for extensions in Zig: what a host offers, and how an extension fails.
//!
//! SPDX-License-Identifier: MIT OR Apache-2.0

/// A key, a value or an intent; valid for one call of an extension function.
pub const Handle = i64;

/// What `hostQueryValue` returns where there is no record.
const absent: Handle = -1;

/// The imports as they are.
const env = struct {
    extern "env" fn hostGetKey([*]const u8, usize, [*]const u8, usize) Handle;
    extern "env" fn hostGetValue(Handle) Handle;
    extern "env" fn hostQueryValue(Handle) Handle;
    extern "env" fn hostReadValues(Handle) void;
    extern "env" fn hostNewValue(Handle) Handle;
    extern "env" fn hostUpdateValue(Handle, Handle) Handle;
    extern "env" fn hostValueLength(Handle) i32;

    extern "env" fn hostRowWriterPutString(Handle, i32, [*]const u8, usize, [*]const u8, usize) void;
    extern "env" fn hostRowWriterPutBytes(Handle, i32, [*]const u8, usize, [*]const u8, usize) void;
    extern "env" fn hostRowWriterPutInt32(Handle, i32, [*]const u8, usize, i32) void;
    extern "env" fn hostRowWriterPutBool(Handle, i32, [*]const u8, usize, i32) void;
    extern "env" fn hostRowWriterPutInt64(Handle, i32, [*]const u8, usize, i64) void;
    extern "env" fn hostRowWriterPutFloat64(Handle, i32, [*]const u8, usize, f64) void;
    extern "env" fn hostRowWriterPutQName(Handle, i32, [*]const u8, usize, [*]const u8, usize, [*]const u8, usize) void;

    extern "env" fn hostValueAsString(Handle, [*]const u8, usize) u64;
    extern "env" fn hostValueAsBytes(Handle, [*]const u8, usize) u64;
    extern "env" fn hostValueAsInt32(Handle, [*]const u8, usize) i32;
    extern "env" fn hostValueAsInt64(Handle, [*]const u8, usize) i64;
    extern "env" fn hostValueAsFloat64(Handle, [*]const u8, usize) f64;
    extern "env" fn hostValueAsValue(Handle, [*]const u8, usize) Handle;
    extern "env" fn hostValueGetAsString(Handle, i32) u64;
    extern "env" fn hostValueGetAsValue(Handle, i32) Handle;
    extern "env" fn hostKeyAsInt32(Handle, [*]const u8, usize) i32;
};

/// The bytes that the host's `address << 32 | length` stands for. They stay where they are until the call ends.
fn unpack(bits: u64) []const u8 {
    const length: usize = @truncate(bits);
    // An empty text may have any address.
    if (length == 0) return "";
    return @as([*]const u8, @ptrFromInt(@as(usize, @intCast(bits >> 32))))[0..length];
}

/// A record, an object in it or an array in it.
pub const Value = struct {
    handle: Handle,

    pub fn string(value: Value, name: []const u8) []const u8 {
        return unpack(env.hostValueAsString(value.handle, name.ptr, name.len));
    }
    pub fn bytes(value: Value, name: []const u8) []const u8 {
        return unpack(env.hostValueAsBytes(value.handle, name.ptr, name.len));
    }
    pub fn int32(value: Value, name: []const u8) i32 {
        return env.hostValueAsInt32(value.handle, name.ptr, name.len);
    }
    pub fn int64(value: Value, name: []const u8) i64 {
        return env.hostValueAsInt64(value.handle, name.ptr, name.len);
    }
    pub fn float64(value: Value, name: []const u8) f64 {
        return env.hostValueAsFloat64(value.handle, name.ptr, name.len);
    }
    pub fn field(value: Value, name: []const u8) Value {
        return .{ .handle = env.hostValueAsValue(value.handle, name.ptr, name.len) };
    }

    /// Elements, where this is an array.
    pub fn len(value: Value) usize {
        return @intCast(env.hostValueLength(value.handle));
    }
    pub fn stringAt(value: Value, index: usize) []const u8 {
        return unpack(env.hostValueGetAsString(value.handle, @intCast(index)));
    }
    pub fn at(value: Value, index: usize) Value {
        return .{ .handle = env.hostValueGetAsValue(value.handle, @intCast(index)) };
    }
};

/// The key of a row, as `WasmOnReadValue` gets it.
pub const RowKey = struct {
    handle: Handle,

    pub fn int32(key: RowKey, name: []const u8) i32 {
        return env.hostKeyAsInt32(key.handle, name.ptr, name.len);
    }
};

/// What fields are put into: a key while it is built, or an intent.
fn Writer(comptime kind: i32) type {
    return struct {
        handle: Handle,

        const Self = @This();

        pub fn string(writer: Self, name: []const u8, text: []const u8) void {
            env.hostRowWriterPutString(writer.handle, kind, name.ptr, name.len, text.ptr, text.len);
        }
        pub fn bytes(writer: Self, name: []const u8, data: []const u8) void {
            env.hostRowWriterPutBytes(writer.handle, kind, name.ptr, name.len, data.ptr, data.len);
        }
        pub fn int32(writer: Self, name: []const u8, value: i32) void {
            env.hostRowWriterPutInt32(writer.handle, kind, name.ptr, name.len, value);
        }
        pub fn boolean(writer: Self, name: []const u8, value: bool) void {
            env.hostRowWriterPutBool(writer.handle, kind, name.ptr, name.len, @intFromBool(value));
        }
        pub fn int64(writer: Self, name: []const u8, value: i64) void {
            env.hostRowWriterPutInt64(writer.handle, kind, name.ptr, name.len, value);
        }
        pub fn float64(writer: Self, name: []const u8, value: f64) void {
            env.hostRowWriterPutFloat64(writer.handle, kind, name.ptr, name.len, value);
        }
        pub fn qname(writer: Self, name: []const u8, package: []const u8, entity: []const u8) void {
            env.hostRowWriterPutQName(
                writer.handle,
                kind,
                name.ptr,
                name.len,
                package.ptr,
                package.len,
                entity.ptr,
                entity.len,
            );
        }
    };
}

/// An intent to write a record.
pub const Intent = Writer(1);

/// The key of a record, or the part of it that all rows of a read share.
pub const Key = struct {
    put: Writer(0),

    pub fn init(storage: []const u8, entity: []const u8) Key {
        return .{ .put = .{ .handle = env.hostGetKey(storage.ptr, storage.len, entity.ptr, entity.len) } };
    }
    /// The record; that there is none ends the call.
    pub fn get(key: Key) Value {
        return .{ .handle = env.hostGetValue(key.put.handle) };
    }
    /// The record, or null.
    pub fn query(key: Key) ?Value {
        const found = env.hostQueryValue(key.put.handle);
        return if (found == absent) null else .{ .handle = found };
    }
    /// Calls `WasmOnReadValue` for each row.
    pub fn read(key: Key) void {
        env.hostReadValues(key.put.handle);
    }
    /// An intent to write a new record.
    pub fn create(key: Key) Intent {
        return .{ .handle = env.hostNewValue(key.put.handle) };
    }
    /// An intent to change a record.
    pub fn update(key: Key, existing: Value) Intent {
        return .{ .handle = env.hostUpdateValue(key.put.handle, existing.handle) };
    }
};

const Vector = extern struct { data: [*]const u8, len: usize };

extern "wasi_snapshot_preview1" fn fd_write(i32, [*]const Vector, usize, *usize) i32;

/// Prints `panic: MESSAGE`, by which the host knows why, and traps. Allocates nothing. A program's root makes it its panic by
/// `pub const panic = std.debug.FullPanic(exttinygo.panic);`. The one of the standard library brings all that unwinds a stack.
pub fn panic(message: []const u8, _: ?usize) noreturn {
    const vectors = [_]Vector{
        .{ .data = "panic: ", .len = 7 },
        .{ .data = message.ptr, .len = message.len },
        .{ .data = "\n", .len = 1 },
    };
    var written: usize = undefined;
    _ = fd_write(1, &vectors, vectors.len, &written);
    @trap();
}

/// What a function that allocates ends with where there is no memory: the message by which a host knows that.
pub fn outOfMemory() noreturn {
    panic("runtime error: out of memory", null);
}

/// Says which version of the contract the extension speaks.
export fn WasmAbiVersion_0_0_1() void {}
