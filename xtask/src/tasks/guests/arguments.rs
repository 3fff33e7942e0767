//! The arguments of `guests`, which each language's part reads.

use guest_build::Allocator;

#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Build only this guest; can be repeated.
    #[arg(long, value_name = "NAME")]
    pub(in super::super) guest: Vec<String>,
    /// Build only with this allocator (system, leaking, bump-reset, freelist, wee); can be repeated. For guests in C, system
    /// is wasi-libc's allocator; for guests in AssemblyScript, Zig and Go, it is that of their language.
    #[arg(long, value_name = "NAME")]
    pub(in super::super) allocator: Vec<Allocator>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::parse;

    #[test]
    fn an_unknown_allocator_is_told_with_those_there_are() {
        let arguments: Arguments = parse("guests --allocator bump-reset").unwrap();
        assert_eq!(arguments.allocator, [Allocator::BumpReset]);
        let told = parse::<Arguments>("guests --allocator slab").unwrap_err().to_string();
        assert!(told.contains("freelist"), "{told}");
    }
}
