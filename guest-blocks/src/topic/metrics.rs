//! The figures of a topic.

/// The figures of a topic, and of the subscribers that it has now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TopicMetrics {
    /// Frames that were published.
    pub published: u64,
    /// Bytes of these frames. Each frame counts once, however many subscribers there are.
    pub bytes: u64,
    /// Publications that ended with [`PublishError::Full`](crate::PublishError::Full).
    pub refused: u64,
    /// Publications that waited for room, or for other publishers. Each counts once, when it begins to wait.
    pub waits: u64,
    /// The subscribers, in the order in which they subscribed.
    pub subscribers: Vec<SubscriberMetrics>,
}

/// The figures of one subscriber since it subscribed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SubscriberMetrics {
    /// Its name.
    pub name: String,
    /// Frames that it received.
    pub delivered: u64,
    /// Frames that its queue dropped.
    pub dropped: u64,
    /// Frames in its queue now.
    pub queued: usize,
    /// The highest number of frames in its queue so far.
    pub most_queued: usize,
}
