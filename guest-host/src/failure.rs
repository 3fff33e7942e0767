//! The failure of a call. The words of this crate for what goes wrong:
//!
//! | word | meaning |
//! |---|---|
//! | [`Failure`] | a call that failed: its function, cause and backtrace |
//! | [`Cause`] | the reason of a failure, as a type; its text is for people |
//! | [`InvalidData`] | the detail of a cause: which data of the guest violates the contract |
//! | [`Fault`] | a host function's reason to end the call; it becomes a cause |
//! | trap | the engine's reason to end the call; it becomes a cause |
//! | `Refusal` | a reason not to restore a module by a strategy; there is no call yet |
//! | names that end in `Error` | an operation other than a call failed: loading, restoring, taking from a pool, reading the state |

use std::fmt;

use guest_abi::ErrorCode;
use guest_abi::cbor::WireError;
use guest_blocks::Violation;

use crate::arguments::MissingArguments;
use crate::state::StateError;
use crate::stream::StreamError;
use crate::text::cut;

/// A call that failed. The instance was restored before you get this.
///
/// The [cause](Cause) says why, as a type: match on it, and print its text. Operations other than calls return errors whose names
/// end in `Error`, for instance [`LoadError`](crate::LoadError). A [`Refusal`](crate::admission::Refusal) is a reason not to
/// restore a module by a strategy, before any call.
///
/// ```
/// use guest_host::{Cause, Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// # let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
/// let failure = instance.invoke_by_name("refuse").unwrap_err();
/// assert_eq!(failure.function, "refuse");
/// match failure.cause {
///     Cause::GuestError { code, message } => assert_eq!((code.number(), &*message), (1000, "hello")),
///     other => panic!("{other}"),
/// }
/// // The instance was restored, and serves the next call.
/// instance.invoke_by_name("count_up")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub struct Failure {
    /// The function that was invoked.
    pub function: String,
    /// Why it failed.
    #[source]
    pub cause: Cause,
    /// Names of the functions on the guest's stack, innermost first; empty where no guest code was running.
    pub backtrace: Vec<String>,
    /// Whether the call was tried again on the restored instance, and failed again.
    pub retried: bool,
}

/// As `function`, `kind` (see [`Cause::kind`]), `message`, `backtrace` and `retried`.
#[cfg(feature = "serde")]
impl serde::Serialize for Failure {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Failure", 5)?;
        fields.serialize_field("function", &self.function)?;
        fields.serialize_field("kind", self.cause.kind())?;
        fields.serialize_field("message", &self.cause.to_string())?;
        fields.serialize_field("backtrace", &self.backtrace)?;
        fields.serialize_field("retried", &self.retried)?;
        fields.end()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed: {}", self.function, self.cause)?;
        if self.retried {
            write!(f, " (also when retried on the restored instance)")?;
        }
        Ok(())
    }
}

