//! Functions of documents: a filter, a score, projections, and a path that is known at run time only.

use guest_sdk::document::FieldError;
use guest_sdk::{Document, DocumentBuf, Path, Result, function, path};

/// The path of a city.
const CITY: Path<'static> = path!("shipping.address.city");

/// Whether an order is shipped to a city and costs at least an amount.
#[function]
fn ships_to(order: Document, city: &str, at_least: f64) -> Result<bool> {
    let total = order.get_f64(path!("total"))?.unwrap_or(0.0);
    Ok(total >= at_least && order.get_str(CITY)? == Some(city))
}

/// The document's own score, and 1 more for each of its tags that is the one wanted.
#[function]
fn tag_score(document: Document, tag: &str) -> Result<f64> {
    let mut score = document.score();
    for item in document.get_list(path!("tags"))?.into_iter().flatten() {
        let is_wanted = item?.is_some_and(|item| item.as_str() == Ok(tag));
        score += f64::from(u8::from(is_wanted));
    }
    Ok(score)
}

/// The city of a document, or null if it has none.
#[function]
fn city<'a>(document: Document<'a>) -> Result<Option<&'a str>, FieldError<'static>> {
    document.get_str(CITY)
}

/// The city, the total and the first item of an order.
#[function]
fn summary(order: Document) -> Result<DocumentBuf> {
    Ok(order.project([CITY, path!("total"), path!("items[0]")])?)
}

/// An order as a line of a list: a document with the number of its items, and with the total as its score. Null if it has
/// no items.
#[function]
fn line(order: Document) -> Result<Option<DocumentBuf>> {
    let Some(items) = order.get_list_len(path!("items"))?.filter(|items| *items > 0) else { return Ok(None) };
    let total = order.get_f64(path!("total"))?.unwrap_or(0.0);
    let line = DocumentBuf::new(|fields| {
        fields.put("order").str(order.id());
        fields.put("items").u64(items);
    });
    Ok(Some(line.with_id(order.id()).with_score(total)))
}

/// The same document if it has something at a path, or null.
#[function]
fn having<'a>(document: Document<'a>, path: &str) -> Result<Option<Document<'a>>> {
    Ok(document.exists(path)?.then_some(document))
}

/// Whether the text, the integer or the truth value at a path is the one wanted. Another type is no match, and a path that
/// is not well-formed is an error.
#[function]
fn matches(document: Option<Document>, path: &str, wanted: &str) -> Result<bool> {
    let Some(item) = document.map(|document| document.get(path)).transpose()?.flatten() else { return Ok(false) };
    Ok(match (item.as_str(), item.as_i64(), item.as_bool()) {
        (Ok(text), ..) => text == wanted,
        (_, Ok(number), _) => wanted.parse() == Ok(number),
        (.., Ok(truth)) => wanted.parse() == Ok(truth),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_as_by_hand() {
        let json = r#"{"id":"A-1","score":0.5,"total":12,"tags":["new",null,"new",3],"items":[{"sku":"x"}],
            "shipping":{"address":{"city":"Ulm"}}}"#;
        let order = DocumentBuf::from_json(json).unwrap();
        let order = order.as_document();
        assert_eq!((ships_to(order, "Ulm", 12.0), ships_to(order, "Ulm", 12.5)), (Ok(true), Ok(false)));
        assert_eq!((tag_score(order, "new"), city(order)), (Ok(2.5), Ok(Some("Ulm"))));
        let json = r#"{"total":12,"items":[{"sku":"x"}],"shipping":{"address":{"city":"Ulm"}}}"#;
        assert_eq!(summary(order).unwrap().to_json(), json);
        let line = line(order).unwrap().unwrap();
        assert_eq!((line.to_json().as_str(), line.as_document().score()), (r#"{"order":"A-1","items":1}"#, 12.0));
        assert_eq!((having(order, "items[0].sku"), having(order, "items[1]")), (Ok(Some(order)), Ok(None)));
        assert_eq!((matches(Some(order), "total", "12"), matches(None, "total", "12")), (Ok(true), Ok(false)));
        assert!(matches(Some(order), "a..b", "").is_err());
    }

    #[test]
    fn another_type_is_an_error_that_names_the_field() {
        let order = DocumentBuf::from_json(r#"{"shipping":{"address":{"city":7}}}"#).unwrap();
        let error = city(order.as_document()).unwrap_err();
        assert_eq!(error.to_string(), "field `shipping.address.city`: asked for string, found integer");
    }
}
