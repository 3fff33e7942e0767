//! Table functions: any number of rows for a call.

use guest_sdk::{Result, table_function};

/// The words of a text: runs of letters and digits, in lower case, with the byte at which each begins.
#[table_function(columns(position, word))]
fn tokens(text: &str) -> impl Iterator<Item = (i64, String)> {
    let is_of_word = |letter: char| letter.is_alphanumeric();
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + text[from..].find(is_of_word)?;
        let end = text[start..].find(|letter| !is_of_word(letter)).map_or(text.len(), |length| start + length);
        from = end;
        Some((i64::try_from(start).ok()?, text[start..end].to_lowercase()))
    })
}

/// The numbers from `start` to before `end`, by `step`; null steps by 1.
#[table_function(columns(number), strict = false)]
fn series(start: i64, end: i64, step: Option<i64>) -> Result<impl Iterator<Item = i64>> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err("the step of a series is not 0".into());
    }
    let is_before = move |number: &i64| if step > 0 { *number < end } else { *number > end };
    Ok(std::iter::successors(Some(start), move |number| number.checked_add(step)).take_while(is_before))
}

/// Each line of `name=number` with its value, or null where there is none; another line is an error.
#[table_function(columns(name, value))]
fn settings(text: &str) -> impl Iterator<Item = Result<(&str, Option<f64>)>> {
    text.lines().map(|line| match line.split_once('=') {
        Some((name, "")) => Ok((name, None)),
        Some((name, value)) => match value.parse() {
            Ok(value) => Ok((name, Some(value))),
            Err(_) => Err(format!("`{value}` is no number").into()),
        },
        None => Err(format!("`{line}` is no setting: write a name, `=`, and a number").into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_begin() {
        let found: Vec<_> = tokens("  Año 2023, sí!").collect();
        assert_eq!(found, [(2, "año".to_owned()), (7, "2023".to_owned()), (13, "sí".to_owned())]);
        assert_eq!(tokens("").count() + tokens("...").count(), 0);
    }

    #[test]
    fn a_series_ends_before_its_end() {
        assert_eq!(series(1, 4, None).unwrap().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(series(4, 1, Some(-2)).unwrap().collect::<Vec<_>>(), [4, 2]);
        assert_eq!(series(i64::MAX - 1, i64::MAX, Some(5)).unwrap().count(), 1);
        assert!(series(1, 2, Some(0)).is_err());
    }

    #[test]
    fn settings_are_read_line_by_line() {
        let found: Vec<_> = settings("a=1\nb=\nc").map(|row| row.ok()).collect();
        assert_eq!(found, [Some(("a", Some(1.0))), Some(("b", None)), None]);
    }
}