/// Why a call failed.
///
/// ```
/// use std::time::Duration;
///
/// use guest_host::{Cause, Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let config = InstanceConfig::default().with_deadline(Some(Duration::from_millis(5)));
/// let mut instance = guest.instantiate(&config, MemoryState::new())?;
/// let cause = instance.invoke_by_name("spin").unwrap_err().cause;
/// assert!(matches!(cause, Cause::DeadlineExceeded { .. }));
/// // A stable name, for logs and metrics.
/// assert_eq!(cause.kind(), "deadline-exceeded");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The guest asked for memory that it could not get, and trapped or panicked.
    ///
    /// A call that did without that memory and trapped later for another reason looks the same from outside.
    #[error(
        "out of memory: the guest requested {} with {in_use} bytes in use, and the limit is {limit} bytes; \
         raise the memory limit or restore more often",
        match requested { 0 => "more memory".to_owned(), requested => format!("{requested} bytes") }
    )]
    OutOfMemory {
        /// Bytes of the request: of the allocation where the allocator told, otherwise of the refused growth. 0 where only the
        /// guest's message told that there was one.
        requested: u64,
        /// Bytes of linear memory that the guest saw.
        in_use: u64,
        /// Bytes of linear memory that it may have.
        limit: u64,
    },
    /// The call took longer than it may.
    #[error("the deadline of {deadline:?} passed")]
    DeadlineExceeded {
        /// How long it may take.
        deadline: std::time::Duration,
    },
    /// The instance's [supervisor](crate::Supervise) ended the call.
    #[error("the host interrupted the call")]
    Interrupted,
    /// The call executed more instructions than it may.
    #[error("the call did not end within {limit} instructions")]
    InstructionsExceeded {
        /// Instructions that it may execute.
        limit: u64,
    },
    /// The guest panicked.
    #[error("the guest panicked{}: {message}", location.as_ref().map(|at| format!(" at {at}")).unwrap_or_default())]
    Panic {
        /// The panic's message.
        message: String,
        /// `file:line:column`, where the guest says it.
        location: Option<String>,
    },
    /// The guest used up its stack: the engine's, or the shadow stack in its memory.
    #[error(
        "stack overflow in the guest: look for endless recursion and for large local variables; the linker's argument \
         `-z stack-size=BYTES` sets the size of the shadow stack"
    )]
    StackOverflow,
    /// The guest accessed memory or a table beyond its end.
    #[error("out-of-bounds access by the guest: {what}")]
    OutOfBounds {
        /// The engine's words for it.
        what: String,
    },
    /// The guest executed `unreachable`, for instance by aborting.
    #[error("the guest aborted: it executed an `unreachable` instruction")]
    Unreachable,
    /// The guest ended its process, through `proc_exit` of WASI: an extension returns instead.
    #[error("the guest exited with code {code} instead of returning")]
    Exit {
        /// The code.
        code: i32,
    },
    /// Another trap, for instance a division by zero.
    #[error("the guest trapped: {trap}")]
    Trap {
        /// Which.
        trap: wasmtime::Trap,
    },
    /// The extension returned an error, or under the exttinygo contract asked the host for what is not there: where
    /// values are read by host functions, they fail with the errors that `guest-sdk` would have returned.
    #[error("{message} (code {})", code.number())]
    GuestError {
        /// Its code.
        code: ErrorCode,
        /// Its message.
        message: String,
    },
    /// Data from the guest that violates the contract.
    #[error("the guest passed invalid data: {0}")]
    InvalidGuestData(#[source] InvalidData),
    /// The guest broke a rule of memory blocks.
    #[error("the guest broke a rule of memory blocks: {0}")]
    Block(#[source] Violation),
    /// The stream of the call went no further.
    #[error("the stream ended: {0}")]
    Stream(#[source] StreamError),
    /// The host's own state could not serve a read.
    #[error("the state could not serve a read: {0}")]
    State(#[source] StateError),
    /// A function of a bare module that takes arguments was invoked without any.
    #[error("{0}; configure its arguments")]
    Arguments(MissingArguments),
    /// The arguments of a typed function do not fit the memory that the host may use for them.
    #[error(
        "the arguments need {needed} bytes, and the exchange region has room for {available}; make the exchange region larger, \
         or pass less"
    )]
    ArgumentsTooLarge {
        /// Bytes that the arguments need, as far as they were placed.
        needed: u64,
        /// Bytes of the exchange region.
        available: u64,
    },
    /// There is no extension function of this name.
    #[error("{}", missing_export(name, nearest, functions))]
    MissingExport {
        /// The name that was asked for.
        name: String,
        /// Similar names that there are, nearest first.
        nearest: Vec<String>,
        /// All names that there are.
        functions: Box<[String]>,
    },
    /// The instance could not be restored, and could not be replaced either.
    #[error("the instance cannot be restored: {}", reasons.join("; "))]
    NotRestorable {
        /// Why.
        reasons: Vec<String>,
    },
    /// The engine failed in a way that has nothing to do with the guest.
    #[error("the engine failed: {0}")]
    Engine(String),
}

impl Cause {
    /// [`Cause::MissingExport`] of this name, where there are these functions.
    #[must_use]
    pub fn missing_export(name: &str, functions: &[String]) -> Self {
        let nearest = nearest(name, functions.iter().map(String::as_str));
        Self::MissingExport { name: name.to_owned(), nearest, functions: functions.into() }
    }

    /// Number of the guest's functions that the message of [`Cause::MissingExport`] leaves out, where it lists them.
    #[must_use]
    pub fn unlisted_functions(&self) -> usize {
        match self {
            Self::MissingExport { nearest, functions, .. } if nearest.is_empty() => {
                functions.len().saturating_sub(LISTED)
            }
            _ => 0,
        }
    }

    /// A word for the cause, for counting and for reports.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OutOfMemory { .. } => "out-of-memory",
            Self::DeadlineExceeded { .. } => "deadline-exceeded",
            Self::Interrupted => "interrupted",
            Self::InstructionsExceeded { .. } => "instructions-exceeded",
            Self::Panic { .. } => "panic",
            Self::StackOverflow => "stack-overflow",
            Self::OutOfBounds { .. } => "out-of-bounds",
            Self::Unreachable => "unreachable",
            Self::Exit { .. } => "exit",
            Self::Trap { .. } => "trap",
            Self::GuestError { .. } => "guest-error",
            Self::InvalidGuestData(_) => "invalid-guest-data",
            Self::State(_) => "state",
            Self::Block(_) => "block",
            Self::Stream(_) => "stream",
            Self::Arguments(_) => "arguments",
            Self::ArgumentsTooLarge { .. } => "arguments-too-large",
            Self::MissingExport { .. } => "missing-export",
            Self::NotRestorable { .. } => "not-restorable",
            Self::Engine(_) => "engine",
        }
    }
}

