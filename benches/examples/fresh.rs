use benches::{guests, heaps::{HEAPS, Workload}};
use std::time::Instant;
fn main() -> anyhow::Result<()> {
    let engine = guests::engine()?;
    for (w, h) in [(Workload::Trace("markdown"), 0), (Workload::Trace("markdown"), 2), (Workload::Trace("json"), 2), (Workload::Trace("json"), 5), (Workload::Trace("markdown"), 5)] {
        let mut t = Vec::new();
        let mut pages = 0; let mut grows = 0;
        let first = w.instance(&engine, HEAPS[h])?;
        let g = first.guest().clone();
        drop(first);
        for _ in 0..60 {
            let mut i = w.of_guest(&g)?;
            let f = g.function("serve")?;
            let s = Instant::now();
            let st = *i.invoke(f)?.stats();
            t.push(s.elapsed().as_nanos());
            pages = st.pages; grows = st.allocations.map_or(0, |a| a.grows);
        }
        t.sort();
        println!("{} {} median {} us pages {pages} grows {grows}", w.name(), HEAPS[h].name, t[t.len()/2] / 1000);
    }
    Ok(())
}
