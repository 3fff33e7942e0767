//! Random programs of several guests, with and without a write barrier, against the model.

use proptest::prelude::*;

use crate::guest::{Guest, Way};
use crate::model::{Model, told};

pub(crate) const GUESTS: usize = 3;

/// An operation of a guest. Numbers choose among what there is.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create {
        size: u32,
    },
    Attach {
        which: usize,
        flags: u32,
    },
    Store {
        which: usize,
        offset: usize,
        bytes: Vec<u8>,
    },
    Detach {
        which: usize,
        bytes: u32,
    },
    Duplicate {
        which: usize,
    },
    Drop {
        which: usize,
    },
    Part {
        which: usize,
        start: u32,
        size: u32,
        flags: u32,
    },
    Hand {
        which: usize,
        to: usize,
    },
    Wrong {
        id: u32,
    },
    /// A call ends, and no restore follows.
    EndCall,
    Restore,
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<(usize, Op)>> {
    let which = 0..4_usize;
    let size = prop_oneof![1 => Just(0_u32), 8 => 1..1000_u32, 1 => 4000..9000_u32];
    let op = prop_oneof![
        2 => size.clone().prop_map(|size| Op::Create { size }),
        8 => (which.clone(), 0..4_u32).prop_map(|(which, flags)| Op::Attach { which, flags }),
        6 => (which.clone(), 0..9000_usize, prop::collection::vec(any::<u8>(), 1..300))
            .prop_map(|(which, offset, bytes)| Op::Store { which, offset, bytes }),
        6 => (which.clone(), size.clone()).prop_map(|(which, bytes)| Op::Detach { which, bytes }),
        2 => which.clone().prop_map(|which| Op::Duplicate { which }),
        2 => which.clone().prop_map(|which| Op::Drop { which }),
        4 => (which.clone(), 0..1000_u32, size, 0..4_u32)
            .prop_map(|(which, start, size, flags)| Op::Part { which, start, size, flags }),
        4 => (which, 0..GUESTS).prop_map(|(which, to)| Op::Hand { which, to }),
        1 => any::<u32>().prop_map(|id| Op::Wrong { id }),
        1 => Just(Op::EndCall),
        1 => Just(Op::Restore),
    ];
    prop::collection::vec((0..GUESTS, op), 1..200)
}

/// Guests and the model of them.
pub(crate) struct World {
    pub(crate) guests: Vec<Guest>,
    /// The addresses of attachments, by guest and id.
    addresses: Vec<((usize, u32), u32)>,
    /// Ids that were given up.
    gone: Vec<(usize, u32)>,
    model: Model,
}

impl World {
    pub(crate) fn new(way: Way) -> Self {
        let guests = (0..GUESTS).map(|_| Guest::new(way)).collect();
        Self { guests, addresses: Vec::new(), gone: Vec::new(), model: Model::default() }
    }

    /// One of the ids that a guest has.
    fn pick(&self, guest: usize, which: usize, attached: Option<bool>) -> Option<u32> {
        let all = self.model.references(guest).into_iter();
        let fits: Vec<u32> =
            all.filter(|(_, is)| attached.is_none_or(|attached| attached == *is)).map(|(id, _)| id).collect();
        (!fits.is_empty()).then(|| fits[which % fits.len()])
    }

    fn address(&self, at: (usize, u32)) -> usize {
        self.addresses.iter().find(|(reference, _)| *reference == at).map_or(0, |(_, address)| *address as usize)
    }

