//! The arguments of the attributes that declare functions.

use proc_macro2::TokenStream;
use quote::format_ident;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitBool, LitStr, Meta, Result, Token};

/// An attribute that declares a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    Function,
    Aggregate,
    Table,
}

impl Attribute {
    fn usage(self) -> &'static str {
        match self {
            Self::Function => {
                "the arguments of `#[function]` are `immutable`, `stable` or `volatile`, and `strict = false`: \
                 `#[function(volatile, strict = false)]`"
            }
            Self::Aggregate => {
                "the arguments of `#[aggregate]` are `immutable`, `stable` or `volatile`, `strict = false`, \
                 `name = \"...\"` and `state_version = 1`: `#[aggregate(name = \"mean\", state_version = 2)]`"
            }
            Self::Table => {
                "the arguments of `#[table_function]` are `columns(...)`, `immutable`, `stable` or `volatile`, and \
                 `strict = false`: `#[table_function(columns(position, word))]`"
            }
        }
    }
}

/// The arguments of an attribute.
pub(crate) struct Options {
    /// The variant of `Volatility`.
    pub(crate) volatility: Ident,
    pub(crate) strict: bool,
    /// The name of an aggregate, if it is not that of its type.
    pub(crate) name: Option<LitStr>,
    /// Version of an aggregate's state.
    pub(crate) state_version: u32,
    /// Names of the columns of a table function.
    pub(crate) columns: Vec<String>,
}

impl Options {
    /// Reads the arguments of this attribute.
    pub(crate) fn parse(attribute: Attribute, arguments: TokenStream) -> Result<Self> {
        let usage = attribute.usage();
        let (mut volatility, mut strict, mut name, mut state_version, mut columns) = (None, None, None, None, None);
        let arguments = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(arguments)?;
        for argument in arguments {
            let once = match &argument {
                Meta::Path(path) => {
                    let name = path.get_ident().map(Ident::to_string).unwrap_or_default();
                    volatility.replace(variant(&name).ok_or_else(|| Error::new_spanned(path, usage))?).is_none()
                }
                Meta::List(list) if attribute == Attribute::Table && list.path.is_ident("columns") => {
                    let names = list.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated)?;
                    let names: Vec<String> = names.iter().map(crate::signature::plain_name).collect();
                    columns.replace(names).is_none()
                }
                Meta::NameValue(pair) => {
                    let is = |name| pair.path.is_ident(name);
                    let is_aggregate = attribute == Attribute::Aggregate;
                    match literal(&pair.value) {
                        Some(Lit::Str(text)) if is("volatility") => {
                            let found = variant(&text.value());
                            volatility.replace(found.ok_or_else(|| Error::new_spanned(text, usage))?).is_none()
                        }
                        Some(Lit::Bool(LitBool { value, .. })) if is("strict") => strict.replace(*value).is_none(),
                        Some(Lit::Str(text)) if is_aggregate && is("name") => name.replace(text.clone()).is_none(),
                        Some(Lit::Int(number)) if is_aggregate && is("state_version") => {
                            state_version.replace(number.base10_parse()?).is_none()
                        }
                        _ => return Err(Error::new_spanned(pair, usage)),
                    }
                }
                other => return Err(Error::new_spanned(other, usage)),
            };
            if !once {
                return Err(Error::new_spanned(argument, "this is said twice: remove one of them"));
            }
        }
        Ok(Self {
            volatility: volatility.unwrap_or_else(|| format_ident!("Immutable")),
            strict: strict.unwrap_or(true),
            name,
            state_version: state_version.unwrap_or(1),
            columns: columns.unwrap_or_default(),
        })
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

pub(crate) fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}
