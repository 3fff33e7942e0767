//! The host's record of one call: intents, log lines, errors. It is cleared, not freed, when the next call begins.

use guest_abi::Level;
use guest_abi::intent::{Intents, intents};
use wasmtime::Val;

use crate::failure::Fault;
use crate::host::output::Output;

/// Bounds on what one call may leave with the host.
///
/// ```
/// use guest_host::{CallLimits, InstanceConfig};
///
/// let limits = CallLimits::default().with_intent_bytes(1 << 20).with_log_bytes(4 << 10);
/// let config = InstanceConfig::default().with_limits(limits);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct CallLimits {
    /// Bytes of intents, in their wire form.
    pub intent_bytes: usize,
    /// Bytes of log lines; what exceeds it is cut off and counted.
    pub log_bytes: usize,
    /// Handles of each kind, under the exttinygo contract; at most 16,777,216.
    pub handles: usize,
    /// Bytes of keys, intents and values that the host holds for those handles.
    pub held_bytes: usize,
    /// Bytes of output through WASI; the last of them are kept, and what was before is dropped and counted.
    pub output_bytes: usize,
    /// Memory blocks that the guest may have at a time; at most 65,535.
    pub blocks: usize,
    /// Bytes of the memory blocks that it made itself and still has.
    pub block_bytes: u64,
    /// Bytes from which a memory block is mapped into the guest and not copied, where that is possible: with the feature `map`, on Linux,
    /// in an instance that is not from a pool and is restored by the marks of a write barrier. `u32::MAX` for never.
    pub blocks_mapped_from: u32,
}

impl CallLimits {
    guest_prepare::setters! {
        /// Sets [`Self::intent_bytes`].
        with_intent_bytes(intent_bytes: usize);
        /// Sets [`Self::log_bytes`].
        with_log_bytes(log_bytes: usize);
        /// Sets [`Self::handles`].
        with_handles(handles: usize);
        /// Sets [`Self::held_bytes`].
        with_held_bytes(held_bytes: usize);
        /// Sets [`Self::output_bytes`].
        with_output_bytes(output_bytes: usize);
        /// Sets [`Self::blocks`].
        with_blocks(blocks: usize);
        /// Sets [`Self::block_bytes`].
        with_block_bytes(block_bytes: u64);
        /// Sets [`Self::blocks_mapped_from`].
        with_blocks_mapped_from(blocks_mapped_from: u32);
    }
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            intent_bytes: 16 << 20,
            log_bytes: 64 << 10,
            handles: 1 << 20,
            held_bytes: 64 << 20,
            output_bytes: guest_abi::exttinygo::DEFAULT_OUTPUT_LIMIT,
            blocks: 1024,
            block_bytes: 64 << 20,
            blocks_mapped_from: guest_blocks::Block::MAPPED_FROM,
        }
    }
}

/// A host function, as a trace of a call names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostCall {
    /// `get`.
    Get,
    /// `read`.
    Read,
    /// `intents`.
    Intents,
    /// `log`.
    Log,
    /// `fail`.
    Fail,
    /// `panic`.
    Panic,
    /// `secret`.
    Secret,
    /// `stream_read`.
    StreamRead,
    /// `stream_write`.
    StreamWrite,
    /// The function of the exttinygo contract with this name.
    ExtTinyGo(&'static str),
    /// The function of WASI preview 1 of this name.
    Wasi(&'static str),
    /// The function of [memory blocks](guest_abi::block) of this name.
    Block(&'static str),
}

/// One crossing of a traced call: the host function and a digest of what the guest passed and got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceEntry {
    /// Which host function.
    pub call: HostCall,
    /// Its result; 0 if it returns nothing.
    pub result: i64,
    /// Digest of the bytes that the guest passed.
    pub digest: u64,
}

/// The running or the last call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// Intents in wire form.
    pub(crate) intents: Vec<u8>,
    log: Vec<u8>,
    log_lines: Vec<(Level, usize)>,
    log_dropped: u64,
    /// The guest's output.
    pub(crate) output: Output,
    /// The code that `fail` reported; its message is in `error_message`.
    pub(crate) error_code: Option<u32>,
    pub(crate) error_message: String,
    /// Why a host function ended the call.
    pub(crate) fault: Option<Fault>,
    /// Calls of host functions.
    pub(crate) crossings: u64,
    pub(crate) trace: Vec<TraceEntry>,
    /// Results of a function of numbers. A call that fails leaves those of an earlier one, which nobody sees.
    pub(crate) results: Vec<Val>,
}

