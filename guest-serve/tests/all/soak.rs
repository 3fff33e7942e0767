//! Honest tenants beside adversaries, tenants that fall asleep and wake, and a server that is killed again and again, for as long as the
//! variable `SOAK` says, such as `60min`:
//!
//! ```console
//! $ SOAK=60min cargo test --release -p guest-serve --test all soak -- --nocapture
//! ```
//!
//! Each tenant has a model. What was acknowledged must be there after every kill, what was not acknowledged happened once or not at all,
//! and the honest ones get right results whatever the others do. The figures are printed at the end.

mod adversaries;
mod honest;
mod ledger;
mod records;
mod running;

use std::time::Duration;

use guest_host::text;

use crate::guests::{GCD, GCD_ROUTE, Guests};
use running::{Figures, Running};

/// How long the suite soaks.
const SHORT: Duration = Duration::from_secs(8);

/// Rooms, each with a ledger. There are instances for a few of them.
const ROOMS: usize = 24;

/// Instances and memory so small that tenants go to sleep, and to the disk, all the time.
const OPTIONS: [&str; 3] = ["--program-instances=2", "--asleep-memory=16KiB", "--shutdown-time=5s"];

#[test]
fn nothing_acknowledged_is_lost_and_nothing_happens_twice() {
    let longest = std::env::var("SOAK").ok().map_or(SHORT, |time| text::duration(&time).unwrap());
    let guests = Guests::new();
    guests.put("numbers", &format!("{GCD_ROUTE}[limits]\ncalls_per_second = 100000\n"), GCD);
    ledger::put(&guests);
    records::put(&guests);
    adversaries::put(&guests);
    let running = Running::new(guests, &OPTIONS);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let running = &running;
            scope.spawn(move || honest::ask(running, number));
        }
        for tenant in 0..4 {
            let running = &running;
            scope.spawn(move || records::count(running, tenant));
        }
        for room in 0..ROOMS {
            let running = &running;
            scope.spawn(move || ledger::keep(running, room));
        }
        adversaries::attack(scope, &running);
        running.kill_again_and_again(longest);
    });
    let Figures { kills, lines, requests, attacks, woken, loaded, .. } = running.end();
    assert!(kills > 0 && lines > 0 && requests > 0 && attacks > 0, "the soak has done something");
    assert!(woken > 0 && loaded > 0, "tenants slept in memory and on the disk");
}