/// Characters of a name in an error; nobody reads more of one.
const NAME: usize = 100;

/// Names that an error lists.
const LISTED: usize = 5;

fn missing_export(name: &str, nearest: &[String], functions: &[String]) -> String {
    let quoted = |names: &[String]| names.iter().map(|name| format!("`{}`", cut(name, NAME))).collect::<Vec<_>>();
    let missing = format!("the guest has no extension function `{}`", cut(name, NAME));
    match (nearest, functions) {
        ([], []) => format!("{missing}; it has none"),
        ([], few) if few.len() <= LISTED => format!("{missing}; it has {}", quoted(few).join(", ")),
        ([], many) => {
            format!("{missing}; it has {} and {} more", quoted(&many[..LISTED]).join(", "), many.len() - LISTED)
        }
        (nearest, _) => format!("{missing}; did you mean {}?", quoted(nearest).join(" or ")),
    }
}

/// An error in data that a guest passed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidData {
    /// A range that does not lie in the guest's memory.
    #[error("{what}: {length} bytes at address {address:#x} are outside the guest's memory of {memory} bytes")]
    OutOfBounds {
        /// The purpose of the range.
        what: &'static str,
        /// Its address.
        address: u32,
        /// Its length in bytes.
        length: u32,
        /// Size of the memory in bytes.
        memory: u64,
    },
    /// Text that is not UTF-8.
    #[error("{what}: not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// The purpose of the text.
        what: &'static str,
        /// Bytes before the first that is wrong.
        at: usize,
    },
    /// Bytes that are not of the value model.
    #[error("{what}: {error}")]
    Wire {
        /// The purpose of the bytes.
        what: &'static str,
        /// Their error.
        error: WireError,
    },
    /// A log level that the contract does not have.
    #[error("log level {level} does not exist; the levels are 0 to 4")]
    UnknownLogLevel {
        /// The level.
        level: u32,
    },
    /// A secret that was asked for while the guest is initialised.
    #[error(
        "the secret `{name}` was asked for while the guest is initialised, and the snapshot would keep it; read it in the calls that \
         need it"
    )]
    SecretTooEarly {
        /// Its name.
        name: String,
    },
    /// A stream that was read or written in a call that has none.
    #[error("the guest reads or writes a stream, and this call has none")]
    NoStream,
    /// A memory block for a guest that cannot use one.
    #[error(
        "the guest imports no functions of memory blocks (module `{}`), so it cannot be given one",
        guest_abi::block::IMPORT_MODULE
    )]
    NoBlocks,
    /// More intents than a call may leave.
    #[error("more than {limit} bytes of intents in one call")]
    TooManyIntents {
        /// Bytes that are allowed.
        limit: usize,
    },
    /// A result of a typed function that is not of its type.
    #[error("{what}")]
    Function {
        /// Which, and why.
        what: String,
    },
    /// The function returned the result of a failure without having reported one.
    #[error("the function returned a failure but reported no error")]
    FailureWithoutError,
    /// The function reported an error and then returned as if it had not.
    #[error("the function reported an error but did not return a failure")]
    ErrorWithoutFailure,
    /// A handle that was never given out.
    #[error(
        "handle {handle:#x} was never issued{}; expected {expected}",
        if *handle == guest_abi::exttinygo::ABSENT { " (it is what `hostQueryValue` returns for no record)" } else { "" }
    )]
    UnknownHandle {
        /// The handle.
        handle: i64,
        /// The expected kind, with its article.
        expected: &'static str,
    },
    /// A handle that was given out in an earlier call.
    #[error(
        "handle {handle:#x} is of an earlier call{}, and handles are valid for one call; expected {expected}",
        if *handle == 0 { " or was never set" } else { "" }
    )]
    StaleHandle {
        /// The handle.
        handle: i64,
        /// The expected kind, with its article.
        expected: &'static str,
    },
    /// A handle for something else.
    #[error("handle {handle:#x} stands for {found}; expected {expected}")]
    HandleKind {
        /// The handle.
        handle: i64,
        /// The expected kind, with its article.
        expected: &'static str,
        /// The kind that it stands for, with its article.
        found: &'static str,
    },
    /// More handles of a kind than a call may have.
    #[error("more than {limit} handles of one kind in a call; read less, or split the work into several calls")]
    TooManyHandles {
        /// Handles that are allowed.
        limit: usize,
    },
    /// A kind of writer that the contract does not have.
    #[error("writer kind {kind} does not exist; the kinds are 0 (a key) and 1 (an intent)")]
    UnknownWriter {
        /// The kind.
        kind: i32,
    },
    /// More fields in a key or an intent than there may be.
    #[error("more than {limit} fields in one key or intent")]
    TooManyFields {
        /// Fields that are allowed.
        limit: usize,
    },
    /// More keys, intents and values than the host holds for the handles of a call.
    #[error(
        "more than {limit} bytes of keys, intents and values in a call; read less, or split the work into several calls"
    )]
    TooMuchHeld {
        /// Bytes that are allowed.
        limit: usize,
    },
    /// A name that is not qualified.
    #[error("{what}: `{name}` is not a qualified name such as `package.Entity`")]
    NotQualified {
        /// The purpose of the name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The guest's `malloc` gave the host the same memory several times.
    #[error(
        "the buffers that the host got from `malloc` overlap: together they have more bytes than the guest's memory"
    )]
    BuffersOverlap,
    /// An intent was left while the guest was initialised, where nobody takes it.
    #[error("the guest left an intent during initialisation; only extension functions can leave intents")]
    IntentTooEarly,
    /// A host function was called from the module's start function, before there is anything to call it on.
    #[error("the module called a host function while it was being instantiated")]
    TooEarly,
}

