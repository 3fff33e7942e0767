//! Errors of making functions known to a session.

use datafusion::error::DataFusionError;
use guest_functions::FunctionError;
use guest_functions::guest_host::EngineError;

/// Why a function, or a module with functions, was not made known to a session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The engine could not be made.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The module, or a function of it, is not as it has to be.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// The session has a function of this name.
    #[error(
        "a function `{name}` exists; DROP FUNCTION it first, or write CREATE OR REPLACE FUNCTION if it is of the same kind"
    )]
    Exists {
        /// The name.
        name: String,
    },
    /// The module was not found, or may not be read.
    #[error("the module `{name}` cannot be read: {reason}")]
    Resolve {
        /// The module, as it was named.
        name: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// A statement for another language.
    #[error("the language of `{function}` is {}; write LANGUAGE WASM", .language.as_deref().unwrap_or("not given"))]
    Language {
        /// The function.
        function: String,
        /// The language of the statement.
        language: Option<String>,
    },
    /// A statement that does not say where the module is.
    #[error(
        "the body of `{function}` names no module; write AS 'module.wasm', or AS 'module.wasm#function' where the exported name differs"
    )]
    Body {
        /// The function.
        function: String,
    },
    /// A parameter with a default value.
    #[error(
        "the parameter {parameter} of `{function}` has a default value, and functions of modules have none; leave it out"
    )]
    Default {
        /// The function.
        function: String,
        /// The parameter, counted from 1.
        parameter: usize,
    },
    /// A type that no function has.
    #[error(
        "`{function}` is declared with the type {given}, which no function has; the types are BOOLEAN, INT, BIGINT, \
         BIGINT UNSIGNED, REAL, DOUBLE, TEXT, BYTEA, DATE, TIMESTAMP, DECIMAL(precision, scale) and arrays of these"
    )]
    Type {
        /// The function.
        function: String,
        /// The type.
        given: String,
    },
    /// A statement that says something else than the module.
    #[error("`{declared}` was declared, and the module `{module}` has `{found}`")]
    Signature {
        /// The declaration.
        declared: String,
        /// The module.
        module: String,
        /// The function, as the module declares it.
        found: String,
    },
    /// A statement with parameters and no result, or the other way round, for a module that does not say the rest.
    #[error("the module `{module}` does not say the types of `{function}`; declare its parameters and RETURNS")]
    Undeclared {
        /// The module.
        module: String,
        /// The function.
        function: String,
    },
}

impl From<RegisterError> for DataFusionError {
    fn from(error: RegisterError) -> Self {
        Self::External(Box::new(error))
    }
}
