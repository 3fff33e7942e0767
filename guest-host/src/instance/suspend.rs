//! Suspending an instance to a delta, and resuming it on any pristine instance of the same module.

use std::sync::Arc;

use guest_image::{Base, Delta, GlobalValue, Identity, ImageError};
use guest_prepare::module_info::ContractKind;
use wasmtime::Val;

use super::live::Live;
use super::phase::{Phase, Standing};
use super::plan::Mechanism;
use super::{Instance, Status};
use crate::contract::blocks::{self, BlocksView as _};
use crate::guest::Guest;
use crate::guest::admission::Contract;
use crate::guest::error::LoadError;
use crate::host::memory_location::memory_and_data;
use crate::restore::difference::Touched;
use crate::restore::snapshot::{RegionKind, Snapshot};
use crate::restore::{Promise, RestoreError, Target};
use crate::spans::span;

/// Why an instance cannot be suspended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SuspendError {
    /// A strategy that replaces the instance: it keeps no snapshot to differ from.
    #[error(
        "the instance is replaced rather than restored in place, so it has no snapshot to differ from; use the strategy \
         `dirty-cards` or `full-copy`"
    )]
    NotInPlace,
    /// A contract under which the host keeps handles for the guest.
    #[error("guests of the exttinygo contract cannot be suspended: the host keeps handles and buffers for them")]
    Contract,
    /// An instance that has offered storage for memory blocks in a call.
    #[error(
        "the guest offered storage for memory blocks in a call, which an image cannot keep; offer it when the guest is initialised, \
         or restore the instance first"
    )]
    OffersStorage,
    /// An instance that has kept the bytes of a memory block which a call left attached.
    #[error(
        "a call of the guest left a memory block attached, and an image cannot keep the place of its bytes; detach blocks before a call \
         ends, or restore the instance first"
    )]
    LeftAttached,
    /// An instance whose last call or restore did not come to its end.
    #[error("the instance is {}, and has no state to suspend; restore it first", status.name())]
    NotReady {
        /// How it stands.
        status: Status,
    },
    /// A strategy after which memory may hold what other calls left, and so perhaps what another tenant left.
    #[error(
        "the strategy `{strategy}` keeps residue of other calls in memory, which would get into the image; scrub residue, or use \
         the strategy `dirty-cards`"
    )]
    KeepsResidue {
        /// The strategy.
        strategy: String,
    },
}

