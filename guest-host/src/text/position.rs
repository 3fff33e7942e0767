//! Where something stands in a text.

/// Line and column of the byte at `offset`, both from 1; a column is a character.
///
/// ```
/// assert_eq!(guest_host::text::line_and_column("a\nä b\n", 5), (2, 3));
/// ```
#[must_use]
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::line_and_column;

    #[test]
    fn lines_and_columns_count_from_1_and_columns_are_characters() {
        let of = |offset| line_and_column("a\nä b\n", offset);
        assert_eq!((of(0), of(2), of(5), of(7)), ((1, 1), (2, 1), (2, 3), (3, 1)));
    }
}
