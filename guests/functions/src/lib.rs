//! Typed functions: numbers, texts, lists, dates, decimals, records, documents, null and errors.

mod documents;
mod numbers;
mod texts;
mod values;
