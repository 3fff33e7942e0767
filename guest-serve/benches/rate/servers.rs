//! Servers, and the guests that they have.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

use clap::Parser;
use guest_functions::wire::{Encoding, arguments, write};
use guest_functions::{Signature, Value};
use guest_host::wasmtime::{self, InstancePre, Linker, Module, Store};
use guest_host::{Engine, EngineConfig};
use guest_serve::deployment::{Deployment, Loader};
use guest_serve::folder::GuestFolder;
use guest_serve::http::{Handler, ResponseBody, response};
use guest_serve::monitor::Monitor;
use guest_serve::registry::Registry;
use guest_serve::server::threads::{ThreadOptions, Threads};
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tempfile::TempDir;

/// A function of numbers, one that writes 16 KiB of a memory of 2 MiB, and others that take what they can get.
const GUEST: &str = r#"(module
    (memory (export "memory") 32)
    (data (i32.const 4096) "some bytes that the module begins with")
    (func (export "gcd") (param i64 i64) (result i64) (local i64)
        (loop $again (if (i64.ne (local.get 1) (i64.const 0)) (then
            (local.set 2 (i64.rem_u (local.get 0) (local.get 1)))
            (local.set 0 (local.get 1)) (local.set 1 (local.get 2)) (br $again))))
        (local.get 0))
    (func (export "fill") (param i64 i64) (result i64) (local i32)
        (loop $again
            (i64.store (i32.add (i32.const 65536) (local.get 2)) (i64.add (local.get 0) (i64.extend_i32_u (local.get 2))))
            (local.set 2 (i32.add (local.get 2) (i32.const 8)))
            (br_if $again (i32.lt_u (local.get 2) (i32.const 16384))))
        (i64.add (i64.load (i32.const 65536)) (i64.load (i32.const 81912))))
    (func (export "busy") (param i64 i64) (result i64)
        (local.set 0 (i64.const 1000000))
        (loop $again
            (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
            (br_if $again (i64.ne (local.get 0) (i64.const 0))))
        (local.get 1))
    (func (export "eat") (param i64 i64) (result i64)
        (loop $again (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)
    (func (export "spin") (param i64 i64) (result i64) (loop $again (br $again)) (i64.const 0)))"#;

/// Names of guests, and their functions.
const GUESTS: [(&str, &[&str]); 4] =
    [("guest", &["gcd", "fill"]), ("spins", &["spin"]), ("busy", &["busy"]), ("eats", &["eat"])];

/// A folder of guests.
pub(crate) struct Folder {
    folder: TempDir,
    wasm: Vec<u8>,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let wasm = wat::parse_str(GUEST).expect("a module");
        for (name, functions) in GUESTS {
            let guest = folder.path().join(name);
            let route = |function: &&str| format!("[[routes]]\npath = \"/{function}\"\nfunction = \"{function}\"\n");
            let routes: String = functions.iter().map(route).collect();
            fs::create_dir(&guest).expect("a new folder");
            let config = format!("{routes}[limits]\ncalls_per_second = 1000000\nwaiting = 100\n");
            fs::write(guest.join("guest.toml"), config).expect("a new file");
            fs::write(guest.join(format!("{name}.wasm")), &wasm).expect("a new file");
        }
        Self { folder, wasm }
    }

    fn load(&self, engine: Engine) -> Vec<Arc<Deployment>> {
        let loader = Loader::new(engine, Monitor::default());
        let folder = GuestFolder::open(self.folder.path()).expect("the folder was made");
        let secrets = folder.secrets().expect("there are none");
        let load = |(name, _): (&str, &[&str])| {
            let files = folder.read(&name.parse().expect("a name"), &secrets).expect("the files were written");
            Deployment::load(&loader, files).expect("the guest is good")
        };
        GUESTS.into_iter().map(load).collect()
    }
}

/// A server.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    _threads: Threads,
}

#[derive(Parser)]
struct Options {
    #[command(flatten)]
    threads: ThreadOptions,
}

impl Server {
    /// The server as it is.
    pub(crate) fn new(
        folder: &Folder,
        cores: usize,
        name: &'static str,
        instances: usize,
        engine: Option<EngineConfig>,
    ) -> Self {
        Self::start(name, cores, instances, |listener, options| {
            let engine = Engine::new(&engine.unwrap_or(options.engine())).expect("an engine");
            let registry = Registry::default();
            for deployment in folder.load(engine) {
                registry.replace(deployment).expect("its mount is free");
            }
            Threads::start(listener, &registry, options).expect("threads")
        })
    }

