//! Typed functions: the expansion of the attribute.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, Ident, ItemFn, Result, ReturnType};

use crate::check;
use crate::options::{Attribute, Options};
use crate::signature::{self, documentation, lasting, parameter, plain_name};

/// Begins the export of a function for one row, and the name of the hidden type beside it.
const EXPORT_ROW: &str = "__guest_function_";

/// Begins the export of a function for many rows.
const EXPORT_BATCH: &str = "__guest_batch_";

/// The function as it is, and what it is exported by.
pub(crate) fn expand(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let options = Options::parse(Attribute::Function, arguments)?;
    check(function)?;
    let vis = &function.vis;
    let ident = &function.sig.ident;
    let name = plain_name(ident);
    let (row, batch) = (format!("{EXPORT_ROW}{name}"), format!("{EXPORT_BATCH}{name}"));
    let hidden = Ident::new(&row, ident.span());
    let documentation = documentation(&function.attrs, ident.span());
    let Options { volatility, strict, .. } = options;
    let params = function.sig.inputs.iter().enumerate().map(|(index, input)| {
        let (name, of) = parameter(input)?;
        let of = lasting(of);
        let slots = [1, 2, 3].map(|slot| format_ident!("_slot_{index}_{slot}"));
        Ok(quote!((#name, #index, #of, #(#slots),*)))
    });
    let params = params.collect::<Result<Vec<_>>>()?;
    let ReturnType::Type(_, result) = &function.sig.output else {
        return Err(Error::new_spanned(&function.sig, RESULT));
    };
    let result = lasting(result);
    Ok(quote! {
        #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a host calls it"))]
        #function
        ::guest_sdk::generated::export_function! {
            #vis #ident as #hidden, #name, #row, #batch, #documentation, #volatility, #strict,
            [#(#params)*] -> #result
        }
    })
}

const RESULT: &str = "a typed function returns a value: `fn name(a: i64) -> i64`";

fn check(function: &ItemFn) -> Result<()> {
    check::callable("function", &function.sig)?;
    signature::plain_generics("function", &function.sig)?;
    match &function.sig.output {
        ReturnType::Default => Err(Error::new_spanned(&function.sig, RESULT)),
        ReturnType::Type(..) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: &str, function: &str) -> std::result::Result<String, String> {
        let function = syn::parse_str(function).unwrap();
        let arguments = arguments.parse().unwrap();
        expand(arguments, &function).map(|tokens| tokens.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (arguments, function, told) in [
            ("", "fn f(a: i64) {}", "returns a value"),
            ("", "fn f(self) -> i64 {}", "is no method"),
            ("", "fn f(a: Option<&'static str>) -> i64 {}", "remove `'static`"),
            ("", "fn f(a: List<'static, i64>) -> i64 {}", "remove `'static`"),
            ("", "fn f(_: i64) -> i64 {}", "write a name"),
            ("", "fn f((a, b): (i64, i64)) -> i64 {}", "write a name"),
            ("", "fn f<T>(a: T) -> i64 {}", "remove the generic parameter"),
            ("", "fn f<'a>(a: &'a str) -> i64 where 'a: 'static {}", "remove the `where` clause"),
            ("", "async fn f(a: i64) -> i64 {}", "remove `async`"),
            ("", "unsafe fn f(a: i64) -> i64 {}", "remove `unsafe`"),
            ("", "extern \"C\" fn f(a: i64) -> i64 {}", "remove `extern`"),
            ("pure", "fn f() -> i64 {}", "`immutable`, `stable` or `volatile`"),
            ("volatility = \"never\"", "fn f() -> i64 {}", "`immutable`, `stable` or `volatile`"),
            ("strict = 1", "fn f() -> i64 {}", "`strict = false`"),
            ("strict(false)", "fn f() -> i64 {}", "`strict = false`"),
            ("stable, volatile", "fn f() -> i64 {}", "remove one of them"),
        ] {
            let refusal = expanded(arguments, function).expect_err(function);
            assert!(refusal.contains(told), "{function}: {refusal}");
        }
    }

    #[test]
    fn names_documentation_and_options_are_taken_from_the_source() {
        let source =
            "/// Adds.\n///\n///     a + b\npub fn r#gen<'a>(_a: &'a str, Date(b): Date) -> Result<List<'a, &str>> { }";
        let expanded = expanded("volatility = \"stable\", strict = false", source).unwrap();
        for told in [
            "pub r#gen as __guest_function_gen , \"gen\" , \"__guest_function_gen\" , \"__guest_batch_gen\"",
            "\"Adds.\\n\\n    a + b\" , Stable , false",
            "(\"a\" , 0usize , & 'static str ,",
            "(\"b\" , 1usize , Date ,",
            "-> Result < List < 'static , & 'static str > >",
        ] {
            assert!(expanded.contains(told), "{told} is not in {expanded}");
        }
    }
}
