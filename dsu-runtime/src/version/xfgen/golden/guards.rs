//! The types of v1 as v1 knew them, and the ways between the two.
//!
//! Written by `dsu xfgen`. The frozen types must stay as they are; the lenses are yours.
//! Each `compile_error!` is a question: what it offers is written in its place.

use dsu_runtime::prelude::*;

/// The types as v2 has them. Their fields have to be visible here: `pub(crate)`.
mod newer {
    pub(crate) use crate::Peer;
    pub(crate) use crate::Traffic;
    pub(crate) use crate::Usage;
}

/// `Stats` of v1.
#[derive(Shared)]
#[shared(frozen = 1)]
pub(crate) struct Stats {
    pub(crate) commands: u64,
    pub(crate) hits: u64,
    pub(crate) bytes_in: u64,
}

compile_error!(
    "guard LOCKS of v1 is not in v2. If it is gone, write dsu::removed!(\"LOCKS\"); in place of \
     this line. If it was renamed, remove this line and write renamed_from = \"LOCKS\" into \
     #[guards(…)] of LOCKS_BY_NAME"
);

dsu::removed!("OTHER");

compile_error!(
    "item first: Peer of guard QUEUE of v1 is not in v2. If it is gone, write \
     dsu::removed!(\"QUEUE.first\"); in place of this line. If it is front now, write \
     dsu::transformer!(xform::Identity<(newer::Peer,)>, QUEUE: (first) => (front));"
);

compile_error!(
    "item left: SharedBytes of guard QUEUE of v1 is not in v2. If it is gone, write \
     dsu::removed!(\"QUEUE.left\"); in place of this line"
);

/// The items `stats` of TOTALS of v1 are `usage, traffic` in v2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TotalsItemsLens;

impl xform::Lens for TotalsItemsLens {
    type Left = (Stats,);
    type Right = (newer::Usage, newer::Traffic);
    type Complement = ();

    fn forward(
        &self,
        (stats,): Self::Left,
        _: Option<Self::Complement>,
    ) -> Result<(Self::Right, Self::Complement), xform::LensError> {
        let usage = newer::Usage {
            commands: stats.commands,
            hits: stats.hits,
        };
        let traffic = newer::Traffic {
            bytes_in: stats.bytes_in,
            bytes_out: compile_error!(
                "bytes_out of Traffic has no source. Say what it is in v2; what it was on the \
                 other side is lost unless the Complement keeps it, as an xform::Kept"
            ),
        };
        Ok(((usage, traffic), ()))
    }

    fn backward(
        &self,
        (usage, traffic): Self::Right,
        _: Option<Self::Complement>,
    ) -> Result<(Self::Left, Self::Complement), xform::LensError> {
        let stats = Stats {
            commands: usage.commands,
            hits: usage.hits,
            bytes_in: traffic.bytes_in,
        };
        Ok(((stats,), ()))
    }
}

dsu::transformer!(TotalsItemsLens, TOTALS: (stats) => (usage, traffic));

dsu::removed!("TOTALS.peers");

dsu::transformer!(xform::Widen<u32, u64>);
