//! Registering lenses between shared types and between carries.
#![forbid(unsafe_code)]
#![deny(warnings)]

use dsu_runtime::prelude::*;
use xform::{Lens, LensError};

#[derive(Shared)]
#[shared(frozen = 1, name = "Stats")]
pub struct OldStats {
    commands: u64,
}

#[derive(Shared)]
pub struct Stats {
    commands: u64,
    hits: u64,
}

#[derive(Default)]
struct StatsLens;

impl Lens for StatsLens {
    type Left = OldStats;
    type Right = Stats;
    type Complement = u64;

    fn forward(&self, left: OldStats, hits: Option<u64>) -> Result<(Stats, u64), LensError> {
        let hits = hits.unwrap_or(0);
        Ok((Stats { commands: left.commands, hits }, hits))
    }

    fn backward(&self, right: Stats, _: Option<u64>) -> Result<(OldStats, u64), LensError> {
        Ok((OldStats { commands: right.commands }, right.hits))
    }
}

transformer!(StatsLens);

#[derive(Default)]
struct CarryLens;

impl Lens for CarryLens {
    type Left = u32;
    type Right = u64;
    type Complement = ();

    fn forward(&self, left: u32, _: Option<()>) -> Result<(u64, ()), LensError> {
        Ok((u64::from(left), ()))
    }

    fn backward(&self, right: u64, _: Option<()>) -> Result<(u32, ()), LensError> {
        Ok((right as u32, ()))
    }
}

carry_lens!(CarryLens);

fn main() {}
