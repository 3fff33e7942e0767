//! Which cores serve, and which are clients.
//!
//! The system moves a thread that waits for the loopback interface to the core that wakes it. Client and server then take turns on
//! one core whenever another thread runs on the second one, and a client on another machine would not meet that.

/// Half of the cores serve, and half are clients. A single core is both.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Half {
    Servers,
    Clients,
}

impl Half {
    /// Keeps the calling thread, and those that it starts, on this half.
    #[cfg(target_os = "linux")]
    pub(crate) fn enter(self) {
        use std::sync::LazyLock;

        use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

        /// The cores that the process had when the first thread asked.
        static ALL: LazyLock<Vec<usize>> = LazyLock::new(|| {
            let may = sched_getaffinity(None).expect("the system tells");
            (0..CpuSet::MAX_CPU).filter(|core| may.is_set(*core)).collect()
        });
        let all = ALL.as_slice();
        let (servers, clients) = all.split_at(all.len() / 2);
        let mut chosen = CpuSet::new();
        let half = match self {
            _ if servers.is_empty() => all,
            Self::Servers => servers,
            Self::Clients => clients,
        };
        half.iter().for_each(|core| chosen.set(*core));
        sched_setaffinity(None, &chosen).expect("the thread may use them");
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn enter(self) {}

    /// How many cores it has.
    pub(crate) fn size() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2)
    }
}
