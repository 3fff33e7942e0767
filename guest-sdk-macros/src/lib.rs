#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod aggregate;
mod check;
mod expand;
mod function;
mod options;
mod signature;
mod state;
mod table;

use expand::Sdk;
use proc_macro::TokenStream;

/// Makes a function an extension, exported under its own name.
///
/// ```
/// use guest_sdk::{Context, Result, extension};
///
/// /// Does nothing.
/// #[extension]
/// fn do_nothing(_cx: &mut Context) -> Result<()> {
///     Ok(())
/// }
/// ```
///
/// The function takes `&mut Context` and returns `Result<()>`:
///
/// ```compile_fail
/// # use guest_sdk::{Context, Result, extension};
/// #[extension]
/// fn no_context() -> Result<()> {
///     Ok(())
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::{Context, Result, extension};
/// #[extension]
/// fn no_result(_cx: &mut Context) {}
/// ```
/// ```compile_fail
/// # use guest_sdk::{Context, Result, extension};
/// #[extension]
/// fn wrong_result(_cx: &mut Context) -> Result<u32> {
///     Ok(1)
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::{Context, Result, extension};
/// #[extension]
/// async fn not_now(_cx: &mut Context) -> Result<()> {
///     Ok(())
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::{Context, Result, extension};
/// #[extension]
/// fn of_any<T>(_cx: &mut Context) -> Result<()> {
///     Ok(())
/// }
/// ```
///
/// Its name is not one that the contract reserves:
///
/// ```compile_fail
/// # use guest_sdk::{Context, Result, extension};
/// #[extension]
/// fn _hidden(_cx: &mut Context) -> Result<()> {
///     Ok(())
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::{Context, Result, extension};
/// #[extension]
/// fn memory(_cx: &mut Context) -> Result<()> {
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn extension(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::extension(arguments, item, &Sdk::native())
}

/// As [`macro@extension`], for guests of `guest-sdk-exttinygo`.
///
/// ```
/// use guest_sdk_exttinygo::{Context, Result, extension};
///
/// /// Does nothing.
/// #[extension]
/// fn do_nothing(_cx: &mut Context) -> Result<()> {
///     Ok(())
/// }
/// ```
///
/// Its name is not one that the contract reserves either:
///
/// ```compile_fail
/// # use guest_sdk_exttinygo::{Context, Result, extension};
/// #[extension]
/// fn malloc(_cx: &mut Context) -> Result<()> {
///     Ok(())
/// }
/// ```
#[proc_macro_attribute]
pub fn extension_exttinygo(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::extension(arguments, item, &Sdk::exttinygo())
}

/// Makes a function a stage: it takes a memory block and returns one.
///
/// ```
/// use guest_sdk::block::Block;
/// use guest_sdk::{Result, stage};
///
/// /// Increments the first byte of a block.
/// #[stage]
/// fn increment(mut block: Block) -> Result<Block> {
///     let mut bytes = block.write()?;
///     bytes[0] += 1;
///     bytes.republish();
///     Ok(block)
/// }
/// ```
///
/// The function takes a `Block`, an `Option<Block>` or nothing, and returns a `Block`, an `Option<Block>` or nothing, or a `Result` of
/// these. A guest exports it as `__guest_stage_` followed by its name.
///
/// ```compile_fail
/// # use guest_sdk::block::Block;
/// # use guest_sdk::stage;
/// #[stage]
/// fn of_two(one: Block, other: Block) {}
/// ```
/// ```compile_fail
/// # use guest_sdk::block::Block;
/// # use guest_sdk::stage;
/// #[stage]
/// fn of_a_number(number: u32) {}
/// ```
#[proc_macro_attribute]
pub fn stage(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::stage(arguments, item)
}

