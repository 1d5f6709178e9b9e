//! The faults that the model must find, each an edit of the lock's source.
//!
//! Read by the build script, which makes the mutated modules, and by the test, which runs them.

/// One edit: in `file` the only occurrence of `original` becomes `mutated`.
pub struct Mutation {
    pub name: &'static str,
    pub file: &'static str,
    pub original: &'static str,
    pub mutated: &'static str,
}

const fn mutation(
    name: &'static str,
    file: &'static str,
    original: &'static str,
    mutated: &'static str,
) -> Mutation {
    Mutation {
        name,
        file,
        original,
        mutated,
    }
}

pub const MUTATIONS: &[Mutation] = &[
    mutation(
        "taker_drops_the_flags",
        "waiter",
        "let taken = word.taken_by(self.me);",
        "let taken = Word(u64::from(self.me.0));",
    ),
    mutation(
        "taker_that_slept_sets_no_flag",
        "waiter",
        "let taken = if self.slept {",
        "let taken = if false {",
    ),
    mutation(
        "take_without_compare",
        "waiter",
        "self.cell.swap(word, taken)",
        "{ self.cell.update(|_| taken); true }",
    ),
    mutation(
        "heir_sleeps_in_the_queue",
        "waiter",
        "Half::Low,\n            expected,\n            Bits::ANY,",
        "Half::High, Half::High.of(word.0), self.class.sleepers(),",
    ),
    mutation(
        "agent_sleeps_without_a_timer",
        "waiter",
        "let until = timer.into_iter()",
        "let until = timer.filter(|_| false).into_iter()",
    ),
    mutation(
        "leaver_keeps_its_flag",
        "waiter",
        "let mut left = word.without_waits(self.class);",
        "let mut left = word;",
    ),
    mutation(
        "leaver_wakes_nobody",
        "waiter",
        "self.cell.wake_one(self.class);",
        "",
    ),
    mutation(
        "leaver_stays_heir",
        "waiter",
        "left = left.without_heir();",
        "",
    ),
    mutation(
        "anybody_may_take_from_under_the_heir",
        "waiter",
        "return word.heir() == self.me.0;",
        "return true;",
    ),
    mutation(
        "release_without_busy",
        "word",
        "seat.enter(at);\n        let old = self.update(",
        "let _ = at; let old = self.update(",
    ),
    mutation(
        "release_clears_busy_before_it_wakes",
        "word",
        "if old.heir() != 0 {\n            self.wake_heir",
        "seat.leave(); if old.heir() != 0 {\n            self.wake_heir",
    ),
    mutation(
        "release_keeps_its_flag",
        "word",
        "word.without_owner().without_waits(class)",
        "word.without_owner()",
    ),
    mutation(
        "release_wakes_no_heir",
        "word",
        "self.wake_heir();\n",
        "let _ = Self::wake_heir;\n",
    ),
    mutation(
        "recovery_ignores_busy",
        "recovery",
        "if let Some(at) = dead.busy_at()",
        "if let Some(at) = dead.busy_at().filter(|_| false)",
    ),
    mutation(
        "recovery_clears_busy_first",
        "recovery",
        "&& let Some((_, cell)) = cells.clone().find(|&(index, _)| index == at)\n    {",
        "&& let Some((_, cell)) = cells.clone().find(|&(index, _)| index == at)\n    { dead.leave();",
    ),
    mutation(
        "recovery_notes_nothing_in_the_scan",
        "recovery",
        "dead.enter(index);",
        "",
    ),
    mutation(
        "recovery_notes_before_it_reports",
        "recovery",
        "            abandoned(index);\n",
        "            dead.enter(index); abandoned(index);\n",
    ),
    mutation(
        "recovery_frees_before_it_reports",
        "recovery",
        "            abandoned(index);\n",
        "            dead.enter(index); repair(cell, dead.name); abandoned(index);\n",
    ),
    mutation(
        "recovery_keeps_the_flags",
        "recovery",
        "Word(word.0 & (u64::from(u32::MAX) | Word::HEIR))",
        "word",
    ),
    mutation(
        "recovery_wakes_one",
        "recovery",
        "platform::wake(&cell.word, Half::High, Count::All, Bits::ANY);",
        "platform::wake(&cell.word, Half::High, Count::One, Bits::ANY);",
    ),
    mutation(
        "recovery_frees_any_owner",
        "recovery",
        "if mended.owner() == dead.0 {",
        "if mended.owner() != 0 {",
    ),
];
