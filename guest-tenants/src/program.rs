//! A program: a guest that keeps its memory between calls.

use std::fmt;
use std::sync::Arc;

use guest_host::guest_image::Delta;
use guest_host::{Guest, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy, RestoreStrategy};

use crate::error::TenantError;
use crate::meter::Meter;
use crate::store::Image;

/// A guest that keeps its memory between calls, with the configuration of its instances. Cheap to clone; clones are the same
/// program, whose tenants share instances.
#[derive(Clone)]
pub struct Program {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    guest: Guest,
    config: InstanceConfig,
    meter: Arc<Meter>,
}

impl Program {
    /// The program of a guest. Its instances are restored after calls that failed, whatever the policy in `config`. In the place of
    /// [`RestoreStrategy::Auto`] they have the strategy `dirty-cards`, as that knows which cards to look at when a tenant falls asleep.
    #[must_use]
    pub fn new(guest: &Guest, config: &InstanceConfig) -> Self {
        let mut config = config.clone().with_policy(RestorePolicy::OnError);
        if config.strategy == RestoreStrategy::Auto {
            config.strategy = RestoreStrategy::DirtyCards;
        }
        Self { inner: Arc::new(Inner { guest: guest.clone(), config, meter: Arc::default() }) }
    }

    /// Counts its tenants in `meter`. The result is another program than this one.
    #[must_use]
    pub fn with_meter(self, meter: Arc<Meter>) -> Self {
        Self { inner: Arc::new(Inner { meter, ..Inner::clone(&self.inner) }) }
    }

    /// Where its tenants are counted.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.inner.meter
    }

    /// The guest.
    #[must_use]
    pub fn guest(&self) -> &Guest {
        &self.inner.guest
    }

    /// How its instances are made.
    #[must_use]
    pub fn config(&self) -> &InstanceConfig {
        &self.inner.config
    }

    /// Whether another one is the same program.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// An instance that reads an empty state, so that all begin alike.
    pub(crate) fn instantiate(&self) -> Result<Instance, LoadError> {
        self.instantiate_with(|config| config)
    }

    /// An instance for calls by [`call_elsewhere`], configured by `change`: with another deadline, for example.
    ///
    /// # Errors
    /// [`LoadError`] if it cannot be made.
    pub fn instantiate_with(
        &self,
        change: impl FnOnce(InstanceConfig) -> InstanceConfig,
    ) -> Result<Instance, LoadError> {
        self.inner.guest.instantiate(&change(self.inner.config.clone()), MemoryState::new())
    }
}

/// Calls a tenant that was [taken along](crate::Tenants::take_along), on an instance of its program that no tenant is on. `image`
/// is its state, `None` for a tenant that begins. Returns its state afterwards, too, if that changed.
///
/// Nothing of the tenant stays on the instance. A call that fails leaves nothing.
///
/// # Errors
/// [`TenantError`]. It is never [`TenantError::Store`].
pub fn call_elsewhere<T, S: std::error::Error + 'static, F: std::error::Error + 'static>(
    instance: &mut Instance,
    image: Option<&Image>,
    call: impl FnOnce(&mut Instance) -> Result<T, F>,
) -> Result<(T, Option<Image>), TenantError<S, F>> {
    let pristine = resume(instance, image)?;
    let called = call(instance).map_err(TenantError::Failed).and_then(|value| {
        let (before, number) = image.map_or((&pristine, 0), |image| (&image.delta, image.number));
        let delta = instance.delta().map_err(TenantError::Suspend)?;
        let changed = delta != *before;
        Ok((value, changed.then_some(Image { number: number + 1, delta })))
    });
    // One that cannot be restored now is restored, or replaced, before its next call; that says why it cannot.
    let _ = instance.restore();
    called
}

/// Puts an instance into the state of an image, or of a tenant that begins. Returns the latter.
pub(crate) fn resume<S: std::error::Error + 'static, F: std::error::Error + 'static>(
    instance: &mut Instance,
    image: Option<&Image>,
) -> Result<Delta, TenantError<S, F>> {
    let identity = instance.identity().map_err(TenantError::Suspend)?;
    let size = instance.memory().map_or(0, |(_, snapshot)| snapshot.memory().len() as u64);
    let pristine = Delta::pristine(identity, size);
    // Also where it is pristine: what runs out of memory must not be tried again as if nothing had been before.
    instance.resume(image.map_or(&pristine, |image| &image.delta)).map_err(TenantError::Resume)?;
    Ok(pristine)
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.inner.guest.name()).finish()
    }
}
