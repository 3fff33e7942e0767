//! The JSON Schema of reports, from the types themselves.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::{Report, SCHEMA_VERSION};

/// The JSON Schema (draft 2020-12) of the reports that this version writes, of every command.
///
/// It says which fields a report has and of which type. It allows others beside them, as fields may be added without another
/// [`SCHEMA_VERSION`].
///
/// ```
/// let schema = host_harness::report::schema();
/// assert_eq!(schema["properties"]["schema_version"]["const"], host_harness::report::SCHEMA_VERSION);
/// ```
#[must_use]
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Report>();
    schema.insert("title".to_owned(), json!("Report of host-harness"));
    if let Some(version) = schema.pointer_mut("/properties/schema_version").and_then(Value::as_object_mut) {
        version.insert("const".to_owned(), json!(SCHEMA_VERSION));
    }
    let mut schema = schema.to_value();
    for_readers_of_json(&mut schema);
    schema
}

/// Takes from descriptions what only readers of the library's documentation can follow: examples in Rust, and links.
fn for_readers_of_json(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(for_readers_of_json),
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::String(text) if name == "description" => *text = without_links(without_examples(text)),
                    value => for_readers_of_json(value),
                }
            }
        }
        _ => {}
    }
}

fn without_examples(text: &str) -> &str {
    text.split("```").next().unwrap_or_default().trim_end()
}

/// `[text](target)` and `[text]` become the text.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((name, after)) = after.split_once(']') else {
            return plain + "[" + after;
        };
        plain.push_str(name);
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, behind)) => behind,
            None => after,
        };
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_have_neither_links_nor_examples() {
        let text = "See [`Row::guest`] and [the cause](guest_host::Cause::kind), [open.\n\n```\ncode\n```";
        assert_eq!(without_links(without_examples(text)), "See `Row::guest` and the cause, [open.");
        let schema = schema().to_string();
        assert!(!schema.contains("```") && !schema.contains("[`"), "{schema}");
    }

    #[test]
    fn every_command_is_in_the_schema() {
        let schema = schema();
        let commands: Vec<&str> = schema["oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .map(|command| command["properties"]["command"]["const"].as_str().unwrap())
            .collect();
        assert_eq!(commands, ["inspect", "run", "measure", "verify", "compare", "replay", "compile", "build", "pipe"]);
    }
}
