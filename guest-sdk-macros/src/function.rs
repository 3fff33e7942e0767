//! Typed functions: the arguments of the attribute, the signature, and the expansion.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    Error, Expr, ExprLit, FnArg, GenericArgument, GenericParam, Ident, ItemFn, Lifetime, Lit, LitBool, LitStr, Meta,
    Pat,
};
use syn::{PathArguments, Result, ReturnType, Token, Type};

use crate::check;

/// Begins the export of a function for one row, and the name of the hidden type beside it.
const EXPORT_ROW: &str = "__guest_function_";

/// Begins the export of a function for many rows.
const EXPORT_BATCH: &str = "__guest_batch_";

const ARGUMENTS: &str = "the arguments of `#[function]` are `immutable`, `stable` or `volatile`, and `strict = false`: \
                         `#[function(volatile, strict = false)]`";

/// The arguments of the attribute.
struct Options {
    /// The variant of `Volatility`.
    volatility: Ident,
    strict: bool,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (mut volatility, mut strict) = (None, None);
        for argument in Punctuated::<Meta, Token![,]>::parse_terminated(input)? {
            let once = match &argument {
                Meta::Path(path) => {
                    let name = path.get_ident().map(Ident::to_string).unwrap_or_default();
                    volatility.replace(variant(&name).ok_or_else(|| Error::new_spanned(path, ARGUMENTS))?).is_none()
                }
                Meta::NameValue(pair) if pair.path.is_ident("volatility") => {
                    let found = literal(&pair.value).and_then(|literal| match literal {
                        Lit::Str(text) => variant(&text.value()),
                        _ => None,
                    });
                    volatility.replace(found.ok_or_else(|| Error::new_spanned(&pair.value, ARGUMENTS))?).is_none()
                }
                Meta::NameValue(pair) if pair.path.is_ident("strict") => match literal(&pair.value) {
                    Some(Lit::Bool(LitBool { value, .. })) => strict.replace(*value).is_none(),
                    _ => return Err(Error::new_spanned(&pair.value, ARGUMENTS)),
                },
                other => return Err(Error::new_spanned(other, ARGUMENTS)),
            };
            if !once {
                return Err(Error::new_spanned(argument, "this is said twice: remove one of them"));
            }
        }
        let volatility = volatility.unwrap_or_else(|| format_ident!("Immutable"));
        Ok(Self { volatility, strict: strict.unwrap_or(true) })
    }
}

fn variant(name: &str) -> Option<Ident> {
    match name {
        "immutable" => Some(format_ident!("Immutable")),
        "stable" => Some(format_ident!("Stable")),
        "volatile" => Some(format_ident!("Volatile")),
        _ => None,
    }
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}

/// The function as it is, and what it is exported by.
pub(crate) fn expand(arguments: TokenStream, function: &ItemFn) -> Result<TokenStream> {
    let options: Options = syn::parse2(arguments)?;
    check(function)?;
    let vis = &function.vis;
    let ident = &function.sig.ident;
    let name = plain_name(ident);
    let (row, batch) = (format!("{EXPORT_ROW}{name}"), format!("{EXPORT_BATCH}{name}"));
    let hidden = Ident::new(&row, ident.span());
    let documentation = documentation(function);
    let Options { volatility, strict } = options;
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
    for parameter in &function.sig.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            return Err(Error::new_spanned(
                parameter,
                "`#[function]` is for plain functions: remove the generic parameter, an export has one type",
            ));
        }
    }
    if let Some(clause) = &function.sig.generics.where_clause {
        return Err(Error::new_spanned(clause, "`#[function]` is for plain functions: remove the `where` clause"));
    }
    match &function.sig.output {
        ReturnType::Default => Err(Error::new_spanned(&function.sig, RESULT)),
        ReturnType::Type(..) => Ok(()),
    }
}

/// Name and type of a parameter.
fn parameter(input: &FnArg) -> Result<(String, &Type)> {
    match input {
        FnArg::Receiver(receiver) => Err(Error::new_spanned(
            receiver,
            "a typed function is no method: move it out of the `impl` and name the value",
        )),
        FnArg::Typed(typed) => {
            match (named(&typed.pat), lifetimes(&typed.ty).iter().find(|found| found.ident == "static")) {
                (_, Some(forever)) => Err(Error::new_spanned(
                    forever,
                    "an argument is borrowed for its call and cannot be kept: remove `'static`",
                )),
                (Some(name), None) => Ok((name, &typed.ty)),
                (None, None) => Err(Error::new_spanned(
                    &typed.pat,
                    "callers see the parameters' names: write a name, or a pattern around one such as `Date(day)`",
                )),
            }
        }
    }
}

/// The lifetimes that a type names, in order; references without one do not count.
fn lifetimes(of: &Type) -> Vec<Lifetime> {
    let mut found = Vec::new();
    for_each_lifetime(&mut of.clone(), &mut |lifetime| found.extend(lifetime.clone()));
    found
}

/// The one name in a pattern.
fn named(pattern: &Pat) -> Option<String> {
    match pattern {
        Pat::Ident(named) => {
            let name = plain_name(&named.ident);
            let name = name.trim_start_matches('_');
            (!name.is_empty()).then(|| name.to_owned())
        }
        Pat::TupleStruct(around) if around.elems.len() == 1 => around.elems.first().and_then(named),
        Pat::Paren(around) => named(&around.pat),
        _ => None,
    }
}

fn plain_name(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

/// The type with `'static` in the place of every lifetime: what its crossing depends on is the type alone.
fn lasting(of: &Type) -> Type {
    let mut of = of.clone();
    for_each_lifetime(&mut of, &mut |lifetime| *lifetime = Some(syn::parse_quote!('static)));
    of
}

/// Visits the lifetimes in a type: those that are named, and those that references may name.
fn for_each_lifetime(of: &mut Type, visit: &mut impl FnMut(&mut Option<Lifetime>)) {
    match of {
        Type::Reference(reference) => {
            visit(&mut reference.lifetime);
            for_each_lifetime(&mut reference.elem, visit);
        }
        Type::Slice(slice) => for_each_lifetime(&mut slice.elem, visit),
        Type::Array(array) => for_each_lifetime(&mut array.elem, visit),
        Type::Paren(inner) => for_each_lifetime(&mut inner.elem, visit),
        Type::Group(inner) => for_each_lifetime(&mut inner.elem, visit),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(|of| for_each_lifetime(of, visit)),
        Type::Path(path) => {
            for segment in &mut path.path.segments {
                let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { continue };
                for argument in &mut arguments.args {
                    match argument {
                        GenericArgument::Lifetime(named) => {
                            let mut lifetime = Some(named.clone());
                            visit(&mut lifetime);
                            if let Some(lifetime) = lifetime {
                                *named = lifetime;
                            }
                        }
                        GenericArgument::Type(of) => for_each_lifetime(of, visit),
                        _ => {}
                    }
                }
            }
        }
        _ => {}
    }
}

/// The doc comment, as lines of text.
fn documentation(function: &ItemFn) -> LitStr {
    let mut lines = Vec::new();
    for attribute in &function.attrs {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Some(Lit::Str(text)) = literal(&pair.value)
        {
            let text = text.value();
            lines.extend(text.split('\n').map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()));
        }
    }
    LitStr::new(lines.join("\n").trim(), function.sig.ident.span())
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
