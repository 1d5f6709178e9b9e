//! What every version would write in the same words: how its types play their part in the store.

/// Makes a struct with a boxed `value`, and perhaps `expires_at_ms`, an [`Entry`](crate::Entry).
///
/// `entry!(Entry: Value)`, or `entry!(Entry: Value, expires_at_ms)`, which is an
/// [`ExpiringEntry`](crate::ExpiringEntry) as well.
#[macro_export]
macro_rules! entry {
    ($entry:ident: $value:ty) => {
        $crate::entry!(@ $entry, $value, false, |_entry| $crate::FOREVER, {});
    };
    ($entry:ident: $value:ty, $deadline:ident) => {
        $crate::entry!(@ $entry, $value, true, |entry| entry.$deadline, { $deadline: $crate::FOREVER });

        impl $crate::ExpiringEntry for $entry {
            fn set_expires_at_ms(&mut self, deadline: u64) {
                self.$deadline = deadline;
            }
        }
    };
    (@ $entry:ident, $value:ty, $expires:literal, |$whole:ident| $deadline:expr, { $($rest:tt)* }) => {
        impl $crate::Entry for $entry {
            type Value = $value;

            const EXPIRES: bool = $expires;

            fn new(value: $value) -> Result<Self, ::dsu_runtime::prelude::HeapFull> {
                Ok($entry {
                    value: ::dsu_runtime::prelude::Versioned::new(value)?,
                    $($rest)*
                })
            }

            fn value(&self) -> Result<&$value, ::dsu_runtime::prelude::AccessError> {
                self.value.get()
            }

            fn value_mut(&mut self) -> Result<&mut $value, ::dsu_runtime::prelude::AccessError> {
                self.value.get_mut()
            }

            fn expires_at_ms(&self) -> u64 {
                let $whole = self;
                $deadline
            }
        }
    };
}

/// Makes a struct of `bytes` a value that is a string and nothing else.
#[macro_export]
macro_rules! string_value {
    ($value:ident) => {
        impl $crate::StringHolder for $value {
            type Text = ::dsu_runtime::prelude::SharedBytes;

            fn of_bytes(bytes: ::dsu_runtime::prelude::SharedBytes) -> Self {
                $value { bytes }
            }

            fn text(&self) -> Option<&::dsu_runtime::prelude::SharedBytes> {
                Some(&self.bytes)
            }

            fn text_mut(&mut self) -> Option<&mut ::dsu_runtime::prelude::SharedBytes> {
                Some(&mut self.bytes)
            }
        }
    };
}

/// Declares the type that stands for a version's shards: `shards!(pub Keys: SHARDS, ShardsItems, Entry)`,
/// where the items have a `shard` with `entries`.
#[macro_export]
macro_rules! shards {
    ($visibility:vis $keys:ident: $guards:ident, $items:ty, $entry:ty) => {
        /// This version's shards.
        $visibility struct $keys;

        impl $crate::Shards for $keys {
            type Items = $items;
            type Entry = $entry;

            fn guards() -> &'static ::dsu_runtime::prelude::GuardFamily<$items, { $crate::SHARDS }> {
                &$guards
            }

            fn entries(items: &$items) -> &::dsu_runtime::prelude::SharedMap<::dsu_runtime::prelude::SharedBytes, $entry> {
                &items.shard.entries
            }

            fn entries_mut(items: &mut $items) -> &mut ::dsu_runtime::prelude::SharedMap<::dsu_runtime::prelude::SharedBytes, $entry> {
                &mut items.shard.entries
            }
        }
    };
}
