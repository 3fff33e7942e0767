//! How many calls are open, of each tenant and of all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::folder::GuestName;
use crate::http::Refusal;

/// The calls that are open.
#[derive(Debug)]
pub(super) struct Open {
    most: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_tenant: HashMap<(GuestName, Box<str>), usize>,
}

/// A place for a call, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    open: Arc<Open>,
    tenant: (GuestName, Box<str>),
}

impl Open {
    pub(super) fn new(most: usize) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// A place for a call of a tenant that may have `most`.
    pub(super) fn permit(self: &Arc<Self>, guest: &GuestName, tenant: &str, most: usize) -> Result<Permit, Refusal> {
        let tenant = (guest.clone(), Box::from(tenant));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.by_tenant.get(&tenant).is_some_and(|open| *open >= most) {
            return Err(Refusal::TooManyStreams { of_tenant: true });
        }
        if counts.all >= self.most {
            return Err(Refusal::TooManyStreams { of_tenant: false });
        }
        counts.all += 1;
        *counts.by_tenant.entry(tenant.clone()).or_default() += 1;
        Ok(Permit { open: Arc::clone(self), tenant })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.open.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(open) = counts.by_tenant.get_mut(&self.tenant) {
            *open -= 1;
            if *open == 0 {
                counts.by_tenant.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenant_and_all_have_so_many_places() {
        let open = Arc::new(Open::new(3));
        let (one, two): (GuestName, GuestName) = ("one".parse().unwrap(), "two".parse().unwrap());
        let of_tenant = |refused: Result<Permit, Refusal>| match refused {
            Err(Refusal::TooManyStreams { of_tenant }) => of_tenant,
            other => panic!("{other:?}"),
        };
        let first = open.permit(&one, "a", 2).unwrap();
        let _second = open.permit(&one, "a", 2).unwrap();
        assert!(of_tenant(open.permit(&one, "a", 2)));
        let third = open.permit(&two, "a", 2).unwrap();
        assert!(!of_tenant(open.permit(&one, "b", 2)), "all are taken");
        drop(third);
        let _fourth = open.permit(&one, "b", 2).unwrap();
        drop(first);
        let _fifth = open.permit(&one, "a", 2).unwrap();
        let counts = open.counts.lock().unwrap();
        assert_eq!((counts.all, counts.by_tenant.len()), (3, 2), "who has no call is forgotten");
    }
}
