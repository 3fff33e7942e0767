use super::*;
use ring::RingReader;

fn name(text: &str) -> GuestName {
    text.parse().unwrap()
}

fn ended(status: u16, micros: u64) -> Ended<'static> {
    let took = Duration::from_micros(micros);
    let error = (status != 200).then_some(("trap", "the guest trapped\u{1b}"));
    Ended { tenant: "blue", function: "f", status, took, slow: micros > 1000, error }
}

#[test]
fn requests_are_counted_by_status_and_time() {
    let monitor = Monitor::default();
    let guest = monitor.guest(&name("a"));
    for (status, micros) in [(200, 5), (200, 10), (200, 11), (500, 2_000_000), (400, 60)] {
        guest.ended(&ended(status, micros));
    }
    guest.limited("blue", "rate");
    guest.tenants(3);
    guest.tenants(-1);
    guest.instances(2, 1 << 20);
    guest.instances(-3, -2 << 20);
    let counts = guest.counts();
    assert_eq!(counts.by_status, BTreeMap::from([(200, 3), (400, 1), (500, 1)]));
    assert_eq!((counts.calls(), counts.failed(), counts.refused(), counts.slow, counts.limited), (5, 1, 1, 1, 1));
    assert_eq!((counts.buckets[0], counts.buckets[1], counts.buckets[3], counts.buckets[14]), (2, 1, 1, 1));
    assert_eq!((counts.microseconds, counts.tenants, counts.instances, counts.memory), (2_000_086, 2, 0, 0));
    let last = guest.last_error().unwrap();
    assert_eq!((last.kind.as_str(), last.message.as_str()), ("trap", "the guest trapped\\u001b"));
    assert_eq!(monitor.guest(&name("a")).counts(), counts, "there is one for each name");
    guest.ended(&Ended { error: Some(("arguments", "no number")), ..ended(400, 1) });
    assert_eq!(guest.last_error().unwrap().kind, "trap", "a wrong request is no error of the guest");
    monitor.forget(&name("a"));
    assert_eq!(monitor.guest(&name("a")).counts().calls(), 0);
}

#[test]
fn logs_and_events_are_lines_of_json_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let (monitor, writer) = Monitor::start(folder.path(), 1 << 16).unwrap();
    let guest = monitor.guest(&name("a"));
    guest.lines("blue", "f", [(Level::Info, "one\ntwo"), (Level::Error, "\"three\"")].into_iter(), 3);
    guest.lines("blue", "f", std::iter::empty(), 0);
    guest.limited("blue", "rate");
    guest.limited("blue", "rate");
    monitor.event(&Event::Deployed { guest: "a", version: 3, mount: "/a", module: [0xAB; 32] });
    monitor.event(&Event::Failed { guest: "b", error: Some("no"), serving: None });
    monitor.store(Ok(()));
    for error in [Err("full"), Err("full"), Ok(()), Ok(())] {
        monitor.store(error);
    }
    for error in [Some((NO_INSTANCE, "no memory")), Some((NO_INSTANCE, "no memory")), Some(("trap", "x")), None, None] {
        guest.ended(&Ended { error, ..ended(if error.is_some() { 500 } else { 200 }, 1) });
    }
    writer.close();
    let lines = |path: &Path| -> Vec<serde_json::Value> {
        let text = RingReader::new(path).read().unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let log = lines(&Writer::log(folder.path(), &name("a")));
    assert_eq!(log.len(), 3);
    assert_eq!(log[2]["line"], "3 lines were cut off: the call logged more than `log`");
    assert_eq!(
        (&log[0]["line"], &log[0]["level"], &log[1]["tenant"]),
        (&json!("one\ntwo"), &json!("info"), &json!("blue"))
    );
    let events = lines(&Writer::events(folder.path()));
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(kinds[..3], ["limited", "deployed", "failed"], "one event stands for many refusals");
    assert_eq!(kinds[3..], ["store", "store", "instances", "instances"], "told when it begins and when it ends");
    assert_eq!((&events[3]["error"], &events[4]["error"]), (&json!("full"), &json!(null)));
    assert_eq!((&events[5]["error"], &events[6]["error"]), (&json!("no memory"), &json!(null)));
    assert_eq!(events[1]["module"], "ab".repeat(32));
    assert!(events[0]["time"].as_str().unwrap().ends_with('Z'), "{}", events[0]);
}
