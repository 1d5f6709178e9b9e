//! Version 2's types as they were, and the lenses between them and this version's.

use crate::totals::{Traffic, Usage};
use crate::value;
use dsu_runtime::prelude::*;
use kv_engine::{Origin, Text};
use xform::{Kept, Lens, LensError, Loss, Losses, Segment, Toward};

/// Version 2's value.
#[derive(Shared)]
#[shared(frozen = 2)]
pub struct Value {
    bytes: SharedBytes,
}

/// A value of version 2 is a string here. A list or a hash has no form there: it is foreign, and stays
/// as it is. What made a string waits in the complement, where it is not what version 2 would do itself.
#[derive(Default)]
struct ValueLens;

impl Lens for ValueLens {
    type Left = Value;
    type Right = value::Value;
    type Complement = Kept<Origin>;

    fn forward(
        &self,
        Value { bytes }: Value,
        kept: Option<Kept<Origin>>,
    ) -> Result<(value::Value, Kept<Origin>), LensError> {
        let origin = kept.and_then(|kept| kept.value).unwrap_or_default();
        let text = Text::new(bytes, origin);
        Ok((value::Value::Text(text), Kept::empty()))
    }

    fn backward(
        &self,
        value: value::Value,
        _: Option<Kept<Origin>>,
    ) -> Result<(Value, Kept<Origin>), LensError> {
        let value::Value::Text(text) = value else {
            return Err(LensError::unrepresentable(
                "version 2 has no lists and no hashes",
            ));
        };
        let (bytes, origin) = text.into_parts();
        Ok((Value { bytes }, Kept::of(origin)))
    }

    fn is_vacant(&self, kept: &Kept<Origin>) -> bool {
        kept.value.unwrap_or_default() == Origin::default()
    }

    fn losses(&self, toward: Toward, report: &mut Losses) {
        if toward == Toward::Newer {
            report.within(&Segment::Field("origin"), |report| {
                report.add(Loss::Defaulted);
            });
        }
    }

    /// Asked first: `backward` drops what it cannot turn back, which takes as long as the value is large.
    fn represents(&self, value: &value::Value) -> bool {
        matches!(value, value::Value::Text(_))
    }
}

dsu::transformer!(ValueLens);

/// Version 2's totals.
#[derive(Shared)]
#[shared(frozen = 2)]
pub struct Stats {
    commands: u64,
    errors: u64,
    keyspace_hits: u64,
    keyspace_misses: u64,
    connections: u64,
    bytes_in: u64,
    bytes_out: u64,
    expired_keys: u64,
}

/// One item of totals becomes two; each side has all of them.
#[derive(Default)]
struct StatsLens;

impl Lens for StatsLens {
    type Left = (Stats,);
    type Right = (Usage, Traffic);
    type Complement = ();

    fn forward(
        &self,
        (stats,): (Stats,),
        _: Option<()>,
    ) -> Result<((Usage, Traffic), ()), LensError> {
        let usage = Usage {
            commands: stats.commands,
            errors: stats.errors,
            keyspace_hits: stats.keyspace_hits,
            keyspace_misses: stats.keyspace_misses,
            expired_keys: stats.expired_keys,
        };
        let traffic = Traffic {
            connections: stats.connections,
            bytes_in: stats.bytes_in,
            bytes_out: stats.bytes_out,
        };
        Ok(((usage, traffic), ()))
    }

    fn backward(
        &self,
        (usage, traffic): (Usage, Traffic),
        _: Option<()>,
    ) -> Result<((Stats,), ()), LensError> {
        let stats = Stats {
            commands: usage.commands,
            errors: usage.errors,
            keyspace_hits: usage.keyspace_hits,
            keyspace_misses: usage.keyspace_misses,
            connections: traffic.connections,
            bytes_in: traffic.bytes_in,
            bytes_out: traffic.bytes_out,
            expired_keys: usage.expired_keys,
        };
        Ok(((stats,), ()))
    }
}

dsu::transformer!(StatsLens, TOTALS: (stats) => (usage, traffic));
