//! Descriptors of files: each connection takes one, and the server needs some besides.

/// Descriptors for everything but connections of clients: modules, logs, the administration and the runtimes.
#[cfg(target_os = "linux")]
const OTHERS: u64 = 512;

/// Raises the process's limit of open files for so many connections, as far as the system lets it. Returns how many of
/// them there is room for: with more, the server could neither read its guests nor be administered.
#[cfg(target_os = "linux")]
pub(super) fn room_for(connections: u32) -> u32 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = u64::from(connections) + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let Some(limit) = current.filter(|limit| *limit < wanted) else { return connections };
    let raised = maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let limit = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => limit,
    };
    connections_within(limit, connections)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn room_for(connections: u32) -> u32 {
    connections
}

/// Where there are few descriptors, half of them are for connections.
#[cfg(target_os = "linux")]
fn connections_within(limit: u64, connections: u32) -> u32 {
    let room = limit.saturating_sub(OTHERS).max(limit / 2);
    u32::try_from(room).unwrap_or(u32::MAX).clamp(1, connections)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_other_files() {
        for (limit, connections, expected) in
            [(4608, 4096, 4096), (4096, 4096, 3584), (1024, 4096, 512), (64, 4096, 32), (0, 4096, 1), (1 << 40, 7, 7)]
        {
            assert_eq!(connections_within(limit, connections), expected, "{limit}");
        }
        assert!(room_for(1) == 1);
    }
}
