//! Many requests at the same time.

use std::thread;

use serde_json::json;

use crate::client::{receive, request, send};
use crate::process::Home;

#[test]
fn calls_of_a_tenant_do_not_undo_each_other_and_tenants_share_nothing() {
    const TENANTS: [&str; 4] = ["a", "b", "c", "d"];
    const CALLS: u64 = 15;
    let home = Home::new();
    let service = home.start(&["--instances", "3"]).with_tenants(&TENANTS);
    let address = service.address;
    thread::scope(|scope| {
        for worker in 0..8 {
            scope.spawn(move || {
                for call in 0..CALLS {
                    // Each tenant has two workers at any time, but never the same two.
                    let tenant = TENANTS[usize::try_from(worker / 2 + call).unwrap() % TENANTS.len()];
                    let response = request(address, "POST", &format!("/tenants/{tenant}/tally"), "").unwrap();
                    assert_eq!(response.status, 200, "{}", response.body);
                }
            });
        }
    });
    let counts = TENANTS.map(|tenant| {
        let records = service.get(&format!("/tenants/{tenant}/records?storage=sys.Record&entity=tally")).json();
        records["records"][0]["value"]["n"].as_u64().unwrap()
    });
    assert_eq!(counts.iter().sum::<u64>(), 8 * CALLS, "{counts:?}");
    assert!(counts.iter().all(|count| *count >= 2), "{counts:?}");
}

#[test]
fn a_tenant_whose_guest_spins_does_not_hold_up_others() {
    let home = Home::new();
    let service =
        home.start(&["--deadline", "3s", "--instances", "2", "--wait", "20s"]).with_tenants(&["slow", "fast"]);
    let address = service.address;
    let spinning: Vec<_> = (0..2).map(|_| send(address, "POST", "/tenants/slow/spin", "").unwrap()).collect();
    service.wait_for("service_requests_running", 3);
    let spun =
        thread::spawn(move || spinning.into_iter().map(|call| receive(call).unwrap().status).collect::<Vec<_>>());
    for n in 1..=5 {
        let answered = request(address, "POST", "/tenants/fast/tally", "").unwrap();
        assert_eq!(answered.json()["intents"][0]["value"], json!({ "n": n }));
    }
    assert!(!spun.is_finished(), "the calls of the other tenant were served meanwhile");
    assert_eq!(spun.join().unwrap(), [504, 504]);
}
