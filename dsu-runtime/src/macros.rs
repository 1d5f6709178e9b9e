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
/// The lens type is `Lens + Default`, its sides are `Shared`. It is a function of its arguments: when it fails, the older
/// value stays where it is with all that it owns, so **a lens that keeps what it was given**, in a thread-local or by swapping
/// it with something else, **makes a second owner of the same blocks**. No type prevents that.
///
/// With the names of items it is a lens between tuples of items of one guard (R3), which splits or merges them, or makes some
/// out of others: `transformer!(StatsLens, TOTALS: (stats) => (commands, traffic));`, where the lens leads from `(Stats,)` to
/// `(Commands, Traffic)`. A name may stand on both sides. Items that are not named pass as they would without it.
///
/// `transformer!(prepared L)`, with items or without, is for lenses between containers of which the runtime makes the other form
/// ahead, a slice at a time: `L` is [`Prepare`](crate::heap::delta::Prepare), between tuples of items
/// [`PrepareItems`](crate::heap::delta::PrepareItems), as those of [`heap::delta`](crate::heap::delta) are.
#[macro_export]
macro_rules! transformer {
    (prepared $lens:ty) => {
        $crate::transformer!(@register $lens, ::core::option::Option::None, ::core::option::Option::Some(
            $crate::abi::PrepareCalls {
                forward: $crate::__private::prepare_forward::<$lens>,
                backward: $crate::__private::prepare_backward::<$lens>,
                discard_left: $crate::__private::discard_left::<$lens>,
                discard_right: $crate::__private::discard_right::<$lens>,
            }
        ));
        $crate::transformer!(@twin "left of ", $lens, <$lens as $crate::heap::delta::Prepare>::LeftTwin);
        $crate::transformer!(@twin "right of ", $lens, <$lens as $crate::heap::delta::Prepare>::RightTwin);
    };
    (prepared $lens:ty, $guard:ident: ($($older:ident),+ $(,)?) => ($($newer:ident),+ $(,)?)) => {
        $crate::transformer!(@register $lens, ::core::option::Option::Some($crate::abi::RegroupedItems {
            guard: ::core::stringify!($guard),
            older: &[$(::core::stringify!($older)),+],
            newer: &[$(::core::stringify!($newer)),+],
        }), ::core::option::Option::Some(
            $crate::abi::PrepareCalls {
                forward: $crate::__private::prepare_items_forward::<$lens>,
                backward: $crate::__private::prepare_items_backward::<$lens>,
                discard_left: $crate::__private::discard_left_items::<$lens>,
                discard_right: $crate::__private::discard_right_items::<$lens>,
            }
        ));
        $crate::transformer!(@twin ::core::concat!("left of ", ::core::stringify!($guard), " by "), $lens,
            <$lens as $crate::heap::delta::PrepareItems>::LeftTwin);
        $crate::transformer!(@twin ::core::concat!("right of ", ::core::stringify!($guard), " by "), $lens,
            <$lens as $crate::heap::delta::PrepareItems>::RightTwin);
    };
    ($lens:ty) => {
        $crate::transformer!(@register $lens, ::core::option::Option::None, ::core::option::Option::None);
    };
    ($lens:ty, $guard:ident: ($($older:ident),+ $(,)?) => ($($newer:ident),+ $(,)?)) => {
        $crate::transformer!(@register $lens, ::core::option::Option::Some($crate::abi::RegroupedItems {
            guard: ::core::stringify!($guard),
            older: &[$(::core::stringify!($older)),+],
            newer: &[$(::core::stringify!($newer)),+],
        }), ::core::option::Option::None);
    };
    (@register $lens:ty, $items:expr, $prepare:expr) => {
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
                prepare: $prepare,
            }
        }
    };
    // What hangs on a value of one side while that side has it. The module tells apart the twins of two versions.
    (@twin $side:expr, $lens:ty, $twin:ty) => {
        const _: () = {
            const NAME: &str = ::core::concat!(
                "twin of ", $side, ::core::stringify!($lens), " in ", ::core::module_path!()
            );
            static TAG: $crate::abi::TagCell = $crate::abi::TagCell::new();
            $crate::__private::inventory::submit! {
                $crate::abi::TypeRegistration {
                    name: NAME,
                    path: ::core::concat!(::core::module_path!(), "::", ::core::stringify!($lens)),
                    frozen_from: 0,
                    schema: || $crate::__private::twin_schema::<$twin>(NAME),
                    tag: &TAG,
                    forbid: ::core::option::Option::None,
                    drop: $crate::__private::drop_value::<$twin>,
                    visit: $crate::__private::visit_value::<$twin>,
                }
            }
            $crate::__private::inventory::submit! {
                $crate::abi::TwinRegistration {
                    type_id: ::core::any::TypeId::of::<$twin>,
                    tag: &TAG,
                }
            }
        };
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