impl Call {
    /// Forgets the last call and keeps its buffers.
    #[inline]
    pub(crate) fn begin(&mut self) {
        // A call leaves something only through a host function, or leaves intents with its result.
        if self.crossings > 0 || !self.intents.is_empty() || self.fault.is_some() {
            self.forget();
        }
        debug_assert!(self.is_empty(), "a call left something without a crossing: {self:?}");
    }

    /// Whether the last call left nothing.
    fn is_empty(&self) -> bool {
        let Self {
            intents,
            log,
            log_lines,
            log_dropped,
            output,
            error_code,
            error_message,
            fault,
            crossings,
            trace,
            results: _,
        } = self;
        intents.is_empty()
            && log.is_empty()
            && log_lines.is_empty()
            && *log_dropped == 0
            && output.is_empty()
            && error_code.is_none()
            && error_message.is_empty()
            && fault.is_none()
            && *crossings == 0
            && trace.is_empty()
    }

    fn forget(&mut self) {
        self.intents.clear();
        self.log.clear();
        self.log_lines.clear();
        self.log_dropped = 0;
        self.output.clear();
        self.error_code = None;
        self.error_message.clear();
        self.fault = None;
        self.crossings = 0;
        self.trace.clear();
    }

    /// Keeps the results of a function of numbers.
    pub(crate) fn set_results(&mut self, results: impl Iterator<Item = Val>) {
        self.results.clear();
        self.results.extend(results);
    }

    /// Appends a log line, or what of it fits `limit`.
    pub(crate) fn push_log(&mut self, level: Level, line: &str, limit: usize) {
        let room = limit.saturating_sub(self.log.len());
        let kept = if line.len() <= room { line } else { &line[..line.floor_char_boundary(room)] };
        // Empty lines must end as well.
        if kept.len() < line.len() || self.log_lines.len() >= limit {
            self.log_dropped += 1;
        }
        if self.log_lines.len() < limit && (kept.len() == line.len() || !kept.is_empty()) {
            self.log.extend_from_slice(kept.as_bytes());
            self.log_lines.push((level, self.log.len()));
        }
    }

    pub(crate) fn log(&self) -> LogLines<'_> {
        LogLines { bytes: &self.log, lines: &self.log_lines, start: 0 }
    }

    pub(crate) fn log_dropped(&self) -> u64 {
        self.log_dropped
    }

    pub(crate) fn intents(&self) -> Intents<'_> {
        intents(&self.intents)
    }
}

/// The log lines of a call, in order. See [`Outcome::log`](crate::Outcome::log) and
/// [`Instance::last_log`](crate::Instance::last_log).
#[derive(Debug, Clone, Default)]
pub struct LogLines<'a> {
    /// The text of all lines, one behind the other.
    bytes: &'a [u8],
    /// Levels and ends of the lines that are still to come.
    lines: &'a [(Level, usize)],
    /// Where the next line starts.
    start: usize,
}

impl<'a> Iterator for LogLines<'a> {
    type Item = (Level, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let ((level, end), rest) = self.lines.split_first()?;
        // Only whole `str`s were appended.
        let line = std::str::from_utf8(&self.bytes[self.start..*end]).unwrap_or_default();
        (self.lines, self.start) = (rest, *end);
        Some((*level, line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_are_cut_at_the_limit_and_counted() {
        let mut call = Call::default();
        call.push_log(Level::Info, "größe", 10);
        call.push_log(Level::Warn, "", 10);
        call.push_log(Level::Error, "abéd", 10);
        call.push_log(Level::Error, "x", 9);
        let lines: Vec<_> = call.log().collect();
        assert_eq!(lines, [(Level::Info, "größe"), (Level::Warn, ""), (Level::Error, "ab")]);
        assert_eq!(call.log_dropped(), 2);
        call.crossings = 4;
        call.begin();
        assert!(call.is_empty(), "{call:?}");
        for _ in 0..20 {
            call.push_log(Level::Trace, "", 10);
        }
        assert_eq!((call.log().count(), call.log_dropped()), (10, 10));
    }
}
