//! The `with_` methods of structs that other crates fill in.

/// Adds a `with_` method for each field. Structs that will grow are `#[non_exhaustive]`, so other crates cannot write
/// them as literals. A derive macro of another crate would add a third version of its parser to every build.
#[doc(hidden)]
#[macro_export]
macro_rules! setters {
    ($name:ident { $($with:ident $field:ident: $type:ty,)+ }) => {
        impl $name {
            $(
                #[doc = concat!("Sets `", stringify!($field), "`.")]
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )+
        }
    };
}