/// A host function's reason to end a call. It lacks what a [`Cause`] says about the memory of the instance.
#[derive(Debug)]
pub(crate) enum Fault {
    Panic {
        message: String,
        location: Option<String>,
    },
    /// A host function has nothing to return.
    Guest {
        code: ErrorCode,
        message: String,
    },
    /// The guest's allocator could not serve the host.
    OutOfMemory {
        requested: u64,
    },
    InvalidGuestData(InvalidData),
    Block(Violation),
    /// The supervisor ended the call.
    Interrupted,
    State(StateError),
    /// Only calls that await have a stream.
    #[cfg_attr(not(feature = "async"), expect(dead_code, reason = "only calls that await have a stream"))]
    Stream(StreamError),
    Exit {
        code: i32,
    },
    Arguments(MissingArguments),
    ArgumentsTooLarge {
        needed: u64,
        available: u64,
    },
}

impl Fault {
    /// The cause, in a guest that sees `in_use` bytes of memory and may have `limit`.
    pub(crate) fn into_cause(self, in_use: u64, limit: u64) -> Cause {
        match self {
            Self::OutOfMemory { requested } => Cause::OutOfMemory { requested, in_use, limit },
            Self::Panic { message, location } => Cause::Panic { message, location },
            Self::Guest { code, message } => Cause::GuestError { code, message },
            Self::InvalidGuestData(error) => Cause::InvalidGuestData(error),
            // The guest has done nothing wrong.
            Self::Block(Violation::NotUnmapped) => Cause::Engine(Violation::NotUnmapped.to_string()),
            Self::Block(violation) => Cause::Block(violation),
            Self::Interrupted => Cause::Interrupted,
            Self::State(error) => Cause::State(error),
            Self::Stream(error) => Cause::Stream(error),
            Self::Exit { code } => Cause::Exit { code },
            Self::Arguments(missing) => Cause::Arguments(missing),
            Self::ArgumentsTooLarge { needed, available } => Cause::ArgumentsTooLarge { needed, available },
        }
    }
}

