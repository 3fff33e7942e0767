// Package exttinygo is the exttinygo contract, version 0.0.1, for extensions that Go itself compiles (GOOS=wasip1): what a host
// offers, and what an extension exports.
//
// SPDX-License-Identifier: MIT OR Apache-2.0
package exttinygo

import (
	"runtime"
	"unsafe"
)

// A Handle is a key, a value or an intent; it is valid for one call of an extension function.
type Handle int64

// What hostQueryValue returns where there is no record.
const absent Handle = -1

// What is written to: a key while it is built, or an intent.
const (
	kindKey    int32 = 0
	kindIntent int32 = 1
)

// --- what the host offers, as it is ---------------------------------------------------------------------------------------

//go:wasmimport env hostGetKey
func hostGetKey(storage, entity string) int64

//go:wasmimport env hostGetValue
func hostGetValue(key int64) int64

//go:wasmimport env hostQueryValue
func hostQueryValue(key int64) int64

//go:wasmimport env hostReadValues
func hostReadValues(key int64)

//go:wasmimport env hostNewValue
func hostNewValue(key int64) int64

//go:wasmimport env hostUpdateValue
func hostUpdateValue(key, existing int64) int64

//go:wasmimport env hostValueLength
func hostValueLength(value int64) int32

//go:wasmimport env hostRowWriterPutString
func hostRowWriterPutString(writer int64, kind int32, name, text string)

//go:wasmimport env hostRowWriterPutBytes
func hostRowWriterPutBytes(writer int64, kind int32, name string, data unsafe.Pointer, length uint32)

//go:wasmimport env hostRowWriterPutInt32
func hostRowWriterPutInt32(writer int64, kind int32, name string, value int32)

//go:wasmimport env hostRowWriterPutBool
func hostRowWriterPutBool(writer int64, kind int32, name string, value bool)

//go:wasmimport env hostRowWriterPutInt64
func hostRowWriterPutInt64(writer int64, kind int32, name string, value int64)

//go:wasmimport env hostRowWriterPutFloat64
func hostRowWriterPutFloat64(writer int64, kind int32, name string, value float64)

//go:wasmimport env hostRowWriterPutQName
func hostRowWriterPutQName(writer int64, kind int32, name, pkg, entity string)

//go:wasmimport env hostValueAsString
func hostValueAsString(value int64, name string) int64

//go:wasmimport env hostValueAsBytes
func hostValueAsBytes(value int64, name string) int64

//go:wasmimport env hostValueAsInt32
func hostValueAsInt32(value int64, name string) int32

//go:wasmimport env hostValueAsInt64
func hostValueAsInt64(value int64, name string) int64

//go:wasmimport env hostValueAsFloat64
func hostValueAsFloat64(value int64, name string) float64

//go:wasmimport env hostValueAsValue
func hostValueAsValue(value int64, name string) int64

//go:wasmimport env hostValueGetAsString
func hostValueGetAsString(value int64, index int32) int64

//go:wasmimport env hostValueGetAsValue
func hostValueGetAsValue(value int64, index int32) int64

//go:wasmimport env hostKeyAsInt32
func hostKeyAsInt32(key int64, name string) int32

// unpack copies the text that the host's `address << 32 | length` stands for: its buffer is filled anew by the next call.
func unpack(packed int64) string {
	length := uint32(packed)
	if length == 0 {
		return ""
	}
	address := uintptr(uint64(packed) >> 32)
	return string(unsafe.Slice((*byte)(unsafe.Pointer(address)), length))
}

// --- reading --------------------------------------------------------------------------------------------------------------

// A Value is a record, an object in it or an array in it.
type Value Handle

// String is a field of text.
func (v Value) String(name string) string { return unpack(hostValueAsString(int64(v), name)) }

// Bytes is a field of bytes.
func (v Value) Bytes(name string) []byte { return []byte(unpack(hostValueAsBytes(int64(v), name))) }

// Int32 is a number.
func (v Value) Int32(name string) int32 { return hostValueAsInt32(int64(v), name) }

// Int64 is a number.
func (v Value) Int64(name string) int64 { return hostValueAsInt64(int64(v), name) }

// Float64 is a number.
func (v Value) Float64(name string) float64 { return hostValueAsFloat64(int64(v), name) }

// Value is an object or an array.
func (v Value) Value(name string) Value { return Value(hostValueAsValue(int64(v), name)) }

