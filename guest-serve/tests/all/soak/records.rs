//! Counters in records, one for each client, whose requests are sent until they are answered.

use super::running::Running;
use crate::client::Client;
use crate::counters::{counter_routes, counters};
use crate::guests::Guests;

/// The guest.
pub(super) fn put(guests: &Guests) {
    let limits = "[limits]\ncalls_per_second = 100000\n";
    guests.put("counters", &format!("{}{limits}", counter_routes()), &counters());
}

/// Counts until the end: each request has a key of its own, so that it counts once however often it is sent.
pub(super) fn count(running: &Running, tenant: usize) {
    let _end = running.ends_on_failure();
    let mut counted = 0_u64;
    while !running.is_over() {
        let Some(mut client) = Client::try_new(running.address()) else {
            running.pause();
            continue;
        };
        while !running.is_over() {
            let key = format!("Idempotency-Key: {counted}\r\n");
            client.send("POST", &format!("/counters/count/{tenant}"), &key, "");
            let Ok(response) = client.receive() else { break };
            if response.status == 503 {
                // The process stops, or has much to do.
                running.pause();
                continue;
            }
            assert_eq!(response.status, 200, "{}", response.text());
            counted += 1;
            assert_eq!(response.json()["n"].as_u64(), Some(counted), "tenant {tenant}");
            running.acknowledged();
            running.pause();
        }
    }
}
