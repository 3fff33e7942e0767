//! Checks that a function can have its attribute; the error says how to mend it.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Error, FnArg, ItemFn, Result, ReturnType, Signature, Type};

/// Names without a leading underscore that a cdylib or the contract exports.
const RESERVED: [&str; 1] = ["memory"];

pub(crate) fn extension(arguments: &TokenStream, function: &ItemFn) -> Result<()> {
    plain("extension", arguments, &function.sig)?;
    let name = function.sig.ident.to_string();
    if name.starts_with('_') {
        return Err(Error::new_spanned(
            &function.sig.ident,
            "an extension is exported under its own name, and names that begin with `_` are reserved: choose another",
        ));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(Error::new_spanned(
            &function.sig.ident,
            format!("an extension is exported under its own name, and `{name}` is taken: choose another"),
        ));
    }
    let mut inputs = function.sig.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (Some(FnArg::Typed(argument)), None) if is_mutable_reference(&argument.ty) => {}
        (Some(other), None) => return Err(Error::new_spanned(other, EXTENSION)),
        _ => return Err(Error::new_spanned(&function.sig, EXTENSION)),
    }
    match &function.sig.output {
        ReturnType::Default => Err(Error::new_spanned(&function.sig, EXTENSION)),
        ReturnType::Type(..) => Ok(()),
    }
}

const EXTENSION: &str =
    "an extension takes `&mut Context` and returns `Result<()>`: `fn name(cx: &mut Context) -> Result<()>`";

pub(crate) fn init(arguments: &TokenStream, function: &ItemFn) -> Result<()> {
    plain("init", arguments, &function.sig)?;
    match function.sig.inputs.first() {
        None => Ok(()),
        Some(input) => Err(Error::new_spanned(
            input,
            "an initialisation hook takes nothing, since there is no call yet: `fn name()` or `fn name() -> Result<()>`",
        )),
    }
}

pub(crate) fn stage(arguments: &TokenStream, function: &ItemFn) -> Result<()> {
    plain("stage", arguments, &function.sig)?;
    let mut inputs = function.sig.inputs.iter();
    match (inputs.next(), inputs.next()) {
        (None, _) | (Some(FnArg::Typed(_)), None) => Ok(()),
        _ => Err(Error::new_spanned(
            &function.sig,
            "a stage takes a block or nothing, and may return one: `fn name(block: Block) -> Result<Block>`",
        )),
    }
}

fn refuse(attribute: &str, tokens: &dyn ToTokens, what: &str) -> Result<()> {
    Err(Error::new_spanned(tokens.to_token_stream(), format!("`#[{attribute}]` is for plain functions: {what}")))
}

/// A function without anything that an export cannot have, and an attribute without arguments.
fn plain(attribute: &str, arguments: &TokenStream, signature: &Signature) -> Result<()> {
    if !arguments.is_empty() {
        return refuse(attribute, arguments, "it takes no arguments, write `#[...]` with the name alone");
    }
    callable(attribute, signature)?;
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        return refuse(attribute, &signature.generics, "remove the generic parameters, an export has one type");
    }
    Ok(())
}

/// A function that an export can call.
pub(crate) fn callable(attribute: &str, signature: &Signature) -> Result<()> {
    if let Some(token) = &signature.asyncness {
        return refuse(attribute, token, "remove `async`, a call runs to its end");
    }
    if let Some(token) = &signature.unsafety {
        return refuse(attribute, token, "remove `unsafe`, the host cannot promise anything");
    }
    if let Some(abi) = &signature.abi {
        return refuse(attribute, abi, "remove `extern`, the attribute exports the function");
    }
    Ok(())
}

fn is_mutable_reference(of: &Type) -> bool {
    match of {
        Type::Reference(reference) => reference.mutability.is_some(),
        Type::Paren(inner) => is_mutable_reference(&inner.elem),
        Type::Group(inner) => is_mutable_reference(&inner.elem),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(check: fn(&TokenStream, &ItemFn) -> Result<()>, function: &str) -> Option<String> {
        let function = syn::parse_str(function).unwrap();
        check(&TokenStream::new(), &function).err().map(|error| error.to_string())
    }

    #[test]
    fn each_refusal_says_what_to_do() {
        for (function, told) in [
            ("fn f() -> Result<()> {}", "takes `&mut Context`"),
            ("fn f(cx: &Context) -> Result<()> {}", "takes `&mut Context`"),
            ("fn f(cx: &mut Context, n: u32) -> Result<()> {}", "takes `&mut Context`"),
            ("fn f(self) -> Result<()> {}", "takes `&mut Context`"),
            ("fn f(cx: &mut Context) {}", "returns `Result<()>`"),
            ("async fn f(cx: &mut Context) -> Result<()> {}", "remove `async`"),
            ("unsafe fn f(cx: &mut Context) -> Result<()> {}", "remove `unsafe`"),
            ("extern \"C\" fn f(cx: &mut Context) -> Result<()> {}", "remove `extern`"),
            ("fn f<T>(cx: &mut Context) -> Result<()> {}", "remove the generic parameters"),
            ("fn _f(cx: &mut Context) -> Result<()> {}", "begin with `_`"),
            ("fn memory(cx: &mut Context) -> Result<()> {}", "is taken"),
        ] {
            let refusal = refusal(extension, function).unwrap_or_else(|| panic!("accepted: {function}"));
            assert!(refusal.contains(told), "{function}: {refusal}");
        }
        assert_eq!(refusal(extension, "fn f(cx: &mut Context<'_>) -> guest_sdk::Result<()> {}"), None);
        assert_eq!(refusal(init, "fn f() -> Result<()> {}"), None);
        assert_eq!(refusal(init, "fn f() {}"), None);
        assert!(refusal(init, "fn f(cx: &mut Context) {}").unwrap().contains("takes nothing"));
        for function in ["fn f() {}", "fn f(block: Block) {}", "fn f(block: Block) -> Result<Option<Block>> {}"] {
            assert_eq!(refusal(stage, function), None);
        }
        for function in ["fn f(one: Block, other: Block) {}", "fn f(self) {}"] {
            assert!(refusal(stage, function).unwrap().contains("takes a block or nothing"));
        }
        assert!(
            extension(
                &quote::quote!(name = "x"),
                &syn::parse_quote!(
                    fn f() {}
                )
            )
            .is_err()
        );
    }
}
