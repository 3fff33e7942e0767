//! Nothing: this package is there for its dependencies. Its manifest says why.
