//! Functions as an embedder calls them, on modules in text form.

mod arguments;
mod foreign;
mod registry;
mod results;
mod sections;
mod support;
