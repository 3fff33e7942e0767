//! `functions` and `call`.

use anyhow::{Result, anyhow};
use guest_functions::{FunctionError, Module, ModuleConfig, Scalar, Signature, Value, ValueError};
use guest_host::{Engine, PoolConfig};
use serde_json::json;

use crate::arguments::{Call, Common, Format, FunctionModule, Functions};
use crate::output::Destination;
use crate::source;

/// Prints the functions of a module.
pub(crate) fn list(arguments: &Functions, common: &Common) -> Result<()> {
    let module = load(&arguments.module, common, "functions")?;
    print(common, || text(&module), || json!(module.signatures().map(described).collect::<Vec<_>>()))
}

/// Calls a function, and prints its result.
pub(crate) fn call(arguments: &Call, common: &Common) -> Result<()> {
    let module = load(&arguments.module, common, "call")?;
    let function = module.function(&arguments.function)?;
    let signature = function.signature();
    if signature.params.len() != arguments.arguments.len() {
        let given = arguments.arguments.len();
        return Err(FunctionError::Arity { signature: Box::new(signature.clone()), given }.into());
    }
    let values = signature.params.iter().zip(&arguments.arguments);
    let values = values.map(|(field, text)| argument(signature, field, text)).collect::<Result<Vec<_>>>()?;
    let mut caller = module.caller()?;
    let result: Value = caller.call(&function, values.as_slice())?;
    let of =
        || json!({"function": signature.name, "type": signature.results[0].ty.to_string(), "result": in_json(&result)});
    print(common, || format!("{result}\n"), of)
}

/// The argument that stands on the command line for a parameter.
pub(super) fn argument(signature: &Signature, field: &guest_functions::Field, text: &str) -> Result<Value> {
    // Null reaches functions that return null for it as well, but for texts, of which `null` is one.
    let is_text = field.ty.list.is_none() && field.ty.scalar == Scalar::String;
    let ty = if signature.strict && !is_text { field.ty.nullable() } else { field.ty };
    Value::parse(text, ty).map_err(|error| {
        let error = ValueError::new(text, field.ty, error.reason);
        anyhow!("the parameter `{}` of `{}`: {error}", field.name, signature.name)
    })
}

/// Loads the module. `command` makes no report, so options that export one are refused.
pub(super) fn load(arguments: &FunctionModule, common: &Common, command: &str) -> Result<Module> {
    if common.exports_a_report() {
        anyhow::bail!("`{command}` makes no report; leave out the options that export one, and use `--format json`");
    }
    let file = source::guest(&arguments.guest)?;
    let engine = Engine::new(&common.engine()?)?;
    let default = ModuleConfig::default();
    let mut instance = common.config();
    instance.exchange_size = common.exchange_size.or(default.instance.exchange_size);
    instance.strategy = common.one_strategy(command)?;
    let config = default
        .with_instance(instance)
        // Listing runs nothing, and a call makes an instance of its own.
        .with_pool(PoolConfig::default().with_warm(0))
        .with_prepare(common.prepare())
        .with_declarations(arguments.declare.iter().cloned());
    Module::load(&engine, &file.name, &file.bytes, config).map_err(|error| match error {
        FunctionError::Load(error) => file.error(error).into(),
        error => anyhow!("{}: {error}", file.path.display()),
    })
}

fn print(common: &Common, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) -> Result<()> {
    let text = match common.format {
        Format::Text => guest_host::text::printable_lines(&text()),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&json())?),
    };
    Ok(Destination::Stdout.write(text.as_bytes())?)
}

/// A paragraph for each function.
fn text(module: &Module) -> String {
    let paragraphs: Vec<String> = module
        .signatures()
        .map(|signature| {
            let lines = signature.documentation.lines().map(|line| match line.trim() {
                "" => "\n".to_owned(),
                line => format!("\n    {line}"),
            });
            format!("{signature}\n    {}{}\n", kind(signature), lines.collect::<String>())
        })
        .collect();
    match paragraphs.is_empty() {
        false => paragraphs.join("\n"),
        true => format!(
            "{} has no typed functions: none of `guest-sdk`'s `#[function]`, and no export that takes numbers and returns one\n",
            module.name()
        ),
    }
}

/// How a function behaves, in words.
fn kind(signature: &Signature) -> String {
    let nulls = match (signature.strict, signature.params.iter().all(|field| field.ty.nullable)) {
        (_, true) => "",
        (true, false) => ", null for a null argument",
        (false, false) => ", an error for a null argument",
    };
    format!("{} {}{nulls}", signature.volatility.name(), signature.kind.name())
}

fn described(signature: &Signature) -> serde_json::Value {
    let fields = |fields: &[guest_functions::Field]| -> Vec<serde_json::Value> {
        fields.iter().map(|field| json!({"name": field.name, "type": field.ty.to_string()})).collect()
    };
    json!({
        "name": signature.name,
        "kind": signature.kind.name(),
        "signature": signature.to_string(),
        "parameters": fields(&signature.params),
        "results": fields(&signature.results),
        "volatility": signature.volatility.name(),
        "strict": signature.strict,
        "documentation": signature.documentation,
    })
}

/// A value as JSON has it; what JSON has no form for is text as people write it.
pub(super) fn in_json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => json!(value),
        Value::I32(value) => json!(value),
        Value::I64(value) => json!(value),
        Value::U64(value) => json!(value),
        // By its own shortest digits, not by those of the nearest number of 64 bits.
        Value::F32(value) if value.is_finite() => json!(value.to_string().parse::<f64>().unwrap_or((*value).into())),
        Value::F64(value) if value.is_finite() => json!(value),
        // Integers have 64 bits in both, and the text is JSON.
        Value::Document(document) => serde_json::from_str(&document.to_json()).unwrap_or_default(),
        Value::List(items) => items.iter().map(in_json).collect(),
        other => json!(other.to_string()),
    }
}
