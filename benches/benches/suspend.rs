//! The cost of suspending and resuming: a warm instance that switches between tenants, and images in files. The baselines copy
//! the same bytes, and write and read plain files.

use std::fs;
use std::hint::black_box;

use anyhow::{Context, Result};
use benches::copies::Copies;
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use guest_host::guest_image::{Delta, Durability, ImageFile};
use guest_host::wasmtime::ValRaw;
use guest_host::{
    Engine, EngineConfig, Guest, Instance, InstanceConfig, MemoryState, PrepareOptions, RestorePolicy, RestoreStrategy,
};

/// A program with 256 KiB of memory. `fill(at, byte, length)` fills any part of it.
const PROGRAM: &str = r#"(module (memory (export "memory") 4 4)
    (global $count (mut i32) (i32.const 0))
    (func (export "fill") (param i32 i32 i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (memory.fill (local.get 0) (local.get 1) (local.get 2))))"#;

const MEMORY: usize = 256 << 10;

fn fill(instance: &mut Instance, at: usize, byte: u8, length: usize) -> Result<()> {
    let function = instance.guest().export("fill").context("it is exported")?;
    let number = |value: usize| u32::try_from(value).map(ValRaw::u32);
    let mut slots = [number(at)?, ValRaw::u32(byte.into()), number(length)?];
    instance.call_with(function, |call| call.call(&mut slots))?;
    Ok(())
}

/// An image in which this much of memory was filled with a byte.
fn image(instance: &mut Instance, at: usize, byte: u8, length: usize) -> Result<Delta> {
    instance.restore()?;
    fill(instance, at, byte, length)?;
    Ok(instance.suspend()?)
}

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let guest = Guest::load(&engine, "program", &wat::parse_str(PROGRAM)?, PrepareOptions::default())?;
    let config = InstanceConfig::default()
        .with_strategy(RestoreStrategy::DirtyCards)
        .with_policy(RestorePolicy::OnError)
        .with_memory_limit(MEMORY as u64);
    let new = || guest.instantiate(&config, MemoryState::new());
    let mut ratios = Ratios::new("suspend");

    // From one tenant to the next, both of 4 KiB that differ.
    let mut instance = new()?;
    let (mut one, mut other) = (image(&mut instance, 64 << 10, 7, 4096)?, image(&mut instance, 128 << 10, 7, 4096)?);
    instance.resume(&one)?;
    let (mut copies, mut asleep) = (Copies::new(4096), new()?);
    let (mut failed, mut pristine) = (None, Delta::pristine(one.identity.clone(), 0));
    let measured = take_turns(
        &mut [
            Contender::new("asleep and awake, 4 KiB each", || {
                let turned = instance.suspend_into(&mut one).map_err(anyhow::Error::from);
                failed = turned.and_then(|()| Ok(instance.resume(&other)?)).err();
                std::mem::swap(&mut one, &mut other);
            }),
            Contender::new("3 copies of both", || (0..6).for_each(|_| copies.copy())),
            Contender::new("asleep and awake, nothing differs", || {
                let _ = asleep.suspend_into(&mut pristine);
                let _ = asleep.resume(&pristine);
            }),
        ],
        guests::rounds(401),
    );
    failed.map_or(Ok(()), Err)?;
    let [turn, three, _] = &measured[..] else { unreachable!("there are three") };
    ratios.add_beyond(turn, three, 200.0, Target::AtMost(1.0));
    ratios.add_figure("asleep and awake, 4 KiB each: microseconds", turn.median() / 1e3, Target::AtMost(2.0));
    ratios.add_figure("asleep and awake, nothing differs: nanoseconds", measured[2].median(), Target::None);

    // Images in files.
    let folder = tempfile::tempdir_in(ram())?;
    for (name, length, most) in [("16 KiB", 16 << 10, 25.0), ("256 KiB", MEMORY, 60.0)] {
        let mut instance = new()?;
        // Every card differs from one time to the next, so that each image is written as a whole.
        let mut deltas = [image(&mut instance, 0, 7, length)?, image(&mut instance, 0, 8, length)?];
        let path = folder.path().join(format!("image {name}"));
        let (mut file, _) = ImageFile::open(&path, Durability::Unsynced)?;
        let (raw, stored) = (folder.path().join("raw"), folder.path().join(format!("stored {name}")));
        ImageFile::open(&stored, Durability::Unsynced)?.0.write(1, &deltas[0])?;
        let mut number = 0;
        let mut scratch = deltas[0].clone();
        let bytes = vec![3; length];
        let mut errors = Vec::new();
        let mut replaced = new()?;
        let measured = take_turns(
            &mut [
                Contender::timed(format!("suspend to a file, {name}"), || {
                    deltas.reverse();
                    errors.extend(instance.resume(&deltas[0]).err().map(anyhow::Error::from));
                    number += 1;
                    let start = std::time::Instant::now();
                    errors.extend(instance.suspend_into(&mut scratch).err().map(anyhow::Error::from));
                    errors.extend(file.write(number, &scratch).err().map(anyhow::Error::from));
                    start.elapsed()
                }),
                Contender::timed(format!("resume from a file, {name}"), || {
                    let _ = replaced.restore();
                    let start = std::time::Instant::now();
                    let opened = ImageFile::open(&stored, Durability::Unsynced).ok().and_then(|(_, stored)| stored);
                    let resumed = opened.map(|stored| replaced.resume(&stored.delta));
                    assert!(matches!(resumed, Some(Ok(()))), "{resumed:?}");
                    start.elapsed()
                }),
                Contender::new(format!("write a file, {name}"), || {
                    fs::write(&raw, &bytes).unwrap_or_default();
                }),
                Contender::new(format!("read a file, {name}"), || drop(black_box(fs::read(&raw)))),
            ],
            guests::rounds(201),
        );
        errors.into_iter().next().map_or(Ok(()), Err)?;
        let [suspend, resume, write, read] = &measured[..] else { unreachable!("there are four") };
        ratios.add(suspend, write, Target::None);
        ratios.add(resume, read, Target::None);
        ratios.add_figure(&format!("{}: microseconds", suspend.name), suspend.median() / 1e3, Target::AtMost(most));
        ratios.add_figure(&format!("{}: microseconds", resume.name), resume.median() / 1e3, Target::AtMost(most));
    }
    ratios.note("asleep and awake is less 200 ns, which its target allows it");
    ratios.finish()
}

/// A folder in memory, where there is one.
fn ram() -> std::path::PathBuf {
    let shared = std::path::Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}
