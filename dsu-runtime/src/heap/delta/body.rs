//! Bodies of twins: structs of containers without owners, written once for all of them.

/// A `repr(C)` struct of parts, each of which is `Part`. With `Shared`, `Default` and `Emptied`.
macro_rules! body {
    (
        $(#[$doc:meta])*
        pub struct $name:ident<$($param:ident $(: $bound:path)?),*> $([const $count:ident])? {
            $($field:ident: $ty:ty),* $(,)?
        }
    ) => {
        $(#[$doc])*
        #[repr(C)]
        pub struct $name<$($param $(: $bound)?,)* $(const $count: usize)?> {
            $(pub(super) $field: $ty,)*
        }

        impl<$($param $(: $bound)?,)* $(const $count: usize)?> Default for $name<$($param,)* $($count)?> {
            fn default() -> Self {
                $name { $($field: Default::default(),)* }
            }
        }

        impl<$($param $(: $bound)?,)* $(const $count: usize)?> $crate::heap::delta::shape::Emptied
            for $name<$($param,)* $($count)?>
        {
            fn drop_some(&mut self) -> Result<bool, $crate::error::HeapFull> {
                Ok($($crate::heap::delta::shape::Emptied::drop_some(&mut self.$field)? ||)* false)
            }
        }

        // SAFETY: its fields are shared, and all of them are shown.
        unsafe impl<$($param $(: $bound)?,)* $(const $count: usize)?> $crate::heap::Shared
            for $name<$($param,)* $($count)?>
        {
            type Cell = $crate::heap::Inline<Self>;

            fn schema() -> $crate::abi::TypeSchema {
                $crate::abi::TypeSchema {
                    kind: $crate::abi::TypeKind::Container(
                        vec![$(<$ty as $crate::heap::Shared>::schema()),*]
                    ),
                    ..$crate::abi::TypeSchema::leaf::<Self>(stringify!($name))
                }
            }

            fn visit(&mut self, visitor: &mut dyn $crate::heap::Visitor) {
                $($crate::heap::Shared::visit(&mut self.$field, visitor);)*
            }
        }
    };
}
pub(super) use body;
