/// Defines chaining setters, the one style in which the crates of this family are configured: each takes the
/// configuration, sets one field and gives it back.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($($(#[$meta:meta])* $setter:ident($field:ident: $type:ty);)*) => {
        $(
            $(#[$meta])*
            #[must_use]
            pub fn $setter(mut self, $field: $type) -> Self {
                self.$field = $field;
                self
            }
        )*
    };
}
