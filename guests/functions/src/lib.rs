//! Typed functions: numbers, texts, lists, dates, decimals, records, null and errors.

mod numbers;
mod texts;
mod values;