/// Names among `candidates` that somebody who wrote `name` may have meant, nearest first.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<String> {
    let lower = name.to_lowercase();
    // Names that differ in case alone are as near as can be, but for the one that is written the same way.
    let score = |candidate: &str| {
        strsim::jaro_winkler(name, candidate).max(0.99 * strsim::jaro_winkler(&lower, &candidate.to_lowercase()))
    };
    let mut scored: Vec<(f64, &str)> =
        candidates.map(|candidate| (score(candidate), candidate)).filter(|(score, _)| *score > 0.7).collect();
    scored.sort_by(|left, right| right.0.total_cmp(&left.0));
    scored.into_iter().take(3).map(|(_, candidate)| candidate.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_far_ones_are_not() {
        let names = ["calc_ordered_items", "new_order", "send_mail", "count_up"];
        assert_eq!(nearest("new_ordr", names.into_iter())[0], "new_order");
        assert_eq!(nearest("COUNT_UP", names.into_iter()), ["count_up"]);
        assert_eq!(nearest("NewOrder", names.into_iter())[0], "new_order");
        assert_eq!(nearest("a_b", ["A_B", "a_b2"].into_iter())[0], "A_B");
        assert!(nearest("zzz", names.into_iter()).is_empty());
    }

    #[test]
    fn where_no_name_is_near_some_that_there_are_are_listed() {
        let message = |name: &str, functions: &[&str]| {
            let functions: Vec<String> = functions.iter().map(ToString::to_string).collect();
            Cause::missing_export(name, &functions).to_string()
        };
        assert_eq!(message("z", &[]), "the guest has no extension function `z`; it has none");
        assert!(message("z", &["ab", "cd"]).ends_with("; it has `ab`, `cd`"));
        let many = message("z", &["aa", "bb", "cc", "dd", "ee", "ff", "gg"]);
        assert!(many.ends_with("it has `aa`, `bb`, `cc`, `dd`, `ee` and 2 more"), "{many}");
        let long = message(&"z".repeat(100_000), &["a"]);
        assert!(long.len() < 300 && long.contains("100000 characters") && long.ends_with("it has `a`"), "{long}");
    }
}
