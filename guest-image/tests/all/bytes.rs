//! Images as bytes: written and read, damaged, cut and made up.

use guest_image::{Change, Delta, GlobalValue, HEADER, HostState, Image, ImageError};
use proptest::prelude::*;

use crate::model::{State, base, step};

fn host() -> HostState {
    let mut host = HostState::default();
    host.descriptors = [None, Some(0), Some(u16::MAX)];
    (host.elapsed, host.monotonic, host.random_position) = (u64::MAX, 1 << 40, 3);
    host
}

/// A delta with something of each kind, and its bytes.
fn sample() -> (Delta, Vec<u8>) {
    let base = base(3);
    let mut state = State::of(&base);
    state.memory[1000..2000].fill(9);
    state.memory[60_000] = 1;
    state.globals[1] = GlobalValue::I64(u64::MAX);
    let mut delta = state.delta(&base);
    delta.host = Some(host());
    delta.block_uses = vec![1, 65_536];
    let mut bytes = Vec::new();
    assert_eq!(delta.write_to(7, &mut bytes).unwrap(), bytes.len() as u64);
    assert_eq!(delta.encoded_bytes(), bytes.len() as u64);
    (delta, bytes)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        steps in prop::collection::vec(step(), 0..12),
        has_host: bool,
        uses in prop::collection::vec(1_u32..=65_536, 0..4),
        number: u64,
    ) {
        let base = base(3);
        let mut state = State::of(&base);
        let pristine = state.delta(&base);
        steps.iter().for_each(|step| step.run(&mut state, &base));
        let mut delta = state.delta(&base);
        delta.host = has_host.then(host);
        delta.block_uses = uses;
        let change = Change::between(&pristine, &delta).unwrap();
        let (mut as_base, mut as_delta, mut as_change) = (Vec::new(), Vec::new(), Vec::new());
        base.write_to(&mut as_base).unwrap();
        delta.write_to(number, &mut as_delta).unwrap();
        change.write_to(5, number, &mut as_change).unwrap();
        prop_assert_eq!([delta.encoded_bytes(), change.encoded_bytes()], [as_delta.len() as u64, as_change.len() as u64]);
        let applied = change.apply(&pristine);
        prop_assert_eq!(applied.as_ref(), Ok(&delta));
        prop_assert_eq!(Image::from_bytes(&as_base), Ok(Image::Base(base)));
        prop_assert_eq!(Image::from_bytes(&as_delta), Ok(Image::Delta { delta, number }));
        prop_assert_eq!(Image::from_bytes(&as_change), Ok(Image::Change { change, after: 5, number }));
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), sealed: bool) {
        let mut bytes = bytes;
        if sealed && bytes.len() >= HEADER {
            let (_, sample) = sample();
            bytes[..12].copy_from_slice(&sample[..12]);
            seal(&mut bytes);
        }
        prop_assert!(Image::from_bytes(&bytes).is_err() || sealed);
    }

    /// Whatever one writes into an image whose checksums then fit, it is refused, or contradicts nothing.
    #[test]
    fn an_image_that_was_made_up_contradicts_nothing(at in 10_usize..400, byte: u8, cut in 0_usize..3) {
        let (_, mut bytes) = sample();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut);
        seal(&mut bytes);
        if let Ok(Image::Delta { delta, .. }) = Image::from_bytes(&bytes) {
            prop_assert_eq!(delta.check(), Ok(()));
        }
    }
}

/// Makes the checksums fit.
fn seal(bytes: &mut [u8]) {
    let payload = crc32fast::hash(&bytes[HEADER..]);
    bytes[12..16].copy_from_slice(&payload.to_le_bytes());
    let header = crc32fast::hash(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..HEADER].copy_from_slice(&header.to_le_bytes());
}

#[test]
fn every_bit_that_flips_is_found() {
    let (_, bytes) = sample();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(Image::from_bytes(&damaged).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_is_found() {
    let (delta, bytes) = sample();
    for end in 0..bytes.len() {
        let expected = if end < 8 { ImageError::NoImage } else { Image::from_bytes(&bytes[..end]).unwrap_err() };
        assert!(matches!(expected, ImageError::NoImage | ImageError::Truncated { .. }), "{end}: {expected}");
    }
    let behind = [&bytes[..], &[0]].concat();
    assert!(matches!(Image::from_bytes(&behind), Err(ImageError::Invalid { .. })));
    let (read, number) = Delta::read_from(&mut &behind[..]).unwrap().unwrap();
    assert_eq!((read, number), (delta, 7));
}

#[test]
fn numbers_of_blocks_are_used_as_often_as_they_can_be() {
    let base = base(3);
    for uses in [vec![0], vec![1, 65_537], vec![1; 65_536]] {
        let mut delta = State::of(&base).delta(&base);
        delta.block_uses = uses;
        assert!(matches!(delta.check(), Err(ImageError::Invalid { .. })));
        let mut bytes = Vec::new();
        delta.write_to(1, &mut bytes).unwrap();
        assert!(Image::from_bytes(&bytes).is_err());
    }
}

#[test]
fn another_format_and_another_kind_are_named() {
    let (_, mut bytes) = sample();
    bytes[8] = 2;
    let error = Image::from_bytes(&bytes).unwrap_err();
    assert_eq!(error, ImageError::Format { found: 2, read: 1 });
    assert!(error.to_string().contains("use the version that wrote it"));
    let mut bytes = Vec::new();
    base(3).write_to(&mut bytes).unwrap();
    let error = Delta::read_from(&mut &bytes[..]).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "this is a base, and a delta is needed");
}

/// The memory that is reserved follows the bytes that are there, and not what a header says.
#[test]
fn a_header_that_tells_too_much_reserves_little() {
    let (_, mut bytes) = sample();
    bytes[104..112].copy_from_slice(&(u64::MAX >> 1).to_le_bytes());
    seal(&mut bytes);
    assert!(matches!(Image::from_bytes(&bytes), Err(ImageError::Truncated { expected, .. }) if expected > 1 << 60));
}
