//! The oracle on the built guests: every allocator, every strategy that serves it, with and without residue.
//!
//! The seed is fixed, so a failure comes again.

use std::time::Duration;

use guest_build::Allocator;
use guest_host::{Residue, RestoreStrategy};
use host_harness::verify::{Aspect, Difference, VerifyOptions, What, verify};

use super::{NEVER_REACHED, RESIDUES, SHORT, config, load, state_of, strategies};

/// Seed of the random part of each sequence of calls.
const SEED: u64 = 20_261_121;

/// Functions that end by the clock alone.
const ENDLESS: [&str; 5] =
    ["canary_plant_and_spin", "fail_endless_loop", "fail_endless_allocation", "lie_read_endless", "lie_log_endless"];

/// Every strategy with every residue, where residue makes a difference.
fn ways(allocator: Allocator) -> impl Iterator<Item = (RestoreStrategy, Residue)> {
    let pairs = strategies(allocator).iter().flat_map(|strategy| RESIDUES.map(|residue| (*strategy, residue)));
    pairs.filter(|(strategy, residue)| *strategy != RestoreStrategy::Reinstantiate || *residue == Residue::Scrub)
}

/// Verifies every way of restoring the guest with this allocator: each of the functions once, each twice in a row, and
/// `random` calls more.
fn verify_all(guest: &str, allocator: Allocator, functions: &[&str], random: u64, deadline: Duration) {
    let loaded = load(guest, allocator);
    let state = state_of(guest);
    for (strategy, residue) in ways(allocator) {
        let mut options = VerifyOptions::default();
        options.config = config(strategy, residue);
        options.config.deadline = Some(deadline);
        options.config.limits.intent_bytes = 1 << 20;
        options.functions = Some(functions.iter().map(|name| (*name).to_owned()).collect());
        options.calls = 3 * functions.len() as u64 + random;
        options.seed = SEED;
        options.max_differences = usize::MAX;
        let verdict = verify(&loaded, &options, &state, &mut |_| ()).expect("the guest serves the strategy");
        let unexpected = verdict.differences.iter().filter(|difference| {
            !is_a_lie_found_out(difference, strategy) && !is_unsafe_look_at_residue(difference, strategy, residue)
        });
        let told: Vec<_> = unexpected.map(ToString::to_string).collect();
        let told = told.join("\n");
        assert!(told.is_empty(), "{guest}-{allocator}, {strategy}, {residue}, seed {SEED}:\n{told}");
        // Where the deadline is short, a busy machine may make a call late on one side.
        assert!(deadline == SHORT || verdict.skipped.is_empty(), "{:?}", verdict.skipped);
        assert_eq!(verdict.calls + verdict.skipped_calls(), options.calls);
    }
}

/// Whether an instance was replaced because its control block claims what cannot be, as a strategy that goes by it must.
fn is_a_lie_found_out(difference: &Difference, strategy: RestoreStrategy) -> bool {
    matches!(strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset)
        && ["lie_control_block_high_water", "lie_control_block_top"].contains(&difference.function.as_str())
        && matches!(difference.what, What::Replaced)
}

/// Whether a function saw what a strategy may leave as residue, which no safe guest can.
fn is_unsafe_look_at_residue(difference: &Difference, strategy: RestoreStrategy, residue: Residue) -> bool {
    matches!(strategy, RestoreStrategy::Watermark | RestoreStrategy::BumpReset)
        && residue == Residue::Keep
        && difference.function == "canary_look"
        && matches!(difference.what, What::Outcome { aspect: Aspect::Intents, .. })
}

/// Every function of the guest but these.
fn all_but<'g>(guest: &'g guest_host::Guest, excluded: &[&str]) -> Vec<&'g str> {
    let all = guest.functions().iter().map(String::as_str);
    all.filter(|name| !excluded.contains(name)).collect()
}

fn shop(allocator: Allocator) {
    let guest = load("shop", allocator);
    verify_all("shop", allocator, &all_but(&guest, &[]), 30, NEVER_REACHED);
}

fn bench(allocator: Allocator) {
    let guest = load("bench", allocator);
    // It takes a tenth of a second where memory is used again, and fails at once where it is not.
    verify_all("bench", allocator, &all_but(&guest, &["strings_300mb"]), 30, NEVER_REACHED);
}

fn probe(allocator: Allocator) {
    let guest = load("allocator-probe", allocator);
    verify_all("allocator-probe", allocator, &all_but(&guest, &[]), 30, NEVER_REACHED);
}

fn adversary(allocator: Allocator) {
    let guest = load("adversary", allocator);
    verify_all("adversary", allocator, &all_but(&guest, &ENDLESS), 50, NEVER_REACHED);
    // Where nothing is freed, endless allocation is a question of memory or time, whichever ends first.
    let endless = match allocator {
        Allocator::Leaking => "fail_endless_loop",
        _ => "fail_endless_allocation",
    };
    verify_all("adversary", allocator, &["leave_static", endless], 0, SHORT);
}

macro_rules! oracle {
    ($($guest:ident: $($name:ident = $allocator:ident),+;)+) => {$($(
        #[test]
        fn $name() {
            $guest(Allocator::$allocator);
        }
    )+)+};
}

oracle! {
    shop: shop_system = System, shop_leaking = Leaking, shop_bump_reset = BumpReset, shop_freelist = Freelist, shop_wee = Wee;
    bench: bench_system = System, bench_leaking = Leaking, bench_bump_reset = BumpReset, bench_freelist = Freelist, bench_wee = Wee;
    probe: probe_system = System, probe_leaking = Leaking, probe_bump_reset = BumpReset, probe_freelist = Freelist, probe_wee = Wee;
    adversary: adversary_system = System, adversary_leaking = Leaking, adversary_bump_reset = BumpReset, adversary_freelist = Freelist, adversary_wee = Wee;
}
