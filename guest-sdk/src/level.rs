//! Levels of log lines.

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Level {
    /// Something failed.
    Error = 0,
    /// Something is not as it should be.
    Warn = 1,
    /// What is worth knowing.
    Info = 2,
    /// For whoever looks for a fault.
    Debug = 3,
    /// Every step.
    Trace = 4,
}
