//! Tenants of one thread: awake on instances, asleep in memory, or in a store.

mod known;

use std::num::NonZeroUsize;
use std::sync::Arc;

use guest_host::guest_image::Delta;
use guest_host::{Instance, Status as Standing};
use lru::LruCache;

use crate::error::TenantError;
use crate::fresh::Fresh;
use crate::meter::{Meter, Place, Tally};
use crate::program::{Program, resume};
use crate::store::{Image, Store};

/// How many tenants are awake, and how much memory sleeping ones may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantsConfig {
    /// Instances that there are at most, used or not.
    pub instances: NonZeroUsize,
    /// Bytes of memory that images of sleeping tenants may take; those of tenants that slept longest go to the store.
    pub asleep_bytes: usize,
}

impl Default for TenantsConfig {
    /// 64 instances, and 64 MiB.
    fn default() -> Self {
        Self { instances: NonZeroUsize::MIN.saturating_add(63), asleep_bytes: 64 << 20 }
    }
}

impl TenantsConfig {
    guest_host::guest_prepare::setters! {
        /// Sets [`Self::instances`].
        with_instances(instances: NonZeroUsize);
        /// Sets [`Self::asleep_bytes`].
        with_asleep_bytes(asleep_bytes: usize);
    }
}

/// Where tenants are, and how often they moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Status {
    /// Tenants on an instance.
    pub awake: usize,
    /// Tenants whose image is in memory alone, or in memory and in the store.
    pub asleep: usize,
    /// Bytes of memory that their images take.
    pub asleep_bytes: usize,
    /// Instances that no tenant is on.
    pub idle: usize,
    /// Times that a tenant was woken from memory.
    pub woken: u64,
    /// Times that a tenant was read from the store.
    pub loaded: u64,
    /// Times that a tenant gave up its instance.
    pub slept: u64,
    /// Images that were written to the store.
    pub saved: u64,
    /// Instances that were made.
    pub instances_made: u64,
}

/// The tenants of one thread. Each is a program and what it keeps; which of them are on an instance, who sleeps in memory and who in
/// the store, follows from who was called last.
///
/// It blocks while it makes an instance, and while the store reads or writes.
#[derive(Debug)]
pub struct Tenants<S> {
    config: TenantsConfig,
    store: S,
    /// Least recently called last.
    awake: LruCache<Box<str>, Awake>,
    /// Least recently called last.
    asleep: LruCache<Box<str>, Asleep>,
    /// Pristine instances, the one that was used last at the end.
    idle: Vec<(Program, Instance)>,
    /// Tenants of which the store has nothing yet.
    fresh: Fresh,
    /// What a call changed, until it is compared.
    scratch: Option<Delta>,
    status: Status,
}

#[derive(Debug)]
struct Awake {
    program: Program,
    instance: Instance,
    /// The state after the last call that succeeded.
    image: Image,
    /// Whether the store has it.
    saved: bool,
    _tally: Tally,
}

#[derive(Debug)]
struct Asleep {
    image: Image,
    saved: bool,
    _tally: Tally,
}

impl Asleep {
    fn new(image: Image, saved: bool, meter: &Arc<Meter>) -> Self {
        let _tally = Tally::new(meter, Place::Asleep { bytes: image.delta.resident_bytes() });
        Self { image, saved, _tally }
    }

    fn bytes(&self) -> usize {
        self.image.delta.resident_bytes()
    }
}

/// A tenant that is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Whether it is on an instance.
    pub is_awake: bool,
    /// Number of its state.
    pub number: u64,
    /// Bytes of its image, as a store has it.
    pub bytes: u64,
}

impl<S: Store> Tenants<S> {
    /// No tenants in memory yet. Those that `store` has an image of go on from there.
    #[must_use]
    pub fn new(config: TenantsConfig, store: S) -> Self {
        let (awake, asleep) = (LruCache::unbounded(), LruCache::unbounded());
        Self {
            config,
            store,
            awake,
            asleep,
            idle: Vec::new(),
            fresh: Fresh::default(),
            scratch: None,
            status: Status::default(),
        }
    }