// Len is the number of elements of an array.
func (v Value) Len() int { return int(hostValueLength(int64(v))) }

// StringAt is an element of an array.
func (v Value) StringAt(index int) string { return unpack(hostValueGetAsString(int64(v), int32(index))) }

// ValueAt is an element of an array.
func (v Value) ValueAt(index int) Value { return Value(hostValueGetAsValue(int64(v), int32(index))) }

// A RowKey is the key of a row, as WasmOnReadValue gets it.
type RowKey Handle

// Int32 is a number in it.
func (k RowKey) Int32(name string) int32 { return hostKeyAsInt32(int64(k), name) }

// --- writing --------------------------------------------------------------------------------------------------------------

// A Writer is what fields are put into.
type Writer struct {
	handle int64
	kind   int32
}

// PutString puts text.
func (w Writer) PutString(name, text string) { hostRowWriterPutString(w.handle, w.kind, name, text) }

// PutBytes puts bytes.
func (w Writer) PutBytes(name string, data []byte) {
	hostRowWriterPutBytes(w.handle, w.kind, name, unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)))
	runtime.KeepAlive(data)
}

// PutInt32 puts a number.
func (w Writer) PutInt32(name string, value int32) { hostRowWriterPutInt32(w.handle, w.kind, name, value) }

// PutBool puts a truth value.
func (w Writer) PutBool(name string, value bool) { hostRowWriterPutBool(w.handle, w.kind, name, value) }

// PutInt64 puts a number.
func (w Writer) PutInt64(name string, value int64) { hostRowWriterPutInt64(w.handle, w.kind, name, value) }

// PutFloat64 puts a number.
func (w Writer) PutFloat64(name string, value float64) {
	hostRowWriterPutFloat64(w.handle, w.kind, name, value)
}

// PutQName puts a qualified name.
func (w Writer) PutQName(name, pkg, entity string) {
	hostRowWriterPutQName(w.handle, w.kind, name, pkg, entity)
}

// An Intent is one to write a record.
type Intent struct{ Writer }

// A Key is that of a record, or the part of it that all rows of a read share.
type Key struct{ Writer }

// NewKey begins a key.
func NewKey(storage, entity string) Key { return Key{Writer{hostGetKey(storage, entity), kindKey}} }

// Get is the record; that there is none ends the call.
func (k Key) Get() Value { return Value(hostGetValue(k.handle)) }

// Query is the record, and whether there is one.
func (k Key) Query() (Value, bool) {
	found := hostQueryValue(k.handle)
	return Value(found), Handle(found) != absent
}

// Read calls WasmOnReadValue for each row.
func (k Key) Read() { hostReadValues(k.handle) }

// Create is an intent to write a new record.
func (k Key) Create() Intent { return Intent{Writer{hostNewValue(k.handle), kindIntent}} }

// Update is an intent to change a record.
func (k Key) Update(existing Value) Intent {
	return Intent{Writer{hostUpdateValue(k.handle, int64(existing)), kindIntent}}
}

// --- what an extension exports ----------------------------------------------------------------------------------------------

// Says which version of the contract the extension speaks.
//
//go:wasmexport WasmAbiVersion_0_0_1
func version() {}

// What the host was given, so that nothing collects it.
var given [][]byte

// Gives the host its buffer. Go has no allocator for others: the block is one of its own, and stays.
//
//go:wasmexport malloc
func malloc(size uint32) unsafe.Pointer {
	block := make([]byte, max(size, 1))
	given = append(given, block)
	return unsafe.Pointer(unsafe.SliceData(block))
}

// Statistics, of which the host takes what a call allocated: `malloc` tells nothing of what Go allocates.

func statistics() (stats runtime.MemStats) {
	runtime.ReadMemStats(&stats)
	return stats
}

//go:wasmexport WasmGetMallocs
func mallocs() int64 { return int64(statistics().Mallocs) }

//go:wasmexport WasmGetFrees
func frees() int64 { return int64(statistics().Frees) }

//go:wasmexport WasmGetHeapInuse
func heapInuse() int64 { return int64(statistics().HeapInuse) }

//go:wasmexport WasmGetHeapSys
func heapSys() int64 { return int64(statistics().HeapSys) }

//go:wasmexport WasmGC
func gc() { runtime.GC() }
