#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod check;
mod expand;
mod function;

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
