use proptest::prelude::*;

use super::*;

const ROUTE: &str = "[[routes]]\npath = \"/gcd\"\nfunction = \"gcd\"\n";

fn parse(text: &str) -> Result<GuestConfig, String> {
    GuestConfig::parse("hello", Path::new("guest.toml"), text).map_err(|error| error.to_string())
}

#[test]
fn a_file_with_every_key_is_read() {
    let config = parse(
        r#"
        module = "build/hello.wasm"
        mount = "/greet/hello"
        static = "public"
        secrets = ["API_KEY", "_other2"]
        declare = ["upper(text: string) -> string"]
        [[routes]]
        method = "GET"
        path = "/rooms/{tenant}"
        function = "room"
        format = "values"
        stream = false
        [[routes]]
        path = "/upload/{*rest}"
        function = "upload"
        format = "http"
        stream = true
        [limits]
        memory = "256KiB"
        deadline = "20ms"
        total = "1min"
        body = "1KiB"
        response = "2KiB"
        log = "0"
        calls_per_second = 7
        waiting = 0
        streams = 3
        static = "3MiB"
        "#,
    )
    .unwrap();
    assert_eq!((config.module.to_str(), config.mount.as_str()), (Some("build/hello.wasm"), "/greet/hello"));
    assert_eq!(config.static_folder, Some(PathBuf::from("public")));
    assert_eq!(config.secrets.iter().collect::<Vec<_>>(), ["API_KEY", "_other2"]);
    assert_eq!(config.declarations, ["upper(text: string) -> string"]);
    let route = &config.routes[0];
    assert_eq!((route.method.as_str(), route.function.as_str(), route.format), ("GET", "room", Format::Values));
    assert_eq!((route.path.to_string(), route.path.has_tenant()), ("/rooms/{tenant}".to_owned(), true));
    assert!(!route.stream);
    let route = &config.routes[1];
    assert_eq!(
        (route.format, route.stream, route.path.to_string()),
        (Format::Http, true, "/upload/{*rest}".to_owned())
    );
    let limits = Limits {
        memory: 256 << 10,
        deadline: Duration::from_millis(20),
        total: Duration::from_secs(60),
        body: 1 << 10,
        response: 2 << 10,
        log: 0,
        calls_per_second: 7,
        waiting: 0,
        streams: 3,
        static_files: 3 << 20,
    };
    assert_eq!(config.limits, limits);
}

#[test]
fn a_route_may_call_an_extension_function_whose_records_have_limits() {
    let route = "[[routes]]\npath = \"/\"\nextension = \"f\"\n";
    let plain = parse(route).unwrap();
    assert_eq!((plain.routes[0].callee, plain.routes[0].function.as_str()), (Callee::Extension, "f"));
    assert_eq!(plain.records, RecordsConfig::default());
    let all = "[records]\ndurable = false\nbytes = \"1KiB\"\nintents = 5\nidempotency_keys = 0\n";
    let records = RecordsConfig { durable: false, bytes: 1024, intents: 5, idempotency_keys: 0 };
    assert_eq!(parse(&format!("{route}{all}")).unwrap().records, records);
}

