//! How much a tenant has.

/// How much a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Account {
    /// Bytes of its records: keys and values.
    pub(super) records: u64,
    /// The number of the oldest response that is kept.
    pub(super) first_response: u64,
    /// The number of the next one.
    pub(super) next_response: u64,
    /// Bytes of the responses that are kept.
    pub(super) responses: u64,
}

impl Account {
    /// As the table has it.
    pub(super) const fn stored(self) -> (u64, u64, u64, u64) {
        (self.records, self.first_response, self.next_response, self.responses)
    }

    /// From the table.
    pub(super) const fn of((records, first_response, next_response, responses): (u64, u64, u64, u64)) -> Self {
        Self { records, first_response, next_response, responses }
    }
}
