//! The expansion of the attributes: the function, unchanged, and on wasm32 its export.

use proc_macro::TokenStream;
use quote::{ToTokens, quote};
use syn::{DeriveInput, FnArg, ItemFn, ItemImpl, parse_macro_input};

use crate::check;

/// The SDK whose attributes these are.
pub(crate) struct Sdk {
    /// Its path.
    path: proc_macro2::TokenStream,
    /// `true` if its contract reserves further names.
    reserves_names: bool,
}

impl Sdk {
    pub(crate) fn native() -> Self {
        Self { path: quote!(::guest_sdk), reserves_names: false }
    }

    pub(crate) fn exttinygo() -> Self {
        Self { path: quote!(::guest_sdk_exttinygo), reserves_names: true }
    }
}

pub(crate) fn extension(arguments: TokenStream, item: TokenStream, sdk: &Sdk) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    if let Err(error) = check::extension(&arguments.into(), &function) {
        return failed(&function, &error);
    }
    let path = &sdk.path;
    let name = &function.sig.ident;
    let export = name.to_string();
    let export = export.strip_prefix("r#").unwrap_or(&export);
    let is_free = sdk.reserves_names.then(|| {
        quote! {
            const _: () = assert!(
                #path::generated::is_free(#export),
                "an extension is exported under its own name, and this one is taken by the exttinygo contract: choose another"
            );
        }
    });
    quote! {
        #function
        const _: fn(&mut #path::Context<'_>) -> #path::Result<()> = #name;
        #is_free
        #[cfg(target_arch = "wasm32")]
        #path::generated::export_extension!(#name, #export);
    }
    .into()
}

pub(crate) fn init(arguments: TokenStream, item: TokenStream, sdk: &Sdk) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    if let Err(error) = check::init(&arguments.into(), &function) {
        return failed(&function, &error);
    }
    let path = &sdk.path;
    let name = &function.sig.ident;
    let result = match &function.sig.output {
        syn::ReturnType::Default => quote!(()),
        syn::ReturnType::Type(..) => quote!(#path::Result<()>),
    };
    quote! {
        #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a host calls it"))]
        #function
        const _: fn() -> #result = #name;
        #[cfg(target_arch = "wasm32")]
        #path::generated::export_init!(#name);
    }
    .into()
}

pub(crate) fn stage(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as ItemFn);
    if let Err(error) = check::stage(&arguments.into(), &function) {
        return failed(&function, &error);
    }
    let name = &function.sig.ident;
    let own = name.to_string();
    let export = format!("__guest_stage_{}", own.strip_prefix("r#").unwrap_or(&own));
    let takes = function.sig.inputs.iter().map(|input| match input {
        FnArg::Typed(input) => &input.ty,
        FnArg::Receiver(input) => &input.ty,
    });
    let takes: Vec<_> = takes.collect();
    let number = (!takes.is_empty()).then(|| quote!(number));
    let result = match &function.sig.output {
        syn::ReturnType::Default => quote!(()),
        syn::ReturnType::Type(_, result) => quote!(#result),
    };
    quote! {
        #function
        const _: () = {
            const fn takes<T: ::guest_sdk::block::StageInput>() {}
            const fn returns<T: ::guest_sdk::block::StageOutput>() {}
            #(takes::<#takes>();)*
            returns::<#result>();
        };
        #[cfg(target_arch = "wasm32")]
        ::guest_sdk::generated::export_stage!(#name, #export, #number);
    }
    .into()
}

pub(crate) fn function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    match crate::function::expand(arguments.into(), &item) {
        Ok(expanded) => expanded.into(),
        Err(error) => failed(&item, &error),
    }
}

pub(crate) fn table_function(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemFn);
    match crate::table::expand(arguments.into(), &item) {
        Ok(expanded) => expanded.into(),
        Err(error) => failed(&item, &error),
    }
}

pub(crate) fn aggregate(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    match crate::aggregate::expand(arguments.into(), &item) {
        Ok(expanded) => expanded.into(),
        Err(error) => failed(&item, &error),
    }
}

pub(crate) fn state(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    crate::state::expand(&item).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// The error, and the item as it is, so that it does not count as missing on top.
fn failed(item: &impl ToTokens, error: &syn::Error) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#item #error).into()
}
