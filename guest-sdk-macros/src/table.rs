//! Table functions: the type of their rows, and the expansion of the attribute.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    AssocType, Error, GenericArgument, Ident, ItemFn, PathArguments, PathSegment, Result, ReturnType, Type,
    TypeParamBound,
};

use crate::check;
use crate::options::{Attribute, Options};
use crate::signature::{documentation, lasting, parameter, plain_generics, plain_name};

/// Begins the export of a table function, and the name of the hidden type beside it.
const EXPORT: &str = "__guest_table_";

const RESULT: &str = "a table function returns its rows: `impl Iterator<Item = (i64, String)>` or `Vec<(i64, String)>`, or a \
                      `Result` of these";

/// The function as it is, and what it is exported by.
pub(crate) fn expand(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let Options { volatility, strict, columns, .. } = Options::parse(Attribute::Table, arguments)?;
    check::callable("table_function", &function.sig)?;
    plain_generics("table_function", &function.sig)?;
    let (vis, ident) = (&function.vis, &function.sig.ident);
    let name = plain_name(ident);
    let export = format!("{EXPORT}{name}");
    let hidden = Ident::new(&export, ident.span());
    let documentation = documentation(&function.attrs, ident.span());
    let params = function.sig.inputs.iter().enumerate().map(|(index, input)| {
        let (name, of) = parameter(input)?;
        let of = lasting(of);
        Ok(quote!((#name, #index, #of)))
    });
    let params = params.collect::<Result<Vec<_>>>()?;
    let ReturnType::Type(_, output) = &function.sig.output else {
        return Err(Error::new_spanned(&function.sig, RESULT));
    };
    let rows = Rows::of(output)?;
    if columns.is_empty() {
        return Err(Error::new_spanned(
            ident,
            "a table function names the columns of its rows: `#[table_function(columns(position, word))]`",
        ));
    }
    if let Some(twice) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
        return Err(Error::new_spanned(ident, format!("two columns have the name `{}`: rename one of them", twice.1)));
    }
    let row = lasting(rows.row);
    let result = quote!(result);
    let iterator = if rows.may_fail { quote!(#result?) } else { quote!(#result) };
    let item = if rows.row_may_fail {
        quote!(|row| row.map_err(::core::convert::Into::into))
    } else {
        quote!(::core::result::Result::Ok)
    };
    Ok(quote! {
        #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a host calls it"))]
        #function
        ::guest_sdk::generated::export_table_function! {
            #vis #ident as #hidden, #name, #export, #documentation, #volatility, #strict,
            [#(#params)*] -> [#(#columns)*] #row,
            #result => ::core::iter::IntoIterator::into_iter(#iterator).map(#item)
        }
    })
}

/// The rows that a function returns.
struct Rows<'t> {
    row: &'t Type,
    /// Whether the function returns a `Result` of them.
    may_fail: bool,
    /// Whether each is a `Result`.
    row_may_fail: bool,
}

impl<'t> Rows<'t> {
    fn of(output: &'t Type) -> Result<Self> {
        let unfit = || Error::new_spanned(output, RESULT);
        let (rows, may_fail) = of_result(output);
        let item = match rows {
            Type::ImplTrait(iterator) => iterator.bounds.iter().find_map(|bound| match bound {
                TypeParamBound::Trait(bound) => bound.path.segments.last().and_then(iterator_item),
                _ => None,
            }),
            _ => last_segment(rows).filter(|segment| segment.ident == "Vec").and_then(first_type),
        };
        let (row, row_may_fail) = of_result(item.ok_or_else(unfit)?);
        Ok(Self { row, may_fail, row_may_fail })
    }
}

/// The value of a `Result`, and whether it is one.
fn of_result(of: &Type) -> (&Type, bool) {
    match last_segment(of).filter(|segment| segment.ident == "Result").and_then(first_type) {
        Some(value) => (value, true),
        None => (of, false),
    }
}

fn last_segment(of: &Type) -> Option<&PathSegment> {
    match of {
        Type::Path(path) => path.path.segments.last(),
        Type::Paren(inner) => last_segment(&inner.elem),
        Type::Group(inner) => last_segment(&inner.elem),
        _ => None,
    }
}

/// The arguments in a segment's angle brackets.
fn arguments(segment: &PathSegment) -> impl Iterator<Item = &GenericArgument> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten()
}

fn first_type(segment: &PathSegment) -> Option<&Type> {
    arguments(segment).find_map(|argument| match argument {
        GenericArgument::Type(of) => Some(of),
        _ => None,
    })
}

/// The type after `Item =`.
fn iterator_item(segment: &PathSegment) -> Option<&Type> {
    arguments(segment).find_map(|argument| match argument {
        GenericArgument::AssocType(AssocType { ident, ty, .. }) if ident == "Item" => Some(ty),
        _ => None,
    })
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
            ("columns(a)", "fn f() {}", "returns its rows"),
            ("columns(a)", "fn f() -> i64 {}", "returns its rows"),
            ("columns(a)", "fn f() -> impl Clone {}", "returns its rows"),
            ("", "fn f() -> Vec<i64> {}", "names the columns"),
            ("columns(a, a)", "fn f() -> Vec<(i64, i64)> {}", "rename one of them"),
            ("columns = \"a\"", "fn f() -> Vec<i64> {}", "`columns(...)`"),
            ("columns(a)", "fn f(&self) -> Vec<i64> {}", "is no method"),
            ("columns(a)", "async fn f() -> Vec<i64> {}", "remove `async`"),
            ("columns(a)", "fn f<T>() -> Vec<i64> {}", "remove the generic parameter"),
        ] {
            let refusal = expanded(arguments, function).expect_err(function);
            assert!(refusal.contains(told), "{function}: {refusal}");
        }
    }

    #[test]
    fn rows_are_found_in_each_kind_of_result() {
        for (output, told) in [
            (
                "Vec<(i64, &'a str)>",
                "(i64 , & 'static str) , result => :: core :: iter :: IntoIterator :: into_iter (result)",
            ),
            ("impl Iterator<Item = f64> + 'a", "f64 , result =>"),
            ("Result<Vec<f64>>", "into_iter (result ?)"),
            ("impl Iterator<Item = Result<f64, String>>", "map (| row | row . map_err"),
        ] {
            let function = format!("fn f<'a>(text: &'a str) -> {output} {{}}");
            let expanded = expanded("columns(of)", &function).unwrap();
            assert!(expanded.contains(told), "{told} is not in {expanded}");
            assert!(expanded.contains("[(\"text\" , 0usize , & 'static str)] -> [\"of\"]"), "{expanded}");
        }
    }
}
