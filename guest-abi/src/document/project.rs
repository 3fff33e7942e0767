//! Copying the parts of a document to which paths lead.

use alloc::vec::Vec;

use super::buffer::DocumentBuf;
use super::item::Item;
use super::path::{AsPath, Step};
use super::reader::FieldError;
use super::writer::{ItemWriter, ListWriter, ObjectWriter};
use crate::cbor::{MAX_DEPTH, WireError};
use crate::value::{Kind, ValueError};

/// A path, as far as it has not been walked.
type Rest<'s, 'p> = &'s [Step<'p>];

/// A document of the fields to which the paths lead.
pub(super) fn project<'p, P: AsPath<'p>>(
    fields: Item<'_>,
    paths: impl IntoIterator<Item = P>,
) -> Result<DocumentBuf, FieldError<'p>> {
    let steps = |path: P| {
        let steps = path.steps().collect::<Result<Vec<_>, _>>();
        steps.map_err(|error| FieldError::Path { path: path.text(), error })
    };
    let paths = paths.into_iter().map(steps).collect::<Result<Vec<_>, _>>()?;
    let paths: Vec<Rest<'_, '_>> = paths.iter().map(Vec::as_slice).collect();
    let written = DocumentBuf::try_new(|object| members(fields, &paths, object, MAX_DEPTH));
    written.map_err(|error| FieldError::Value { path: "", error })
}

/// The rests of the paths whose first step is the one wanted.
fn behind<'s, 'p>(paths: &[Rest<'s, 'p>], is_wanted: impl Fn(Step<'p>) -> bool) -> Vec<Rest<'s, 'p>> {
    let rest = |path: &Rest<'s, 'p>| path.split_first().filter(|(step, _)| is_wanted(**step)).map(|(_, rest)| rest);
    paths.iter().filter_map(rest).collect()
}

fn members(of: Item<'_>, paths: &[Rest<'_, '_>], object: &mut ObjectWriter<'_>, depth: u32) -> Result<(), ValueError> {
    for member in of.as_object()? {
        let (name, value) = member?;
        let rests = behind(paths, |step| step.is_name(name.as_bytes()));
        if leads_somewhere(value, &rests, depth)? {
            copy(value, &rests, object.put_new(name), depth)?;
        }
    }
    Ok(())
}

fn elements(of: Item<'_>, paths: &[Rest<'_, '_>], list: &mut ListWriter<'_>, depth: u32) -> Result<(), ValueError> {
    for (index, element) in of.as_list()?.enumerate() {
        let value = element?;
        let rests = behind(paths, |step| step.index() == Some(index));
        if leads_somewhere(value, &rests, depth)? {
            copy(value, &rests, list.push(), depth)?;
        }
    }
    Ok(())
}

/// Whether one of the paths leads from here to an item.
fn leads_somewhere(value: Option<Item<'_>>, paths: &[Rest<'_, '_>], depth: u32) -> Result<bool, ValueError> {
    if paths.is_empty() || paths.iter().any(|path| path.is_empty()) {
        return Ok(!paths.is_empty());
    }
    let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at: 0 })?;
    let Some(value) = value else { return Ok(false) };
    match value.kind()? {
        Kind::Object => {
            for member in value.as_object()? {
                let (name, inner) = member?;
                if leads_somewhere(inner, &behind(paths, |step| step.is_name(name.as_bytes())), depth)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Kind::Array => {
            for (index, element) in value.as_list()?.enumerate() {
                if leads_somewhere(element?, &behind(paths, |step| step.index() == Some(index)), depth)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => Ok(false),
    }
}

/// Copies an item to which paths lead, or what of it they lead to.
fn copy(value: Option<Item<'_>>, paths: &[Rest<'_, '_>], to: ItemWriter<'_>, depth: u32) -> Result<(), ValueError> {
    let depth = depth.checked_sub(1).ok_or(WireError::TooDeep { at: 0 })?;
    let Some(value) = value else {
        to.null();
        return Ok(());
    };
    if paths.iter().any(|path| path.is_empty()) {
        return Ok(to.item(value)?);
    }
    match value.kind()? {
        Kind::Array => to.list(|list| elements(value, paths, list, depth)),
        _ => to.object(|object| members(value, paths, object, depth)),
    }
}
