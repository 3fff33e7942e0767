//! The kinds of functions of a module, as one trait.

use std::fmt::Debug;

use guest_functions::{Aggregate, Function, FunctionError, Kind, Module, TableFunction};

/// The kinds of functions that a module has: [`Function`], [`Aggregate`] and [`TableFunction`].
pub trait ModuleFunction: Debug + Clone + Send + Sync + 'static + sealed::Sealed {
    /// The kind.
    const KIND: Kind;

    /// The module.
    fn module(&self) -> &Module;

    /// The signature, as the module declares it.
    fn signature(&self) -> &guest_functions::Signature;

    /// The function of this kind and name in a module.
    ///
    /// # Errors
    /// As for [`Module::function`].
    fn find(module: &Module, name: &str) -> Result<Self, FunctionError>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! module_function {
    ($function:ty, $kind:ident, $find:ident) => {
        impl sealed::Sealed for $function {}

        impl ModuleFunction for $function {
            const KIND: Kind = Kind::$kind;

            fn module(&self) -> &Module {
                self.module()
            }

            fn signature(&self) -> &guest_functions::Signature {
                self.signature()
            }

            fn find(module: &Module, name: &str) -> Result<Self, FunctionError> {
                module.$find(name)
            }
        }
    };
}

module_function!(Function, Scalar, function);
module_function!(Aggregate, Aggregate, aggregate);
module_function!(TableFunction, Table, table_function);
