//! Several guards at once, always in slot order (R16).

use super::guard::{Guard, GuardFamily, GuardMutex};
use crate::error::LockError;
use crate::worker::Worker;

/// A tuple of guards that `lock_all!` acquires together.
pub trait LockAll {
    /// The guards' proofs, in the order of the tuple.
    type Guards<'g>;

    /// Acquires all of them, in the order of their slots, which is the same in every version (R16).
    ///
    /// # Blocks
    /// While another worker holds one of them.
    ///
    /// # Errors
    /// That of the first that fails; those acquired before it are released.
    fn lock_all(self, cx: &Worker) -> Result<Self::Guards<'_>, LockError>;
}

macro_rules! lock_all_tuple {
    ($($item:ident $index:tt $place:ident),+) => {
        impl<$($item: 'static),+> LockAll for ($(&'static GuardMutex<$item>,)+) {
            type Guards<'g> = ($(Guard<'g, $item>,)+);

            fn lock_all(self, cx: &Worker) -> Result<Self::Guards<'_>, LockError> {
                $(let mut $place = None;)+
                let mut order = [$((self.$index.slot().index(), $index)),+];
                order.sort_unstable();
                for (_, which) in order {
                    match which {
                        $($index => $place = Some(self.$index.lock(cx)?),)+
                        _ => unreachable!("the order holds the tuple's own indexes"),
                    }
                }
                match ($($place,)+) {
                    ($(Some($place),)+) => Ok(($($place,)+)),
                    _ => unreachable!("every index was visited"),
                }
            }
        }
    };
}

lock_all_tuple!(A 0 a);
lock_all_tuple!(A 0 a, B 1 b);
lock_all_tuple!(A 0 a, B 1 b, C 2 c);
lock_all_tuple!(A 0 a, B 1 b, C 2 c, D 3 d);
lock_all_tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e);
lock_all_tuple!(A 0 a, B 1 b, C 2 c, D 3 d, E 4 e, F 5 f);

impl<I: 'static, const N: usize> GuardFamily<I, N> {
    /// Acquires the members that `wanted` names, in slot order, whatever their order and however
    /// often each is named. The answer has a place for every member of the family.
    ///
    /// # Blocks
    /// While another worker holds one of them.
    ///
    /// # Errors
    /// That of the first that fails; those acquired before it are released.
    ///
    /// # Panics
    /// If a member is named that the family does not have.
    pub fn lock_many<'g>(
        &'static self,
        cx: &'g Worker,
        wanted: impl IntoIterator<Item = usize>,
    ) -> Result<[Option<Guard<'g, I>>; N], LockError> {
        let mut named = [false; N];
        for index in wanted {
            named[index] = true;
        }
        let mut guards = [const { None }; N];
        for (index, guard) in guards
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| named[*index])
        {
            *guard = Some(self[index].lock(cx)?);
        }
        Ok(guards)
    }
}
