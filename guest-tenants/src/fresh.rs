//! Tenants of which the store has nothing yet, in the order of their names.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::meter::{Meter, Place, Tally};

#[derive(Debug, Default)]
pub(crate) struct Fresh {
    names: BTreeMap<Box<str>, Tally>,
}

impl Fresh {
    pub(crate) fn add(&mut self, tenant: &str, meter: &Arc<Meter>) {
        if !self.names.contains_key(tenant) {
            self.names.insert(tenant.into(), Tally::new(meter, Place::Fresh));
        }
    }

    pub(crate) fn remove(&mut self, tenant: &str) {
        self.names.remove(tenant);
    }

    pub(crate) fn has(&self, tenant: &str) -> bool {
        self.names.contains_key(tenant)
    }

    /// The tenants whose names begin with `prefix`, behind `after`.
    pub(crate) fn after<'t>(&'t self, prefix: &'t str, after: Option<&str>) -> impl Iterator<Item = &'t str> + use<'t> {
        let begin = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let behind = self.names.range::<str, _>((begin, Bound::Unbounded)).map(|(name, _)| &**name);
        behind.skip_while(move |name| *name < prefix).take_while(move |name| name.starts_with(prefix))
    }
}
