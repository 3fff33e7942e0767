//! Which functions of a module are its allocator's, told by the names that C libraries, TinyGo and Rust give them and by
//! their types.
//!
//! A name alone proves nothing: what has one of these names and another type is left alone.

use std::fmt;

use crate::module_info::{ExternType, ModuleInfo, Signature, ValueType};

/// The kind of event that a call of an allocator's function counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CountedAs {
    /// An allocation.
    Allocation,
    /// A reallocation; of no block it is an allocation, and to no bytes it is a free.
    Reallocation,
    /// A free; of no block it is nothing.
    Free,
}

impl CountedAs {
    /// A word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allocation => "allocation",
            Self::Reallocation => "reallocation",
            Self::Free => "free",
        }
    }
}

/// By what a function was found to be an allocator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FoundBy {
    /// The name under which it is exported.
    Export,
    /// Its name in the name section.
    NameSection,
}

impl FoundBy {
    /// A word for it in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::NameSection => "name section",
        }
    }
}

impl fmt::Display for FoundBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a call says how many bytes it wants: the numbers of parameters, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// One parameter.
    Bytes(u32),
    /// The product of two.
    Product(u32, u32),
}

/// Parameters and results of an allocator's function. Every parameter is an `i32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Gives the address of a block, or 0.
    Allocate(Size),
    /// Gives the address of an aligned block, or 0; 0 also for an alignment that is no power of two.
    AllocateAligned {
        /// The parameter with the alignment.
        alignment: u32,
        /// Where the size is.
        size: Size,
    },
    /// Gives an error, or 0, and writes the address of an aligned block to memory.
    AllocateOrError {
        /// The parameter with the alignment.
        alignment: u32,
        /// Where the size is.
        size: Size,
    },
    /// Gives the address of a block that takes the place of another, or 0.
    Reallocate {
        /// The parameter with the block's address.
        block: u32,
        /// Where its new size is.
        size: Size,
    },
    /// Takes back the block whose address this parameter has.
    Free(u32),
}

impl Role {
    pub(super) const fn counted_as(self) -> CountedAs {
        match self {
            Self::Allocate(_) | Self::AllocateAligned { .. } | Self::AllocateOrError { .. } => CountedAs::Allocation,
            Self::Reallocate { .. } => CountedAs::Reallocation,
            Self::Free(_) => CountedAs::Free,
        }
    }

    /// The role of the function with this name and type, if it is an allocator's.
    fn of(name: &str, signature: &Signature) -> Option<Self> {
        let Signature { params, results } = signature;
        if params.iter().any(|param| *param != ValueType::I32) {
            return None;
        }
        let role = Self::by_name(name, u32::try_from(params.len()).ok()?)?;
        let expected: &[ValueType] = match role {
            Self::Free(_) => &[],
            _ => &[ValueType::I32],
        };
        (results == expected).then_some(role)
    }

    /// The role of a function with this name and number of parameters.
    ///
    /// Compilers leave out parameters that a function does not use: the layout and the context of TinyGo's functions, the
    /// alignment and the old size in Rust's, and the allocator itself where there is one only.
    fn by_name(name: &str, params: u32) -> Option<Self> {
        let bytes = |parameter| Some(Self::Allocate(Size::Bytes(parameter)));
        let aligned = || Some(Self::AllocateAligned { alignment: 0, size: Size::Bytes(1) });
        let reallocate = |block, size| Some(Self::Reallocate { block, size: Size::Bytes(size) });
        if let Some(method) = dlmalloc_method(name) {
            return match (method, params) {
                ("malloc", 1) => bytes(0),
                ("memalign", 2) => aligned(),
                ("realloc", 2) => reallocate(0, 1),
                ("free", 1) => Some(Self::Free(0)),
                _ => None,
            };
        }
        match (name.strip_prefix("__rustc::").unwrap_or(name), params) {
            // C. Those with `dl` are what wasi-libc calls Doug Lea's, which the others call.
            ("malloc" | "dlmalloc", 1) => bytes(0),
            ("calloc" | "dlcalloc", 2) => Some(Self::Allocate(Size::Product(0, 1))),
            ("realloc" | "dlrealloc", 2) => reallocate(0, 1),
            ("aligned_alloc" | "memalign" | "dlmemalign", 2) => aligned(),
            ("posix_memalign" | "dlposix_memalign", 3) => {
                Some(Self::AllocateOrError { alignment: 1, size: Size::Bytes(2) })
            }
            ("free" | "dlfree", 1) => Some(Self::Free(0)),
            // TinyGo: size, layout, context.
            ("runtime.alloc", 1..=3) => bytes(0),
            ("runtime.realloc", 2..=3) => reallocate(0, 1),
            ("runtime.free", 1..=2) => Some(Self::Free(0)),
            // Rust: what the compiler calls, and what that is with the default allocator or with one of the program's.
            (name, _) => match (name.strip_prefix("__rust_").or(name.strip_prefix("__rdl_"))?, params) {
                ("alloc" | "alloc_zeroed", 1..=2) => bytes(0),
                ("realloc", 4) => reallocate(0, 3),
                ("dealloc", 1..=3) => Some(Self::Free(0)),
                _ => None,
            },
        }
    }
}

