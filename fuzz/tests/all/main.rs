//! The fuzz targets on their saved corpora and on random bytes, and proof that they can fail.

mod corpus;
mod exttinygo;
mod preparation;
mod restores;
mod suspensions;
