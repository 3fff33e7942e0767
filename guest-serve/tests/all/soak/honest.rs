//! Calls of a function, each with a result that is known.

use std::time::Instant;

use super::running::Running;
use crate::client::Client;

/// Asks until the end, and takes note of how long each answer took.
pub(super) fn ask(running: &Running, number: u64) {
    let _end = running.ends_on_failure();
    let mut factor = number + 1;
    while !running.is_over() {
        let Some(mut client) = Client::try_new(running.address()) else {
            running.pause();
            continue;
        };
        while !running.is_over() {
            factor = factor % 1000 + 1;
            let before = running.phase();
            let begun = Instant::now();
            client.send("POST", "/numbers/gcd", "", format!("[{}, {}]", 48 * factor, 18 * factor));
            // Killed meanwhile.
            let Ok(response) = client.receive() else { break };
            let took = begun.elapsed();
            assert_eq!((response.status, response.text().trim_end()), (200, (6 * factor).to_string().as_str()));
            running.answered(before, took);
            running.pause();
        }
    }
}
