//! Functions as an embedder calls them, on modules in text form.

mod arguments;
mod batches;
mod documents;
mod foreign;
mod guests;
mod registry;
mod results;
mod sections;
mod support;
