//! The functions of a program, one for each event.

use std::sync::Arc;
use std::time::Duration;

use guest_abi::program::{CLOSED, CONNECTED, READ};
use guest_functions::{Function, Module, Scalar, Type};
use guest_tenants::{Meter, Program};

use super::SLICES_TO_START;
use crate::config::ProgramConfig;
use crate::error::ServeError;

/// Bytes of the exchange region beside those of a message.
const BESIDE: usize = 256;

/// The least exchange region.
const LEAST_EXCHANGE: usize = 16 << 10;

/// The functions of a program, one for each event.
#[derive(Debug)]
pub struct ProgramFunctions {
    /// The program, on whose instances they are called.
    pub program: Program,
    /// For a client that has connected, if the program wants to know.
    pub connected: Option<Function>,
    /// For bytes of a connection.
    pub read: Function,
    /// For a connection that was closed, if the program wants to know.
    pub closed: Option<Function>,
}

impl ProgramFunctions {
    /// Finds the functions of a module. Its tenants are counted in `meter`, and a call may take `slice` at most.
    pub(super) fn find(
        module: &Module,
        config: &ProgramConfig,
        meter: &Arc<Meter>,
        slice: Duration,
    ) -> Result<Self, ServeError> {
        let place = &config.place;
        let function = |name: &str, params: &[Scalar]| match module.function(name) {
            Err(_) => Ok(None),
            Ok(function) => {
                let signature = function.signature();
                let expected = params.iter().map(|scalar| Type::of(*scalar));
                let takes = signature.params.iter().map(|field| field.ty).eq(expected);
                let returns = signature.results.iter().map(|field| field.ty).eq([Type::of(Scalar::Bytes)]);
                match takes && returns {
                    true => Ok(Some(function)),
                    false => Err(place.error(format!(
                        "`{signature}` is not the function of a program: it must take {} and return bytes; write the program with \
                         `guest_sdk::program!`",
                        params.iter().map(|scalar| Type::of(*scalar).to_string()).collect::<Vec<_>>().join(", ")
                    ))),
                }
            }
        };
        let read = function(READ, &[Scalar::I64, Scalar::Bytes])?.ok_or_else(|| {
            place.error(format!(
                "the module has no function `{READ}`, so it is no program; write one with `guest_sdk::program!`"
            ))
        })?;
        // Other limits may change, and programs go on. The address of a client comes beside a message.
        let exchange = u32::try_from((config.message + BESIDE).next_power_of_two().max(LEAST_EXCHANGE)).ok();
        let instance = module.config().instance.clone().with_exchange_size(exchange);
        let deadline = instance.deadline.map_or(slice, |deadline| deadline.min(slice));
        let to_start = slice.saturating_mul(SLICES_TO_START).min(instance.init_deadline);
        let instance = instance.with_deadline(Some(deadline)).with_init_deadline(to_start);
        Ok(Self {
            program: Program::new(module.guest(), &instance).with_meter(Arc::clone(meter)),
            connected: function(CONNECTED, &[Scalar::I64, Scalar::String])?,
            read,
            closed: function(CLOSED, &[Scalar::I64])?,
        })
    }
}