    /// Calls a tenant: wakes it if it sleeps, and lets `call` call its instance. A tenant that there was not yet begins as `program`
    /// does.
    ///
    /// A call that fails, for whatever reason, changes nothing: the tenant is as before it. `call` should call the instance once.
    /// Before that it may prepare the instance, for example give it another state to read.
    ///
    /// # Errors
    /// [`TenantError`].
    pub fn call<T, F: std::error::Error + 'static>(
        &mut self,
        tenant: &str,
        program: &Program,
        call: impl FnOnce(&mut Instance) -> Result<T, F>,
    ) -> Result<T, TenantError<S::Error, F>> {
        self.wake(tenant, program)?;
        let Some(awake) = self.awake.get_mut(tenant) else {
            unreachable!("the tenant was woken above");
        };
        match call(&mut awake.instance) {
            Ok(value) => {
                let scratch = self.scratch.get_or_insert_with(|| awake.image.delta.clone());
                if let Err(error) = awake.instance.delta_into(scratch) {
                    self.undo(tenant);
                    return Err(TenantError::Suspend(error));
                }
                if *scratch != awake.image.delta {
                    std::mem::swap(scratch, &mut awake.image.delta);
                    awake.image.number += 1;
                    awake.saved = false;
                }
                Ok(value)
            }
            Err(failure) => {
                self.undo(tenant);
                Err(TenantError::Failed(failure))
            }
        }
    }

    /// Puts the instance of a tenant back to the state before the call.
    #[cold]
    fn undo(&mut self, tenant: &str) {
        if let Some(awake) = self.awake.peek_mut(tenant)
            && awake.instance.resume(&awake.image.delta).is_err()
        {
            // Its next call tries again, and says why.
            self.put_to_sleep(tenant);
        }
    }

    /// The state of a tenant in memory, which is the one after its last call that succeeded.
    #[must_use]
    pub fn image(&self, tenant: &str) -> Option<&Image> {
        image(&self.awake, &self.asleep, tenant)
    }

    /// Lets `save` write the states of these tenants to the store, as far as they are in memory. Returns how many these are.
    ///
    /// # Errors
    /// Those of `save`; the states count as unsaved then.
    pub fn save_by<'t, E>(
        &mut self,
        tenants: impl IntoIterator<Item = &'t str>,
        save: impl FnOnce(&mut S, &[(&str, &Image)]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let in_memory = |tenant| Some((tenant, image(&self.awake, &self.asleep, tenant)?));
        let images: Vec<(&str, &Image)> = tenants.into_iter().filter_map(in_memory).collect();
        save(&mut self.store, &images)?;
        let tenants: Vec<&str> = images.into_iter().map(|(tenant, _)| tenant).collect();
        for tenant in &tenants {
            let awake = self.awake.peek_mut(*tenant).map(|awake| &mut awake.saved);
            if let Some(saved) = awake.or_else(|| self.asleep.peek_mut(*tenant).map(|asleep| &mut asleep.saved)) {
                *saved = true;
            }
            self.fresh.remove(tenant);
        }
        Ok(tenants.len())
    }

    /// Puts a tenant to sleep, if it is awake.
    pub fn put_to_sleep(&mut self, tenant: &str) {
        if let Some((tenant, awake)) = self.awake.pop_entry(tenant) {
            self.lay_down(tenant, awake);
        }
    }

    /// Writes all images that the store has not. The tenants stay where they are.
    ///
    /// # Errors
    /// [`TenantError::Store`]; nothing is lost, and the next time tries again.
    pub fn save_all(&mut self) -> Result<(), TenantError<S::Error>> {
        let awake = self.awake.iter().filter(|(_, awake)| !awake.saved).map(|(name, awake)| (&**name, &awake.image));
        let asleep = self.asleep.iter().filter(|(_, asleep)| !asleep.saved);
        let images: Vec<_> = awake.chain(asleep.map(|(name, asleep)| (&**name, &asleep.image))).collect();
        if images.is_empty() {
            return Ok(());
        }
        self.store.save(&images).map_err(TenantError::Store)?;
        images.iter().for_each(|(tenant, _)| self.fresh.remove(tenant));
        self.status.saved += images.len() as u64;
        self.awake.iter_mut().for_each(|(_, awake)| awake.saved = true);
        self.asleep.iter_mut().for_each(|(_, asleep)| asleep.saved = true);
        Ok(())
    }

    /// Goes back to the state that the store has of a tenant, or to its beginning: for embedders who save states themselves, when they
    /// could not.
    pub fn discard(&mut self, tenant: &str) {
        self.take_off(tenant);
        self.fresh.remove(tenant);
    }

    /// As [`Tenants::discard`], for a tenant that goes on: one that counted as [fresh](crate::Counts::fresh) still does.
    pub fn go_back(&mut self, tenant: &str) {
        self.take_off(tenant);
    }

    /// Takes what memory has of a tenant out of it.
    fn take_off(&mut self, tenant: &str) {
        if let Some(awake) = self.awake.pop(tenant) {
            self.give_back(awake.program, awake.instance);
        }
        self.take_asleep(tenant);
    }

    /// Forgets a tenant and what it kept, also in the store.
    ///
    /// # Errors
    /// [`TenantError::Store`]; the tenant is still there then.
    pub fn forget(&mut self, tenant: &str) -> Result<(), TenantError<S::Error>> {
        self.store.remove(tenant).map_err(TenantError::Store)?;
        self.discard(tenant);
        Ok(())
    }

    /// Where tenants are, and how often they moved.
    #[must_use]
    pub fn status(&self) -> Status {
        Status { awake: self.awake.len(), asleep: self.asleep.len(), idle: self.idle.len(), ..self.status }
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The store.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Sees to it that the tenant is on an instance of `program`.
    fn wake<F: std::error::Error + 'static>(
        &mut self,
        tenant: &str,
        program: &Program,
    ) -> Result<(), TenantError<S::Error, F>> {
        let is_on = |awake: &mut Awake| awake.program.is_same(program) && awake.instance.status() == Standing::Ready;
        match self.awake.get_mut(tenant).map(is_on) {
            Some(true) => return Ok(()),
            // Another version of the program, or an instance whose last call did not come to its end.
            Some(false) => self.put_to_sleep(tenant),
            None => {}
        }
        self.trim()?;
        let found = self.take_asleep(tenant);
        let (image, saved) = match found {
            Some(asleep) => {
                self.status.woken += 1;
                program.meter().woke();
                (Some(asleep.image), asleep.saved)
            }
            None => {
                let image = self.store.load(tenant).map_err(TenantError::Store)?;
                if image.is_some() {
                    self.status.loaded += 1;
                    program.meter().loaded();
                }
                (image, true)
            }
        };
        match self.rise(program, image.as_ref()) {
            Ok((instance, pristine)) => {
                let saved = saved && image.is_some();
                if image.is_none() {
                    self.fresh.add(tenant, program.meter());
                }
                let image = image.unwrap_or(Image { number: 0, delta: pristine });
                let _tally = Tally::new(program.meter(), Place::Awake);
                self.awake.put(tenant.into(), Awake { program: program.clone(), instance, image, saved, _tally });
                Ok(())
            }
            Err(error) => {
                if let Some(image) = image.filter(|_| !saved) {
                    self.keep(tenant.into(), Asleep::new(image, saved, program.meter()));
                }
                Err(error)
            }
        }
    }

    /// An instance in the state of an image, or pristine; and what a pristine one is.
    fn rise<F: std::error::Error + 'static>(
        &mut self,
        program: &Program,
        image: Option<&Image>,
    ) -> Result<(Instance, Delta), TenantError<S::Error, F>> {
        let mut instance = self.acquire(program)?;
        match resume(&mut instance, image) {
            Ok(pristine) => Ok((instance, pristine)),
            Err(error) => {
                self.give_back(program.clone(), instance);
                Err(error)
            }
        }
    }

    /// A pristine instance of the program. Where there are as many as there may be, the tenant that was not called for the
    /// longest time goes to sleep.
    fn acquire<F: std::error::Error + 'static>(
        &mut self,
        program: &Program,
    ) -> Result<Instance, TenantError<S::Error, F>> {
        if let Some(at) = self.idle.iter().rposition(|(of, _)| of.is_same(program)) {
            return Ok(self.idle.remove(at).1);
        }
        if self.awake.len() + self.idle.len() >= self.config.instances.get() {
            if self.idle.is_empty()
                && let Some((tenant, awake)) = self.awake.pop_lru()
            {
                self.lay_down(tenant, awake);
                self.trim()?;
            }
            let found = self.idle.iter().rposition(|(of, _)| of.is_same(program));
            // One of another program makes room. There is none if the instance could not be made pristine.
            if let Some(at) = found.or((!self.idle.is_empty()).then_some(0)) {
                let (of, instance) = self.idle.remove(at);
                if of.is_same(program) {
                    return Ok(instance);
                }
            }
        }
        self.status.instances_made += 1;
        program.instantiate().map_err(TenantError::Instance)
    }

    /// Takes a tenant off its instance.
    fn lay_down(&mut self, tenant: Box<str>, awake: Awake) {
        let Awake { program, instance, mut image, saved, _tally } = awake;
        self.status.slept += 1;
        program.meter().slept();
        image.delta.shrink_to_fit();
        self.keep(tenant, Asleep::new(image, saved, program.meter()));
        self.give_back(program, instance);
    }

    /// Takes an instance that no tenant is on. It is restored now, so that nothing of a tenant is left on it.
    fn give_back(&mut self, program: Program, mut instance: Instance) {
        // One that can neither be restored nor replaced is made anew when it is needed.
        if instance.is_pristine() || instance.restore().is_ok() {
            self.idle.push((program, instance));
        }
    }

    fn keep(&mut self, tenant: Box<str>, asleep: Asleep) {
        self.status.asleep_bytes += asleep.bytes();
        self.asleep.put(tenant, asleep);
    }

    fn take_asleep(&mut self, tenant: &str) -> Option<Asleep> {
        let asleep = self.asleep.pop(tenant)?;
        self.status.asleep_bytes -= asleep.bytes();
        Some(asleep)
    }

    /// Moves images to the store until those in memory take no more than they may.
    fn trim<F: std::error::Error + 'static>(&mut self) -> Result<(), TenantError<S::Error, F>> {
        while self.status.asleep_bytes > self.config.asleep_bytes {
            let mut leaving: Vec<(Box<str>, Asleep)> = Vec::new();
            // Some at once, and a little more than must be: a transaction for each would take longer.
            let enough = self.config.asleep_bytes - self.config.asleep_bytes / 16;
            while leaving.len() < BATCH && self.status.asleep_bytes > enough {
                let Some((tenant, asleep)) = self.asleep.pop_lru() else { break };
                self.status.asleep_bytes -= asleep.bytes();
                leaving.push((tenant, asleep));
            }
            let unsaved = leaving.iter().filter(|(_, asleep)| !asleep.saved);
            let images: Vec<_> = unsaved.map(|(tenant, asleep)| (&**tenant, &asleep.image)).collect();
            if !images.is_empty()
                && let Err(error) = self.store.save(&images)
            {
                for (tenant, asleep) in leaving.into_iter().rev() {
                    self.keep(tenant, asleep);
                }
                return Err(TenantError::Store(error));
            }
            images.iter().for_each(|(tenant, _)| self.fresh.remove(tenant));
            self.status.saved += images.len() as u64;
        }
        Ok(())
    }
}

/// The state of a tenant in memory.
fn image<'i>(
    awake: &'i LruCache<Box<str>, Awake>,
    asleep: &'i LruCache<Box<str>, Asleep>,
    tenant: &str,
) -> Option<&'i Image> {
    let awake = awake.peek(tenant).map(|awake| &awake.image);
    awake.or_else(|| asleep.peek(tenant).map(|asleep| &asleep.image))
}

/// Images that go to the store at once, at most.
const BATCH: usize = 256;
