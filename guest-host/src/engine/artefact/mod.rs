//! Guests that were compiled ahead of time.
//!
//! An artefact holds a guest's module as it was built, and the machine code that an engine made of it, one piece for
//! each way of preparing the module. [`Guest::to_artefact`](crate::Guest::to_artefact) makes one, and
//! [`Guest::load`](crate::Guest::load) takes one wherever it takes a module.
//!
//! Machine code can do what the process can do, and nothing about it can be checked afterwards. So an engine runs the
//! code in an artefact only where [`ArtefactTrust`] says whose it is: by default nobody's. The module itself is as
//! harmless as any other, so wherever the code is not used, because it is not trusted, damaged, or of another engine,
//! the module is compiled anew, and [`Guest::code_origin`](crate::Guest::code_origin) tells why.

mod code;
mod container;
mod trust;

#[cfg(feature = "compile")]
use code::Fingerprint;
pub(crate) use code::TrustedCode;
#[cfg(feature = "compile")]
use container::Entry;
pub use container::is_artefact;
pub use trust::{ArtefactKey, ArtefactTrust, KeyError};

use crate::engine::Engine;

/// Why the machine code of an artefact, or the whole artefact, is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArtefactError {
    /// The bytes are something else.
    #[error("it is not an artefact: it does not begin like one")]
    NotAnArtefact,
    /// It is laid out in a way that this version does not know.
    #[error("it is an artefact of format {found}, and this version reads format {expected}; compile the guest again")]
    Format {
        /// The format that it names.
        found: u32,
        /// The format that can be read.
        expected: u32,
    },
    /// Something in it is not as it was written: bits changed, or bytes are missing or too many.
    #[error("it is damaged: its checksum does not match its content; compile the guest again")]
    Damaged,
    /// The module in it is damaged, so there is nothing that could be compiled.
    #[error("it is damaged, and the module in it as well; compile the guest again, from its module")]
    ModuleDamaged,
    /// The engine trusts nobody's machine code.
    #[error("its code is trusted only with a key, and none was given")]
    NotTrusted,
    /// It was made without a key.
    #[error("it is not sealed; compile the guest with a key")]
    NotSealed,
    /// It was sealed by another key.
    #[error("it is sealed by another key; compile the guest with this key")]
    OtherKey,
    /// Its code was made for an engine that counts instructions, and this one does not; or the other way round.
    #[error(
        "its code counts {}instructions, and the engine {}",
        if *code_counts { "" } else { "no " },
        if *code_counts { "does not count them" } else { "counts them" }
    )]
    Counting {
        /// Whether the code counts.
        code_counts: bool,
    },
    /// Its code was made for an engine of another version or for another processor.
    #[error(
        "its code is for {}: it was made by {made_by}, this is {this}",
        if made_by == this { "a processor with other features" } else { "another engine or processor" }
    )]
    Foreign {
        /// The program that made it, as the artefact names it.
        made_by: String,
        /// The program that would run it.
        this: String,
    },
    /// It has code for the engine, but of the module prepared in another way.
    #[error("it has no code for these preparation options")]
    NotPreparedSo,
    /// The engine refused the code.
    #[error("the engine rejects its code: {0}")]
    Engine(String),
}

/// Where a guest's machine code comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeOrigin {
    /// It was compiled from a module.
    Compiled,
    /// It was loaded from an artefact.
    Artefact,
    /// It was compiled from the module in an artefact, whose code was not used for this reason.
    Recompiled(ArtefactError),
}

/// The module in an artefact, as it was built.
///
/// # Errors
/// [`ArtefactError::NotAnArtefact`], [`ArtefactError::Format`] or [`ArtefactError::ModuleDamaged`] where it has none that
/// could be used.
pub fn module_of(artefact: &[u8]) -> Result<&[u8], ArtefactError> {
    container::read(artefact).map(|(module, _)| module)
}

/// The module in an artefact, and its code as far as `engine` trusts it.
pub(crate) fn open<'a>(
    engine: &Engine,
    artefact: &'a [u8],
) -> Result<(&'a [u8], Result<TrustedCode, ArtefactError>), ArtefactError> {
    let (module, contents) = container::read(artefact)?;
    Ok((module, contents.and_then(|contents| TrustedCode::of(&contents, engine))))
}

/// An artefact of a module and of the code that `engine` made of it: for each way of preparing it, the prepared module
/// and its code. Sealed where the engine trusts a key.
#[cfg(feature = "compile")]
pub(crate) fn make<'a>(
    engine: &Engine,
    module: &[u8],
    codes: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Vec<u8> {
    let Fingerprint(fingerprint) = Fingerprint::of(engine.wasmtime());
    let entry = |(prepared, code)| Entry { engine: fingerprint, prepared: blake3::hash(prepared).into(), code };
    let entries: Vec<_> = codes.into_iter().map(entry).collect();
    let key = engine.config().artefact_trust.sealing_key();
    container::write(module, &maker(), &entries, |digest| key.map(|key| key.seal(digest)))
}

/// The name of the program that makes artefacts here.
fn maker() -> String {
    format!(
        "host-harness {} with wasmtime {} on {}",
        env!("CARGO_PKG_VERSION"),
        wasmtime_environ::VERSION,
        std::env::consts::ARCH
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_foreign_code_is_what_differs() {
        let foreign = |made_by: &str, this: &str| {
            ArtefactError::Foreign { made_by: made_by.to_owned(), this: this.to_owned() }.to_string()
        };
        let another = "its code is for another engine or processor: it was made by one, this is other";
        assert_eq!(foreign("one", "other"), another);
        let processor = "its code is for a processor with other features: it was made by one, this is one";
        assert_eq!(foreign("one", "one"), processor);
    }
}