/// The name of a method of the allocator in Rust's standard library for wasm32, which inlining leaves where it removes the
/// functions that call it.
fn dlmalloc_method(name: &str) -> Option<&str> {
    let rest = name.trim_start_matches('<').strip_prefix("dlmalloc::dlmalloc::Dlmalloc<")?;
    rest.rsplit_once(">::").map(|(_, method)| method)
}

/// An allocator's function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) index: u32,
    /// The name by which it was found, as people write it.
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) by: FoundBy,
}

/// The functions of a module that are its allocator's, by index. Imported ones are somebody else's.
pub(super) fn find(info: &ModuleInfo) -> Vec<Found> {
    let own = |index: u32| index >= info.imported_functions;
    let mut found: Vec<Found> = Vec::new();
    let mut note = |index, name: String, signature: &Signature, by| {
        if own(index)
            && !found.iter().any(|known| known.index == index)
            && let Some(role) = Role::of(&name, signature)
        {
            found.push(Found { index, name, role, by });
        }
    };
    for export in &info.exports {
        if let ExternType::Function(signature) = &export.ty {
            note(export.index, export.name.clone(), signature, FoundBy::Export);
        }
    }
    for (index, name) in info.function_names() {
        if let Some(signature) = info.signature(index) {
            note(index, format!("{:#}", rustc_demangle::demangle(name)), signature, FoundBy::NameSection);
        }
    }
    found.sort_by_key(|found| found.index);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, params: usize, results: usize) -> Option<Role> {
        Role::of(name, &Signature::new(vec![ValueType::I32; params], vec![ValueType::I32; results]))
    }

    #[test]
    fn names_count_with_their_types_only() {
        assert_eq!(role("malloc", 1, 1), Some(Role::Allocate(Size::Bytes(0))));
        assert_eq!(role("malloc", 2, 1), None);
        assert_eq!(role("malloc", 1, 0), None);
        assert_eq!(role("free", 1, 0), Some(Role::Free(0)));
        assert_eq!(role("free", 1, 1), None);
        assert_eq!(role("xmalloc", 1, 1), None);
        assert_eq!(role("calloc", 2, 1), Some(Role::Allocate(Size::Product(0, 1))));
        let aligned = Some(Role::AllocateAligned { alignment: 0, size: Size::Bytes(1) });
        assert_eq!((role("aligned_alloc", 2, 1), role("dlmemalign", 2, 1)), (aligned, aligned));
        let or_error = Some(Role::AllocateOrError { alignment: 1, size: Size::Bytes(2) });
        assert_eq!((role("posix_memalign", 3, 1), role("posix_memalign", 2, 1)), (or_error, None));
        let wide = Signature::new([ValueType::I64], [ValueType::I32]);
        assert_eq!(Role::of("malloc", &wide), None);
    }

    #[test]
    fn what_compilers_leave_out_of_a_function_does_not_hide_it() {
        for params in 1..=3 {
            assert_eq!(role("runtime.alloc", params, 1), Some(Role::Allocate(Size::Bytes(0))));
        }
        assert_eq!(role("runtime.alloc", 4, 1), None);
        assert_eq!(role("__rustc::__rust_alloc", 2, 1), Some(Role::Allocate(Size::Bytes(0))));
        assert_eq!(role("__rust_dealloc", 2, 0), Some(Role::Free(0)));
        let reallocate = Some(Role::Reallocate { block: 0, size: Size::Bytes(3) });
        assert_eq!(role("__rust_realloc", 4, 1), reallocate);
        assert_eq!(role("__rust_realloc", 3, 1), None, "nobody knows which parameter is missing");
    }

    #[test]
    fn rust_names_are_known_as_they_stand_in_a_module() {
        for (mangled, params, results) in [
            ("_RNvCsfgHYwM92fyn_7___rustc12___rust_alloc", 2, 1),
            ("_RNvCsfgHYwM92fyn_7___rustc14___rust_dealloc", 2, 0),
            (
                "_RNvMs0_NtCsf9wSdP0Vj7E_8dlmalloc8dlmallocINtB5_8DlmallocNtNtB7_3sys6SystemE6mallocCs5nyp2KLfBM4_3std",
                1,
                1,
            ),
            ("_ZN8dlmalloc8dlmalloc17Dlmalloc$LT$A$GT$4free17h0123456789abcdefE", 1, 0),
        ] {
            let name = format!("{:#}", rustc_demangle::demangle(mangled));
            assert!(role(&name, params, results).is_some(), "{name}");
        }
        let other = "_RNvCsfgHYwM92fyn_7___rustc26___rust_alloc_error_handler";
        assert_eq!(role(&format!("{:#}", rustc_demangle::demangle(other)), 2, 0), None);
    }
}