    /// Without guests.
    pub(crate) fn native(folder: &Folder, cores: usize, name: &'static str) -> Self {
        Self::with(folder, cores, name, Engine::new(&EngineConfig::default()).expect("an engine"), || native)
    }

    /// With an instance of wasmtime for each request, as an embedder makes one who keeps nothing.
    pub(crate) fn bare(folder: &Folder, cores: usize, name: &'static str, engine: EngineConfig) -> Self {
        let engine = Engine::new(&engine).expect("an engine");
        let module = Module::new(engine.wasmtime(), &folder.wasm).expect("a module");
        let made = Linker::new(engine.wasmtime()).instantiate_pre(&module).expect("no imports");
        Self::with(folder, cores, name, engine, move || {
            let made = made.clone();
            move |path: &str, arguments: &[Value]| bare(&made, path, arguments).expect("it ends")
        })
    }

    /// With what `make` makes for each thread to compute results.
    fn with<F: Fn(&str, &[Value]) -> Value + 'static>(
        folder: &Folder,
        cores: usize,
        name: &'static str,
        engine: Engine,
        make: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let loaded = folder.load(engine)[0].loaded().expect("it is loaded");
        let signature = loaded.functions[0].typed().expect("it is typed").signature().clone();
        Self::start(name, cores, 0, |listener, options| {
            let make = move || Direct { signature: signature.clone(), compute: make() };
            Threads::start_with(listener, options, make).expect("threads")
        })
    }

    fn start(
        name: &'static str,
        cores: usize,
        instances: usize,
        start: impl FnOnce(TcpListener, &ThreadOptions) -> Threads,
    ) -> Self {
        let words = ["rate".to_owned(), format!("--threads={cores}"), format!("--instances={instances}")];
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        Self { name, address, _threads: start(listener, &Options::parse_from(words).threads) }
    }
}

/// The same functions without a guest.
fn native(path: &str, arguments: &[Value]) -> Value {
    let [Value::I64(mut a), Value::I64(mut b)] = *arguments else { return Value::Null };
    match path {
        "/guest/gcd" => {
            while b != 0 {
                (a, b) = (b, a.cast_unsigned().wrapping_rem(b.cast_unsigned()).cast_signed());
            }
            Value::I64(a)
        }
        _ => {
            let numbers: Vec<i64> = (0..16_384).step_by(8).map(|at| a.wrapping_add(at)).collect();
            let numbers = std::hint::black_box(numbers);
            Value::I64(numbers[0].wrapping_add(numbers[numbers.len() - 1]))
        }
    }
}

/// Calls a function on a new instance.
fn bare(made: &InstancePre<()>, path: &str, arguments: &[Value]) -> wasmtime::Result<Value> {
    let [Value::I64(a), Value::I64(b)] = *arguments else { return Ok(Value::Null) };
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut store = Store::new(made.module().engine(), ());
    // Ticks of the engine's clock.
    store.set_epoch_deadline(1000);
    let instance = made.instantiate(&mut store)?;
    let function = instance.get_typed_func::<(i64, i64), i64>(&mut store, name)?;
    function.call(&mut store, (a, b)).map(Value::I64)
}

/// Answers with what a function computes.
struct Direct<F> {
    signature: Signature,
    compute: F,
}

impl<F: Fn(&str, &[Value]) -> Value + 'static> Handler for Direct<F> {
    async fn respond(self: Rc<Self>, request: Request<Incoming>) -> Response<ResponseBody> {
        let path = request.uri().path().to_owned();
        let bytes = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let response = match arguments(Encoding::Json, &self.signature, &bytes) {
            Ok(arguments) => {
                let mut body = Vec::new();
                write(Encoding::Json, &(self.compute)(&path, &arguments), &mut body);
                body.push(b'\n');
                response(StatusCode::OK, Encoding::Json.media_type(), body)
            }
            Err(error) => response(StatusCode::BAD_REQUEST, "text/plain", error.to_string().into_bytes()),
        };
        response.map(Either::Left)
    }
}
