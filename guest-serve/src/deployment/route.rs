//! The function of a route.

use guest_functions::{Function, Module};
use guest_host::admission::Contract;

use super::http;
use crate::config::{Callee, Format, Route};
use crate::error::ServeError;

/// The function of a route.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RouteFunction {
    /// A typed function.
    Typed(Function),
    /// A typed function with streams, as the host calls it.
    Stream(guest_host::Function),
    /// An extension function.
    Extension(guest_host::Function),
}

impl RouteFunction {
    /// Finds the function of a route.
    pub(super) fn find(module: &Module, route: &Route) -> Result<Self, ServeError> {
        let name = &route.function;
        match route.callee {
            Callee::Function => {
                let function = module.function(name);
                let function = function.map_err(|error| route.function_place.error(error.to_string()))?;
                if route.format == Format::Http {
                    http::check(route, function.signature())?;
                }
                if route.stream {
                    return http::stream(route, module).map(Self::Stream);
                }
                Ok(Self::Typed(function))
            }
            Callee::Extension => {
                if matches!(module.guest().admission().contract, Ok(Contract::Bare(_))) {
                    let message = "the module has no extension functions, as it is none of `guest-sdk`; name a function of numbers by \
                                   `function`";
                    return Err(route.function_place.error(message));
                }
                let function = module.guest().function(name);
                function.map(Self::Extension).map_err(|cause| route.function_place.error(cause.to_string()))
            }
        }
    }

    /// The typed function, if it is one without streams.
    #[must_use]
    pub const fn typed(&self) -> Option<&Function> {
        match self {
            Self::Typed(function) => Some(function),
            Self::Stream(_) | Self::Extension(_) => None,
        }
    }
}