/// Why an instance cannot be resumed. It is pristine then, unless it could not be made so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// An image of another instance, or one that contradicts itself.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An instance that cannot be suspended either.
    #[error(transparent)]
    Suspend(#[from] SuspendError),
    /// A memory larger than the instance may have.
    #[error("the image has a memory of {needed} bytes, and the instance may have {limit}; raise the memory limit")]
    MemoryLimit {
        /// Bytes of the image's memory.
        needed: u64,
        /// Bytes that the instance may have.
        limit: u64,
    },
    /// An instance that could not be made pristine before.
    #[error(transparent)]
    Instance(#[from] LoadError),
}

/// The state that an instance keeps from one suspension to the next.
#[derive(Debug, Default)]
pub(super) struct Suspension {
    /// Which snapshot it has, once that was asked.
    identity: Option<Arc<Identity>>,
    touched: Touched,
}

impl Instance {
    /// Which snapshot the instance has. Instances that begin alike, in whichever process, have the same one, and each can resume
    /// what another suspended.
    ///
    /// The first time it takes a digest of the whole snapshot.
    ///
    /// # Errors
    /// [`SuspendError::NotInPlace`], [`SuspendError::Contract`], and [`SuspendError::NotReady`] if there is no instance now.
    pub fn identity(&mut self) -> Result<Arc<Identity>, SuspendError> {
        let status = self.phase.status();
        let live = self.phase.live_mut().ok_or(SuspendError::NotReady { status })?;
        if let Some(identity) = &live.suspension.identity {
            return Ok(identity.clone());
        }
        let contract = contract(&self.guest, &live.snapshot)?;
        let Mechanism::InPlace { restore, .. } = &self.plan.mechanism else {
            return Err(SuspendError::NotInPlace);
        };
        let residue = self.config.residue;
        if RegionKind::ALL.iter().any(|region| restore.promise(*region, residue) != Promise::Exact) {
            return Err(SuspendError::KeepsResidue { strategy: restore.name().to_owned() });
        }
        let globals = saved_globals(live);
        let memory = live.snapshot.memory();
        let identity = Arc::new(Identity::of(self.guest.hash(), contract.as_bytes(), memory, &globals));
        live.suspension.identity = Some(identity.clone());
        Ok(identity)
    }

    /// The snapshot as an image, for [`Delta::rebase`].
    ///
    /// # Errors
    /// As for [`Instance::identity`].
    pub fn base(&mut self) -> Result<Base, SuspendError> {
        let identity = self.identity()?;
        let status = self.phase.status();
        let live = self.phase.live_mut().ok_or(SuspendError::NotReady { status })?;
        let contract = contract(&self.guest, &live.snapshot)?;
        let globals = saved_globals(live);
        Ok(Base::new(identity.module, contract.into_bytes(), live.snapshot.memory().to_vec(), globals))
    }

    /// Writes into `delta` in what the instance differs from its snapshot now, and leaves the instance as it is. The memory that
    /// `delta` took before is used again.
    ///
    /// With [`Residue::Scrub`](crate::Residue::Scrub), the default, an image leaves out what no safe guest reads after a call: the
    /// shadow stack, which is empty between two calls, and the exchange region. With [`Residue::Keep`](crate::Residue::Keep) it
    /// has each byte.
    ///
    /// # Errors
    /// [`SuspendError`].
    pub fn delta_into(&mut self, delta: &mut Delta) -> Result<(), SuspendError> {
        delta.identity = self.identity()?;
        let Phase::Live { live, standing } = &mut self.phase else {
            return Err(SuspendError::NotReady { status: self.phase.status() });
        };
        if !matches!(standing, Standing::Pristine | Standing::Used) {
            return Err(SuspendError::NotReady { status: self.phase.status() });
        }
        delta.block_uses.clear();
        if let Some(blocks) = live.store.data_mut().contract.blocks() {
            if blocks.has_new_storage() {
                return Err(SuspendError::OffersStorage);
            }
            if blocks.has_left_blocks() {
                return Err(SuspendError::LeftAttached);
            }
            delta.block_uses.extend(blocks.uses());
        }
        let Live { store, handles, snapshot, suspension, .. } = live;
        blocks::mark(store);
        let (always, residue) = (self.plan.compiled.always(), self.config.residue);
        let mut target = Target { store, handles, snapshot, always, residue };
        let size = target.logical_size();
        delta.memory_size = size as u64;
        target.difference(size, &mut suspension.touched, &mut delta.cards);
        changed_globals(live, &mut delta.globals);
        delta.host = live.store.data().contract.changed_since_snapshot();
        Ok(())
    }

    /// The difference between the instance and its snapshot. See [`Instance::delta_into`].
    ///
    /// # Errors
    /// [`SuspendError`].
    pub fn delta(&mut self) -> Result<Delta, SuspendError> {
        let mut delta = Delta::pristine(self.identity()?, 0);
        self.delta_into(&mut delta)?;
        Ok(delta)
    }

    /// Suspends the instance: returns what it differs in from its snapshot, and restores it. Nothing of the instance belongs to
    /// the image any more; any pristine instance of the same module can [resume](Instance::resume) it.
    ///
    /// Intents and log lines of the last call stay with the host.
    ///
    /// ```
    /// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, RestorePolicy};
    ///
    /// # let engine = Engine::new(&EngineConfig::default())?;
    /// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
    /// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
    /// // A guest that keeps its memory between calls.
    /// let config = InstanceConfig::default().with_policy(RestorePolicy::OnError);
    /// let mut one = guest.instantiate(&config, MemoryState::new())?;
    /// one.invoke_by_name("count_up")?;
    /// let asleep = one.suspend()?;
    /// assert!(one.is_pristine() && !asleep.cards.is_empty());
    ///
    /// // Another instance goes on where the first one stopped.
    /// let mut other = guest.instantiate(&config, MemoryState::new())?;
    /// other.resume(&asleep)?;
    /// assert_eq!(other.delta()?, asleep);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SuspendError`]; the instance stays as it is then.
    pub fn suspend(&mut self) -> Result<Delta, SuspendError> {
        let mut delta = Delta::pristine(self.identity()?, 0);
        self.suspend_into(&mut delta)?;
        Ok(delta)
    }

    /// As [`Instance::suspend`], into a delta whose memory is used again.
    ///
    /// # Errors
    /// [`SuspendError`]; the instance stays as it is then.
    pub fn suspend_into(&mut self, delta: &mut Delta) -> Result<(), SuspendError> {
        span!(debug_span, "suspend", guest = self.guest.name());
        self.delta_into(delta)?;
        self.resumed = false;
        if !self.is_pristine() && self.restore_uncalled().is_none() {
            // The state is safe. If no new instance can be made, the next call or resumption tries again, and says why.
            let _ = self.restore();
        }
        Ok(())
    }

    /// Puts the instance into the state of an image. An instance that is not pristine is restored before.
    ///
    /// From then on the instance behaves as the one that was suspended. A call that fails still restores it to its snapshot: resume
    /// it once more to go on before that call. A call that ran out of memory is not tried again, as it would begin at the snapshot.
    ///
    /// # Errors
    /// [`ResumeError`]; the image is checked before anything of it is used.
    pub fn resume(&mut self, delta: &Delta) -> Result<(), ResumeError> {
        span!(debug_span, "resume", guest = self.guest.name());
        if !self.is_pristine() {
            self.restore()?;
        }
        self.resume_pristine(delta)
    }

    /// Puts a pristine instance into the state of an image.
    pub(super) fn resume_pristine(&mut self, delta: &Delta) -> Result<(), ResumeError> {
        self.identity()?.check(&delta.identity)?;
        delta.check()?;
        let limit = self.config.memory_limit;
        if delta.memory_size > limit {
            return Err(ResumeError::MemoryLimit { needed: delta.memory_size, limit });
        }
        let Phase::Live { live, standing } = &mut self.phase else {
            return Err(SuspendError::NotReady { status: self.phase.status() }.into());
        };
        if !delta.block_uses.is_empty() && live.store.data_mut().contract.blocks().is_none() {
            return Err(
                ImageError::Invalid { what: "it has numbers of memory blocks, and the guest has no blocks" }.into()
            );
        }
        let globals = checked_globals(live, delta)?;
        grow(live, delta.memory_size)?;
        // From here on nothing fails but what would be a fault of the engine.
        *standing = Standing::Poisoned;
        if let Some((mut memory, data)) = memory_and_data(&mut live.store) {
            for (address, bytes) in delta.cards.iter() {
                memory.write(address..address + bytes.len(), &mut data.dirty_ranges).copy_from_slice(bytes);
            }
        }
        for (index, value) in globals {
            let (name, global) = &live.handles.globals[index];
            let set = global.set(&mut live.store, value);
            set.map_err(|error| {
                let error = RestoreError::Global { name: name.clone(), reason: error.to_string() };
                ResumeError::Instance(error.into())
            })?;
        }
        if let Some(host) = &delta.host {
            live.store.data_mut().contract.resume(host);
        }
        if let Some(blocks) = live.store.data_mut().contract.blocks() {
            blocks.continue_from(&delta.block_uses);
        }
        *standing = Standing::Used;
        self.resumed = true;
        Ok(())
    }
}

/// Makes the memory as large as that of an image. It is at least as large as in the snapshot.
fn grow(live: &mut Live, needed: u64) -> Result<(), ResumeError> {
    if (live.snapshot.memory().len() as u64) > needed {
        return Err(ImageError::Invalid { what: "its memory is smaller than that of the snapshot" }.into());
    }
    let page = u64::from(guest_abi::names::PAGE_SIZE);
    let pages = (needed / page).saturating_sub(live.handles.memory.size(&live.store));
    if pages > 0 && live.handles.memory.grow(&mut live.store, pages).is_err() {
        let limit = live.store.data().limiter.granted() as u64;
        return Err(ResumeError::MemoryLimit { needed, limit });
    }
    Ok(())
}

/// The globals that a resumption sets, by their place in the handles. They are those of the image, of the types that the
/// guest's have, and the logical size.
fn checked_globals(live: &mut Live, delta: &Delta) -> Result<Vec<(usize, Val)>, ImageError> {
    let mut globals = Vec::new();
    let logical = live.handles.logical_pages;
    for (number, value) in &delta.globals {
        let index = *number as usize;
        let saved = live.snapshot.globals.get(index).filter(|_| logical != Some(index));
        let same_type = saved
            .and_then(value_of)
            .is_some_and(|saved| std::mem::discriminant(&saved) == std::mem::discriminant(value));
        if !same_type {
            return Err(ImageError::Invalid { what: "it has a global that the module does not have" });
        }
        globals.push((index, val_of(*value)));
    }
    let grown = delta.memory_size > live.snapshot.memory().len() as u64;
    if let Some(index) = logical.filter(|_| grown) {
        // At most 65,536 pages, which was checked.
        let pages = u32::try_from(delta.memory_size / u64::from(guest_abi::names::PAGE_SIZE)).unwrap_or(u32::MAX);
        globals.push((index, Val::I32(pages.cast_signed())));
    }
    Ok(globals)
}

/// Puts the guest's own globals that differ from the snapshot into `changed`.
fn changed_globals(live: &mut Live, changed: &mut Vec<(u32, GlobalValue)>) {
    changed.clear();
    let Live { store, handles, snapshot, .. } = live;
    for (index, ((_, global), saved)) in (0..).zip(handles.globals.iter().zip(&snapshot.globals)) {
        let now = value_of(&global.get(&mut *store));
        if handles.logical_pages != Some(index as usize) && now != value_of(saved) {
            changed.extend(now.map(|now| (index, now)));
        }
    }
}

fn saved_globals(live: &Live) -> Vec<GlobalValue> {
    live.snapshot.globals.iter().filter_map(value_of).collect()
}

/// `None` for a reference. Admission grants a restore in place only to modules whose globals that can change are numbers.
fn value_of(value: &Val) -> Option<GlobalValue> {
    match value {
        Val::I32(value) => Some(GlobalValue::I32(value.cast_unsigned())),
        Val::I64(value) => Some(GlobalValue::I64(value.cast_unsigned())),
        Val::F32(bits) => Some(GlobalValue::F32(*bits)),
        Val::F64(bits) => Some(GlobalValue::F64(*bits)),
        Val::V128(value) => Some(GlobalValue::V128(value.as_u128())),
        _ => None,
    }
}

fn val_of(value: GlobalValue) -> Val {
    match value {
        GlobalValue::I32(value) => Val::I32(value.cast_signed()),
        GlobalValue::I64(value) => Val::I64(value.cast_signed()),
        GlobalValue::F32(bits) => Val::F32(bits),
        GlobalValue::F64(bits) => Val::F64(bits),
        GlobalValue::V128(value) => Val::V128(value.into()),
    }
}

/// The properties of the guest's instances that the host relies on: the contract and its version, and the places of the stack
/// and of the exchange region.
fn contract(guest: &Guest, snapshot: &Snapshot) -> Result<String, SuspendError> {
    let contract = match (&guest.admission().contract, guest.info().contract()) {
        (_, ContractKind::ExtTinyGo) => return Err(SuspendError::Contract),
        (Ok(Contract::Native(native)), _) => format!("native {}", native.version),
        _ => "bare".to_owned(),
    };
    let [stack, exchange] = [snapshot.regions.shadow_stack(), snapshot.regions.exchange()];
    Ok(format!("{contract}, stack {stack:?}, exchange {exchange:?}"))
}

#[cfg(test)]
mod tests;