#[test]
fn a_program_is_read_and_its_faults_are_told() {
    let program = |text: &str| parse(&format!("[program]\n{text}")).map(|config| config.program.unwrap());
    let all = "tcp = \"[::1]:7000\"\nwebsocket = \"/{tenant}\"\nmessage = \"1KiB\"\nconnections = 3\noutgoing = \"9B\"\ndurable = false";
    let read = program(all).unwrap();
    assert_eq!(read.tcp.map(|address| address.to_string()).as_deref(), Some("[::1]:7000"));
    assert!(read.websocket.is_some_and(|path| path.has_tenant()));
    assert_eq!((read.message, read.connections, read.outgoing, read.durable), (1024, 3, 9, false));
    let least = program("websocket = \"/\"").unwrap();
    let defaults = (8 << 10, 1000, 256 << 10, true);
    assert_eq!((least.message, least.connections, least.outgoing, least.durable), defaults);
    for (text, message) in [
        (
            "connections = 1",
            "2:1: `[program]` lacks connections; add `tcp` with an address, or `websocket` with a path",
        ),
        ("tcp = \"7000\"", "2:7: `7000` is not an address and a port; write it as \"127.0.0.1:7000\""),
        ("tcp = 7000", "2:7: `tcp` must be a string, not a number"),
        ("websocket = \"ws\"", "2:13: `ws` is not a path; begin it with `/`"),
        ("websocket = \"/\"\nmessage = \"2MiB\"", "2:1: `message` must be from 1B to 1MiB"),
        ("websocket = \"/\"\nconnections = 0", "3:15: `connections` must be a whole number from 1 to 1000000"),
        ("websocket = \"/\"\ndurable = 1", "3:11: `durable` must be `true` or `false`, not a number"),
        ("websoket = \"/\"", "2:1: there is no key `websoket` in `[program]`: did you mean `websocket`?"),
    ] {
        assert_eq!(program(text).unwrap_err(), format!("guest.toml:{message}"), "{text}");
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = parse(ROUTE).unwrap();
    assert_eq!((config.module.to_str(), config.mount.as_str()), (Some("hello.wasm"), "/hello"));
    assert_eq!((config.static_folder, config.secrets.len(), config.limits), (None, 0, Limits::default()));
    assert_eq!((&config.routes[0].method, config.routes[0].path.has_tenant()), (&hyper::Method::POST, false));
    assert!(parse("static = \"public\"").unwrap().routes.is_empty());
}

/// Each fault with its message, behind the file's name.
#[test]
fn each_fault_is_told_with_its_place_and_with_what_to_write() {
    let methods = "`GET`, `POST`, `PUT`, `PATCH`, `DELETE`";
    let units = "write a whole number and a unit, such as 512B, 64KiB, 64MiB or 1GiB";
    let with_unit = "a string with a unit, such as \"64KiB\" or \"50ms\"";
    let cases: &[(&str, String)] = &[
        ("modul = \"a.wasm\"", "1:1: there is no key `modul` in guest.toml: did you mean `module`?".into()),
        (
            "\n  x = 1",
            "2:3: there is no key `x` in guest.toml: use one of `module`, `mount`, `static`, `secrets`, `declare`, `routes`, `program`, `records`, `limits`"
                .into(),
        ),
        ("module = 7", "1:10: `module` must be a string, not a number".into()),
        ("module = \"../a.wasm\"", "1:10: `../a.wasm` is not in the guest's folder; write a path below it, without `..`".into()),
        ("module = \"\"", "1:10: `` is not in the guest's folder; write a path below it, without `..`".into()),
        ("static = \"/etc\"", "1:10: `/etc` is not in the guest's folder; write a path below it, without `..`".into()),
        ("mount = \"hello\"", "1:9: `hello` is not a path; begin it with `/`".into()),
        ("mount = \"/hello/\"", "1:9: `/hello/` ends with `/`; leave that out".into()),
        ("mount = \"/a//b\"", "1:9: `/a//b` has an empty segment; write one `/` between segments".into()),
        ("mount = \"/{tenant}\"", "1:9: `/{tenant}` has `{tenant}`; it can stand in the path of a route alone".into()),
        ("secrets = \"A\"", "1:11: `secrets` must be a list of strings, not a string".into()),
        ("secrets = [1]", "1:12: `secrets` must be a list of strings, not a number".into()),
        (
            "secrets = [\"A-B\"]",
            "1:12: `A-B` is not the name of a secret: use 1 to 64 letters, digits and `_`, and do not begin with a digit"
                .into(),
        ),
        ("secrets = [\"A\", \"A\"]", "1:17: `A` is named twice; name it once".into()),
        ("declare = \"f() -> i64\"", "1:11: `declare` must be a list of strings, not a string".into()),
        ("routes = 1", "1:10: `routes` must be tables `[[routes]]`, not a number".into()),
        ("[routes]\npath = \"/\"", "1:1: `routes` must be tables `[[routes]]`, not a table".into()),
        ("[[routes]]\n", "1:1: the route lacks `path`; add it".into()),
        ("[[routes]]\npath = \"/a\"\n", "2:1: the route lacks `function`, or `extension` for an extension function; add one of them".into()),
        ("[[routes]]\npth = \"/a\"\n", "2:1: there is no key `pth` in `[[routes]]`: did you mean `path`?".into()),
        (
            "[[routes]]\npath = \"/a\"\nfunction = \"f\"\nformat = \"htp\"",
            "4:10: there is no format `htp`: did you mean `http`?".into(),
        ),
        (
            "[[routes]]\npath = \"/a\"\nfunction = \"f\"\nstream = true",
            "2:1: `stream = true` is for functions that give responses; add `format = \"http\"`, or leave out `stream`".into(),
        ),
        (
            "[[routes]]\nfunction = \"f\"\npath = \"/{*rest}/a\"",
            "3:8: `/{*rest}/a` has segments behind `{*rest}`, which stands for all of them; leave them out".into(),
        ),
        ("mount = \"/a/{*rest}\"", "1:9: `/a/{*rest}` has `{*rest}`; it can stand in the path of a route alone".into()),
        ("[[routes]]\nmethod = \"post\"", "2:10: `post` is not a method: did you mean `POST`?".into()),
        (
            "[[routes]]\nmethod = \"TRACE\"",
            format!("2:10: a route cannot have the method `TRACE`: use one of {methods}"),
        ),
        ("[[routes]]\nfunction = \"f\"\npath = \"a\"", "3:8: `a` is not a path; begin it with `/`".into()),
        (
            "[[routes]]\nfunction = \"f\"\npath = \"/a b\"",
            "3:8: `/a b`: a segment has letters, digits and `-._~`, and `a b` has others".into(),
        ),
        (
            "[[routes]]\nfunction = \"f\"\npath = \"/a/..\"",
            "3:8: `/a/..` has a segment `..`, which clients resolve; leave it out".into(),
        ),
        (
            "[[routes]]\nfunction = \"f\"\npath = \"/{room}\"",
            "3:8: `/{room}`: a segment of braces can be `{tenant}` or `{*rest}` alone, not `{room}`".into(),
        ),
        (
            "[[routes]]\nfunction = \"f\"\npath = \"/{tenant}/{tenant}\"",
            "3:8: `/{tenant}/{tenant}` has `{tenant}` twice; a route has one tenant".into(),
        ),
        (
            "[[routes]]\npath = \"/\"\nfunction = \"\"",
            "3:12: `function` is empty; write the name of a function of the module".into(),
        ),
        (
            "[[routes]]\npath = \"/\"\nextension = \"\"",
            "3:13: `extension` is empty; write the name of a function of the module".into(),
        ),
        (
            "[[routes]]\npath = \"/\"\nextension = \"f\"\nfunction = \"f\"",
            "3:13: the route has `function` and `extension`; it calls one: remove the other".into(),
        ),
        (
            "[[routes]]\npath = \"/\"\nextension = \"f\"\nformat = \"http\"",
            "4:10: an extension function gives no response of its own; leave out `format`".into(),
        ),
        ("[records]\ndurable = 1", "2:11: `durable` must be `true` or `false`, not a number".into()),
        ("[records]\nintents = 0", "2:11: `intents` must be a whole number from 1 to 1000000".into()),
        ("[records]\nbyte = \"1B\"", "2:1: there is no key `byte` in `[records]`: did you mean `bytes`?".into()),
        (
            "[[routes]]\npath = \"/\"\nfunction = \"f\"\nformat = \"value\"",
            "4:10: there is no format `value`: did you mean `values`?".into(),
        ),
        (
            "[[routes]]\npath = \"/a\"\nfunction = \"f\"\n\n[[routes]]\nfunction = \"g\"\npath = \"/a\"",
            "6:1: the route in line 2 has the same method and path; change one of them".into(),
        ),
        ("limits = 1", "1:10: `limits` must be a table `[limits]`, not a number".into()),
        ("[limits]\nmemry = \"1MiB\"", "2:1: there is no key `memry` in `[limits]`: did you mean `memory`?".into()),
        ("[limits]\nmemory = 65536", format!("2:10: `memory` must be {with_unit}, not a number")),
        ("[limits]\nmemory = \"64\"", "2:10: `memory`: `64` has no unit: write `64B`, `64KiB` or `64MiB`".into()),
        ("[limits]\nmemory = \"64MB\"", "2:10: `memory`: `64MB` is not a size: did you mean `64MiB`?".into()),
        (
            "[limits]\nmemory = \"5GiB\"",
            "2:10: `memory`: `5GiB` is more than a 32-bit memory can have; use at most 4GiB".into(),
        ),
        ("[limits]\nbody = \"much\"", format!("2:8: `body`: `much` is not a size: {units}")),
        (
            "[limits]\ndeadline = \"1h\"",
            "2:12: `deadline`: `1h` is not a time: write a number and a unit, such as 500us, 100ms or 1s".into(),
        ),
        ("[limits]\ndeadline = \"0s\"", "2:12: `deadline`: `0s` is too short; a time is longer than 0".into()),
        (
            "[limits]\ncalls_per_second = 0",
            "2:20: `calls_per_second` must be a whole number from 1 to 1000000".into(),
        ),
        ("[limits]\nwaiting = \"1\"", "2:11: `waiting` must be a whole number from 0 to 100000".into()),
        ("[limits]\nwaiting = -1", "2:11: `waiting` must be a whole number from 0 to 100000".into()),
        (
            "mount = \"/x\"",
            "1:1: the guest serves nothing; add a table `[[routes]]` with `path` and `function` or `extension`, a table \
             `[program]` with `tcp` or `websocket`, or `static` with a folder of files"
                .into(),
        ),
    ];
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let found = parse(text).map(|_| "no error".to_owned()).unwrap_or_else(|error| error);
        if found != format!("guest.toml:{expected}") {
            wrong.push(format!("{text:?}\n  {found}\n  {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for no_toml in ["x", "= 1", "module = \"a", "a = 1\na = 2"] {
        assert!(parse(no_toml).unwrap_err().starts_with("guest.toml:"), "{no_toml}");
    }
}

/// A file with every key.
const WHOLE: &str = "module = \"a.wasm\"\nmount = \"/a\"\nstatic = \"p\"\nsecrets = [\"A\"]\n[[routes]]\nmethod = \"GET\"\n\
    path = \"/a/{tenant}\"\nfunction = \"f\"\nformat = \"http\"\nstream = true\n[limits]\nmemory = \"1MiB\"\ndeadline = \"5ms\"\n\
    body = \"1KiB\"\nresponse = \"1KiB\"\nlog = \"1KiB\"\ncalls_per_second = 5\nwaiting = 5\nstreams = 5\ntotal = \"5s\"\nstatic = \"1KiB\"\n";

proptest! {
    #[test]
    fn a_file_with_some_characters_changed_is_read_or_told_with_its_place(
        changes in prop::collection::vec((0..WHOLE.len(), 0_usize..4, "\\PC{0,3}|[\\n\"={}\\[\\]/.0-9]{0,2}"), 1..4)
    ) {
        let mut text = WHOLE.to_owned();
        for (at, length, new) in &changes {
            let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let (from, to) = (floor(*at), floor(*at + *length));
            text.replace_range(from..to, new);
        }
        if let Err(error) = parse(&text) {
            let mut parts = error.splitn(4, ':');
            prop_assert_eq!(parts.next(), Some("guest.toml"));
            let (line, column): (usize, usize) = (parts.next().unwrap().parse()?, parts.next().unwrap().parse()?);
            // The end of the file is a place, too.
            let found = text.split('\n').nth(line - 1);
            prop_assert!(found.is_some_and(|found| column <= found.chars().count() + 1), "{} in {:?}", error, text);
        }
    }
}

#[test]
fn a_path_captures_the_tenant() {
    let path = |text: &str| RoutePath::parse(text).unwrap();
    let tenant = |text: &str, rest: &'static str| path(text).capture(rest).map(|capture| capture.tenant);
    assert_eq!(tenant("/a/{tenant}/b", "/a/x/b"), Some(Some("x")));
    assert_eq!(tenant("/a/{tenant}/b", "/a/x/c"), None);
    assert_eq!(tenant("/a/{tenant}/b", "/a/x/b/"), None);
    assert_eq!(tenant("/a", "/a"), Some(None));
    assert_eq!((tenant("/", ""), tenant("/", "/"), tenant("/", "/a")), (Some(None), Some(None), None));
    assert_eq!((tenant("/a", "a"), tenant("/a", ""), tenant("/{tenant}", "/")), (None, None, None));
    assert_eq!(path("/").to_string(), "/");
}

#[test]
fn secrets_are_checked_by_name_and_shown_nowhere() {
    let file = Path::new("secrets.toml");
    let read = |text: &str| Secrets::parse(file, text).map_err(|error| error.to_string());
    let secrets = read("[hello]\nAPI_KEY = \"k\"\n[other]\nTOKEN = \"t\"\n").unwrap();
    assert!(!format!("{secrets:?}").contains('k'));
    let check = |names: &str| {
        let mut config = parse(&format!("static = \"p\"\nsecrets = {names}")).unwrap();
        secrets.give("hello", &mut config).map_err(|error| error.to_string())
    };
    assert_eq!(check("[\"API_KEY\"]"), Ok(()));
    assert_eq!(
        check("[\"API_KEY\", \"API_KEX\"]"),
        Err("guest.toml:2:23: there is no secret `API_KEX` in `[hello]` of secrets.toml: did you mean `API_KEY`?"
            .into())
    );
    assert_eq!(
        check("[\"TOKEN\"]"),
        Err("guest.toml:2:12: there is no secret `TOKEN` in `[hello]` of secrets.toml: use one of `API_KEY`".into())
    );
    let mut config = parse("static = \"p\"\nsecrets = [\"A\"]").unwrap();
    assert_eq!(
        Secrets::default().give("hello", &mut config).unwrap_err().to_string(),
        "guest.toml:2:12: there is no secret `A`: secrets.toml has none for this guest; add a table `[hello]` with it"
    );
    assert_eq!(
        Secrets::unreadable("secrets.toml:1:1: no".to_owned()).give("hello", &mut config).unwrap_err().to_string(),
        "guest.toml:2:12: the guest reads secrets, and they cannot be read: secrets.toml:1:1: no"
    );
    for (text, expected) in [
        ("API_KEY = \"k\"", "1:1: `API_KEY` must be a table with the name of a guest, not a string"),
        ("[hello]\nA = 1", "2:5: `A` must be a string, not a number"),
        (
            "[hello]\n2A = \"x\"",
            "2:1: `2A` is not the name of a secret: use 1 to 64 letters, digits and `_`, and do not begin with a digit",
        ),
    ] {
        assert_eq!(read(text), Err(format!("secrets.toml:{expected}")));
    }
}
