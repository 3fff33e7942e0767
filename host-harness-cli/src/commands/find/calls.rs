//! Calls as `--where`, `--score` and `--select` have them: a function and its arguments without the document.

use anyhow::{Context as _, Result, anyhow};
use guest_functions::{Caller, DocumentBuf, Field, Function, FunctionError, Module, Scalar, Value};

use crate::commands::call::argument;

/// A function, and its arguments but for the document.
pub(super) struct BoundCall {
    function: Function,
    /// The arguments; that of the document is null between calls.
    values: Vec<Value>,
    /// The place of the document among them.
    document: usize,
}

impl BoundCall {
    /// The call that an option has. `takes` says which types of results the option takes, and `results` names them.
    pub(super) fn new(
        module: &Module,
        option: &str,
        text: &str,
        takes: impl Fn(Scalar) -> bool,
        results: &str,
    ) -> Result<Self> {
        let call = read(text).map_err(|reason| anyhow!("`{option} {text}`: {reason}"))?;
        let function = module.function(&call.function)?;
        let signature = function.signature();
        let is_document = |field: &Field| field.ty.list.is_none() && field.ty.scalar == Scalar::Document;
        let mut documents = signature.params.iter().enumerate().filter(|(_, field)| is_document(field));
        let (Some((document, _)), None) = (documents.next(), documents.next()) else {
            return Err(anyhow!("`{signature}` does not take one document; `find` calls functions that do"));
        };
        let result = signature.results[0].ty;
        if result.list.is_some() || !takes(result.scalar) {
            return Err(anyhow!(
                "`{option}` takes a function with a result of type {results}, and `{signature}` has another"
            ));
        }
        if call.arguments.len() + 1 != signature.params.len() {
            let given = call.arguments.len() + 1;
            let error = FunctionError::Arity { signature: Box::new(signature.clone()), given };
            return Err(anyhow!("`{option} {text}`: {error}, the document among them"));
        }
        let fields = signature.params.iter().enumerate().filter(|(at, _)| *at != document).map(|(_, field)| field);
        let values = fields.zip(&call.arguments).map(|(field, text)| argument(signature, field, text));
        let mut values = values.collect::<Result<Vec<_>>>()?;
        values.insert(document, Value::Null);
        Ok(Self { function, values, document })
    }

    /// The result for a document, which is given back.
    pub(super) fn call(
        &mut self,
        caller: &mut Caller,
        document: DocumentBuf,
    ) -> Result<(Value, DocumentBuf), FunctionError> {
        self.values[self.document] = Value::Document(document);
        let result = caller.call(&self.function, self.values.as_slice());
        match std::mem::replace(&mut self.values[self.document], Value::Null) {
            Value::Document(document) => Ok((result?, document)),
            // It was put there above.
            _ => Ok((result?, DocumentBuf::new(|_| {}))),
        }
    }
}

/// A call as it is written.
#[derive(Debug, PartialEq)]
struct Call {
    function: String,
    arguments: Vec<String>,
}

const SHAPE: &str = "write a function and its arguments without the document, such as ships_to(\"Ulm\", 100)";

/// Reads a call.
fn read(text: &str) -> Result<Call, String> {
    let text = text.trim();
    let (function, arguments) = match text.split_once('(') {
        None => (text, Vec::new()),
        Some((function, rest)) => (function.trim_end(), arguments(rest.strip_suffix(')').ok_or(SHAPE)?)?),
    };
    match function.is_empty() || function.contains(char::is_whitespace) {
        true => Err(SHAPE.to_owned()),
        false => Ok(Call { function: function.to_owned(), arguments }),
    }
}

/// The arguments between commas, where a comma in quotes, brackets or braces is none. Quotes around an argument are taken off.
fn arguments(text: &str) -> Result<Vec<String>, String> {
    let (mut parts, mut start, mut depth, mut in_quotes, mut escaped) = (Vec::new(), 0, 0_i32, false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if in_quotes => escaped = true,
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if in_quotes {
        return Err("a quote is not closed".to_owned());
    }
    if !(parts.is_empty() && text.trim().is_empty()) {
        parts.push(&text[start..]);
    }
    let unquoted = |part: &str| match part.trim() {
        "" => Err(SHAPE.to_owned()),
        quoted if quoted.starts_with('"') => serde_json::from_str(quoted)
            .map_err(|_| format!("`{quoted}` is no text in double quotes, in which a backslash precedes a quote")),
        plain => Ok(plain.to_owned()),
    };
    parts.into_iter().map(unquoted).collect()
}

/// Names the file and the line in the error of a call.
pub(super) fn at_line(error: FunctionError, name: &str, line: u64) -> anyhow::Error {
    let told = format!("{name}: line {line}: {error}");
    Err::<(), _>(error).context(told).unwrap_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_function_with_arguments_in_parentheses() {
        let of = |text: &str| read(text).map(|call| (call.function, call.arguments.join("|")));
        let call = |function: &str, arguments: &str| Ok((function.to_owned(), arguments.to_owned()));
        assert_eq!(of("city"), call("city", ""));
        assert_eq!(of(" city( ) "), call("city", ""));
        assert_eq!(
            of("f(\"a, (b) \\\"c\\\"\", Ulm, -1.5, [1, 2], {\"a\": [1, 2]})"),
            call("f", "a, (b) \"c\"|Ulm|-1.5|[1, 2]|{\"a\": [1, 2]}")
        );
        for wrong in ["", "(1)", "f(1", "f 1", "f(1,)", "f(,)", "f(\"a)", "f(\"a\" b)"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
