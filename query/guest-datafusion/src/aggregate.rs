//! An aggregate of a module as one of DataFusion, for groups and for windows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::arrow::compute::filter;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, not_impl_err, plan_err};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, udaf_default_schema_name,
    udaf_default_window_function_schema_name,
};
use guest_functions::{Aggregate, Columnar, GroupStates, Type, data_type};

use crate::describe::coerce_all;
use crate::function::WasmFunction;
use crate::query::charged;

/// An [`Aggregate`] as an aggregate function of DataFusion, also over windows.
///
/// Arguments cross as those of a [`WasmScalarUdf`](crate::WasmScalarUdf). States are bytes, which DataFusion sends between partitions
/// and counts against the session's memory. If the guest takes rows out of a state again (`retract`), windows that slide do so;
/// otherwise DataFusion refuses them, or computes each window anew.
///
/// `DISTINCT` is supported for an aggregate of one argument, where all others of the query are `DISTINCT` with the same argument, as
/// DataFusion groups by that first. `ORDER BY` in a call, and aggregates without parameters, are not supported.
pub type WasmAggregateUdf = WasmFunction<Aggregate>;

impl WasmAggregateUdf {
    fn result(&self) -> Type {
        // A module has no aggregate without a result.
        self.function().signature().results[0].ty
    }

    /// States of so many groups, on the instances of the query.
    fn states(&self, groups: usize) -> Result<GroupStates> {
        Ok(charged(self.sql_name(), || self.callable())?.states(groups))
    }

    /// That the aggregate has a parameter: the number of rows is that of the first argument.
    fn check_parameters(&self) -> Result<()> {
        let name = self.sql_name();
        match self.function().signature().params.as_slice() {
            [] => plan_err!("`{name}` has no parameter, and DataFusion calls no such aggregate: give it one"),
            _ => Ok(()),
        }
    }

    /// The accumulator of groups or windows that DataFusion asks for.
    fn accumulate(&self, args: &AccumulatorArgs<'_>, groups: usize) -> Result<States> {
        self.check_parameters()?;
        if args.is_distinct {
            let name = self.sql_name();
            return not_impl_err!("`{name}(DISTINCT ...)` is not supported; select distinct rows first");
        }
        Ok(States { name: self.sql_name().to_owned(), states: self.states(groups)? })
    }
}

impl AggregateUDFImpl for WasmAggregateUdf {
    /// In a plan that was made to be executed, the name with the first digits of the module's hash: what `EXPLAIN` shows.
    fn name(&self) -> &str {
        self.shown()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        udaf_default_schema_name(self.unbound().as_ref(), params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        udaf_default_window_function_schema_name(self.unbound().as_ref(), params)
    }

    fn signature(&self) -> &Signature {
        self.planned()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.result()))
    }

    fn is_nullable(&self) -> bool {
        self.result().nullable
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_all(self.sql_name(), self.function().signature(), arg_types)
    }

    /// The result of no rows, which DataFusion asks for where a window or a subquery has none.
    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        Accumulator::evaluate(&mut States { name: self.sql_name().to_owned(), states: self.states(1)? })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.check_parameters()?;
        // States of partitions are merged in the order in which they come.
        if !args.ordering_fields.is_empty() {
            let name = self.sql_name();
            return not_impl_err!("`{name}(... ORDER BY ...)` is not supported; order the rows in a window");
        }
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "state"), DataType::Binary, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.accumulate(&args, 1)?))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(self.accumulate(&args, 0)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(self.documented())
    }
}

/// The states of groups, or of the one group of an [`Accumulator`].
#[derive(Debug)]
struct States {
    /// The name of the aggregate in the session.
    name: String,
    states: GroupStates,
}

/// The arrays as a batch takes them, and the number of rows.
fn columns(values: &[ArrayRef]) -> Result<(Vec<Columnar<'_>>, usize)> {
    match values.first() {
        Some(first) => Ok((values.iter().map(|array| Columnar::Array(array)).collect(), first.len())),
        None => internal_err!("an aggregate has an argument"),
    }
}

impl States {
    /// Takes rows into the states of their groups, or those that the filter leaves.
    fn update(&mut self, values: &[ArrayRef], groups: &[usize], kept: Option<&BooleanArray>) -> Result<()> {
        let Some(kept) = kept else {
            let (columns, rows) = columns(values)?;
            return charged(&self.name, || self.states.accumulate(&columns, rows, Some(groups)));
        };
        let values = values.iter().map(|array| Ok(filter(array, kept)?)).collect::<Result<Vec<_>>>()?;
        let is_kept = |row: &usize| kept.is_valid(*row) && kept.value(*row);
        let groups: Vec<usize> = (0..kept.len()).filter(is_kept).map(|row| groups[row]).collect();
        self.update(&values, &groups, None)
    }

    /// The first groups, or all, after `take` has taken what is asked of them. They are removed.
    fn emit<T>(&mut self, emit_to: EmitTo, take: impl FnOnce(&Self, usize) -> Result<T>) -> Result<T> {
        let groups = match emit_to {
            EmitTo::All => self.states.groups(),
            EmitTo::First(groups) => groups.min(self.states.groups()),
        };
        let taken = take(self, groups)?;
        self.states.remove_first(groups);
        Ok(taken)
    }

    fn saved(&self, groups: usize) -> Result<ArrayRef> {
        charged(&self.name, || Ok(Arc::new(self.states.save(0..groups)?) as ArrayRef))
    }

    fn results(&self, groups: usize) -> Result<ArrayRef> {
        charged(&self.name, || self.states.evaluate(0..groups))
    }
}

impl Accumulator for States {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (columns, rows) = columns(values)?;
        charged(&self.name, || self.states.accumulate(&columns, rows, None))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [states] = states else {
            return internal_err!("an aggregate has one column of states");
        };
        charged(&self.name, || self.states.merge(states, None))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (columns, rows) = columns(values)?;
        charged(&self.name, || self.states.retract(&columns, rows, None))
    }

    fn supports_retract_batch(&self) -> bool {
        self.states.aggregate().signature().retracts
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.results(1)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::try_from_array(&self.saved(1)?, 0)?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.states.size()
    }
}

impl GroupsAccumulator for States {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.states.resize(total_num_groups);
        self.update(values, group_indices, opt_filter)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        let [states] = values else {
            return internal_err!("an aggregate has one column of states");
        };
        self.states.resize(total_num_groups);
        charged(&self.name, || self.states.merge(states, Some(group_indices)))
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.emit(emit_to, Self::results)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.emit(emit_to, |states, groups| Ok(vec![states.saved(groups)?]))
    }

    /// The states of single rows, where DataFusion finds that groups have hardly more.
    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(rows) = values.first().map(|array| array.len()) else {
            return exec_err!("`{}` has no argument", self.name);
        };
        let mut single = Self { name: self.name.clone(), states: self.states.aggregate().states(rows) };
        single.update(values, &(0..rows).collect::<Vec<_>>(), opt_filter)?;
        Ok(vec![single.saved(rows)?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.states.size()
    }
}
