//! The programs that are recorded. Each works on the input that [`super::input`] makes, and returns a number that
//! depends on all of its work.

use std::error::Error;

use proc_macro2::TokenTree;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Parses orders, changes each of them, and writes them again: serde_json.
pub(crate) fn json(input: &str) -> Result<usize> {
    let mut orders: serde_json::Value = serde_json::from_str(input)?;
    let Some(list) = orders.as_array_mut() else { return Err("orders are a list".into()) };
    list.retain(|order| order["paid"] == true || order["items"].as_array().is_some_and(|items| items.len() > 2));
    for order in list {
        let total: f64 =
            order["items"].as_array().into_iter().flatten().filter_map(|item| item["price"].as_f64()).sum();
        order["total"] = total.into();
        order["customer"] = format!("{} (checked)", order["customer"].as_str().unwrap_or_default()).into();
    }
    Ok(serde_json::to_string_pretty(&orders)?.len())
}

/// Renders a document as HTML: pulldown-cmark.
pub(crate) fn markdown(input: &str) -> Result<usize> {
    let options = pulldown_cmark::Options::all();
    let mut pages = Vec::new();
    // A page for each section, as a generator of books makes them.
    for section in input.split_inclusive("|\n\n") {
        let mut html = String::new();
        pulldown_cmark::html::push_html(&mut html, pulldown_cmark::Parser::new_ext(section, options));
        pages.push(html);
    }
    Ok(pages.iter().map(String::len).sum())
}

/// Compiles patterns and looks through a log with them: regex.
pub(crate) fn regex(input: &str) -> Result<usize> {
    let patterns = [
        r"(?m)^(?<date>\d{4}-\d{2}-\d{2})T(?<time>\S+)Z level=(?<level>error|warn)",
        r"(\w+)@(example\.(?:com|org))",
        r"amount=(\d+)\.(\d\d) (EUR|USD)",
        r"(?i)\b(late|paid|return)\b",
    ];
    let mut found = 0;
    for pattern in patterns {
        let regex = regex::Regex::new(pattern)?;
        for captures in regex.captures_iter(input) {
            found += captures.iter().flatten().map(|group| group.as_str().to_owned().len()).sum::<usize>();
        }
        found += regex.replace_all(input, "<$1>").len();
    }
    Ok(found)
}

/// Parses a program into its syntax tree, renames what it defines, and prints its tokens: syn.
pub(crate) fn rust_parser(input: &str) -> Result<usize> {
    let mut file = syn::parse_file(input)?;
    for item in &mut file.items {
        if let syn::Item::Struct(item) = item {
            item.ident = syn::Ident::new(&format!("{}Renamed", item.ident), item.ident.span());
            item.attrs.clear();
        }
    }
    let tokens: proc_macro2::TokenStream = syn::parse_str("struct Last { x: [u8; 4] }")?;
    let functions = file.items.iter().filter(|item| matches!(item, syn::Item::Impl(_))).count();
    Ok(functions + file.items.len() + tokens.into_iter().filter(|token| matches!(token, TokenTree::Group(_))).count())
}

/// Renders pages of orders from templates that inherit and loop: minijinja.
pub(crate) fn template(input: &str) -> Result<usize> {
    let orders: Vec<serde_json::Value> = serde_json::from_str(input)?;
    let mut environment = minijinja::Environment::new();
    environment.add_template(
        "line.html",
        "<li>{{ item.quantity }} x {{ item.article|upper }}: {{ item.price|round(1) }}</li>",
    )?;
    environment.add_template(
        "page.html",
        "<title>{% block title %}{% endblock %}</title><body>{% block body %}{% endblock %}</body>",
    )?;
    environment.add_template(
        "order.html",
        "{% extends 'page.html' %}{% block title %}{{ order.customer|title }}{% endblock %}{% block body %}\
         {% if order.paid %}<p>paid</p>{% endif %}\
         <ul>{% for item in order['items']|reverse %}{% include 'line.html' %}{% endfor %}</ul>\
         {{ order.tags|join(', ') }} {{ count(order['items']) }}{% endblock %}",
    )?;
    environment.add_function("count", |items: Vec<minijinja::Value>| {
        items.iter().filter_map(|item| item.get_attr("quantity").ok()?.as_i64()).sum::<i64>()
    });
    let template = environment.get_template("order.html")?;
    let mut length = 0;
    for order in &orders {
        length += template.render(minijinja::context! { order => order })?.len();
    }
    Ok(length)
}
