//! The instructions that each scenario takes are those that are recorded, within 2%.

use benches::instructions::{compare, count, read};

#[test]
fn no_scenario_has_drifted_from_its_recorded_count() {
    let counted = count().unwrap_or_else(|error| panic!("{error:#}"));
    let recorded = read().unwrap_or_else(|error| panic!("{error:#}"));
    match compare(&recorded, &counted).verdict(&counted) {
        Ok(verdict) => println!("{verdict}"),
        Err(error) => panic!("{error:#}"),
    }
    // The same check finds one scenario that takes 3% more.
    let mut specimen = counted.clone();
    let scenario = "allocators/random/freelist";
    let count = specimen.counts.get_mut(scenario).expect("it is one of the scenarios");
    *count += *count / 33;
    let mut recorded = recorded;
    recorded.insert(counted.compiler.clone(), counted.counts.clone());
    let found = compare(&recorded, &specimen).verdict(&specimen).expect_err("3% are beyond 2%").to_string();
    assert!(found.contains(scenario) && found.contains("(+3.0%)"), "{found}");
}
