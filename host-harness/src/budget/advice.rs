//! Advice on a guest's memory beside a budget: for each large part, the option that makes it smaller.

use guest_abi::names::PAGE_SIZE;
use guest_prepare::module_info::ModuleInfo;

use super::{Budget, PartKind};
use crate::advice::{Advice, AdviceKind, Linked, linker_argument};
use crate::digits::grouped;

/// Bytes of the smallest shadow stack that is advised.
const LEAST_STACK: u64 = 16 << 10;

/// Bytes of a shadow stack that serves most guests, where it is not known how much of it calls use.
const USUAL_STACK: u64 = 64 << 10;

/// Bytes of an exchange region that serves small values.
const SMALL_EXCHANGE: u64 = 16 << 10;

/// A part below this share of the budget, its inverse, is worth no advice unless the guest does not fit.
const LARGE_SHARE: u64 = 8;

/// The advice on a guest with this budget, the most useful first.
pub(crate) fn advice(info: &ModuleInfo, budget: &Budget) -> Vec<Advice> {
    let linked = Linked::of(info);
    let mut advice: Vec<(u64, Advice)> =
        [stack(budget, linked), exchange(budget), statics(info, budget, linked), declared(info, budget, linked)]
            .into_iter()
            .flatten()
            .filter(|(gain, _)| !budget.fits || *gain >= budget.budget / LARGE_SHARE)
            .collect();
    advice.sort_by_key(|(gain, _)| std::cmp::Reverse(*gain));
    advice.into_iter().map(|(_, advice)| advice).collect()
}

/// A smaller stack: twice of what was used, as calls may be made with other data.
fn stack(budget: &Budget, linked: Linked) -> Option<(u64, Advice)> {
    let bytes = budget.bytes(PartKind::ShadowStack);
    let used = budget.stack_used;
    let enough = used.map_or(USUAL_STACK, |used| used.saturating_mul(2).next_power_of_two().max(LEAST_STACK));
    let gain = bytes.checked_sub(enough).filter(|gain| *gain > 0)?;
    let use_of_it = match used {
        Some(used) => format!("calls wrote at most {} of them", grouped(used)),
        None => "most guests use a few thousand of them".to_owned(),
    };
    let sentence = format!(
        "the shadow stack takes {} bytes of the memory budget, and {use_of_it}: a stack of {} bytes leaves {} more for the heap",
        grouped(bytes),
        grouped(enough),
        grouped(gain)
    );
    let (file, lines) = linker_argument(
        linked,
        &format!("-z stack-size={enough}"),
        &format!("-zstack-size={enough}"),
        &format!("-Wl,-z,stack-size={enough}"),
    );
    Some((gain, Advice::new(AdviceKind::ShadowStack, sentence, file, lines)))
}

fn exchange(budget: &Budget) -> Option<(u64, Advice)> {
    let bytes = budget.bytes(PartKind::ExchangeRegion);
    let gain = bytes.checked_sub(SMALL_EXCHANGE).filter(|gain| *gain > 0)?;
    let sentence = format!(
        "the exchange region takes {} bytes of the memory budget: if the values and rows that a call reads fit three quarters of \
         {} bytes, a region of that size leaves {} more for the heap",
        grouped(bytes),
        grouped(SMALL_EXCHANGE),
        grouped(gain)
    );
    let place = "the options of `host-harness` (in Rust `InstanceConfig::with_exchange_size`)".to_owned();
    let lines = vec![format!("--exchange-size {}KiB", SMALL_EXCHANGE >> 10)];
    Some((gain, Advice::new(AdviceKind::ExchangeRegion, sentence, place, lines)))
}

/// Statics, by their names where the linker has left them.
fn statics(info: &ModuleInfo, budget: &Budget, linked: Linked) -> Option<(u64, Advice)> {
    let (data, zeros) = (budget.bytes(PartKind::Data), budget.bytes(PartKind::ZeroInitialised));
    let bytes = data + zeros;
    if bytes < budget.budget / LARGE_SHARE {
        return None;
    }
    let largest = budget.segments.iter().filter(|segment| segment.bytes > 0).take(3);
    let named = |segment: &super::Segment| {
        let name = segment.name.as_ref().map(|name| format!("`{}`", guest_host::text::cut(name, 80)));
        format!("{} of {} bytes", name.unwrap_or_else(|| "a segment without name".to_owned()), grouped(segment.bytes))
    };
    let largest: Vec<String> = largest.map(named).collect();
    let largest = if largest.is_empty() { String::new() } else { format!(" The largest: {}.", largest.join(", ")) };
    let sentence = format!(
        "statics take {} bytes of the memory budget, {} of them from data segments and {} zero-initialised.{largest} Tables, \
         large arrays and messages of panics are the usual ones; with this argument of the linker, and without stripping names, \
         each static is a segment with its name",
        grouped(bytes),
        grouped(data),
        grouped(zeros)
    );
    let merged = (0..).zip(&info.data_segments).all(|(index, _)| {
        info.data_segment_name(index).is_none_or(|name| matches!(name, ".rodata" | ".data" | ".bss" | ".tdata"))
    });
    let unmerged = "--no-merge-data-segments";
    let (file, lines) = match merged {
        true => linker_argument(linked, unmerged, unmerged, "-Wl,--no-merge-data-segments"),
        false => linker_argument(linked, "--gc-sections", "--gc-sections", "-Wl,--gc-sections"),
    };
    Some((bytes, Advice::new(AdviceKind::Statics, sentence, file, lines)))
}

/// A minimum of memory that is larger than stack and statics.
fn declared(info: &ModuleInfo, budget: &Budget, linked: Linked) -> Option<(u64, Advice)> {
    let layout = info.layout().ok()?;
    let page = u64::from(PAGE_SIZE);
    let enough = u64::from(layout.heap_base).next_multiple_of(page).max(page);
    let gain = budget.declared.checked_sub(enough).filter(|gain| *gain > 0)?;
    let sentence = format!(
        "the module declares a memory of {} bytes at least, and its stack and statics end below {}: every instance has the {} \
         bytes between, needed or not; declare less, or omit the option that declares more",
        grouped(budget.declared),
        grouped(enough),
        grouped(gain)
    );
    let argument = format!("--initial-memory={enough}");
    let (file, lines) = linker_argument(linked, &argument, &argument, &format!("-Wl,{argument}"));
    Some((gain, Advice::new(AdviceKind::DeclaredMemory, sentence, file, lines)))
}
