//! Where something stands in a text.

/// Line and column of the byte at `offset`, both from 1; a column is a character.
pub(super) fn of(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn lines_and_columns_count_from_1_and_columns_are_characters() {
        let text = "a\nä b\n";
        assert_eq!((of(text, 0), of(text, 2), of(text, 5), of(text, 7)), ((1, 1), (2, 1), (2, 3), (3, 1)));
    }
}
