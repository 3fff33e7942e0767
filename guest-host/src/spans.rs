//! Spans and events of `tracing`, where the feature of that name is on. Without it nothing of them is compiled.

/// Enters a span until the end of the block: `span!(debug_span, "name", field = value)`.
macro_rules! span {
    ($kind:ident, $name:literal $(, $($fields:tt)*)?) => {
        #[cfg(feature = "tracing")]
        let _span = tracing::$kind!($name $(, $($fields)*)?).entered();
    };
}

/// Awaits a future inside a span, also where it is suspended: `within!(debug_span, "name", field = value; future)`. The span is
/// made before the future, which may borrow what the fields were read from.
macro_rules! within {
    ($kind:ident, $name:literal, $($field:ident = $value:expr),*; $future:expr) => {{
        #[cfg(feature = "tracing")]
        {
            let span = tracing::$kind!($name, $($field = $value),*);
            tracing::Instrument::instrument($future, span).await
        }
        #[cfg(not(feature = "tracing"))]
        {
            $future.await
        }
    }};
}

/// Sends an event: `event!(warn, field = value, "what happened")`.
macro_rules! event {
    ($level:ident, $($fields:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::$level!($($fields)*);
    };
}

pub(crate) use {event, span, within};

/// Without the feature no argument of a macro is compiled, let alone evaluated: this does not build otherwise.
#[cfg(not(feature = "tracing"))]
#[expect(dead_code, reason = "to be compiled, not to be called")]
async fn arguments_are_not_compiled() {
    span!(debug_span, "off", field = compile_error!("the field of a span is compiled"));
    event!(warn, field = compile_error!("the field of an event is compiled"), "off");
    within!(debug_span, "off", field = compile_error!("the field of an awaited span is compiled"); std::future::ready(()));
}
