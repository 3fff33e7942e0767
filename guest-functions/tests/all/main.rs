//! Functions as an embedder calls them, on modules in text form.

mod adversary;
mod aggregates;
mod arguments;
mod batches;
mod documents;
mod foreign;
mod foreign_guests;
mod guests;
mod registry;
mod results;
mod sections;
mod support;
mod tables;
