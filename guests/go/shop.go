// The sample extension in Go: what guests/shop does of orders, mail and its counter, over the exttinygo contract, and functions
// that provoke what a host must cope with. Go itself compiles it, for wasip1 and as a reactor.
package main

import (
	"fmt"
	"strings"

	"shop/exttinygo"
)

// A reactor's main is never called.
func main() {}

// --- before the first call ---------------------------------------------------------------------------------------------------

// The reversed polynomial of IEEE 802.3.
const polynomial = 0xEDB88320

// Made by `_initialize`, and therefore in the snapshot, on the heap.
var table = crcTable()
var timesStarted int64

func init() { timesStarted++ }

func crcTable() []uint32 {
	table := make([]uint32, 256)
	for index := range table {
		rest := uint32(index)
		for range 8 {
			if rest&1 != 0 {
				rest = rest>>1 ^ polynomial
			} else {
				rest >>= 1
			}
		}
		table[index] = rest
	}
	return table
}

// Leaves what was made before the first call.
//
//go:wasmexport what_was_started
func whatWasStarted() {
	left := result()
	var sum int64
	for _, entry := range table {
		sum += int64(entry)
	}
	left.PutInt64("TimesStarted", timesStarted)
	left.PutInt64("SumOfTable", sum)
	// A call may spoil what was started; the next one must not see it.
	timesStarted++
	table[1]++
}

// --- the sample ----------------------------------------------------------------------------------------------------------------

func result() exttinygo.Intent { return exttinygo.NewKey("sys.Result", "").Create() }

func order() exttinygo.Value {
	return exttinygo.NewKey("sys.Event", "").Get().Value("ArgumentObject")
}

func totalOf(order exttinygo.Value) (total int64) {
	items := order.Value("Items")
	for index := range items.Len() {
		item := items.ValueAt(index)
		total += int64(item.Int32("Quantity")) * item.Int64("SinglePrice")
	}
	return total
}

// Adds the order's total to the view of ordered items.
//
//go:wasmexport calc_ordered_items
func calcOrderedItems() {
	order := order()
	amount := totalOf(order)
	key := exttinygo.NewKey("sys.View", "example.com/shop.OrderedItems")
	key.PutInt32("Year", order.Int32("Year"))
	key.PutInt32("Month", order.Int32("Month"))
	if found, there := key.Query(); there {
		key.Update(found).PutInt64("Amount", found.Int64("Amount")+amount)
	} else {
		key.Create().PutInt64("Amount", amount)
	}
}

// Counts up.
//
//go:wasmexport count_up
func countUp() {
	key := exttinygo.NewKey("sys.Record", "shop.Counter")
	key.PutString("Name", "orders")
	if found, there := key.Query(); there {
		key.Update(found).PutInt64("Value", found.Int64("Value")+1)
	} else {
		key.Create().PutInt64("Value", 1)
	}
}

func crc32(text string) uint32 {
	rest := ^uint32(0)
	for _, each := range []byte(text) {
		rest = table[byte(rest)^each] ^ rest>>8
	}
	return ^rest
}

// Sends the customer a mail about the order.
//
//go:wasmexport send_mail
func sendMail() {
	order := order()
	key := exttinygo.NewKey("sys.Record", "shop.Customer")
	key.PutInt64("Id", order.Int64("Customer"))
	customer := key.Get()
	number, name := order.Int64("Number"), customer.String("Name")

	var lines []string
	items := order.Value("Items")
	for index := range items.Len() {
		item := items.ValueAt(index)
		lines = append(lines, fmt.Sprintf("%d x %s", item.Int32("Quantity"), item.String("Article")))
	}
	body := fmt.Sprintf(
		"Dear %s,\n\nthank you for your order:\n%s\n\nTotal: %d\n", name, strings.Join(lines, "\n"), totalOf(order),
	)
	var copies []string
	copied := customer.Value("Copies")
	for index := range copied.Len() {
		copies = append(copies, copied.StringAt(index))
	}

	mail := exttinygo.NewKey("sys.SendMail", "").Create()
	mail.PutString("To", fmt.Sprintf("%s <%s>", name, customer.String("Mail")))
	mail.PutString("Cc", strings.Join(copies, ", "))
	mail.PutString("Subject", fmt.Sprintf("Your order %d", number))
	mail.PutString("Body", body)
	mail.PutQName("Template", "shop", "OrderTaken")
	mail.PutString("MessageId", fmt.Sprintf("<%d.%08x@example.com>", number, crc32(body)))
	mail.PutFloat64("Discount", customer.Float64("Discount"))
	mail.PutBool("Html", false)
	mail.PutString("AttachmentName", "logo.png")
	mail.PutBytes("Attachment", customer.Bytes("Logo"))
}

var rows, months, amounts int64

//go:wasmexport WasmOnReadValue
func onReadValue(key, value int64) {
	rows++
	months += int64(exttinygo.RowKey(key).Int32("Month"))
	amounts += exttinygo.Value(value).Int64("Amount")
}

// Reads the views of a year, a row at a time.
//
//go:wasmexport read_all
func readAll() {
	rows, months, amounts = 0, 0, 0
	key := exttinygo.NewKey("sys.View", "example.com/shop.OrderedItems")
	key.PutInt32("Year", 2023)
	key.Read()
	left := result()
	left.PutInt64("Rows", rows)
	left.PutInt64("Months", months)
	left.PutInt64("Amounts", amounts)
}

// --- what a host must cope with --------------------------------------------------------------------------------------------------

// Allocates much: counts words in a map whose keys are made anew each time, and leaves what came of it.
//
//go:wasmexport count_words
func countWords() {
	counts := map[string]int64{}
	for number := range 5000 {
		counts[fmt.Sprintf("word %d", number%250)]++
	}
	left := result()
	left.PutInt64("Words", int64(len(counts)))
	left.PutInt64("OfWord7", counts["word 7"])
}

// Grows from call to call, as long as nobody restores the guest.
var appended [][]byte

// Appends 60 KB to a list that nobody frees.
//
//go:wasmexport append_for_ever
func appendForEver() {
	block := make([]byte, 60000)
	for index := range block {
		block[index] = 1
	}
	appended = append(appended, block)
	result().PutInt64("Length", int64(len(appended)))
}

// Panics.
//
//go:wasmexport panic_with_message
func panicWithMessage() { panic("no such order") }

// Reads an element that is not there, which the language checks.
//
//go:wasmexport index_out_of_range
func indexOutOfRange() { result().PutInt64("Value", int64(table[len(appended)+256])) }

// Divides by a number that is zero, which the language checks.
//
//go:wasmexport divide_by_zero
func divideByZero() { result().PutInt64("Value", 7/int64(len(appended))) }

func depth(level int64) int64 {
	if level < 0 {
		return 0
	}
	return depth(level+1) + depth(level-1) + 1
}

// Calls itself until the stack is full.
//
//go:wasmexport recurse_for_ever
func recurseForEver() { result().PutInt64("Value", depth(1)) }
