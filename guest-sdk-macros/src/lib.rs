#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod check;
mod expand;

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