    pub(crate) fn step(&mut self, guest: usize, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Create { size } => {
                let id = self.guests[guest].table.create(*size).unwrap();
                self.model.create((guest, id), *size as usize);
            }
            Op::Attach { which, flags } => {
                let Some(id) = self.pick(guest, *which, None) else { return Ok(()) };
                let Guest { memory, table, .. } = &mut self.guests[guest];
                let attached = table.attach(memory, id, *flags).unwrap();
                if attached == Err(guest_blocks::Refused::NoStorage) {
                    return Ok(());
                }
                let expected = self.model.attach((guest, id), flags & 1 != 0, flags & 2 != 0);
                prop_assert_eq!(Ok(attached.map(|area| area.bytes as usize)), expected);
                if let Ok(area) = attached {
                    self.addresses.retain(|(reference, _)| *reference != (guest, id));
                    self.addresses.push(((guest, id), area.address));
                }
            }
            Op::Store { which, offset, bytes } => {
                let Some(id) = self.pick(guest, *which, Some(true)) else { return Ok(()) };
                let at = (guest, id);
                let size = self.model.size(at);
                if !self.model.is_writer(at) || size == 0 {
                    return Ok(());
                }
                let offset = offset % size;
                let bytes = &bytes[..bytes.len().min(size - offset)];
                if self.model.is_handed_out(at, &(offset..offset + bytes.len())) {
                    return Ok(());
                }
                let address = self.address(at);
                self.guests[guest].memory.store(address + offset, bytes);
                self.model.store(at, offset, bytes);
            }
            Op::Detach { which, bytes } => {
                let Some(id) = self.pick(guest, *which, Some(true)) else { return Ok(()) };
                let bytes = match self.model.is_writer((guest, id)) {
                    true => bytes % (self.model.size((guest, id)) as u32 + 1),
                    false => *bytes,
                };
                let Guest { memory, table, .. } = &mut self.guests[guest];
                let detached = told(table.detach(memory, id, bytes));
                prop_assert_eq!(&detached, &self.model.detach((guest, id), bytes as usize));
                if detached.is_err() {
                    self.restore(guest);
                }
            }
            Op::Duplicate { which } => {
                let Some(id) = self.pick(guest, *which, None) else { return Ok(()) };
                let new = self.guests[guest].table.duplicate(id).unwrap();
                self.model.duplicate((guest, id), (guest, new));
            }
            Op::Drop { which } => {
                let Some(id) = self.pick(guest, *which, None) else { return Ok(()) };
                let dropped = told(self.guests[guest].table.drop_block(id));
                prop_assert_eq!(&dropped, &self.model.remove((guest, id)));
                self.gone.extend(dropped.map(|()| (guest, id)));
            }
            Op::Part { which, start, size, flags } => {
                let Some(id) = self.pick(guest, *which, None) else { return Ok(()) };
                let most = self.model.size((guest, id)) as u32 + 1;
                let (start, size) = (start % most, size % most);
                let range = start as usize..(start + size) as usize;
                let Guest { memory, table, .. } = &mut self.guests[guest];
                let part = table.create_partition(memory, id, start, size, *flags).ok();
                prop_assert_eq!(part.is_some(), self.model.part((guest, id), range, *flags, part));
            }
            Op::Hand { which, to } => {
                let Some(id) = self.pick(guest, *which, Some(false)) else { return Ok(()) };
                let block = self.guests[guest].table.take(id).unwrap();
                let new = self.guests[*to].table.insert(block).unwrap();
                self.model.hand((guest, id), (*to, new));
                self.gone.push((guest, id));
            }
            Op::Wrong { id } => {
                let known = self.model.references(guest).iter().any(|(known, _)| known == id);
                let Guest { memory, table, .. } = &mut self.guests[guest];
                prop_assume!(!known);
                prop_assert!(table.attach(memory, *id, 0).is_err() && table.detach(memory, *id, 0).is_err());
                prop_assert!(table.duplicate(*id).is_err() && table.drop_block(*id).is_err());
                prop_assert!(table.take(*id).is_err() && table.minimum_size(*id).is_err());
                prop_assert!(table.optimum_size(*id, *id) >= *id || *id == 0);
            }
            Op::EndCall => {
                let Guest { memory, table, .. } = &mut self.guests[guest];
                table.end_attachments(memory).unwrap();
                prop_assert!(table.is_empty());
                self.gone.extend(self.model.references(guest).into_iter().map(|(id, _)| (guest, id)));
                self.model.restore(guest);
            }
            Op::Restore => self.restore(guest),
        }
        self.check()
    }

    pub(crate) fn restore(&mut self, guest: usize) {
        // Ids begin again.
        self.gone.retain(|(other, _)| *other != guest);
        self.guests[guest].restore();
        self.model.restore(guest);
    }

    /// Each guest sees what the model says, and has kept to the rules.
    fn check(&mut self) -> Result<(), TestCaseError> {
        for (number, guest) in self.guests.iter_mut().enumerate() {
            prop_assert_eq!(guest.table.end_call(&guest.memory), Ok(()));
            for (_, id) in self.gone.iter().filter(|(guest, _)| *guest == number) {
                prop_assert!(guest.table.minimum_size(*id).is_err(), "{number}, {id:#x} is used again");
            }
            for (id, _) in self.model.references(number).into_iter().filter(|(_, attached)| *attached) {
                let view = self.model.view((number, id)).unwrap();
                let address = self.addresses.iter().find(|(reference, _)| *reference == (number, id));
                let address = address.map_or(0, |(_, address)| *address as usize);
                prop_assert!(guest.memory.bytes[address..address + view.len()] == *view, "{number}, {id:#x}");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn guests_see_what_the_model_says(program in ops(), way in prop::sample::select(Way::ALL.to_vec())) {
        let mut world = World::new(way);
        for (guest, op) in &program {
            world.step(*guest, op)?;
        }
        // Nobody holds anything back.
        for guest in 0..GUESTS {
            world.restore(guest);
            prop_assert!(world.guests[guest].table.is_empty());
        }
    }
}
