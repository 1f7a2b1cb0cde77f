//! Setters of settings.

/// Makes a `with_` method of each field, so that settings can get further fields.
macro_rules! setters {
    ($settings:ident { $($with:ident: $field:ident, $kind:ty;)+ }) => {
        impl $settings {
            $(
                #[doc = concat!("Sets [`", stringify!($settings), "::", stringify!($field), "`].")]
                #[must_use]
                pub fn $with(mut self, $field: $kind) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}

pub(crate) use setters;
