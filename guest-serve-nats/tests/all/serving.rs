//! The program as its users have it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use guest_serve_nats::names::Prefix;

use crate::client::{publish, tenant, wait_for_outputs};
use crate::guests::{Guests, greeter};
use crate::nats::{PATIENCE, Server};
use crate::process::{Process, run};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_event_is_sent_and_its_output_is_read() {
    let server = Server::start();
    let guests = Guests::new();
    guests.put("greeter", "", &greeter());
    let url = server.url();
    let mut process = Process::start(guests.path(), &url, &["--partitions", "4", "--admin", "127.0.0.1:0"]);
    let send = |words: &[&str]| run(&[&["send", "greeter", "blue", "--nats", &url], words].concat());
    let first = send(&["hello"]);
    assert_eq!((text(&first.stdout), first.status.code()), ("1\n".to_owned(), Some(0)), "{first:?}");
    // An id that comes twice counts once.
    assert_eq!(
        [send(&["again", "--id", "7"]), send(&["again", "--id", "7"])].map(|sent| text(&sent.stdout)),
        ["2\n", "2\n"]
    );
    assert!(send(&[&"x".repeat(2000)]).status.success());
    let until = Instant::now() + PATIENCE;
    loop {
        let read = run(&["outputs", "greeter", "blue", "--nats", &url]);
        assert!(read.status.success(), "{read:?}");
        if text(&read.stdout) == "c1\nhello\nagain\n" && text(&read.stderr).starts_with("failed: message-too-large: ") {
            break;
        }
        assert!(Instant::now() < until, "{read:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    // Its page shows the counts.
    let stdout = process.stdout();
    let (address, token) =
        stdout.split_once("administration on http://").unwrap().1.trim().split_once(", token in ").unwrap();
    let token = std::fs::read_to_string(token).unwrap();
    let mut admin = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
        token.trim()
    );
    admin.write_all(head.as_bytes()).unwrap();
    let mut metrics = String::new();
    admin.read_to_string(&mut metrics).unwrap();
    // One for the connection, and two events; the third was not called.
    assert!(metrics.contains("serve_requests_total{guest=\"greeter\",status=\"200\"} 3\n"), "{metrics}");
    process.stop();
    assert!(process.stderr().ends_with("stopped\n"), "{}", process.stderr());
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_the_partitions_and_take_over() {
    let server = Server::start();
    let (nats, streams) = server.connect(8).await;
    let guests = Guests::new();
    let url = server.url();
    // Members, and how many partitions each has.
    let owners = || async {
        let mut counts = BTreeMap::new();
        for partition in 0..8 {
            let entry = streams.owners.get(format!("partition.{partition}")).await.unwrap();
            *counts.entry(text(&entry.unwrap_or_default())).or_insert(0) += 1;
        }
        counts.into_values().collect::<Vec<usize>>()
    };
    let owners = &owners;
    let wait_for = |expected: &'static [usize]| async move {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut counts = owners().await;
            counts.sort_unstable();
            if counts == expected {
                break;
            }
            assert!(Instant::now() < until, "{counts:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut first = Process::start(guests.path(), &url, &[]);
    wait_for(&[8]).await;
    let mut second = Process::start(guests.path(), &url, &[]);
    wait_for(&[4, 4]).await;
    let mut third = Process::start(guests.path(), &url, &[]);
    wait_for(&[2, 3, 3]).await;
    let key = |number: usize| tenant("count", &number.to_string());
    for number in 0..24 {
        publish(&nats, &key(number), "a").await;
    }
    wait_for_outputs(&nats, &streams, 24).await;
    // One is killed, and the others notice; one stops in order.
    first.kill();
    wait_for(&[4, 4]).await;
    second.stop();
    wait_for(&[8]).await;
    for number in 0..24 {
        publish(&nats, &key(number), "b").await;
    }
    let out = wait_for_outputs(&nats, &streams, 48).await;
    assert!(out.iter().filter(|out| out.bytes.ends_with(b"b")).all(|out| out.bytes[..4] == [2, 0, 0, 0]));
    third.stop();
    let told = [second.stderr(), third.stderr()].concat();
    assert!(told.contains("which has not renewed its lease"), "{told}");
    // Applied events are not kept.
    let mut events = streams.events.clone();
    assert_eq!(events.info().await.unwrap().state.messages, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_names_no_tenant_is_refused_and_holds_up_nobody() {
    let server = Server::start();
    let (nats, streams) = server.connect(1).await;
    let guests = Guests::new();
    for subject in ["serve.in.Count.blue", "serve.in.count.bl/ue"] {
        nats.context.publish(subject, "odd".into()).await.unwrap().await.unwrap();
    }
    publish(&nats, &tenant("count", "blue"), "a").await;
    let _process = Process::start(guests.path(), &server.url(), &[]);
    let mut found: Vec<_> =
        wait_for_outputs(&nats, &streams, 3).await.into_iter().map(|out| (out.tenant, out.failed)).collect();
    found.sort();
    let refused = || Some("invalid-tenant".to_owned());
    let expected = [("Count.blue", refused()), ("count.bl_ue", refused()), ("count.blue", None)];
    assert_eq!(found, expected.map(|(tenant, failed)| (tenant.to_owned(), failed)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_takes_no_room_of_others() {
    let server = Server::start();
    let (nats, streams) = server.connect_with("serve".parse().unwrap(), 4, &["--tenant-events", "3"]).await;
    let (greedy, modest) = (tenant("count", "greedy"), tenant("count", "modest"));
    let publish_once =
        async |text: &'static str| nats.context.publish(nats.prefix.input(&greedy), text.into()).await.unwrap().await;
    for event in ["a", "b", "c"] {
        publish_once(event).await.unwrap();
    }
    assert!(publish_once("d").await.unwrap_err().to_string().contains("maximum messages per subject exceeded"));
    publish(&nats, &modest, "a").await;
    // There is room again, when they were applied.
    let guests = Guests::new();
    let _process = Process::start(guests.path(), &server.url(), &[]);
    wait_for_outputs(&nats, &streams, 4).await;
    publish(&nats, &greedy, "d").await;
    wait_for_outputs(&nats, &streams, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_answer_requests_whichever_process_has_them() {
    let server = Server::start();
    let guests = Guests::new();
    let routes =
        ["add", "spin"].map(|name| format!("[[routes]]\npath = \"/{name}\"\nfunction = \"{name}\"\n")).concat();
    guests.write(
        "numbers",
        &format!("{routes}[limits]\ndeadline = \"50ms\"\nbody = \"1KiB\"\ncalls_per_second = 1000000\n"),
        r#"(module (func (export "add") (param i64 i64) (result i64) (i64.add (local.get 0) (local.get 1)))
            (func (export "spin") (result i64) (loop $ever (br $ever)) (i64.const 0))
            (func (export "other") (result i64) (i64.const 0)))"#,
    );
    let url = server.url();
    let mut processes = [0, 1].map(|_| Process::start(guests.path(), &url, &[]));
    processes.iter().for_each(|process| drop(process.member()));
    let (nats, _) = server.connect(8).await;
    let ask = async |words: &str, body: &str| {
        let answer = nats.client.request(format!("serve.call.{words}"), body.to_owned().into()).await.unwrap();
        let header =
            |name| answer.headers.as_ref().and_then(|headers| headers.get(name)).map(|value| value.as_str().to_owned());
        header("Serve-Error-Kind").unwrap_or_else(|| text(&answer.payload))
    };
    for number in 0..50 {
        assert_eq!(ask("numbers.blue.add", &format!("[{number}, 2]")).await, (number + 2).to_string());
    }
    for (words, body, answer) in [
        ("numbers.blue.spin", "", "deadline-exceeded"),
        ("numbers.blue.add", "[1]", "arguments"),
        ("numbers.blue.add", "{\"a\": true}", "arguments"),
        ("numbers.blue.add", &" ".repeat(2000), "body"),
        ("numbers.blue.other", "", "no-route"),
        ("none.blue.add", "[1, 2]", "no-guest"),
        ("Numbers.blue.add", "[1, 2]", "invalid-tenant"),
    ] {
        assert_eq!(ask(words, body).await, answer, "{words} {body}");
    }
    processes[0].stop();
    assert_eq!(ask("numbers.blue.add", "[40, 2]").await, "42");
    processes[1].stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_may_not_be_a_member_says_so() {
    let server = Server::start_with(
        r#"
        no_auth_user: all
        authorization { users: [
            { user: all, password: all }
            { user: some, password: some, permissions: { publish: { deny: "$KV.serve-owners.member.>" } } }
        ] }"#,
    );
    server.connect(2).await;
    let guests = Guests::new();
    let process = Process::start(guests.path(), &server.url().replace("://", "://some:some@"), &[]);
    process.wait_for_stderr("NATS refuses something: ");
    process.wait_for_stderr("the process takes no part, which is tried again: NATS did not answer: ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_told() {
    let server = Server::start();
    let guests = Guests::new();
    let folder = guests.path().to_str().unwrap();
    let url = server.url();
    let fails = |words: &[&str], status: i32, told: &str| {
        let output = run(words);
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(status) && error.contains(told), "{words:?}: {output:?}");
    };
    fails(&[folder, "--nats", "nats://127.0.0.1:1"], 2, "start `nats-server -js`, or name another server by --nats");
    let output = run(&[folder, "--nats", "nats://user:secret@127.0.0.1:1"]);
    let error = text(&output.stderr);
    assert!(error.contains("cannot connect to NATS at nats://127.0.0.1:1: ") && !error.contains("secret"), "{error}");
    // A server that asks for nothing takes any user.
    let with_user = url.replace("://", "://user:secret@");
    let process = Process::start(guests.path(), &with_user, &["--prefix", "shown"]);
    process.wait_for_stderr("member ");
    let said = [process.stdout(), process.stderr()].concat();
    assert!(said.contains(&format!("serving shown of {url} over")) && !said.contains("secret"), "{said}");
    fails(&["/none", "--nats", &url], 2, "/none is not a folder");
    fails(&[folder, "--nats", &url, "--credentials", "/none"], 2, "cannot read the credentials /none");
    fails(&["send", "count", "a.b", "x", "--nats", &url], 2, "is not the key of a tenant");
    fails(&["send", "count", "blue", "x", "--id", "a\nb", "--nats", &url], 2, "give one line");
    // Nobody has made the streams yet.
    fails(&["send", "count", "blue", "x", "--nats", &url], 1, "send it again with the same --id");
    fails(&["outputs", "count", "blue", "--nats", &url], 2, "cannot read the stream `serve-out`");
    // A stream of that name that is somebody else's.
    let (nats, _) = server.connect(2).await;
    let prefix: Prefix = "other".parse().unwrap();
    let config = async_nats::jetstream::stream::Config {
        name: prefix.events(),
        subjects: vec!["elsewhere".to_owned()],
        ..Default::default()
    };
    nats.context.create_stream(config).await.unwrap();
    fails(&[folder, "--nats", &url, "--prefix", "other"], 2, "does not divide subjects into partitions");
    // A stream of events that was made again.
    let again: Prefix = "again".parse().unwrap();
    let (made, _) = server.connect_as(again.clone(), 2).await;
    made.context.delete_stream(again.events()).await.unwrap();
    fails(&[folder, "--nats", &url, "--prefix", "again"], 2, "was removed and made again");
    // The number of partitions is that of the stream, whatever an option says.
    let own = tempfile::tempdir().unwrap();
    let own = own.path().to_str().unwrap();
    let process = Process::start(guests.path(), &url, &["--partitions", "64", "--own", own]);
    process.wait_for_stderr("member ");
    fails(&[folder, "--nats", &url, "--own", own], 2, "another server serves");
}
