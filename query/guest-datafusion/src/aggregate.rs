//! An aggregate of a module as one of DataFusion, for groups and for windows.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::arrow::compute::filter;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, not_impl_err, plan_err};
use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::logical_expr::{udaf_default_schema_name, udaf_default_window_function_schema_name};
use guest_functions::{Aggregate, Columnar, FunctionError, GroupStates, Type, data_type};

use crate::describe::{coerce_all, documentation, signature};
use crate::query::{Instances, Query, charged, short_hash};

/// An [`Aggregate`] as an aggregate function of DataFusion, also over windows.
///
/// Arguments cross as those of a [`WasmScalarUdf`](crate::WasmScalarUdf). States are bytes, which DataFusion sends between partitions
/// and counts against the session's memory. If the guest takes rows out of a state again (`retract`), windows that slide do so;
/// otherwise DataFusion refuses them, or computes each window anew.
///
/// `DISTINCT` is supported for an aggregate of one argument, where all others of the query are `DISTINCT` with the same argument, as
/// DataFusion groups by that first. `ORDER BY` in a call, and aggregates without parameters, are not supported.
///
/// Two are equal if they have the same name and call the same aggregate of modules with the same bytes.
#[derive(Debug, Clone)]
pub struct WasmAggregateUdf {
    aggregate: Aggregate,
    name: String,
    signature: Signature,
    documentation: Documentation,
    /// Pays for instances outside of a query.
    memory: Arc<dyn MemoryPool>,
    /// The name in physical plans, and the aggregate on the query's own instances.
    bound: Option<(String, Aggregate)>,
    /// Keeps the module among those that are loaded.
    #[expect(dead_code, reason = "held for as long as the function is there")]
    lease: Option<Arc<guest_functions::Module>>,
}

impl WasmAggregateUdf {
    /// The aggregate, under the name that it has in its module.
    #[must_use]
    pub fn new(aggregate: Aggregate) -> Self {
        let name = aggregate.signature().name.clone();
        Self::named(aggregate, name)
    }

    /// The aggregate under another name.
    #[must_use]
    pub fn named(aggregate: Aggregate, name: impl Into<String>) -> Self {
        let name = name.into();
        let (signature, documentation) =
            (signature(aggregate.signature()), documentation(aggregate.signature(), &name));
        let memory = Arc::new(UnboundedMemoryPool::default());
        Self { aggregate, name, signature, documentation, memory, bound: None, lease: None }
    }

    /// Charges instances outside of a query to this pool.
    #[must_use]
    pub fn with_memory_pool(self, memory: Arc<dyn MemoryPool>) -> Self {
        Self { memory, ..self }
    }

    /// Sets another volatility than the module's, if there is one.
    pub(crate) fn with_volatility(mut self, volatility: Option<Volatility>) -> Self {
        self.signature.volatility = volatility.unwrap_or(self.signature.volatility);
        self
    }

    pub(crate) fn with_lease(self, lease: Arc<guest_functions::Module>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// The aggregate.
    #[must_use]
    pub fn aggregate(&self) -> &Aggregate {
        &self.aggregate
    }

    /// The same on instances of a query.
    pub(crate) fn bind(&self, instances: &mut Instances) -> Result<Self, FunctionError> {
        let aggregate = instances.aggregate(&self.aggregate)?;
        let shown = format!("{}@{}", self.name, short_hash(self.aggregate.module()));
        Ok(Self { bound: Some((shown, aggregate)), ..self.clone() })
    }

    /// Whether it has the instances of a query.
    pub(crate) fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    /// The same as it is in logical plans.
    fn unbound(&self) -> Cow<'_, Self> {
        match &self.bound {
            None => Cow::Borrowed(self),
            Some(_) => Cow::Owned(Self { bound: None, ..self.clone() }),
        }
    }

    fn result(&self) -> Type {
        // A module has no aggregate without a result.
        self.aggregate.signature().results[0].ty
    }

    /// States of so many groups, on the instances of the query.
    fn states(&self, groups: usize) -> Result<GroupStates> {
        let aggregate = match &self.bound {
            Some((_, aggregate)) => aggregate.clone(),
            None => {
                let mut instances = Instances::new(Query::new(Arc::clone(&self.memory)));
                charged(&self.name, || instances.aggregate(&self.aggregate))?
            }
        };
        Ok(aggregate.states(groups))
    }

    /// That the aggregate has a parameter: the number of rows is that of the first argument.
    fn check_parameters(&self) -> Result<()> {
        match self.aggregate.signature().params.as_slice() {
            [] => plan_err!("`{}` has no parameter, and DataFusion calls no such aggregate: give it one", self.name),
            _ => Ok(()),
        }
    }

    /// The accumulator of groups or windows that DataFusion asks for.
    fn accumulate(&self, args: &AccumulatorArgs<'_>, groups: usize) -> Result<States> {
        self.check_parameters()?;
        if args.is_distinct {
            return not_impl_err!("`{}(DISTINCT ...)` is not supported; select distinct rows first", self.name);
        }
        Ok(States { name: self.name.clone(), states: self.states(groups)? })
    }
}

impl PartialEq for WasmAggregateUdf {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.aggregate.module().hash() == other.aggregate.module().hash()
            && self.aggregate.signature() == other.aggregate.signature()
            && self.signature == other.signature
    }
}

impl Eq for WasmAggregateUdf {}

impl Hash for WasmAggregateUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.aggregate.module().hash().hash(state);
        self.aggregate.signature().name.hash(state);
    }
}

impl AggregateUDFImpl for WasmAggregateUdf {
    /// In a plan that was made to be executed, the name with the first digits of the module's hash: what `EXPLAIN` shows.
    fn name(&self) -> &str {
        self.bound.as_ref().map_or(&self.name, |(shown, _)| shown)
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        udaf_default_schema_name(self.unbound().as_ref(), params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        udaf_default_window_function_schema_name(self.unbound().as_ref(), params)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.result()))
    }

    fn is_nullable(&self) -> bool {
        self.result().nullable
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_all(&self.name, self.aggregate.signature(), arg_types)
    }

    /// The result of no rows, which DataFusion asks for where a window or a subquery has none.
    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        Accumulator::evaluate(&mut States { name: self.name.clone(), states: self.states(1)? })
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.check_parameters()?;
        // States of partitions are merged in the order in which they come.
        if !args.ordering_fields.is_empty() {
            return not_impl_err!("`{}(... ORDER BY ...)` is not supported; order the rows in a window", self.name);
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
        Some(&self.documentation)
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
