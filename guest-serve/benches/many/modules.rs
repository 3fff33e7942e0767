//! Guests that each have another module.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use guest_functions::Value;
use guest_host::{CompileCache, Engine};
use guest_serve::call::{Attempt, Call, Input, Instances, Kind, Stop};
use guest_serve::catalog::{Catalog, Look};
use guest_serve::deployment::{Loader, ModuleBudget};
use guest_serve::folder::GuestFolder;
use guest_serve::monitor::Monitor;
use guest_serve::registry::Registry;
use guest_serve::server::threads::ThreadOptions;

use crate::figures::Figures;

#[derive(clap::Parser)]
struct Options {
    #[command(flatten)]
    threads: ThreadOptions,
}

/// Guests that are called.
const CALLED: usize = 2_000;

/// A small module that differs from others in its code and its data.
fn small(number: u32) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") 4)
        (data (i32.const 4096) "the data of the guest with the number {number}")
        (global $count (mut i32) (i32.const {number}))
        (func $mix (param i64) (result i64)
            (i64.rotl (i64.mul (local.get 0) (i64.const {number})) (i64.const 17)))
        (func (export "number") (param i64) (result i64)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (i64.store (i32.const 8192) (call $mix (local.get 0)))
            (i64.add (i64.const {number}) (local.get 0))))"#
    );
    wat::parse_str(text).expect("a module")
}

/// A module with a custom section more, so that it is another one.
fn variant(module: &[u8], number: u32) -> Vec<u8> {
    let mut bytes = module.to_vec();
    // A custom section of 9 bytes: the length of its name, its name, and 4 bytes.
    bytes.extend([0, 9, 4]);
    bytes.extend(b"many");
    bytes.extend(number.to_le_bytes());
    bytes
}

/// Makes a folder of guests.
pub(crate) fn make(folder: &Path, count: u32, module: Option<&Path>) {
    let module = module.map(|path| fs::read(path).expect("the module"));
    let config = match module {
        None => "[[routes]]\npath = \"/number\"\nfunction = \"number\"\n",
        Some(_) => "[[routes]]\npath = \"/\"\nfunction = \"gcd\"\n",
    };
    for number in 0..count {
        let guest = folder.join("guests").join(name(number));
        fs::create_dir_all(&guest).expect("a folder");
        fs::write(guest.join("guest.toml"), config).expect("a file");
        let wasm = module.as_ref().map_or_else(|| small(number), |module| variant(module, number));
        fs::write(guest.join(format!("{}.wasm", name(number))), wasm).expect("a file");
    }
}

fn name(number: u32) -> String {
    format!("guest-{number}")
}

/// Deploys the guests of the folder as a server does, and calls some at random.
pub(crate) fn start(folder: &Path, is_lazy: bool, figures: &mut Figures) {
    let folder = GuestFolder::open(&folder.join("guests")).expect("the folder was made");
    let threads = <Options as clap::Parser>::parse_from(["many"]).threads;
    let code = CompileCache::Folder(folder.own().join("code"));
    let engine = Engine::new(&threads.engine().with_compile_cache(code)).expect("an engine");
    let registry = Registry::default();
    let monitor = Monitor::default();
    let budget = match is_lazy {
        true => ModuleBudget::default().with_bytes(threads.module_memory),
        false => ModuleBudget::default().with_bytes(u64::MAX).with_modules(usize::MAX),
    };
    let copies = folder.own().join("modules");
    let loader = Loader::open(engine, monitor.clone(), budget, copies).expect("a folder");
    let catalog = Catalog::new(folder, loader, registry.clone(), monitor);
    let begin = Instant::now();
    catalog.look(Look::AtOnce);
    figures.add("seconds to start", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    catalog.look(Look::Settled);
    figures.add("milliseconds of a look when nothing changed", begin.elapsed().as_secs_f64() * 1e3);
    let statuses = catalog.statuses();
    let error = statuses.iter().find_map(|status| status.error.as_ref().filter(|_| status.deployment.is_none()));
    assert!(error.is_none(), "{error:?}");

    let mut instances = Instances::new(256, Kind::Slow { stop: Stop::default(), longer: Duration::from_secs(10) });
    let (mut load, mut first, mut again) = (Vec::new(), Vec::new(), Vec::new());
    figures.add("modules that are loaded", catalog.loader().modules().loaded as f64);
    figures.add("MiB that loaded modules count", catalog.loader().modules().bytes as f64 / (1 << 20) as f64);
    figures.add_resident("MiB resident before calls");
    for number in 0..CALLED.min(statuses.len()) {
        let status = &statuses[number * 7_919 % statuses.len()];
        let deployment = status.deployment.clone().expect("it is served");
        let arguments = match deployment.config.routes[0].function.as_str() {
            "number" => vec![Value::I64(1)],
            _ => vec![Value::I64(48), Value::I64(18)],
        };
        let start = Instant::now();
        let loaded = deployment.loaded().expect("it can be loaded");
        load.push(start.elapsed());
        let call = Call { deployment, loaded, route: 0, tenant: "many".into(), input: Input::Arguments(arguments) };
        for times in [&mut first, &mut again] {
            let start = Instant::now();
            let attempt = instances.call(&call, Instant::now());
            times.push(start.elapsed());
            assert!(matches!(attempt, Attempt::Ended(Ok(_))), "{attempt:?}");
        }
    }
    figures.add_times("loading the module of a guest", &mut load);
    figures.add_times("a call of a guest without instance", &mut first);
    figures.add_times("a call of one with instance", &mut again);
    figures.add_memory();
}
