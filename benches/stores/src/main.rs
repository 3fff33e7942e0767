//! Embedded stores under the load of sleeping tenants. See the README.

mod stores;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

use stores::{Fjall, Redb, Store};

/// Bytes of an image.
const IMAGE: usize = 4 << 10;

/// The stores: redb as guest-tenants uses it, and with commits that make repairs after a kill quick; fjall, with images in its trees and
/// apart from them.
const STORES: [&str; 4] = ["redb", "redb-quick-repair", "fjall", "fjall-apart"];

/// Sizes of transactions.
const TOGETHER: [usize; 3] = [1, 16, 256];

/// How long transactions of a size are made.
const TURN: Duration = Duration::from_secs(3);

/// Keys that are read.
const READS: usize = 20_000;

#[derive(Parser)]
struct Options {
    /// Number of images
    #[arg(long, default_value_t = 250_000)]
    keys: u64,
    /// The only store to run
    #[arg(long, value_parser = STORES)]
    store: Option<String>,
    /// Where the files are made, and removed
    #[arg(long)]
    folder: Option<PathBuf>,
    /// The store and the step that this process is
    #[arg(long, hide = true, num_args = 2)]
    step: Option<Vec<String>>,
}

/// Numbers that look like random ones, the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// Bytes that nothing compresses.
    fn fill(&mut self, image: &mut [u8]) {
        for part in image.as_chunks_mut::<8>().0 {
            *part = self.next().to_le_bytes();
        }
    }
}

fn key(number: u64) -> Vec<u8> {
    format!("room/{number}").into_bytes()
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let (Some(step), Some(folder)) = (&options.step, &options.folder) {
        return match step[0].as_str() {
            "redb" => run::<Redb<false>>(folder, &step[1], options.keys),
            "redb-quick-repair" => run::<Redb<true>>(folder, &step[1], options.keys),
            "fjall" => run::<Fjall<false>>(folder, &step[1], options.keys),
            _ => run::<Fjall<true>>(folder, &step[1], options.keys),
        };
    }
    for store in STORES.into_iter().filter(|store| options.store.as_deref().is_none_or(|only| only == *store)) {
        let folder = match &options.folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        println!("{store}, {} images of 4 KiB", options.keys);
        for step in ["load", "killed", "opened"] {
            let mut child = Command::new(std::env::current_exe()?);
            child.args(["--keys", &options.keys.to_string(), "--step", store, step, "--folder"]).arg(folder.path());
            let status = child.stdin(Stdio::null()).status()?;
            if status.success() == (step == "killed") {
                bail!("the step `{step}` of {store} ended with {status}");
            }
        }
    }
    Ok(())
}

/// A step of the comparison, in a process of its own.
fn run<S: Store>(folder: &Path, step: &str, keys: u64) -> Result<()> {
    let begin = Instant::now();
    let mut store = S::open(folder)?;
    let opened = begin.elapsed();
    match step {
        "load" => {
            load(&mut store, keys)?;
            drop(store);
            told("bytes on disk for each image", size(folder)? as f64 / keys as f64);
        }
        "killed" => {
            let mut numbers = Numbers(3);
            let end = Instant::now() + TURN;
            while Instant::now() < end {
                write(&mut store, keys, 16, &mut numbers)?;
            }
            // Nothing of the store is dropped or closed.
            std::process::abort();
        }
        _ => {
            told("milliseconds to open it after the process was killed", opened.as_secs_f64() * 1e3);
            for number in [0, keys / 2, keys - 1] {
                store.get(&key(number))?.context("an image is lost")?;
            }
        }
    }
    Ok(())
}

/// Writes all images, then some of them anew in transactions that wait for the disk, and reads.
fn load<S: Store>(store: &mut S, keys: u64) -> Result<()> {
    let mut numbers = Numbers(1);
    let mut image = vec![0; IMAGE];
    let begin = Instant::now();
    for first in (0..keys).step_by(256) {
        let mut images = Vec::new();
        for number in first..keys.min(first + 256) {
            numbers.fill(&mut image);
            images.push((key(number), image.clone()));
        }
        store.commit(&images, first % (256 * 64) == 0)?;
    }
    store.commit(&[], true)?;
    told("thousand images a second, when all are written first", keys as f64 / begin.elapsed().as_secs_f64() / 1e3);
    for together in TOGETHER {
        let (begin, mut times) = (Instant::now(), Vec::new());
        while begin.elapsed() < TURN {
            let start = Instant::now();
            write(store, keys, together, &mut numbers)?;
            times.push(start.elapsed());
        }
        let rate = (times.len() * together) as f64 / begin.elapsed().as_secs_f64();
        told(&format!("images a second, {together} in a transaction that waits for the disk"), rate);
        told_times(&format!("    such a transaction of {together}, microseconds"), &mut times);
    }
    let mut times = Vec::new();
    for _ in 0..READS {
        let key = key(numbers.next() % keys);
        let start = Instant::now();
        let found = store.get(&key)?.context("an image is lost")?;
        times.push(start.elapsed());
        if found != IMAGE {
            bail!("an image has {found} bytes");
        }
    }
    told_times("a read at random, microseconds", &mut times);
    told("MiB resident", resident());
    Ok(())
}

/// One transaction of images at random, which waits for the disk.
fn write<S: Store>(store: &mut S, keys: u64, together: usize, numbers: &mut Numbers) -> Result<()> {
    let mut images = Vec::new();
    for _ in 0..together {
        let mut image = vec![0; IMAGE];
        numbers.fill(&mut image);
        images.push((key(numbers.next() % keys), image));
    }
    store.commit(&images, true)
}

fn told(name: &str, value: f64) {
    println!("    {name:<66}{value:>12.1}");
}

fn told_times(name: &str, times: &mut [Duration]) {
    times.sort_unstable();
    for (what, percent) in [("median", 50), ("99%", 99)] {
        told(&format!("{name}, {what}"), times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e6);
    }
}

/// Bytes of all files below a folder, as far as the disk has them.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => size(&entry.path())?,
            #[cfg(unix)]
            false => std::os::unix::fs::MetadataExt::blocks(&metadata) * 512,
            #[cfg(not(unix))]
            false => metadata.len(),
        };
    }
    Ok(bytes)
}

/// MiB of memory that the process has.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().map_or(0.0, |kib| kib / 1024.0)
}
