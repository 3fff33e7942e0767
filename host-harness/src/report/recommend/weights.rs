//! How often each function is called, in comparison.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The weights of functions. A function that is not named weighs nothing if others are named, and 1 if none is.
///
/// ```
/// use host_harness::recommend::Weights;
///
/// let weights: Weights = "calc_ordered_items=9, count_up=1".parse()?;
/// assert_eq!((weights.of("calc_ordered_items"), weights.of("refuse")), (9.0, 0.0));
/// assert_eq!(Weights::default().of("refuse"), 1.0);
/// # Ok::<(), host_harness::recommend::WeightsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights(BTreeMap<String, f64>);

/// Weights that mean nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The text is none.
    #[error("`{0}` is no weight: write FUNCTION=NUMBER, several with commas, such as `calc=9,report=1`")]
    Text(String),
    /// The weight of a function is negative or no number.
    #[error("the weight of `{0}` is negative or no number")]
    Value(String),
    /// A function stands twice.
    #[error("`{0}` has two weights")]
    Twice(String),
    /// No guest has the function.
    #[error("there is no function `{function}` to weigh; there are {there}")]
    NoFunction {
        /// The function.
        function: String,
        /// Those that there are.
        there: String,
    },
    /// All functions weigh nothing.
    #[error("all functions weigh 0; give at least one of them a weight")]
    Nothing,
    /// The file has no calls.
    #[error(
        "there are no weights in it: it needs a JSON object of numbers by function, or metrics with `guest_invocations_total`"
    )]
    NoCalls,
}

impl Weights {
    /// The weight of a function.
    #[must_use]
    pub fn of(&self, function: &str) -> f64 {
        match self.0.is_empty() {
            true => 1.0,
            false => self.0.get(function).copied().unwrap_or_default(),
        }
    }

    /// Weights from the contents of a file: a JSON object of numbers by function, or the metrics of a host in the text format of
    /// OpenMetrics, whose counts of calls by function are the weights.
    ///
    /// # Errors
    /// [`WeightsError`] when it is neither.
    pub fn from_file(text: &str) -> Result<Self, WeightsError> {
        if let Ok(weights) = serde_json::from_str::<BTreeMap<String, f64>>(text) {
            return Self::of_all(weights);
        }
        let mut weights: BTreeMap<String, f64> = BTreeMap::new();
        for line in text.lines() {
            let Some((function, calls)) = calls_of(line) else { continue };
            *weights.entry(function).or_default() += calls;
        }
        Self::of_all(weights)
    }

    fn of_all(weights: BTreeMap<String, f64>) -> Result<Self, WeightsError> {
        if weights.is_empty() {
            return Err(WeightsError::NoCalls);
        }
        match weights.iter().find(|(_, weight)| !weight.is_finite() || **weight < 0.0) {
            Some((function, _)) => Err(WeightsError::Value(function.clone())),
            None => Ok(Self(weights)),
        }
    }

    /// Checks them against the functions that there are.
    ///
    /// # Errors
    /// [`WeightsError`] when a function is weighed that is not there, or all that are there weigh nothing.
    pub fn check(&self, functions: &[&str]) -> Result<(), WeightsError> {
        if let Some(function) = self.0.keys().find(|function| !functions.contains(&function.as_str())) {
            let there: Vec<String> = functions.iter().map(|function| format!("`{function}`")).collect();
            return Err(WeightsError::NoFunction { function: function.clone(), there: there.join(", ") });
        }
        match functions.is_empty() || functions.iter().any(|function| self.of(function) > 0.0) {
            true => Ok(()),
            false => Err(WeightsError::Nothing),
        }
    }
}

/// The function and the calls of a line of metrics, where it counts calls.
fn calls_of(line: &str) -> Option<(String, f64)> {
    let labels = line.strip_prefix("guest_invocations_total{")?;
    let (labels, count) = labels.rsplit_once('}')?;
    let (_, function) = labels.split_once("function=\"")?;
    let (function, _) = function.split_once('"')?;
    Some((function.to_owned(), count.split_whitespace().next()?.parse().ok()?))
}

impl FromStr for Weights {
    type Err = WeightsError;

    fn from_str(text: &str) -> Result<Self, WeightsError> {
        let mut weights = BTreeMap::new();
        for part in text.split(',') {
            let wrong = || WeightsError::Text(part.trim().to_owned());
            let (function, weight) = part.split_once('=').ok_or_else(wrong)?;
            let (function, weight) = (function.trim(), weight.trim().parse().map_err(|_| wrong())?);
            if weights.insert(function.to_owned(), weight).is_some() {
                return Err(WeightsError::Twice(function.to_owned()));
            }
        }
        Self::of_all(weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_from_text_json_and_metrics() {
        let text: Weights = "a=2, b=0.5".parse().unwrap();
        assert_eq!(text, Weights::from_file(r#"{"a": 2, "b": 0.5}"#).unwrap());
        let metrics = "# HELP guest_calls calls\nguest_invocations_total{guest=\"g\",function=\"a\",outcome=\"ok\"} 30\n\
                       guest_invocations_total{guest=\"g\",function=\"a\",outcome=\"failed\"} 2\nother_total{function=\"b\"} 9\n";
        assert_eq!(Weights::from_file(metrics).unwrap(), "a=32".parse().unwrap());
    }

    #[test]
    fn what_is_no_weight_is_refused() {
        for (text, says) in [
            ("", "is no weight"),
            ("a", "`a` is no weight"),
            ("a=x", "is no weight"),
            ("a=-1", "the weight of `a` is negative"),
            ("a=1,a=2", "has two weights"),
        ] {
            let error = text.parse::<Weights>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!(Weights::from_file("nothing").unwrap_err(), WeightsError::NoCalls);
        let weights: Weights = "a=1".parse().unwrap();
        assert!(weights.check(&["b"]).unwrap_err().to_string().contains("there are `b`"));
        assert_eq!("a=0".parse::<Weights>().unwrap().check(&["a", "b"]), Err(WeightsError::Nothing));
        assert_eq!(Weights::default().check(&["a"]), Ok(()));
    }
}
