//! The derive of `State`: the fields, saved in their order.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Data, DeriveInput, Error, Fields, Index, Member, Result};

/// The implementation for a struct.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "`State` is derived for structs: for this type, implement `save` and `restore`",
        ));
    };
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(::guest_sdk::State));
    }
    let (of_impl, of_type, bounds) = generics.split_for_impl();
    let members: Vec<Member> = match &data.fields {
        Fields::Named(fields) => {
            fields.named.iter().filter_map(|field| field.ident.clone().map(Member::Named)).collect()
        }
        fields => (0..fields.len()).map(|at| Member::Unnamed(Index::from(at))).collect(),
    };
    let (saved, restored): (Vec<_>, Vec<_>) = data
        .fields
        .iter()
        .zip(&members)
        .map(|(field, member)| {
            let (of, span) = (&field.ty, field.ty.span());
            (
                quote_spanned!(span=> <#of as ::guest_sdk::State>::save(&self.#member, to);),
                quote_spanned!(span=> #member: <#of as ::guest_sdk::State>::restore(from)?,),
            )
        })
        .unzip();
    Ok(quote! {
        #[automatically_derived]
        impl #of_impl ::guest_sdk::State for #ident #of_type #bounds {
            #[allow(unused_variables, reason = "a struct without fields saves nothing")]
            fn save(&self, to: &mut ::guest_sdk::generated::Vec<u8>) {
                #(#saved)*
            }

            #[allow(unused_variables, reason = "a struct without fields takes nothing")]
            fn restore(from: &mut &[u8]) -> ::guest_sdk::Result<Self> {
                ::core::result::Result::Ok(Self { #(#restored)* })
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structs_of_each_form_have_it_and_others_are_refused() {
        let named = expand(&syn::parse_quote!(
            struct A<T> {
                a: u8,
                b: T,
            }
        ))
        .unwrap()
        .to_string();
        for told in ["impl < T : :: guest_sdk :: State >", "State for A < T >", "save (& self . a , to)", "b : < T as"]
        {
            assert!(named.contains(told), "{told} is not in {named}");
        }
        let tuple = expand(&syn::parse_quote!(
            struct A(u8);
        ))
        .unwrap()
        .to_string();
        assert!(tuple.contains("& self . 0") && tuple.contains("0 : < u8 as"), "{tuple}");
        assert!(
            expand(&syn::parse_quote!(
                struct A;
            ))
            .is_ok()
        );
        let refusal = expand(&syn::parse_quote!(
            enum A {}
        ))
        .unwrap_err()
        .to_string();
        assert!(refusal.contains("implement `save` and `restore`"), "{refusal}");
    }
}
