//! The signature of a function, as its declaration has it.

use proc_macro2::Span;
use syn::{
    Attribute, Error, FnArg, GenericArgument, GenericParam, Ident, Lifetime, Lit, LitStr, Meta, Pat, PathArguments,
    Result, Signature, Type,
};

use crate::options::literal;

/// That a function has no generic parameters but lifetimes.
pub(crate) fn plain_generics(attribute: &str, signature: &Signature) -> Result<()> {
    for parameter in &signature.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            return Err(Error::new_spanned(
                parameter,
                format!(
                    "`#[{attribute}]` is for plain functions: remove the generic parameter, an export has one type"
                ),
            ));
        }
    }
    match &signature.generics.where_clause {
        None => Ok(()),
        Some(clause) => Err(Error::new_spanned(
            clause,
            format!("`#[{attribute}]` is for plain functions: remove the `where` clause"),
        )),
    }
}

/// Name and type of a parameter.
pub(crate) fn parameter(input: &FnArg) -> Result<(String, &Type)> {
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

pub(crate) fn plain_name(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

/// The type with `'static` in the place of every lifetime: what its crossing depends on is the type alone.
pub(crate) fn lasting(of: &Type) -> Type {
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
pub(crate) fn documentation(attributes: &[Attribute], span: Span) -> LitStr {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Some(Lit::Str(text)) = literal(&pair.value)
        {
            let text = text.value();
            lines.extend(text.split('\n').map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()));
        }
    }
    LitStr::new(lines.join("\n").trim(), span)
}
