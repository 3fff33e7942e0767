//! The sample extension in Zig: what guests/shop does of orders, mail and its counter, over the exttinygo contract, and functions
//! that provoke what a host must cope with. It is built in each of the four modes.
const std = @import("std");
const exttinygo = @import("exttinygo.zig");
const Intent = exttinygo.Intent;
const Key = exttinygo.Key;
const Value = exttinygo.Value;

pub const panic = std.debug.FullPanic(exttinygo.panic);

/// That of wasi-libc, whose `malloc` and `free` the module exports: the host takes its buffer by them, and the harness counts.
const allocator = std.heap.c_allocator;

const Failed = std.mem.Allocator.Error;

/// Ends a function that can fail.
fn end(outcome: Failed!void) void {
    outcome catch exttinygo.outOfMemory();
}

// --- before the first call -------------------------------------------------------------------------------------------------

/// The reversed polynomial of IEEE 802.3.
const polynomial: u32 = 0xEDB88320;

var table: []u32 = &.{};
var times_started: i64 = 0;

fn start() callconv(.c) void {
    times_started += 1;
    table = allocator.alloc(u32, 256) catch exttinygo.outOfMemory();
    for (table, 0..) |*entry, index| {
        var rest: u32 = @intCast(index);
        for (0..8) |_| rest = if (rest & 1 != 0) (rest >> 1) ^ polynomial else rest >> 1;
        entry.* = rest;
    }
}

/// A constructor, as those of C: `_initialize` of wasi-libc calls it. What it does is in the snapshot.
export const constructor linksection(".init_array") = &start;

/// Leaves what was made before the first call.
export fn what_was_started() void {
    const left = result();
    var sum: i64 = 0;
    for (table) |entry| sum += entry;
    left.int64("TimesStarted", times_started);
    left.int64("SumOfTable", sum);
    // A call may spoil what was started; the next one must not see it.
    times_started += 1;
    table[1] += 1;
}

// --- the sample --------------------------------------------------------------------------------------------------------------

fn result() Intent {
    return Key.init("sys.Result", "").create();
}

fn orderOfEvent() Value {
    return Key.init("sys.Event", "").get().field("ArgumentObject");
}

fn totalOf(order: Value) i64 {
    const items = order.field("Items");
    var total: i64 = 0;
    for (0..items.len()) |index| {
        const item = items.at(index);
        total += @as(i64, item.int32("Quantity")) * item.int64("SinglePrice");
    }
    return total;
}

/// Adds the order's total to the view of ordered items.
export fn calc_ordered_items() void {
    const order = orderOfEvent();
    const amount = totalOf(order);
    const key = Key.init("sys.View", "example.com/shop.OrderedItems");
    key.put.int32("Year", order.int32("Year"));
    key.put.int32("Month", order.int32("Month"));
    if (key.query()) |found| {
        key.update(found).int64("Amount", found.int64("Amount") + amount);
    } else {
        key.create().int64("Amount", amount);
    }
}

/// Counts up.
export fn count_up() void {
    const key = Key.init("sys.Record", "shop.Counter");
    key.put.string("Name", "orders");
    if (key.query()) |found| {
        key.update(found).int64("Value", found.int64("Value") + 1);
    } else {
        key.create().int64("Value", 1);
    }
}

fn crc32(bytes: []const u8) u32 {
    var rest: u32 = 0xFFFF_FFFF;
    for (bytes) |byte| rest = table[@as(u8, @truncate(rest)) ^ byte] ^ (rest >> 8);
    return ~rest;
}

/// Sends the customer a mail about the order.
export fn send_mail() void {
    end(sendMail());
}

