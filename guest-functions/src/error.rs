//! Errors of loading modules with functions and of calling them.

use guest_abi::function::{Kind, SectionError, Signature, Type};
use guest_host::{Failure, LoadError, PoolError};

/// Why a function cannot be called, or a call of it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FunctionError {
    /// The registry was closed.
    #[error("the runtime is closed")]
    Closed,
    /// A module of this name is registered.
    #[error("a module of the name `{name}` is registered; replace it, or unload it first")]
    ModuleExists {
        /// The name.
        name: String,
    },
    /// No module of this name is registered.
    #[error("there is no module `{name}`{}", offer(nearest))]
    UnknownModule {
        /// The name.
        name: String,
        /// Similar names, nearest first.
        nearest: Vec<String>,
    },
    /// The module could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The signatures in the module cannot be read.
    #[error("{0}")]
    Section(#[from] SectionError),
    /// A declared function that the module does not have as it was declared.
    #[error("`{declaration}`: {reason}")]
    Declaration {
        /// The declaration.
        declaration: String,
        /// The reason.
        reason: String,
    },
    /// The module has signatures, and lacks the export of one of its functions.
    #[error("the module declares the function `{function}`, and {reason}; build it again with `guest-sdk`")]
    Export {
        /// The function.
        function: String,
        /// The fault of the export.
        reason: String,
    },
    /// The module has no function of this name.
    #[error("the module `{module}` has no function `{function}`{}", offer(nearest))]
    UnknownFunction {
        /// The module.
        module: String,
        /// The function.
        function: String,
        /// Similar names, nearest first, or some of those that there are.
        nearest: Vec<String>,
    },
    /// Another number of arguments than the function has parameters.
    #[error("`{signature}` takes {} argument{}, and {given} {} given", .signature.params.len(),
        if signature.params.len() == 1 { "" } else { "s" }, if *given == 1 { "was" } else { "were" })]
    Arity {
        /// The function.
        signature: Box<Signature>,
        /// How many were given.
        given: usize,
    },
    /// An argument of another type than its parameter's.
    #[error("the parameter `{parameter}` of `{function}` has type {expected}, and the argument has type {given}")]
    ArgumentType {
        /// The function.
        function: String,
        /// The parameter.
        parameter: String,
        /// Its type.
        expected: Type,
        /// The type of the argument.
        given: String,
    },
    /// A null for a parameter that takes none, of a function that does not return null for it.
    #[error("the parameter `{parameter}` of `{function}` is never null, and the argument is")]
    Null {
        /// The function.
        function: String,
        /// The parameter.
        parameter: String,
    },
    /// A result that is asked for in another type than it has.
    #[error("the result of `{function}` has type {found}, and {asked} was asked for")]
    ResultType {
        /// The function.
        function: String,
        /// The type of the result.
        found: Type,
        /// The type that was asked for.
        asked: String,
    },
    /// The result is null, and was asked for in a type that has no null.
    #[error("the result of `{function}` is null; ask for an `Option` of it")]
    NullResult {
        /// The function.
        function: String,
    },
    /// The call of a row of a batch failed.
    #[error("row {row} of the batch: {failure}")]
    Row {
        /// The row, counted from 0.
        row: usize,
        /// Why it failed.
        #[source]
        failure: Box<Failure>,
    },
    /// The function is of another kind than the call.
    #[error("`{function}` is of the kind `{}`, and the call is one of the kind `{}`", kind.name(), asked.name())]
    OtherKind {
        /// The function.
        function: String,
        /// Its kind.
        kind: Kind,
        /// The kind that was asked for.
        asked: Kind,
    },
    /// A row belongs to a group that there is no state of.
    #[error(
        "row {row} of the batch belongs to the group {group}, and there are states of {groups} groups; resize them before"
    )]
    UnknownGroup {
        /// The row, counted from 0.
        row: usize,
        /// The group, counted from 0.
        group: usize,
        /// Groups that there are states of.
        groups: usize,
    },
    /// Numbers of groups that are not as many as the batch has rows.
    #[error("the batch of `{function}` has {rows} rows, and {found} of them have a group")]
    Groups {
        /// The aggregate.
        function: String,
        /// Rows of the batch.
        rows: usize,
        /// Numbers of groups.
        found: usize,
    },
    /// The bytes of an aggregate's state are of another version of it, or are none.
    #[error(
        "the state {row} is not one of `{function}`: it has {}, and this module reads version {expected}; use the module \
         that made it",
        found.map_or_else(|| "no version".to_owned(), |found| format!("version {found}"))
    )]
    State {
        /// The aggregate.
        function: String,
        /// The row of the states that are merged, or the group whose state the guest made; counted from 0.
        row: usize,
        /// The version that the module reads.
        expected: u32,
        /// The version that its bytes begin with, if they do.
        found: Option<u32>,
    },
    /// An aggregate that does not take rows out of its state.
    #[error("`{function}` cannot take rows out of its state: its guest has no `retract` for it")]
    NoRetract {
        /// The aggregate.
        function: String,
    },
    /// The results of a batch are not of their type.
    #[error("the results of `{function}` are not of its type: {reason}")]
    Results {
        /// The function.
        function: String,
        /// The reason.
        reason: String,
    },
    /// Columns of a batch that have not as many rows as the batch.
    #[error("the argument for the parameter `{parameter}` of `{function}` has {found} rows instead of {expected}")]
    Rows {
        /// The function.
        function: String,
        /// The parameter.
        parameter: String,
        /// Rows of the batch.
        expected: usize,
        /// Rows of the column.
        found: usize,
    },
    /// A null in a row of a batch, for a parameter that takes none, of a function that does not return null for it.
    #[error("row {row} of the batch: the parameter `{parameter}` of `{function}` is never null, and the argument is")]
    NullInRow {
        /// The function.
        function: String,
        /// The parameter.
        parameter: String,
        /// The row, counted from 0.
        row: usize,
    },
    /// More rows than a batch may have.
    #[error("the batch has {rows} rows, and a batch may have {most}; divide it")]
    TooManyRows {
        /// Rows of the batch.
        rows: usize,
        /// Rows that a batch may have.
        most: usize,
    },
    /// A function was to be called on an instance of another module, or of the same one as it was before it was replaced.
    #[error("`{function}` is a function of another module, or of `{module}` before or after it was replaced")]
    OtherModule {
        /// The module of the instance.
        module: String,
        /// The function.
        function: String,
    },
    /// No instance of the module could be had.
    #[error(transparent)]
    Pool(PoolError),
    /// The call failed.
    #[error(transparent)]
    Call(Box<Failure>),
}

impl From<Failure> for FunctionError {
    #[cold]
    fn from(failure: Failure) -> Self {
        Self::Call(Box::new(failure))
    }
}

impl From<PoolError> for FunctionError {
    #[cold]
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Load(error) => Self::Load(error),
            error => Self::Pool(error),
        }
    }
}

/// Names to offer in the place of one that is not there.
fn offer(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "; there is none".to_owned(),
        names => format!("; there {} {}", if names.len() == 1 { "is" } else { "are" }, names.join(", ")),
    }
}

/// Names among `candidates` that are similar to `name`, nearest first; where none is, the first few of all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    const OFFERED: usize = 5;
    let mut scored: Vec<(f64, &str)> = candidates
        .clone()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.7)
        .collect();
    scored.sort_by(|one, other| other.0.total_cmp(&one.0));
    match scored.as_slice() {
        [] => candidates.take(OFFERED).map(str::to_owned).collect(),
        scored => scored.iter().take(OFFERED).map(|(_, name)| (*name).to_owned()).collect(),
    }
}
