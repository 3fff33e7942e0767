//! Tenants against a model: what each one keeps, whatever moves where.

use std::collections::HashMap;
use std::sync::Arc;

use guest_tenants::{Image, MemoryStore, Meter, Store, TenantError, Tenants, call_elsewhere};
use proptest::prelude::*;

use super::{call, config, engine, is_unreachable, program};

/// A store that fails when it is told to.
#[derive(Debug, Default)]
struct Moody {
    inner: MemoryStore,
    fails: bool,
}

#[derive(Debug, PartialEq)]
struct InABadMood;

impl std::fmt::Display for InABadMood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the store is in a bad mood")
    }
}

impl std::error::Error for InABadMood {}

impl Store for Moody {
    type Error = InABadMood;

    fn load(&mut self, tenant: &str) -> Result<Option<Image>, InABadMood> {
        if self.fails { Err(InABadMood) } else { Ok(self.inner.load(tenant).unwrap()) }
    }

    fn save(&mut self, images: &[(&str, &Image)]) -> Result<(), InABadMood> {
        if self.fails { Err(InABadMood) } else { self.inner.save(images).map_err(|_| InABadMood) }
    }

    fn remove(&mut self, tenant: &str) -> Result<(), InABadMood> {
        if self.fails { Err(InABadMood) } else { self.inner.remove(tenant).map_err(|_| InABadMood) }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Adds to a cell; adding nothing fails after it has written.
    Add {
        tenant: usize,
        cell: u32,
        by: u32,
    },
    Calls {
        tenant: usize,
    },
    /// Adds to a cell on an instance elsewhere, which ends after a number of other steps.
    Elsewhere {
        tenant: usize,
        cell: u32,
        by: u32,
        steps: usize,
    },
    Sleep {
        tenant: usize,
    },
    Forget {
        tenant: usize,
    },
    SaveAll,
    Mood {
        fails: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let tenant = 0..12_usize;
    prop_oneof![
        12 => (tenant.clone(), 0..250_u32, 0..4_u32)
            .prop_map(|(tenant, cell, by)| Step::Add { tenant, cell: cell * 256, by }),
        3 => tenant.clone().prop_map(|tenant| Step::Calls { tenant }),
        4 => (tenant.clone(), 0..250_u32, 0..4_u32, 0..6_usize)
            .prop_map(|(tenant, cell, by, steps)| Step::Elsewhere { tenant, cell: cell * 256, by, steps }),
        2 => tenant.clone().prop_map(|tenant| Step::Sleep { tenant }),
        1 => tenant.prop_map(|tenant| Step::Forget { tenant }),
        1 => Just(Step::SaveAll),
        1 => any::<bool>().prop_map(|fails| Step::Mood { fails }),
    ]
}

/// What a tenant keeps.
#[derive(Debug, Default, Clone)]
struct Kept {
    cells: HashMap<u32, u32>,
    calls: u32,
}

/// A tenant whose call runs elsewhere.
struct Away {
    tenant: usize,
    image: Option<Image>,
    ends: usize,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn each_tenant_keeps_what_it_kept(
        steps in prop::collection::vec(step(), 1..80),
        instances in 1..5_usize,
        asleep_bytes in prop_oneof![Just(0), 0..4000_usize, Just(1 << 20)],
    ) {
        let engine = engine();
        let meter = Arc::new(Meter::default());
        let programs = ["one", "other"].map(|name| program(&engine, name).with_meter(Arc::clone(&meter)));
        let mut others = [0, 1].map(|number: usize| programs[number].instantiate_with(|config| config).unwrap());
        let mut away: Vec<Away> = Vec::new();
        let mut tenants = Tenants::new(config(instances, asleep_bytes), Moody::default());
        let mut model: HashMap<usize, Kept> = HashMap::new();
        for (at, step) in steps.into_iter().enumerate() {
            for index in (0..away.len()).rev() {
                if away[index].ends <= at {
                    let Away { tenant, image, .. } = away.remove(index);
                    tenants.bring_back(&format!("tenant {tenant}"), &programs[tenant % 2], image);
                }
            }
            // Nobody calls a tenant that is away.
            let is_here = |tenant: usize| away.iter().all(|away| away.tenant != tenant);
            match step {
                Step::Add { tenant, .. } | Step::Calls { tenant } | Step::Forget { tenant } | Step::Elsewhere { tenant, .. }
                    if !is_here(tenant) => {}
                Step::Elsewhere { tenant, cell, by, steps } => {
                    let name = format!("tenant {tenant}");
                    match tenants.take_along(&name, &programs[tenant % 2]) {
                        Ok(image) => {
                            let called = call_elsewhere(&mut others[tenant % 2], image.as_ref(), |instance| {
                                call(instance, "add", cell, by)
                            });
                            let called: Result<_, TenantError<InABadMood>> = called;
                            let image = match called {
                                Ok((value, image)) => {
                                    let kept = model.entry(tenant).or_default();
                                    let cell = kept.cells.entry(cell).or_default();
                                    *cell += by;
                                    kept.calls += 1;
                                    prop_assert!(by > 0 && value == *cell && image.is_some());
                                    image
                                }
                                Err(error) => {
                                    prop_assert!(by == 0 && matches!(error, TenantError::Failed(_)), "{}", error);
                                    None
                                }
                            };
                            away.push(Away { tenant, image, ends: at + steps });
                        }
                        Err(error) => prop_assert!(matches!(error, TenantError::Store(InABadMood)), "{}", error),
                    }
                }
                Step::Add { tenant, cell, by } => {
                    let kept = model.entry(tenant).or_default();
                    let added = tenants.call(&format!("tenant {tenant}"), &programs[tenant % 2], |instance| {
                        call(instance, "add", cell, by)
                    });
                    match added {
                        Ok(value) => {
                            prop_assert!(by > 0);
                            let cell = kept.cells.entry(cell).or_default();
                            *cell += by;
                            kept.calls += 1;
                            prop_assert_eq!(value, *cell);
                        }
                        Err(TenantError::Failed(failure)) => prop_assert!(by == 0 && is_unreachable(&failure)),
                        Err(error) => prop_assert!(matches!(error, TenantError::Store(InABadMood)), "{}", error),
                    }
                }
                Step::Calls { tenant } => {
                    let calls = tenants.call(&format!("tenant {tenant}"), &programs[tenant % 2], |instance| {
                        call(instance, "calls", 0, 0)
                    });
                    match calls {
                        Ok(calls) => prop_assert_eq!(calls, model.get(&tenant).map_or(0, |kept| kept.calls)),
                        Err(error) => prop_assert!(matches!(error, TenantError::Store(InABadMood)), "{}", error),
                    }
                }
                Step::Sleep { tenant } => tenants.put_to_sleep(&format!("tenant {tenant}")),
                Step::Forget { tenant } => {
                    if tenants.forget(&format!("tenant {tenant}")).is_ok() {
                        model.remove(&tenant);
                    }
                }
                Step::SaveAll => prop_assert_eq!(tenants.save_all().is_err() && !tenants.store_mut().fails, false),
                Step::Mood { fails } => tenants.store_mut().fails = fails,
            }
            let status = tenants.status();
            prop_assert!(status.awake + status.idle <= instances);
            let counts = meter.counts();
            prop_assert_eq!((counts.awake, counts.asleep), (status.awake as u64, status.asleep as u64));
            prop_assert_eq!(counts.asleep_bytes, status.asleep_bytes as u64);
            prop_assert_eq!((counts.woken, counts.loaded, counts.slept), (status.woken, status.loaded, status.slept));
            let fresh: Vec<&str> = tenants.fresh("", None).collect();
            prop_assert_eq!(counts.fresh, fresh.len() as u64);
        }
        for Away { tenant, image, .. } in away {
            tenants.bring_back(&format!("tenant {tenant}"), &programs[tenant % 2], image);
        }
        // Whoever is in memory and not in the store is fresh.
        for tenant in 0..12 {
            let name = format!("tenant {tenant}");
            let is_stored = tenants.store_mut().inner.contains(&name).unwrap();
            let is_fresh = tenants.fresh("tenant ", None).any(|fresh| fresh == name);
            prop_assert_eq!(is_fresh, tenants.find(&name).is_some() && !is_stored);
        }
        // All of them once more, from whereever they are.
        tenants.store_mut().fails = false;
        for (tenant, kept) in model {
            for (cell, value) in kept.cells {
                let found = tenants.call(&format!("tenant {tenant}"), &programs[tenant % 2], |instance| {
                    call(instance, "add", cell, 1)
                });
                prop_assert_eq!(found.unwrap(), value + 1);
            }
        }
    }
}

#[test]
fn a_tenant_that_is_called_last_stays_awake_and_an_instance_serves_many() {
    let engine = engine();
    let program = program(&engine, "one");
    let mut tenants = Tenants::new(config(2, 1 << 20), MemoryStore::new());
    for round in 1..=3 {
        for name in ["a", "b", "c", "d"] {
            assert_eq!(tenants.call(name, &program, |instance| call(instance, "add", 0, 1)).unwrap(), round);
        }
    }
    let status = tenants.status();
    assert_eq!((status.awake, status.asleep, status.idle, status.instances_made), (2, 2, 0, 2));
    assert_eq!((status.slept, status.woken, status.loaded, status.saved), (10, 8, 0, 0));
    tenants.call("d", &program, |instance| call(instance, "add", 0, 1)).unwrap();
    assert_eq!(tenants.status().woken, 8, "it is awake");
    assert_eq!(tenants.image("a").map(|image| image.number), Some(3));
}

#[test]
fn a_tenant_of_another_version_of_its_program_says_so_and_is_not_lost() {
    let engine = engine();
    let (old, new) = (program(&engine, "one"), program(&engine, "new"));
    let mut tenants = Tenants::new(config(1, 1 << 20), MemoryStore::new());
    tenants.call("a", &old, |instance| call(instance, "add", 0, 5)).unwrap();
    let error = tenants.call("a", &new, |instance| call(instance, "add", 0, 5)).unwrap_err();
    assert!(error.to_string().starts_with("the tenant cannot be woken: the image is of the module"), "{error}");
    assert_eq!(tenants.call("a", &old, |instance| call(instance, "add", 0, 1)).unwrap(), 6);
    tenants.forget("a").unwrap();
    assert_eq!(tenants.call("a", &new, |instance| call(instance, "add", 0, 1)).unwrap(), 1);
}

fn fails_in_the_host() -> Result<(), guest_host::GuestCallError> {
    panic!("the host's own code")
}

/// A call that panics in the host's own code.
#[test]
fn a_call_that_does_not_come_to_its_end_is_undone() {
    let engine = engine();
    let program = program(&engine, "one");
    let mut tenants = Tenants::new(config(1, 1 << 20), MemoryStore::new());
    tenants.call("a", &program, |instance| call(instance, "add", 0, 5)).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tenants.call("a", &program, |instance| {
            let function = instance.guest().export("add").unwrap();
            instance.call_with(function, |call| {
                call.call(&mut [guest_host::wasmtime::ValRaw::u32(0), guest_host::wasmtime::ValRaw::u32(9)])?;
                fails_in_the_host()?;
                Ok(())
            })
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(tenants.call("a", &program, |instance| call(instance, "add", 0, 1)).unwrap(), 6);
}
