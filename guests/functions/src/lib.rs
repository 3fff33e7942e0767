//! Typed functions: numbers, texts, lists, dates, decimals, records, documents, null and errors.

mod aggregates;
mod documents;
mod numbers;
mod tables;
mod texts;
mod values;