/// Makes a function a typed one, which hosts call with typed arguments, one row at a time or many.
///
/// ```
/// use guest_sdk::{Result, function};
///
/// /// Whole quotient.
/// #[function]
/// fn safe_div(a: i64, b: i64) -> Result<i64> {
///     a.checked_div(b).ok_or_else(|| "division by zero, or an overflow".into())
/// }
///
/// assert_eq!(safe_div(7, 2), Ok(3));
/// ```
///
/// The function stays as it is. A guest exports it as `__guest_function_` and `__guest_batch_` followed by its name, and
/// declares its signature, with its doc comment, in the section `guest-functions`. The module `guest_sdk::function` lists the
/// types of parameters and results, and says what happens to null.
///
/// # Arguments
///
/// | argument | meaning |
/// |---|---|
/// | `immutable`, the default | equal arguments always give equal results |
/// | `stable` | equal arguments give equal results within one query |
/// | `volatile` | equal arguments may give other results in each call |
/// | `volatility = "stable"` | the same, written out; likewise for the other two |
/// | `strict = false` | null for a parameter that is not an `Option` is an error; otherwise the result is null then |
///
/// ```
/// use guest_sdk::function;
///
/// #[function(volatile, strict = false)]
/// fn dice(sides: i64) -> i64 {
///     4 % sides
/// }
/// ```
///
/// # What does not compile
///
/// A type that does not cross:
///
/// ```compile_fail
/// # use guest_sdk::function;
/// #[function]
/// fn narrow(a: i8) -> i64 {
///     a.into()
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::function;
/// #[function]
/// fn wide(a: i64) -> i128 {
///     a.into()
/// }
/// ```
///
/// A decimal of more than 38 digits, or a list of lists:
///
/// ```compile_fail
/// # use guest_sdk::{Decimal, function};
/// #[function]
/// fn too_precise(a: Decimal<39, 2>) -> i64 {
///     a.0 as i64
/// }
/// # assert_eq!(<__guest_function_too_precise as guest_sdk::function::Function>::DECLARATION.params.len(), 1);
/// ```
/// ```compile_fail
/// # use guest_sdk::{List, function};
/// #[function]
/// fn nested<'a>(a: List<'a, List<'a, i64>>) -> i64 {
///     a.len() as i64
/// }
/// # assert_eq!(<__guest_function_nested as guest_sdk::function::Function>::DECLARATION.params.len(), 1);
/// ```
///
/// An argument that is kept beyond its call, no result, a parameter without a name, an unknown argument, and what an export
/// cannot have:
///
/// ```compile_fail
/// # use guest_sdk::function;
/// #[function]
/// fn keep(text: &'static str) -> i64 {
///     text.len() as i64
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::function;
/// #[function]
/// fn no_result(_a: i64) {}
/// ```
/// ```compile_fail
/// # use guest_sdk::function;
/// #[function]
/// fn no_name(_: i64) -> i64 {
///     1
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::function;
/// #[function(pure)]
/// fn unknown_argument(a: i64) -> i64 {
///     a
/// }
/// ```
/// ```compile_fail
/// # use guest_sdk::function;
/// #[function]
/// fn of_any<T>(a: i64) -> i64 {
///     a
/// }
/// ```
#[proc_macro_attribute]
pub fn function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(arguments, item)
}

/// Makes the methods of a type an aggregate, which a host calls with a group of rows, through `guest-functions` or by `host-harness
/// call`. The type is the state of a group; the host keeps it as bytes between batches, see `guest_sdk::State`.
///
/// | method | does |
/// |---|---|
/// | `accumulate(&mut self, ...)` | takes a row into the state; its parameters are those of the aggregate |
/// | `merge(&mut self, other: Self)` | takes another state into this one |
/// | `evaluate(&self) -> ...` | makes the result |
/// | `retract(&mut self, ...)`, optional | takes a row out again, for windows that slide |
/// | `new() -> Self`, optional | makes the state of no rows; otherwise `Default` does |
///
/// `accumulate`, `merge` and `retract` return nothing or a `Result<()>`. A row with a null for a parameter that is no `Option` is
/// left out.
///
/// # Arguments
///
/// Those of [`macro@function`], and:
///
/// | argument | meaning |
/// |---|---|
/// | `name = "..."` | the name of the aggregate; otherwise that of the type in snake case |
/// | `state_version = 2` | version of the state's bytes, 1 at first: raise it when the type changes, so that states of before are refused |
///
/// ```
/// use guest_sdk::{State, aggregate};
///
/// #[derive(Default, State)]
/// struct Mean {
///     count: u64,
///     sum: f64,
/// }
///
/// /// The arithmetic mean; null for no rows.
/// #[aggregate]
/// impl Mean {
///     fn accumulate(&mut self, number: f64) {
///         self.count += 1;
///         self.sum += number;
///     }
///
///     fn retract(&mut self, number: f64) {
///         self.count -= 1;
///         self.sum -= number;
///     }
///
///     fn merge(&mut self, other: Self) {
///         self.count += other.count;
///         self.sum += other.sum;
///     }
///
///     fn evaluate(&self) -> Option<f64> {
///         (self.count > 0).then(|| self.sum / self.count as f64)
///     }
/// }
///
/// let mut mean = Mean::default();
/// mean.accumulate(1.0);
/// mean.accumulate(4.0);
/// assert_eq!(mean.evaluate(), Some(2.5));
/// ```
///
/// A state that cannot be saved does not compile:
///
/// ```compile_fail
/// # use guest_sdk::aggregate;
/// #[derive(Default)]
/// struct Count(u64);
///
/// #[aggregate]
/// impl Count {
///     fn accumulate(&mut self) {
///         self.0 += 1;
///     }
///     fn merge(&mut self, other: Self) {
///         self.0 += other.0;
///     }
///     fn evaluate(&self) -> u64 {
///         self.0
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn aggregate(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::aggregate(arguments, item)
}

