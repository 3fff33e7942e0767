//! The arguments of functions of bare modules.

use anyhow::Result;
use clap::Args;
use guest_host::{Arguments, Guest, LoadError};
use host_harness::functions::{SkippedFunction, arguments_of};

/// A function, and the arguments of its calls.
type Call = (String, Vec<String>);

/// The arguments of functions of bare modules.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CallArguments {
    /// Arguments for a function of a bare module, such as 'gcd=48,18'; may be given once for each function.
    ///
    /// Commas or spaces separate the numbers. Integers are decimal, or hexadecimal behind 0x. `run` also takes them behind the
    /// function's name. `measure` and `verify` skip functions whose arguments are missing.
    #[arg(long, global = true, value_name = "FUNCTION=NUMBER,...", value_parser = call, allow_hyphen_values = true)]
    args: Vec<Call>,
}

impl CallArguments {
    /// The arguments, by function.
    pub(crate) fn arguments(&self) -> Arguments {
        self.args.iter().fold(Arguments::default(), |all, (function, values)| all.of(function, values.iter().cloned()))
    }

    /// Refuses arguments that are given twice for one function.
    pub(crate) fn check(&self) -> Result<()> {
        for (index, (function, _)) in self.args.iter().enumerate() {
            let is_new = self.args[..index].iter().all(|(earlier, _)| earlier != function);
            anyhow::ensure!(is_new, "`--args` gives arguments for `{function}` twice; give them once");
        }
        Ok(())
    }

    /// Refuses arguments for functions that no guest has, or that take none.
    pub(crate) fn check_for<'g>(&self, guests: impl Iterator<Item = &'g Guest> + Clone) -> Result<()> {
        let arguments = self.arguments();
        let taken =
            |function: &str| guests.clone().any(|guest| arguments_of(guest, &arguments).get(function).is_some());
        let Some((function, _)) = arguments.iter().find(|(function, _)| !taken(function)) else { return Ok(()) };
        match guests.clone().next().map(|guest| guest.function(function)) {
            // None could be initialised, which the report says.
            None => Ok(()),
            Some(Err(cause)) => Err(LoadError::Function(cause).into()),
            Some(Ok(_)) => {
                anyhow::bail!("`--args` gives arguments for `{function}`, an extension function, which takes none")
            }
        }
    }
}

/// Reads a function's name and the arguments behind `=`.
fn call(text: &str) -> Result<Call, String> {
    // A name may have any character, a number has no `=`.
    let wrong = "write the function's name, `=` and its arguments, such as gcd=48,18";
    let Some((function, values)) = text.rsplit_once('=').filter(|(function, _)| !function.is_empty()) else {
        return Err(format!("`{text}` has no function: {wrong}"));
    };
    let values = values.trim();
    let mut arguments = Vec::new();
    for part in values.split(',').filter(|_| !values.is_empty()) {
        let before = arguments.len();
        arguments.extend(part.split_whitespace().map(str::to_owned));
        if arguments.len() == before {
            return Err(format!("`{text}` has a comma without a number beside it: {wrong}"));
        }
    }
    Ok((function.to_owned(), arguments))
}

/// Says of a function that it was skipped, and how it is not.
pub(crate) fn skipped(guest: &Guest, skipped: &SkippedFunction) -> String {
    let SkippedFunction { function, signature, .. } = skipped;
    format!(
        "skipped `{function}` of {}: it has type `{signature}`, and no arguments were given; `--args '{function}=...'` gives them",
        guest.name()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_behind_the_function_with_commas_or_spaces() {
        let read = |text: &str| call(text).map(|(function, values)| (function, values.join("|")));
        let gcd = Ok(("gcd".to_owned(), "48|-18".to_owned()));
        for text in ["gcd=48,-18", "gcd=48, -18", "gcd=48 -18", "gcd= 48 ,\t-18 "] {
            assert_eq!(read(text), gcd, "{text}");
        }
        assert_eq!(read("f="), Ok(("f".to_owned(), String::new())));
        assert_eq!(read("a=b=1"), Ok(("a=b".to_owned(), "1".to_owned())));
        for wrong in ["gcd", "=1", "gcd=1,,2", "gcd=1,", "gcd=,"] {
            assert!(call(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn one_function_has_one_list_of_arguments() {
        let of = |texts: &[&str]| CallArguments { args: texts.iter().map(|text| call(text).unwrap()).collect() };
        assert!(of(&["f=1", "g=1"]).check().is_ok());
        assert!(of(&["f=1", "g=1", "f=2"]).check().is_err());
    }
}
