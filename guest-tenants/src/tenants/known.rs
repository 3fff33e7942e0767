//! Which tenants there are, and states that leave for a call elsewhere and come back.

use super::{Asleep, Found, Tenants};
use crate::error::TenantError;
use crate::program::Program;
use crate::store::{Image, Store};

impl<S: Store> Tenants<S> {
    /// Counts a tenant that nobody has called yet as [fresh](crate::Counts::fresh), unless there is one already. It counts until it is
    /// called and saved, discarded, or [released](Tenants::release).
    ///
    /// # Errors
    /// [`TenantError::Store`].
    pub fn reserve(&mut self, tenant: &str, program: &Program) -> Result<(), TenantError<S::Error>> {
        if !self.knows(tenant)? {
            self.fresh.add(tenant, program.meter());
        }
        Ok(())
    }

    /// Counts a tenant that was reserved no longer, if it was never called.
    pub fn release(&mut self, tenant: &str) {
        if self.image(tenant).is_none() {
            self.fresh.remove(tenant);
        }
    }

    /// The state of a tenant, for a call on another thread by [`call_elsewhere`](crate::call_elsewhere). `None` for a tenant that
    /// begins.
    ///
    /// [`Tenants::bring_back`] must follow, also after a call that failed; nobody may call the tenant here meanwhile.
    ///
    /// # Errors
    /// [`TenantError::Store`].
    pub fn take_along(&mut self, tenant: &str, program: &Program) -> Result<Option<Image>, TenantError<S::Error>> {
        if let Some(image) = self.image(tenant) {
            return Ok(Some(image.clone()));
        }
        let image = self.store.load(tenant).map_err(TenantError::Store)?;
        match image.is_some() {
            true => {
                self.status.loaded += 1;
                program.meter().loaded();
            }
            false => self.fresh.add(tenant, program.meter()),
        }
        Ok(image)
    }

    /// Takes the state of a tenant after a call elsewhere; `None` if that failed, or changed nothing. The tenant sleeps with it.
    pub fn bring_back(&mut self, tenant: &str, program: &Program, image: Option<Image>) {
        match image {
            Some(image) => {
                self.take_off(tenant);
                self.keep(tenant.into(), Asleep::new(image, false, program.meter()));
            }
            None => self.release(tenant),
        }
    }

    /// A tenant, if it is in memory.
    #[must_use]
    pub fn find(&self, tenant: &str) -> Option<Found> {
        let image = self.image(tenant)?;
        let is_awake = self.awake.contains(tenant);
        Some(Found { is_awake, number: image.number, bytes: image.delta.encoded_bytes() })
    }

    /// Whether there is such a tenant: in memory, or in the store.
    ///
    /// # Errors
    /// [`TenantError::Store`].
    pub fn knows(&mut self, tenant: &str) -> Result<bool, TenantError<S::Error>> {
        let is_here = self.fresh.has(tenant) || self.image(tenant).is_some();
        Ok(is_here || self.store.contains(tenant).map_err(TenantError::Store)?)
    }

    /// The tenants of which the store has no image yet and whose names begin with `prefix`, in order; with `after`, those behind
    /// that name.
    pub fn fresh<'t>(&'t self, prefix: &'t str, after: Option<&str>) -> impl Iterator<Item = &'t str> {
        self.fresh.after(prefix, after)
    }

    /// Takes all tenants out of memory whose names begin with `prefix`: for embedders who forget them in the store, too.
    pub fn discard_all(&mut self, prefix: &str) {
        let awake = self.awake.iter().map(|(tenant, _)| tenant);
        let names = awake.chain(self.asleep.iter().map(|(tenant, _)| tenant));
        let mut names: Vec<Box<str>> = names.filter(|tenant| tenant.starts_with(prefix)).cloned().collect();
        names.extend(self.fresh.after(prefix, None).map(Into::into));
        names.iter().for_each(|tenant| self.discard(tenant));
    }
}
