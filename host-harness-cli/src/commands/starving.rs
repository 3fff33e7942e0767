//! Records that guests ask for and the state lacks: a warning before long work, or a state file to start from.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;
use guest_host::text::printable;
use guest_host::{Engine, Guest, LoadError, MemoryState};
use host_harness::functions::select;
use host_harness::probe::{Starving, starving, state_file};

use crate::arguments::{Common, Work};
use crate::output::Destination;
use crate::source::GuestFile;

/// As [`check`], of a guest that nothing else has loaded.
pub(super) fn check_file(file: &GuestFile, work: &Work, common: &Common, state: &MemoryState) -> Result<bool> {
    let guest = file.load(&Engine::new(&common.engine()?)?, common.prepare())?;
    check(file, &guest, work, common, state)
}

/// Refuses work in which no function would succeed for want of state, and says so of some. With `--write-state` it writes the
/// missing records and returns true: nothing else is asked for.
pub(super) fn check(
    file: &GuestFile,
    guest: &Guest,
    work: &Work,
    common: &Common,
    state: &MemoryState,
) -> Result<bool> {
    let named = |error| file.error(error);
    for function in work.function.iter().chain(work.named_failing()) {
        file.function(guest, function)?;
    }
    let config = common.config_of(guest);
    let functions = select(guest, &work.function, &config.arguments).map_err(named)?.functions;
    let allowed = work.allow_failing();
    let checked: Vec<String> = functions.iter().filter(|function| !allowed.allows(function)).cloned().collect();
    let starving = match starving(guest, &checked, &config, state) {
        Ok(starving) => starving,
        // Measuring or verifying reports it.
        Err(LoadError::Start(_)) if work.write_state.is_none() => return Ok(false),
        Err(error) => return Err(named(error).into()),
    };
    if let Some(path) = &work.write_state {
        write(path, &starving, !state.is_empty())?;
        return Ok(true);
    }
    if starving.is_empty() {
        return Ok(false);
    }
    let told = message(&starving, !state.is_empty());
    if starving.len() == functions.len() {
        anyhow::bail!("{told}");
    }
    // Nobody may be there to read it.
    let _ = writeln!(std::io::stderr(), "warning: {}", printable(&told));
    Ok(false)
}

/// Writes a state file, to which nothing gives way.
fn write(path: &Path, starving: &[Starving], has_records: bool) -> Result<()> {
    anyhow::ensure!(!starving.is_empty(), "no function fails for want of a record, so there is no state file to write");
    anyhow::ensure!(
        !path.exists(),
        "{} is there already, and may hold records of yours; name a file that is not there",
        path.display()
    );
    Destination::File(path.to_owned()).check()?;
    Destination::File(path.to_owned()).write(state_file(starving).as_bytes())?;
    let further = if has_records { ", and add them to the state file that you have" } else { "" };
    let mut told = format!("wrote {}: fill in the values of its records{further}", path.display());
    for function in starving {
        if let Some(left) = &function.left {
            told = format!("{told}\n`{}` then fails: {}", function.function, left.message);
        }
    }
    // Nobody may be there to read it.
    let _ = told.lines().try_for_each(|line| writeln!(std::io::stderr(), "{}", printable(line)));
    Ok(())
}

fn message(starving: &[Starving], has_records: bool) -> String {
    let mut records: Vec<String> = Vec::new();
    for record in starving.iter().flat_map(|function| &function.wanted) {
        let record = record.to_string();
        if !records.contains(&record) {
            records.push(record);
        }
    }
    let functions: Vec<String> = starving.iter().map(|function| format!("`{}`", function.function)).collect();
    let fail = if functions.len() == 1 { "fails" } else { "fail" };
    let help = match has_records {
        true => "add them to the state file; --write-state FILE writes them to a file of their own",
        false => "give --state FILE, or begin with a file that --write-state FILE writes",
    };
    format!("{} {fail} because the state lacks records: {}; {help}", functions.join(", "), records.join(", "))
}
