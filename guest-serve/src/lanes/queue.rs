//! Jobs that wait, and whose turn it is: guests in turn, and the tenants of a guest in turn.
//!
//! In turn by guest first, as whoever has a guest may name any number of tenants.

use std::collections::{HashMap, VecDeque};

use crate::folder::GuestName;

/// The part of all places that the jobs of one guest may have.
const PARTS: usize = 4;

/// Jobs that wait for their turn.
#[derive(Debug)]
pub struct Turns<J> {
    most: usize,
    most_running: usize,
    waiting: usize,
    /// Jobs that run, by their guest.
    running: HashMap<GuestName, usize>,
    guests: HashMap<GuestName, Tenants<J>>,
    /// Each guest with a job that waits, once.
    turns: VecDeque<GuestName>,
}

/// The jobs of one guest that wait.
#[derive(Debug)]
struct Tenants<J> {
    waiting: usize,
    jobs: HashMap<Box<str>, VecDeque<J>>,
    /// Each tenant with a job that waits, once.
    turns: VecDeque<Box<str>>,
}

/// Why a job cannot wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Full {
    /// As many jobs of the tenant wait as may.
    #[error("as many calls of the tenant wait as may; try again later")]
    Tenant,
    /// As many jobs of the guest's tenants wait as may.
    #[error("as many calls of the guest wait as may; try again later")]
    Guest,
    /// As many jobs wait as may.
    #[error("as many calls wait as may; try again later")]
    All,
    /// The lane is closed.
    #[error("the server stops")]
    Closed,
}

impl<J> Turns<J> {
    /// No jobs, and at most `most`; a quarter of them of one guest, of whose jobs `most_running` run at a time.
    #[must_use]
    pub fn new(most: usize, most_running: usize) -> Self {
        let (guests, turns, running) = (HashMap::new(), VecDeque::new(), HashMap::new());
        Self { most, most_running, waiting: 0, running, guests, turns }
    }

    /// How many jobs wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds a job of a guest's tenant, of which `most` may wait.
    ///
    /// # Errors
    /// [`Full`].
    pub fn push(&mut self, guest: &GuestName, tenant: &str, most: usize, job: J) -> Result<(), Full> {
        let of_guest = self.guests.get(guest);
        let of_tenant = of_guest.and_then(|guest| guest.jobs.get(tenant)).map_or(0, VecDeque::len);
        if of_tenant >= most {
            return Err(Full::Tenant);
        }
        if self.waiting >= self.most {
            return Err(Full::All);
        }
        if of_guest.map_or(0, |guest| guest.waiting) >= self.most.div_ceil(PARTS) {
            return Err(Full::Guest);
        }
        let of_guest = self.guests.entry(guest.clone()).or_insert_with(|| {
            self.turns.push_back(guest.clone());
            Tenants { waiting: 0, jobs: HashMap::new(), turns: VecDeque::new() }
        });
        of_guest.push(tenant, job);
        self.waiting += 1;
        Ok(())
    }

    /// Takes the job whose turn it is. It runs until [`Turns::done`].
    pub fn pop(&mut self) -> Option<(GuestName, J)> {
        let may_run = |guest: &GuestName| self.running.get(guest).is_none_or(|running| *running < self.most_running);
        let at = self.turns.iter().position(may_run)?;
        let guest = self.turns.remove(at)?;
        let tenants = self.guests.get_mut(&guest)?;
        let job = tenants.pop()?;
        match tenants.waiting {
            0 => drop(self.guests.remove(&guest)),
            _ => self.turns.push_back(guest.clone()),
        }
        self.waiting -= 1;
        *self.running.entry(guest.clone()).or_default() += 1;
        Some((guest, job))
    }

    /// A job of the guest runs no longer.
    pub fn done(&mut self, guest: &GuestName) {
        if let Some(running) = self.running.get_mut(guest) {
            *running -= 1;
            if *running == 0 {
                self.running.remove(guest);
            }
        }
    }
}

impl<J> Tenants<J> {
    fn push(&mut self, tenant: &str, job: J) {
        self.waiting += 1;
        match self.jobs.get_mut(tenant) {
            Some(jobs) => jobs.push_back(job),
            None => {
                self.turns.push_back(tenant.into());
                self.jobs.insert(tenant.into(), VecDeque::from([job]));
            }
        }
    }

    fn pop(&mut self) -> Option<J> {
        let tenant = self.turns.pop_front()?;
        let jobs = self.jobs.get_mut(&tenant)?;
        let job = jobs.pop_front();
        match jobs.is_empty() {
            true => drop(self.jobs.remove(&tenant)),
            false => self.turns.push_back(tenant),
        }
        self.waiting -= usize::from(job.is_some());
        job
    }
}