/// Makes a function a table function: one that gives any number of rows for a call.
///
/// It returns an iterator of its rows or a `Vec`, or a `Result` of these. A row is a value, or a tuple of a value for each column;
/// a row that is an `Err` ends the call with that error. The iterator may borrow from the arguments. The host takes some
/// thousand rows at a time and need not take all.
///
/// `columns(...)` names the columns. The other arguments are those of [`macro@function`]; null for a parameter that is no `Option`
/// gives no rows.
///
/// ```
/// use guest_sdk::table_function;
///
/// /// The words of a text, with their positions.
/// #[table_function(columns(position, word))]
/// fn words(text: &str) -> impl Iterator<Item = (i64, &str)> {
///     (0..).zip(text.split_whitespace())
/// }
///
/// assert_eq!(words("a b").last(), Some((1, "b")));
/// ```
///
/// Each column has a name:
///
/// ```compile_fail
/// # use guest_sdk::table_function;
/// #[table_function(columns(position))]
/// fn words(text: &str) -> impl Iterator<Item = (i64, &str)> {
///     (0..).zip(text.split_whitespace())
/// }
/// # assert_eq!(<__guest_table_words as guest_sdk::function::TableFunction>::DECLARATION.results.len(), 1);
/// ```
#[proc_macro_attribute]
pub fn table_function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::table_function(arguments, item)
}

/// Derives `guest_sdk::State` for a struct: its fields are saved in their order, and each has `State` itself. If the order or
/// a type changes, raise the aggregate's `state_version`.
///
/// ```compile_fail
/// # use guest_sdk::State;
/// #[derive(State)]
/// enum Either {
///     One,
/// }
/// ```
#[proc_macro_derive(State)]
pub fn state(item: TokenStream) -> TokenStream {
    expand::state(item)
}

/// Makes a function the guest's initialisation hook, which runs once, before the host takes its snapshot: what it
/// builds is there in every call and built in none. A guest has at most one.
///
/// ```
/// use std::sync::OnceLock;
///
/// static SQUARES: OnceLock<Vec<u64>> = OnceLock::new();
///
/// #[guest_sdk::init]
/// fn build_squares() {
///     SQUARES.get_or_init(|| (0..1000).map(|number| number * number).collect());
/// }
/// ```
///
/// It takes nothing and returns nothing or `Result<()>`:
///
/// ```compile_fail
/// # use guest_sdk::{Context, init};
/// #[init]
/// fn with_context(_cx: &mut Context) {}
/// ```
/// ```compile_fail
/// # use guest_sdk::init;
/// #[init]
/// fn with_number() -> u32 {
///     1
/// }
/// ```
#[proc_macro_attribute]
pub fn init(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::init(arguments, item, &Sdk::native())
}

/// As [`macro@init`], for guests of `guest-sdk-exttinygo`. A guest may have several.
///
/// ```
/// use std::sync::OnceLock;
///
/// static SQUARES: OnceLock<Vec<u64>> = OnceLock::new();
///
/// #[guest_sdk_exttinygo::init]
/// fn build_squares() {
///     SQUARES.get_or_init(|| (0..1000).map(|number| number * number).collect());
/// }
/// ```
#[proc_macro_attribute]
pub fn init_exttinygo(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::init(arguments, item, &Sdk::exttinygo())
}
