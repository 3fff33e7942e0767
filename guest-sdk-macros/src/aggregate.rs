//! Aggregates: an `impl` with their methods, and its expansion.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Result, ReturnType, Type};

use crate::check;
use crate::options::{Attribute, Options};
use crate::signature::{documentation, lasting, parameter, plain_generics, plain_name};

/// Begins the export of an aggregate, and the name of the hidden type beside it.
const EXPORT: &str = "__guest_aggregate_";

const SHAPE: &str = "`#[aggregate]` is for the `impl` of a type that is the state, with the methods \
                     `accumulate(&mut self, ...)`, `merge(&mut self, other: Self)` and `evaluate(&self) -> ...`";

/// The `impl` as it is, and what it is exported by.
pub(crate) fn expand(arguments: TokenStream, item: &ItemImpl) -> Result<TokenStream> {
    let Options { volatility, strict, name, state_version, .. } = Options::parse(Attribute::Aggregate, arguments)?;
    if let Some((_, path, _)) = &item.trait_ {
        return Err(Error::new_spanned(path, format!("{SHAPE}: remove the trait")));
    }
    if let Some(parameter) = item.generics.params.first() {
        return Err(Error::new_spanned(parameter, "an export has one type: remove the generic parameter"));
    }
    let Type::Path(path) = &*item.self_ty else {
        return Err(Error::new_spanned(&item.self_ty, SHAPE));
    };
    let state = &item.self_ty;
    let ident = path.path.segments.last().map(|segment| &segment.ident).ok_or_else(|| missing(item, "the name"))?;
    let name = name.map_or_else(|| snake_case(&plain_name(ident)), |name| name.value());
    if name.is_empty() || name.contains(char::is_control) {
        return Err(Error::new_spanned(item.self_ty.to_token_stream(), "the name of an aggregate has characters"));
    }
    let (accumulate, evaluate) = (method(item, "accumulate")?, method(item, "evaluate")?);
    check_merge(method(item, "merge")?)?;
    let rows = rows(accumulate)?;
    let retract = match find(item, "retract") {
        None => None,
        Some(retract) => {
            if types(&self::rows(retract)?) != types(&rows) {
                return Err(Error::new_spanned(
                    &retract.sig,
                    "`retract` takes the same types as `accumulate`: it undoes it",
                ));
            }
            Some(&retract.sig.ident)
        }
    };
    let ReturnType::Type(_, result) = &evaluate.sig.output else {
        return Err(Error::new_spanned(&evaluate.sig, "`evaluate` returns the result: `fn evaluate(&self) -> i64`"));
    };
    if evaluate.sig.inputs.len() != 1 || !is_self(&evaluate.sig.inputs[0], false) {
        return Err(Error::new_spanned(&evaluate.sig, "`evaluate` takes the state alone: `fn evaluate(&self) -> i64`"));
    }
    let new = match find(item, "new") {
        Some(new) if new.sig.inputs.is_empty() => quote!(<#state>::new),
        Some(new) => return Err(Error::new_spanned(&new.sig, "`new` takes nothing: `fn new() -> Self`")),
        None => quote!(<#state as ::core::default::Default>::default),
    };
    for method in [accumulate, evaluate].into_iter().chain(find(item, "retract")) {
        check::callable("aggregate", &method.sig)?;
        plain_generics("aggregate", &method.sig)?;
    }
    let params = rows.iter().enumerate().map(|(index, (name, of))| {
        let of = lasting(of);
        (quote!((#name, #of)), index)
    });
    let (params, arguments): (Vec<_>, Vec<_>) = params.unzip();
    let result = lasting(result);
    let documentation = documentation(&item.attrs, ident.span());
    let export = format!("{EXPORT}{name}");
    let hidden = Ident::new(&format!("{EXPORT}{}", identifier(&name)), ident.span());
    let state_version = proc_macro2::Literal::u32_unsuffixed(state_version);
    Ok(quote! {
        #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a host calls it"))]
        #item
        ::guest_sdk::generated::export_aggregate! {
            #state as #hidden, #name, #export, #documentation, #volatility, #strict, #state_version, #new,
            [#(#params)*], [#(#arguments)*], [#retract] -> #result
        }
    })
}

fn find<'i>(item: &'i ItemImpl, name: &str) -> Option<&'i ImplItemFn> {
    item.items.iter().find_map(|item| match item {
        ImplItem::Fn(method) if method.sig.ident == name => Some(method),
        _ => None,
    })
}

fn method<'i>(item: &'i ItemImpl, name: &str) -> Result<&'i ImplItemFn> {
    find(item, name).ok_or_else(|| missing(item, &format!("`{name}`")))
}

fn missing(item: &ItemImpl, what: &str) -> Error {
    Error::new_spanned(&item.self_ty, format!("{SHAPE}: {what} is missing"))
}

/// Names and types of what a method takes for each row.
fn rows(method: &ImplItemFn) -> Result<Vec<(String, &Type)>> {
    let mut inputs = method.sig.inputs.iter();
    match inputs.next() {
        Some(receiver) if is_self(receiver, true) => inputs.map(parameter).collect(),
        _ => {
            let name = &method.sig.ident;
            Err(Error::new_spanned(&method.sig, format!("`{name}` changes the state: `fn {name}(&mut self, ...)`")))
        }
    }
}

fn types(rows: &[(String, &Type)]) -> Vec<String> {
    rows.iter().map(|(_, of)| lasting(of).to_token_stream().to_string()).collect()
}

fn check_merge(merge: &ImplItemFn) -> Result<()> {
    let inputs = &merge.sig.inputs;
    let takes_another = matches!(inputs.get(1), Some(FnArg::Typed(_)));
    if inputs.len() == 2 && is_self(&inputs[0], true) && takes_another {
        return Ok(());
    }
    Err(Error::new_spanned(&merge.sig, "`merge` takes another state: `fn merge(&mut self, other: Self)`"))
}

fn is_self(input: &FnArg, mutable: bool) -> bool {
    matches!(input, FnArg::Receiver(receiver)
        if receiver.reference.is_some() && receiver.colon_token.is_none() && receiver.mutability.is_some() == mutable)
}

/// `HTTPStatus2` becomes `http_status2`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let behind = at.checked_sub(1).map(|before| letters[before]);
        let ends_run =
            behind.is_some_and(char::is_uppercase) && letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase() && behind.is_some_and(|behind| behind != '_' && (!behind.is_uppercase() || ends_run)) {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The name as a part of an identifier.
fn identifier(name: &str) -> String {
    name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(arguments: &str, methods: &str) -> std::result::Result<String, String> {
        let item = syn::parse_str(&format!("/// Sums.\nimpl TotalSum {{ {methods} }}")).unwrap();
        let arguments = arguments.parse().unwrap();
        expand(arguments, &item).map(|tokens| tokens.to_string()).map_err(|error| error.to_string())
    }

    const ACCUMULATE: &str = "fn accumulate(&mut self, of: i64) {}";
    const MERGE: &str = "fn merge(&mut self, other: Self) {}";
    const EVALUATE: &str = "fn evaluate(&self) -> Option<i64> {}";

    #[test]
    fn each_refusal_says_what_to_do() {
        for (methods, told) in [
            (&[MERGE, EVALUATE][..], "`accumulate` is missing"),
            (&[ACCUMULATE, EVALUATE], "`merge` is missing"),
            (&[ACCUMULATE, MERGE], "`evaluate` is missing"),
            (&["fn accumulate(&self) {}", MERGE, EVALUATE], "fn accumulate(&mut self, ...)"),
            (&["fn accumulate(&mut self, _: i64) {}", MERGE, EVALUATE], "write a name"),
            (&["fn accumulate(&mut self, a: &'static str) {}", MERGE, EVALUATE], "remove `'static`"),
            (&["async fn accumulate(&mut self, a: i64) {}", MERGE, EVALUATE], "remove `async`"),
            (&["fn accumulate<T>(&mut self, a: i64) {}", MERGE, EVALUATE], "remove the generic parameter"),
            (&[ACCUMULATE, "fn merge(&mut self) {}", EVALUATE], "takes another state"),
            (&[ACCUMULATE, MERGE, "fn evaluate(&self) {}"], "returns the result"),
            (&[ACCUMULATE, MERGE, "fn evaluate(&mut self) -> i64 {}"], "takes the state alone"),
            (&[ACCUMULATE, MERGE, EVALUATE, "fn retract(&mut self, of: i32) {}"], "the same types"),
            (&[ACCUMULATE, MERGE, EVALUATE, "fn new(a: i64) -> Self {}"], "takes nothing"),
        ] {
            let refusal = expanded("", &methods.concat()).expect_err(told);
            assert!(refusal.contains(told), "{refusal}");
        }
        let all = [ACCUMULATE, MERGE, EVALUATE].concat();
        for (arguments, told) in [
            ("version = 2", "state_version"),
            ("columns(a)", "state_version"),
            ("name = 2", "state_version"),
            ("stable, stable", "remove one of them"),
        ] {
            let refusal = expanded(arguments, &all).expect_err(arguments);
            assert!(refusal.contains(told), "{arguments}: {refusal}");
        }
        let of_trait = expand(TokenStream::new(), &syn::parse_quote!(impl Clone for A {})).unwrap_err().to_string();
        assert!(of_trait.contains("remove the trait"), "{of_trait}");
        let generic = expand(
            TokenStream::new(),
            &syn::parse_quote!(
                impl<T> A<T> {}
            ),
        )
        .unwrap_err()
        .to_string();
        assert!(generic.contains("remove the generic parameter"), "{generic}");
    }

    #[test]
    fn names_methods_and_options_are_taken_from_the_source() {
        let all = [ACCUMULATE, MERGE, EVALUATE].concat();
        let plain = expanded("", &all).unwrap();
        assert!(
            plain.contains("\"total_sum\" , \"__guest_aggregate_total_sum\" , \"Sums.\" , Immutable , true , 1 ,"),
            "{plain}"
        );
        assert!(plain.contains("[(\"of\" , i64)] , [0usize] , [] -> Option < i64 >"), "{plain}");
        let all = [&all, "fn new() -> Self {}", "fn retract(&mut self, again: i64) {}"].concat();
        let full = expanded("volatile, strict = false, name = \"a-b\", state_version = 3", &all).unwrap();
        assert!(full.contains("as __guest_aggregate_a_b , \"a-b\" , \"__guest_aggregate_a-b\""), "{full}");
        assert!(full.contains("Volatile , false , 3 , < TotalSum > :: new"), "{full}");
        assert!(full.contains("[retract] -> Option"), "{full}");
    }

    #[test]
    fn a_type_gives_the_name_of_its_aggregate() {
        for (name, snake) in [
            ("Mean", "mean"),
            ("HTTPStatus2", "http_status2"),
            ("A", "a"),
            ("snake_case", "snake_case"),
            ("A_B", "a_b"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
        assert_eq!(identifier("a-b"), "a_b");
    }
}
