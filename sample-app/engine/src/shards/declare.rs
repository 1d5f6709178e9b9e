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
    (@ $entry:ident, $value:ty, $expires:literal, |$whole:ident| $deadline:expr, { $($reset:ident: $forever:expr)? }) => {
        impl $crate::Entry for $entry {
            type Value = $value;

            const EXPIRES: bool = $expires;

            fn new(value: $value) -> Result<Self, ::dsu_runtime::prelude::HeapFull> {
                Ok($entry {
                    value: ::dsu_runtime::prelude::Versioned::new(value)?,
                    $($reset: $forever,)?
                })
            }

            fn value(&self) -> Result<&$value, ::dsu_runtime::prelude::AccessError> {
                self.value.get()
            }

            #[inline]
            fn value_mut(&mut self) -> Result<&mut $value, ::dsu_runtime::prelude::AccessError> {
                self.value.get_mut()
            }

            fn expires_at_ms(&self) -> u64 {
                let $whole = self;
                $deadline
            }

            fn renew(&mut self, bytes: &[u8]) -> Result<bool, ::dsu_runtime::prelude::HeapFull> {
                let Some(value) = self.value.plain_mut() else {
                    return Ok(false);
                };
                if !$crate::StringHolder::renew(value, bytes)? {
                    return Ok(false);
                }
                $(self.$reset = $crate::FOREVER;)?
                Ok(true)
            }

            fn prefetch_value(&self) {
                self.value.prefetch();
            }

            fn current_value(&self) -> Option<&$value> {
                self.value.current()
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

            fn renew(&mut self, bytes: &[u8]) -> Result<bool, ::dsu_runtime::prelude::HeapFull> {
                self.bytes.overwrite(bytes)?;
                Ok(true)
            }

            fn prefetch_content(&self) {
                ::dsu_runtime::prelude::Shared::prefetch(&self.bytes);
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
/// where the items have a `shard` with `entries`. In a version with WATCH they have [`Changes`](crate::Changes)
/// as well, and it says which version is the first to note them: `…, Entry, changes from 3`.
#[macro_export]
macro_rules! shards {
    ($visibility:vis $keys:ident: $guards:ident, $items:ty, $entry:ty) => {
        $crate::shards!(@ $visibility $keys: $guards, $items, $entry, {});
    };
    ($visibility:vis $keys:ident: $guards:ident, $items:ty, $entry:ty, $changes:ident from $version:literal) => {
        $crate::shards!(@ $visibility $keys: $guards, $items, $entry, {
            fn parts(
                items: &mut $items,
            ) -> (
                &mut ::dsu_runtime::prelude::SharedMap<::dsu_runtime::prelude::SharedBytes, $entry>,
                Option<&mut $crate::Changes>,
            ) {
                (&mut items.shard.entries, Some(&mut items.$changes))
            }

            fn epoch(cx: &::dsu_runtime::prelude::Worker) -> Option<u64> {
                // In this order: an epoch that has passed since is seen by whoever compares it.
                let epoch = cx.version_epoch();
                cx.all_at($version).then_some(epoch)
            }
        });
    };
    (@ $visibility:vis $keys:ident: $guards:ident, $items:ty, $entry:ty, { $($watching:tt)* }) => {
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

            $($watching)*
        }
    };
}
