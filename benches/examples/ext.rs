//! scratch
use anyhow::Result;
use benches::exttinygo::{GUEST, PlainHost};
use benches::guests::{self, Way};
use host_harness::*;
use std::time::Instant;
fn main() -> Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let n: u64 = a[3].parse()?;
    let engine = Engine::new(&EngineConfig::default())?;
    let function = a[2].as_str();
    let mut run: Box<dyn FnMut()> = if a[1] == "plain" {
        let mut p = PlainHost::new(engine.wasmtime(), function, guests::state()?).map_err(guests::plain)?;
        Box::new(move || {
            std::hint::black_box(p.call().unwrap());
        })
    } else {
        let mut o = PrepareOptions::default();
        if let Ok(c) = std::env::var("CARD") {
            let mut b = host_harness::prepare::BarrierOptions::default();
            b.card_size = c.parse()?;
            o.barrier = Some(b);
        }
        let text =
            GUEST.replace("(func (export \"five_calls\")", "(func (export \"nothing\")) (func (export \"five_calls\")");
        let guest = Guest::load(&engine, "x", &wat::parse_str(&text)?, o)?;
        let way = if a[1] == "never" { Way::NEVER } else { Way::scrub(RestoreStrategy::DirtyCards) };
        let mut i = guest.instantiate(&guests::config(way.strategy, way.policy, way.residue), guests::state()?)?;
        let f = guest.function(function)?;
        Box::new(move || {
            assert!(std::hint::black_box(i.invoke(f).is_ok()));
        })
    };
    for _ in 0..10000 {
        run();
    }
    let mut best = f64::MAX;
    for _ in 0..20 {
        let t = Instant::now();
        for _ in 0..n / 20 {
            run();
        }
        best = best.min(t.elapsed().as_nanos() as f64 / (n / 20) as f64);
    }
    println!("{} {} {:.1} ns", a[1], function, best);
    Ok(())
}
