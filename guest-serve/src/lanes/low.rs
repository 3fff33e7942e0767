//! Threads of low priority.

/// The lowest priority that a thread can have beside others.
#[cfg(target_os = "linux")]
const LOWEST: i32 = 19;

/// Gives the calling thread the lowest priority, where the system has one for threads.
pub(crate) fn lower_priority() {
    // Linux has it for each thread, and takes no process for the calling thread. Lowering is always allowed.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, LOWEST);
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
}
