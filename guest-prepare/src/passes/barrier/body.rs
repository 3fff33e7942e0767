//! One function body: which of its stores need a mark, where marks go, and the code for them.
//!
//! By the rules in [`cards`](crate::cards) a mark covers the bytes up to [`SLACK`](crate::cards::SLACK) below and above its
//! address, and two marks that are no further apart than a card is long cover everything between. So a mark need not be
//! for an address that a store writes to, nor for one in memory: it goes where it serves most of the stores to come.
//!
//! An instruction's effect holds for every instruction that it dominates. Control flow is structured, so domination
//! follows the nesting: what happened before a block began holds inside and behind it, and what happened inside holds
//! until its end, or until its `else`. Marks stay until the host restores, however the function goes on; or until the next call,
//! if the host clears marks in its functions.

use wasm_encoder::{BlockType, InstructionSink, ValType};

use super::scopes::{Scopes, Surrounded, Write};
use super::sites::{Address, Length, Site, Sites, Store};
use super::values::{Root, Value};
use super::{Decided, Rules};

/// Later writes that decide where a mark goes.
const WRITES_AHEAD: usize = 32;

/// Sites among which the pass looks for those writes.
const SITES_AHEAD: usize = 512;

/// Up to this many marks of a bulk instruction are made one by one.
const MOST_MARKS: u32 = 4;

/// A mark to make: for the address that a local holds, plus a number; or for a constant address.
#[derive(Debug, Clone, Copy)]
struct Mark {
    local: Option<u32>,
    add: u32,
}

/// A body while the pass decides on its marks.
struct Body<'a> {
    rules: &'a Rules,
    scopes: Scopes,
    own_locals: u32,
    /// The needs of the body so far. The first of its added locals has the number after the function's own.
    decided: Decided,
}

/// Decides what to insert into a body with these sites.
pub(super) fn decide(rules: &Rules, found: &Sites) -> Decided {
    let scopes = Scopes::new(rules.marking.cards.card_size());
    let mut body = Body { rules, scopes, own_locals: found.locals, decided: Decided::default() };
    for (index, site) in found.sites.iter().enumerate() {
        let ahead = &found.sites[index + 1..];
        let mut bytes = Vec::new();
        let mut code = InstructionSink::new(&mut bytes);
        match site {
            Site::Store { at, store, address } => {
                body.store(store, address, ahead, &mut code);
                body.insert(*at, bytes);
            }
            Site::Bulk { at, address, length } => {
                body.bulk(address, *length, ahead, &mut code);
                body.insert(*at, bytes);
            }
            Site::Open { .. } | Site::Else | Site::Close | Site::Call => body.scopes.follow(site),
        }
    }
    body.decided
}

