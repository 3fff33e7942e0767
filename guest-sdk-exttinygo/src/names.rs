//! The names that extensions may have.

use guest_abi::exttinygo::{RESERVED_EXPORTS, RESERVED_PREFIX};

/// Returns `true` if an extension may have this name.
pub const fn is_free(name: &str) -> bool {
    let mut at = 0;
    while at < RESERVED_EXPORTS.len() {
        if begins_with(name, RESERVED_EXPORTS[at]) && name.len() == RESERVED_EXPORTS[at].len() {
            return false;
        }
        at += 1;
    }
    !begins_with(name, RESERVED_PREFIX)
}

const fn begins_with(name: &str, prefix: &str) -> bool {
    match name.as_bytes().split_at_checked(prefix.len()) {
        Some((mut begin, _)) => {
            let mut prefix = prefix.as_bytes();
            while let ([first, rest @ ..], [wanted, wanted_rest @ ..]) = (begin, prefix) {
                if *first != *wanted {
                    return false;
                }
                (begin, prefix) = (rest, wanted_rest);
            }
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_free;

    #[test]
    fn names_of_the_contract_are_taken() {
        for taken in ["malloc", "free", "calloc", "realloc", "alloc", "_start", "memory", "Wasm", "WasmGC", "WasmMine"]
        {
            assert!(!is_free(taken), "{taken}");
        }
        for free in ["", "mallocs", "fre", "wasm", "Was", "order"] {
            assert!(is_free(free), "{free}");
        }
    }
}
