//! `call`.

use anyhow::{Result, anyhow, bail};
use guest_functions::wire::AsJson;
use guest_functions::{
    Columnar, Field, FunctionError, Kind, Module, Scalar, Signature, TableRows, Value, ValueError, array_of, value_at,
};
use serde_json::json;

use super::functions::{load, print};
use crate::arguments::{Call, Common, Format};
use crate::output::{Destination, print_more};

/// Calls a function, and prints its result.
pub(crate) fn call(arguments: &Call, common: &Common) -> Result<()> {
    let module = load(&arguments.module, common, "call")?;
    let signature = module.signatures().find(|signature| signature.name == arguments.function);
    let kind = signature.map_or(Kind::Scalar, |signature| signature.kind);
    if arguments.limit.is_some() && kind != Kind::Table {
        bail!("`--limit` is for table functions; `{}` has one result", arguments.function);
    }
    match kind {
        Kind::Aggregate => aggregate(&module, arguments, common),
        Kind::Table => table(&module, arguments, common),
        _ => row(&module, arguments, common),
    }
}

/// Calls a function of one row.
fn row(module: &Module, arguments: &Call, common: &Common) -> Result<()> {
    let function = module.function(&arguments.function)?;
    let values = values(function.signature(), &arguments.arguments)?;
    let result: Value = module.caller()?.call(&function, values.as_slice())?;
    print_result(function.signature(), &result, common)
}

/// Calls an aggregate with rows that stand one behind the other.
fn aggregate(module: &Module, arguments: &Call, common: &Common) -> Result<()> {
    let aggregate = module.aggregate(&arguments.function)?;
    let signature = aggregate.signature();
    let (width, given) = (signature.params.len(), arguments.arguments.len());
    if width == 0 && given > 0 || width > 0 && given % width > 0 {
        bail!(
            "`{signature}` takes {width} argument{} for each row, and {given} were given; write the rows one behind the other",
            if width == 1 { "" } else { "s" }
        );
    }
    let rows = arguments.arguments.chunks(width.max(1));
    let rows = rows.map(|row| values(signature, row)).collect::<Result<Vec<_>>>()?;
    let column = |(at, field): (usize, &Field)| {
        let values: Vec<Value> = rows.iter().map(|row| row[at].clone()).collect();
        array_of(field.ty, &values).ok_or_else(|| unfit(signature))
    };
    let columns = signature.params.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
    let columns: Vec<Columnar<'_>> = columns.iter().map(|array| Columnar::Array(array)).collect();
    let result = aggregate.call(&columns, rows.len())?;
    let result = value_at(&result, signature.results[0].ty, 0).ok_or_else(|| unfit(signature))?;
    print_result(signature, &result, common)
}

/// Calls a table function, and prints its rows as they come.
fn table(module: &Module, arguments: &Call, common: &Common) -> Result<()> {
    let table = module.table_function(&arguments.function)?;
    let signature = table.signature();
    let values = values(signature, &arguments.arguments)?;
    let array = |(field, value): (&Field, Value)| array_of(field.ty, &[value]).ok_or_else(|| unfit(signature));
    let columns = signature.params.iter().zip(values).map(array).collect::<Result<Vec<_>>>()?;
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let most = usize::try_from(left).unwrap_or(usize::MAX).min(MOST_ROWS);
    let mut rows = table.call(&columns)?.with_batch_size(most);
    let names = || signature.results.iter().map(|field| field.name.as_str());
    match common.format {
        Format::Text => {
            let mut text = names().collect::<Vec<_>>().join("\t") + "\n";
            while let Some(batch) = next(signature, &mut rows, &mut left)? {
                for row in batch {
                    let row: Vec<String> = row.iter().map(|value| line(&value.to_string())).collect();
                    text.push_str(&row.join("\t"));
                    text.push('\n');
                }
                if !print_more(std::mem::take(&mut text).as_bytes())? {
                    return Ok(());
                }
            }
            print_more(text.as_bytes())?;
        }
        Format::Json => {
            let mut all = Vec::new();
            while let Some(batch) = next(signature, &mut rows, &mut left)? {
                all.extend(batch.iter().map(|row| row.iter().map(in_json).collect::<serde_json::Value>()));
            }
            let of = json!({"function": signature.name, "columns": names().collect::<Vec<_>>(), "rows": all});
            Destination::Stdout.write(format!("{}\n", serde_json::to_string_pretty(&of)?).as_bytes())?;
        }
    }
    Ok(())
}

/// Rows of a table function that are taken at once.
const MOST_ROWS: usize = 1024;

/// The next rows of a table function, at most `left`.
fn next(signature: &Signature, rows: &mut TableRows, left: &mut u64) -> Result<Option<Vec<Vec<Value>>>> {
    if *left == 0 {
        return Ok(None);
    }
    let Some(batch) = rows.next().transpose()? else { return Ok(None) };
    let count = batch.num_rows().min(usize::try_from(*left).unwrap_or(usize::MAX));
    *left -= count as u64;
    let value = |row: usize| {
        let columns = signature.results.iter().zip(batch.columns());
        columns.map(|(field, column)| value_at(column, field.ty, row).ok_or_else(|| unfit(signature))).collect()
    };
    (0..count).map(value).collect::<Result<_>>().map(Some)
}

/// The text without what would divide a line or a column.
fn line(text: &str) -> String {
    guest_host::text::printable_lines(&text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n"))
}

/// The arguments of one row, in the types of the parameters.
fn values(signature: &Signature, texts: &[String]) -> Result<Vec<Value>> {
    if signature.params.len() != texts.len() {
        return Err(FunctionError::Arity { signature: Box::new(signature.clone()), given: texts.len() }.into());
    }
    signature.params.iter().zip(texts).map(|(field, text)| argument(signature, field, text)).collect()
}

/// The argument that stands on the command line for a parameter.
pub(super) fn argument(signature: &Signature, field: &Field, text: &str) -> Result<Value> {
    // Null reaches functions that return null for it as well, but for texts, of which `null` is one.
    let is_text = field.ty.list.is_none() && field.ty.scalar == Scalar::String;
    let ty = if signature.strict && !is_text { field.ty.nullable() } else { field.ty };
    Value::parse(text, ty).map_err(|error| {
        let error = ValueError::new(text, field.ty, error.reason);
        anyhow!("the parameter `{}` of `{}`: {error}", field.name, signature.name)
    })
}

#[cold]
fn unfit(signature: &Signature) -> anyhow::Error {
    anyhow!("`{signature}` has a type that this command cannot write as text")
}

fn print_result(signature: &Signature, result: &Value, common: &Common) -> Result<()> {
    let of =
        || json!({"function": signature.name, "type": signature.results[0].ty.to_string(), "result": in_json(result)});
    print(common, || format!("{result}\n"), of)
}

/// A value as JSON has it.
pub(super) fn in_json(value: &Value) -> serde_json::Value {
    // None is refused.
    serde_json::to_value(AsJson(value)).unwrap_or_default()
}
