//! Joins what is the same in several places.

/// Each item once, in the order in which they come first, with the places of all that are the same.
pub(super) fn gather<T, P>(
    items: impl IntoIterator<Item = (T, P)>,
    is_same: impl Fn(&T, &T) -> bool,
) -> Vec<(T, Vec<P>)> {
    let mut gathered: Vec<(T, Vec<P>)> = Vec::new();
    for (item, place) in items {
        match gathered.iter_mut().find(|(known, _)| is_same(known, &item)) {
            Some((_, places)) => places.push(place),
            None => gathered.push((item, vec![place])),
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_stays_in_its_order() {
        let items = [("Bb", 1), ("a", 2), ("bb", 3), ("A", 4), ("c", 5)];
        let gathered = gather(items, |one, other| one.eq_ignore_ascii_case(other));
        assert_eq!(gathered, [("Bb", vec![1, 3]), ("a", vec![2, 4]), ("c", vec![5])]);
    }
}
