//! The text format of metrics, as far as counters and histograms need it.

use std::collections::HashMap;

/// Finds what is wrong with a text in the OpenMetrics format, as far as counters and histograms need it.
pub fn check(text: &str) -> Result<(), String> {
    let Some(body) = text.strip_suffix("# EOF\n") else { return Err("it does not end by # EOF".to_owned()) };
    let (mut types, mut helps) = (HashMap::new(), HashMap::new());
    let mut below = 0.0;
    for line in body.lines() {
        let wrong = |what: &str| Err(format!("{what}: {line}"));
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (kind, name, rest) = (words.next(), words.next().unwrap_or(""), words.next().unwrap_or(""));
            let seen = match kind {
                Some("HELP") => helps.insert(name, rest).is_some(),
                Some("TYPE") => types.insert(name, rest).is_some(),
                Some("UNIT") => !name.ends_with(rest),
                _ => return wrong("an unknown comment"),
            };
            if seen || rest.is_empty() {
                return wrong("a bad or a second description");
            }
            continue;
        }
        let Some((series, number)) = line.rsplit_once(' ') else { return wrong("no value") };
        let Ok(number) = number.parse::<f64>() else { return wrong("no number") };
        let Some((name, labels)) = series.strip_suffix('}').and_then(|series| series.split_once('{')) else {
            return wrong("no labels");
        };
        if !labels.split(',').all(|label| label.split_once("=\"").is_some_and(|(_, value)| value.ends_with('"'))) {
            return wrong("a bad label");
        }
        let family = ["_total", "_sum", "_count", "_bucket"].iter().find_map(|suffix| {
            let family = name.strip_suffix(suffix)?;
            types.get(family).map(|kind| (family, *kind, *suffix))
        });
        match family {
            Some((family, ..)) if !helps.contains_key(family) => return wrong("no help"),
            Some((_, "counter", "_total")) | Some((_, "histogram", "_sum")) => {}
            Some((_, "histogram", "_count")) => below = 0.0,
            Some((_, "histogram", "_bucket")) if number >= below => below = number,
            _ => return wrong("it does not fit its type"),
        }
    }
    Ok(())
}

/// The value of a series.
pub fn value(text: &str, series: &str) -> Option<f64> {
    let number = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(number.parse().unwrap())
}
