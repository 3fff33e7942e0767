//! How an artefact that was made reads.

use super::super::data::CompileReport;
use super::super::numbers::grouped;
use super::super::section::Section;

pub(in super::super) fn sections(compiled: &CompileReport) -> Vec<Section> {
    let sealed = match compiled.sealed {
        true => "yes: its code is used with the same key",
        false => "no: every use compiles its module again; seal it with a key",
    };
    let facts = vec![
        ("file", compiled.file.clone()),
        (
            "size",
            format!("{} bytes, {} of the module", grouped(compiled.artefact_bytes), grouped(compiled.module_bytes)),
        ),
        ("sealed", sealed.to_owned()),
    ];
    vec![Section::facts(format!("Artefact of {}", compiled.guest), facts)]
}
