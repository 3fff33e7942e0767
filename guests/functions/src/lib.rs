//! Typed functions: numbers, texts, lists, dates, decimals, records, null and errors.

mod aggregates;
mod numbers;
mod tables;
mod texts;
mod values;
