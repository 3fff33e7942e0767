//! Threads of low priority, and how long they really ran.

use std::time::Duration;

/// The lowest priority that a thread can have beside others.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;

/// Gives the calling thread the lowest priority, where the system has one for threads.
pub(super) fn lower_priority() {
    // Linux has it for each thread, and takes no process for the calling thread. Lowering is always allowed.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, LOWEST);
}

/// How long the calling thread has run; where the system does not say, since some moment.
///
/// On a busy machine a thread of low priority waits longer than it runs.
#[cfg(target_os = "linux")]
pub(super) fn ran() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn ran() -> Duration {
    use std::sync::LazyLock;
    use std::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_is_lowered() {
        let own = || rustix::process::getpriority_process(None).unwrap();
        let before = own();
        let lowered = std::thread::spawn(move || {
            lower_priority();
            own()
        });
        assert_eq!((lowered.join().unwrap(), own()), (LOWEST, before));
    }

    #[test]
    fn a_thread_that_waits_does_not_run() {
        let before = ran();
        let mut number = 1_u64;
        while ran() == before {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(ran() > before);
    }
}