impl Body<'_> {
    fn insert(&mut self, at: usize, code: Vec<u8>) {
        if !code.is_empty() {
            self.decided.code.push((at, code));
        }
    }

    fn store(&mut self, store: &Store, address: &Address, ahead: &[Site], code: &mut InstructionSink<'_>) {
        self.decided.stores.stores += 1;
        let Some(write) = Write::of_store(store, address) else {
            // It traps, whatever its operand is: its offset alone is out of bounds.
            return;
        };
        let counts = &mut self.decided.stores;
        if self.rules.is_always(write) {
            counts.constants += 1;
            return;
        }
        if self.scopes.is_covered(write) {
            match write.at.root {
                Root::Stack(_) => counts.frames += 1,
                _ => counts.repeated += 1,
            }
            return;
        }
        counts.marked += 1;
        let held = address.holder.map(|holder| holder.value);
        let anchor = self.anchor(write, held.unwrap_or(address.value), ahead);
        match Self::reach(address, anchor) {
            Some(mark) => self.emit(mark, anchor, code),
            None => {
                // No local helps: the operands are put into some and back.
                let pointer = self.local(ValType::I32, 0);
                let stored = self.local(store.value, usize::from(store.value == ValType::I32));
                code.local_set(stored).local_tee(pointer);
                let add = anchor.distance.wrapping_sub(address.value.distance);
                self.emit(Mark { local: Some(pointer), add }, anchor, code);
                code.local_get(stored);
            }
        }
    }

    /// How to get an address of the same root, if a local helps.
    fn reach(address: &Address, anchor: Value) -> Option<Mark> {
        match (anchor.root, address.holder) {
            (Root::Constant, _) => Some(Mark { local: None, add: 0 }),
            (_, Some(holder)) => {
                Some(Mark { local: Some(holder.local), add: anchor.distance.wrapping_sub(holder.value.distance) })
            }
            (_, None) => None,
        }
    }

    fn emit(&mut self, mark: Mark, anchor: Value, code: &mut InstructionSink<'_>) {
        match mark.local {
            Some(local) => self.rules.marking.mark_local(code, local, mark.add),
            None => self.rules.marking.mark_constant(code, anchor.distance),
        }
        self.marked(anchor);
    }

    /// Records a mark, if later sites may use it.
    fn marked(&mut self, anchor: Value) {
        if self.is_shared(anchor.root) {
            self.scopes.add_mark(anchor);
        }
    }

    /// Whether stores through this root share marks.
    fn is_shared(&self, root: Root) -> bool {
        let elisions = self.rules.elisions;
        if let Root::Stack(_) = root { elisions.frames } else { elisions.repeated }
    }

    /// The address to mark for a write: one that covers it, and most of the writes to come that this site dominates.
    /// `at_hand` is an address that costs nothing to get.
    fn anchor(&self, write: Write, at_hand: Value, ahead: &[Site]) -> Value {
        let this = self.scopes.around(write);
        let covers = |anchor: Value| match self.rules.read_in_calls {
            true => write.is_near(anchor),
            false => this.would_be_covered_by(anchor),
        };
        let own = if covers(at_hand) { at_hand } else { write.at };
        if !self.is_shared(write.at.root) {
            return own;
        }
        let later = self.later_writes(write, ahead);
        let covered = |anchor: Value| later.iter().filter(|later| later.would_be_covered_by(anchor)).count();
        let mut best = (covered(own), own);
        let candidates = later.iter().flat_map(|later| later.write.anchors()).chain(write.anchors());
        for anchor in candidates.filter(|anchor| covers(*anchor)) {
            let count = covered(anchor);
            if count > best.0 {
                best = (count, anchor);
            }
        }
        best.1
    }

    /// Writes through the same root that this one dominates and nothing covers yet, with the marks around them.
    fn later_writes(&self, write: Write, ahead: &[Site]) -> Vec<Surrounded> {
        let mut scopes = self.scopes.nested();
        let mut later = Vec::new();
        for site in ahead.iter().take(SITES_AHEAD) {
            if !scopes.stays_inside(site) {
                break;
            }
            let wanted = |found: &Write| found.at.root == write.at.root && !self.rules.is_always(*found);
            let found = Write::of_site(site).filter(wanted).map(|found| self.scopes.around(found));
            later.extend(found.filter(|found| !found.is_covered()));
            if later.len() == WRITES_AHEAD {
                break;
            }
        }
        later
    }

    /// Marks what a bulk instruction writes, whose operands are address, something, and length.
    fn bulk(&mut self, address: &Address, length: Length, ahead: &[Site], code: &mut InstructionSink<'_>) {
        let marking = self.rules.marking;
        self.decided.stores.bulk += 1;
        if let Length::Constant(bytes) = length {
            let write = Write { at: address.value, bytes };
            if bytes == 0 || self.scopes.is_covered(write) {
                return;
            }
            if marking.cards.marks_for(bytes) == 1
                && let Some(holder) = address.holder
            {
                let anchor = self.anchor(write, holder.value, ahead);
                if let Some(mark) = Self::reach(address, anchor) {
                    self.emit(mark, anchor, code);
                    return;
                }
            }
        }
        let exact = address.holder.filter(|holder| holder.value == address.value).map(|holder| holder.local);
        let (pointer, length) = match (exact, length) {
            (Some(pointer), Length::Constant(_) | Length::Local(_)) => (pointer, length),
            _ => {
                let [pointer, middle, last] = [0, 1, 2].map(|nth| self.local(ValType::I32, nth));
                code.local_set(last).local_set(middle).local_tee(pointer).local_get(middle).local_get(last);
                (pointer, if let Length::Constant(_) = length { length } else { Length::Local(last) })
            }
        };
        match length {
            Length::Constant(bytes) if marking.cards.marks_for(bytes) <= MOST_MARKS => {
                marking.mark_span(code, pointer, bytes);
            }
            Length::Constant(bytes) => {
                code.local_get(pointer).i32_const(bytes.cast_signed()).call(marking.mark_range);
            }
            // A mark for no bytes is near no write.
            Length::Local(length) if self.rules.read_in_calls => {
                code.local_get(length).if_(BlockType::Empty);
                marking.mark_length(code, pointer, length);
                code.end();
            }
            Length::Local(length) => marking.mark_length(code, pointer, length),
            Length::Unknown => {}
        }
        // Of as many bytes as a local holds there may be none, and no mark then.
        if !self.rules.read_in_calls || matches!(length, Length::Constant(_)) {
            self.marked(address.value);
        }
    }

    /// A local to work with: the `nth` of its type.
    fn local(&mut self, ty: ValType, nth: usize) -> u32 {
        while self.decided.locals.iter().filter(|added| **added == ty).count() <= nth {
            self.decided.locals.push(ty);
        }
        let found =
            self.decided.locals.iter().enumerate().filter(|(_, added)| **added == ty).nth(nth).map(|(at, _)| at);
        self.own_locals + found.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
    }
}
