//! `functions`, and the modules that it and `call` load.

use anyhow::{Result, anyhow};
use guest_functions::{FunctionError, Module, ModuleConfig, Signature};
use guest_host::{Engine, PoolConfig};
use serde_json::json;

use crate::arguments::{Common, Format, FunctionModule, Functions};
use crate::output::Destination;
use crate::source;

/// Prints the functions of a module.
pub(crate) fn list(arguments: &Functions, common: &Common) -> Result<()> {
    let module = load(&arguments.module, common, "functions")?;
    print(common, || text(&module), || json!(module.signatures().map(described).collect::<Vec<_>>()))
}

/// Loads the module. `command` makes no report, so options that export one are refused.
pub(crate) fn load(arguments: &FunctionModule, common: &Common, command: &str) -> Result<Module> {
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

pub(crate) fn print(
    common: &Common,
    text: impl FnOnce() -> String,
    json: impl FnOnce() -> serde_json::Value,
) -> Result<()> {
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
