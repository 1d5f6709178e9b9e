//! The macros that need no proc macro. `#[macro_export]` puts them at the root of the crate; the prelude has them too.
//!
//! They expand inside applications that forbid `unsafe_code`, and hold no unsafe tokens of their own.

/// A place where the worker may change version: `update_point!(cx, "event-loop", local)`.
///
/// One relaxed load when nothing is due. Otherwise it may return from the enclosing function, which returns
/// `Step<C>`, with the carry `local`. Needs the worker mutably, so that no guard can be held across it.
#[macro_export]
macro_rules! update_point {
    ($cx:expr, $name:literal, $local:expr $(,)?) => {{
        $crate::__private::inventory::submit! {
            $crate::abi::UpdatePointRegistration { name: $name }
        }
        if $cx.is_due() {
            match $cx.update_point($name)? {
                $crate::abi::Directive::Continue => {}
                _ => {
                    return ::core::result::Result::Ok($crate::worker::Crossing::new(
                        $name, $local,
                    ));
                }
            }
        }
    }};
}

/// Says that a guard, or an item as `"GUARD.item"`, is gone on purpose (R4).
#[macro_export]
macro_rules! removed {
    ($name:literal) => {
        $crate::__private::inventory::submit! {
            $crate::abi::RemovedRegistration { name: $name }
        }
    };
}

/// Registers a lens between an older shared type and a newer one.
///
/// The lens type is `Lens + Default`, its sides are `Shared`.
///
/// With the names of items it is a lens between tuples of items of one guard (R3), which splits or merges them, or makes some
/// out of others: `transformer!(StatsLens, TOTALS: (stats) => (commands, traffic));`, where the lens leads from `(Stats,)` to
/// `(Commands, Traffic)`. A name may stand on both sides. Items that are not named pass as they would without it.
#[macro_export]
macro_rules! transformer {
    ($lens:ty) => {
        $crate::transformer!(@register $lens, ::core::option::Option::None);
    };
    ($lens:ty, $guard:ident: ($($older:ident),+ $(,)?) => ($($newer:ident),+ $(,)?)) => {
        $crate::transformer!(@register $lens, ::core::option::Option::Some($crate::abi::RegroupedItems {
            guard: ::core::stringify!($guard),
            older: &[$(::core::stringify!($older)),+],
            newer: &[$(::core::stringify!($newer)),+],
        }));
    };
    (@register $lens:ty, $items:expr) => {
        $crate::__private::inventory::submit! {
            $crate::abi::TransformerRegistration {
                items: $items,
                left: <<$lens as $crate::__private::Lens>::Left as $crate::heap::Shared>::schema,
                right: <<$lens as $crate::__private::Lens>::Right as $crate::heap::Shared>::schema,
                complement: <<$lens as $crate::__private::Lens>::Complement as $crate::heap::Shared>::schema,
                forward: $crate::__private::forward::<$lens>,
                backward: $crate::__private::backward::<$lens>,
                drop_complement: $crate::__private::drop_value::<<$lens as $crate::__private::Lens>::Complement>,
                visit_complement: $crate::__private::visit_value::<<$lens as $crate::__private::Lens>::Complement>,
                directions: $crate::__private::directions::<$lens>,
                policy: $crate::__private::policy::<$lens>,
                losses: $crate::__private::losses::<$lens>,
                represents: $crate::__private::represents::<$lens>,
            }
        }
    };
}

/// Registers a lens between an older carry and this version's (R24).
///
/// The lens type is `Lens + Default`; its sides are `Carry`, its complement crosses through serde as well.
#[macro_export]
macro_rules! carry_lens {
    ($lens:ty) => {
        $crate::__private::inventory::submit! {
            $crate::abi::CarryLensRegistration {
                left: <<$lens as $crate::__private::Lens>::Left as $crate::worker::Carried>::schema,
                right: <<$lens as $crate::__private::Lens>::Right as $crate::worker::Carried>::schema,
                forward: $crate::__private::carry_forward::<$lens>,
                backward: $crate::__private::carry_backward::<$lens>,
                losses: $crate::__private::losses::<$lens>,
            }
        }
    };
}

/// Acquires several guards in the order of their slots, so that two workers cannot wait for each other (R16):
/// `let (mut a, mut b) = lock_all!(cx, SHARDS[0], TOTALS)?;`
#[macro_export]
macro_rules! lock_all {
    ($cx:expr, $($guard:expr),+ $(,)?) => {
        $crate::sync::LockAll::lock_all(($(&$guard,)+), $cx)
    };
}
