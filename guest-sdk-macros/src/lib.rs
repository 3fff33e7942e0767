//! The attribute macros of guest-sdk, which exports them. They check the function and, for wasm32, export it; on any
//! other target it stays the plain function that it is.

mod check;

use proc_macro::TokenStream;
use quote::quote;
use syn::{ItemFn, parse_macro_input};

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
    let function = parse_macro_input!(item as ItemFn);
    if let Err(error) = check::extension(&arguments.into(), &function) {
        return failed(&function, &error);
    }
    let name = &function.sig.ident;
    let export = name.to_string();
    let export = export.strip_prefix("r#").unwrap_or(&export);
    quote! {
        #function
        const _: fn(&mut ::guest_sdk::Context<'_>) -> ::guest_sdk::Result<()> = #name;
        #[cfg(target_arch = "wasm32")]
        ::guest_sdk::generated::export_extension!(#name, #export);
    }
    .into()
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
    let function = parse_macro_input!(item as ItemFn);
    if let Err(error) = check::init(&arguments.into(), &function) {
        return failed(&function, &error);
    }
    let name = &function.sig.ident;
    let result = match &function.sig.output {
        syn::ReturnType::Default => quote!(()),
        syn::ReturnType::Type(..) => quote!(::guest_sdk::Result<()>),
    };
    quote! {
        #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a host calls it"))]
        #function
        const _: fn() -> #result = #name;
        #[cfg(target_arch = "wasm32")]
        ::guest_sdk::generated::export_init!(#name);
    }
    .into()
}

/// The error, and the function as it is, so that it does not count as missing on top.
fn failed(function: &ItemFn, error: &syn::Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#function #error).into()
}