fn sendMail() Failed!void {
    const order = orderOfEvent();
    const key = Key.init("sys.Record", "shop.Customer");
    key.put.int64("Id", order.int64("Customer"));
    const customer = key.get();
    const number = order.int64("Number");
    const name = customer.string("Name");

    var body: std.ArrayList(u8) = .empty;
    defer body.deinit(allocator);
    try body.print(allocator, "Dear {s},\n\nthank you for your order:\n", .{name});
    const items = order.field("Items");
    for (0..items.len()) |index| {
        const item = items.at(index);
        try body.print(allocator, "{d} x {s}\n", .{ item.int32("Quantity"), item.string("Article") });
    }
    try body.print(allocator, "\nTotal: {d}\n", .{totalOf(order)});

    var copies: std.ArrayList(u8) = .empty;
    defer copies.deinit(allocator);
    const copied = customer.field("Copies");
    for (0..copied.len()) |index| {
        if (index != 0) try copies.appendSlice(allocator, ", ");
        try copies.appendSlice(allocator, copied.stringAt(index));
    }
    const to = try std.fmt.allocPrint(allocator, "{s} <{s}>", .{ name, customer.string("Mail") });
    defer allocator.free(to);
    const subject = try std.fmt.allocPrint(allocator, "Your order {d}", .{number});
    defer allocator.free(subject);
    const id = try std.fmt.allocPrint(allocator, "<{d}.{x:0>8}@example.com>", .{ number, crc32(body.items) });
    defer allocator.free(id);

    const mail = Key.init("sys.SendMail", "").create();
    mail.string("To", to);
    mail.string("Cc", copies.items);
    mail.string("Subject", subject);
    mail.string("Body", body.items);
    mail.qname("Template", "shop", "OrderTaken");
    mail.string("MessageId", id);
    mail.float64("Discount", customer.float64("Discount"));
    mail.boolean("Html", false);
    mail.string("AttachmentName", "logo.png");
    mail.bytes("Attachment", customer.bytes("Logo"));
}

var rows: i64 = 0;
var months: i64 = 0;
var amounts: i64 = 0;

export fn WasmOnReadValue(key: exttinygo.Handle, value: exttinygo.Handle) void {
    rows += 1;
    months += (exttinygo.RowKey{ .handle = key }).int32("Month");
    amounts += (Value{ .handle = value }).int64("Amount");
}

/// Reads the views of a year, a row at a time.
export fn read_all() void {
    rows = 0;
    months = 0;
    amounts = 0;
    const key = Key.init("sys.View", "example.com/shop.OrderedItems");
    key.put.int32("Year", 2023);
    key.read();
    const left = result();
    left.int64("Rows", rows);
    left.int64("Months", months);
    left.int64("Amounts", amounts);
}

// --- what a host must cope with ------------------------------------------------------------------------------------------------

/// Allocates much: counts words in a map whose keys are made anew each time, and leaves what came of it.
export fn count_words() void {
    end(countWords());
}

fn countWords() Failed!void {
    var counts: std.StringHashMapUnmanaged(i64) = .empty;
    defer {
        var keys = counts.keyIterator();
        while (keys.next()) |word| allocator.free(word.*);
        counts.deinit(allocator);
    }
    for (0..5000) |number| {
        const word = try std.fmt.allocPrint(allocator, "word {d}", .{number % 250});
        const found = try counts.getOrPut(allocator, word);
        if (found.found_existing) {
            allocator.free(word);
        } else {
            found.value_ptr.* = 0;
        }
        found.value_ptr.* += 1;
    }
    const left = result();
    left.int64("Words", counts.count());
    left.int64("OfWord7", counts.get("word 7") orelse 0);
}

const Node = struct { next: ?*Node, payload: [60000]u8 };

/// Grows from call to call, as long as nobody restores the guest.
var appended: ?*Node = null;

/// Appends 60 KB to a list that nobody frees.
export fn append_for_ever() void {
    end(appendForEver());
}

fn appendForEver() Failed!void {
    const node = try allocator.create(Node);
    @memset(&node.payload, 1);
    node.next = appended;
    appended = node;
    var length: i64 = 0;
    var each = appended;
    while (each) |one| : (each = one.next) length += 1;
    result().int64("Length", length);
}

/// Panics.
export fn panic_with_message() void {
    @panic("no such order");
}

/// Reads an element that is not there; Debug and ReleaseSafe check that. An index of this size lies outside of memory elsewhere.
export fn index_out_of_range() void {
    const numbers: []const u32 = table;
    var index: usize = 0x3000_0000;
    _ = &index;
    result().int64("Value", numbers[index]);
}

/// Divides by a number that is zero, which the machine checks where the mode does not.
export fn divide_by_zero() void {
    var by: i32 = 0;
    std.mem.doNotOptimizeAway(&by);
    result().int32("Value", @divTrunc(7, by));
}

fn depth(level: i64) i64 {
    if (level < 0) return 0;
    return @call(.never_inline, depth, .{level + 1}) + @call(.never_inline, depth, .{level - 1}) + 1;
}

/// Calls itself until the stack is full.
export fn recurse_for_ever() void {
    result().int64("Value", depth(1));
}
